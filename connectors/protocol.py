"""What every connector is to the engine: pages of bytes with what the ERP said about them.

A connector speaks one *protocol*, knows no feed and no database, and translates every failure of
its wire into a class of `mappings.errors`. It must not parse values and must not retry for ever.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self, runtime_checkable

from mappings.sources import Source


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes exactly as the ERP sent them; `content` is read once, in order."""

    name: str
    """File name on the server, or a running number: unique within the part's pages."""
    media_type: str
    content: Iterable[bytes]
    records: int | None = None
    """Records in this page where the connector had to count them; None where it did not look."""
    declared: int | None = None
    """How many records the ERP said there are in all, where this page says so."""
    after: str | None = None
    """Where a read goes on behind this page (`Resumable`); None where this protocol cannot."""


@dataclass(frozen=True, slots=True)
class End:
    """How a read ended. Returned by `read` when its pages are exhausted."""

    complete: bool
    """End of paging or end marker seen, every declared count met, no movement while paging."""
    reason: str
    """Why it is or is not complete, for the manifest and for operators."""
    cursor: str | None = None
    """Largest cursor value actually read, the ERP's own text; None where nothing was read."""
    declared: int | None = None
    server_at: datetime | None = None
    """The ERP's clock when the read began, where the protocol tells it."""
    notes: tuple[str, ...] = field(default=())


class Connector(Protocol):
    """One open session with one ERP. Use as a context manager; `close` logs out."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def check(self) -> str:
        """Sign in and look; returns one line about the server.

        Raises Misconfigured (sign-in, host key, address) or Transient.
        """
        ...

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Yield pages; `since` is the cursor text to start from (None: everything).

        Raises Transient, RateLimited, NotNow, Misconfigured, SourceChanged, BatchRefused.
        """
        ...

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document. Raises Refused (code `not_found`) where there is none."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A connector that can go on where another session of it was interrupted."""

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """As `read`, behind the page that said `after`; the end speaks for all pages.

        Raises SourceChanged or Misconfigured before the first page where the ERP has forgotten
        the place: then the source is read from its beginning.
        """
        ...
