"""Where a walk over one REST question stands, and how that is kept so that another can go on there.

Must not send anything or look into a page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from mappings.sources.rest import LinkPaging, NumberPaging, OffsetPaging, TokenPaging


class Place(msgspec.Struct):
    """Where a read stood behind one of its pages: what it knew of all questions, then of this one.

    `on`: token of the next page, or its address where the answers say that.
    """

    all_pages: int
    all_read: int
    all_declared: int | None
    cursor: str | None
    server_at: datetime | None
    gap: str | None
    notes: tuple[str, ...]
    fixed: dict[str, str | int]
    pages: int = 0
    read: int = 0
    first_declared: int | None = None
    last_declared: int | None = None
    on: str | None = None

    def told(self) -> str:
        """As text."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def of(text: str) -> Place:
        """Out of its text."""
        return msgspec.json.decode(text, type=Place)


@dataclass
class State:
    """One question's way so far. What was met before an interruption is not known as met."""

    fixed: dict[str, str | int]
    pages: int = 0
    read: int = 0
    first_declared: int | None = None
    last_declared: int | None = None
    tokens: set[str] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)

    @classmethod
    def at(cls, place: Place) -> State:
        """As it was there."""
        return cls(place.fixed, place.pages, place.read, place.first_declared, place.last_declared)

    def parameters(self, paging: object, on: str | None = None) -> dict[str, str | int]:
        """The paging's parameters for the next request."""
        found: dict[str, str | int] = {}
        if isinstance(paging, OffsetPaging):
            found[paging.offset] = self.read
        elif isinstance(paging, NumberPaging):
            found[paging.page] = paging.first + self.pages
        elif isinstance(paging, TokenPaging) and on is not None:
            found[paging.cursor] = on
        if isinstance(paging, OffsetPaging | NumberPaging | TokenPaging | LinkPaging) and (
            paging.limit and paging.size
        ):
            found[paging.limit] = paging.size
        return found
