"""What every connector of pages over HTTP does alike: its session, pages ahead, documents.

Must not know how pages follow each other; a walk does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final, Protocol, Self

from connectors.ahead import ahead
from connectors.budget import Budget
from connectors.http_session import Limits, Session
from connectors.protocol import End, Page
from mappings.connection import Connection
from mappings.errors import Refused, SourceChanged, Transient

_AHEAD: Final = 3
"""Pages that wait, fetched and looked into, while the caller works on an earlier one."""


class PageWalk(Protocol):
    """One read: its pages, and afterwards whether they were all."""

    def pages_from_here(self) -> Iterator[Page]:
        """Page by page, each fetched when it is asked for."""
        ...

    def end(self) -> End:
        """How it ended."""
        ...


class HttpReading:
    """A connector over one HTTP session. Use as a context manager. Times in seconds."""

    def __init__(
        self, connection: Connection, erp: str, limits: Limits, budget: Budget, deadline: float
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._erp = erp
        self._session = Session(connection, erp, limits, budget)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document; `location` is absolute or relative to the service root.

        Raises Refused (`not_found`) where there is none, else as `read`.
        """
        try:
            yield from self._session.stream(self._session.url(location), f"document {location}")
        except SourceChanged as error:
            if error.code not in {"missing_entity", "gone"}:
                raise
            message = f"document {location} is not there"
            raise Refused(message, erp=self._erp, code="not_found") from None

    def _pages(self, walk: PageWalk, what: str) -> Generator[Page, None, End]:
        """The walk's pages, a few fetched ahead. Raises Transient (`timeout`) past the deadline."""
        yield from ahead(
            walk.pages_from_here(),
            most=_AHEAD,
            patience=self._deadline,
            too_late=lambda: Transient(
                f"{what}: not all pages came in {self._deadline:g} s",
                erp=self._erp,
                code="timeout",
            ),
            name=f"pages-{self._erp}",
        )
        return walk.end()
