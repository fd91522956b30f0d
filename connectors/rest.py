"""Plain REST, JSON-RPC and XML-RPC on httpx: pages as the ERP sent them.

Says no feed's word: where records are, how pages follow and how the ERP says no stand in the
mapping. This module must not type or map a value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import UTC, date, datetime
from typing import Self

import msgspec

from connectors.ahead import ahead
from connectors.budget import UNLIMITED, Budget
from connectors.http_session import Limits, Session
from connectors.protocol import End, Page
from connectors.rest_state import Place
from connectors.rest_walk import Walk
from mappings.connection import Connection
from mappings.errors import Misconfigured, Refused, SourceChanged, Transient
from mappings.sources import RestSource, Source

_AHEAD = 3


def _today() -> date:
    return datetime.now(UTC).date()


class RestConnector:
    """One ERP's JSON interface, signed in as its connection says; times as `ODataConnector`.

    Extra `check_path`: a small question that proves more than an open port.
    """

    def __init__(
        self,
        connection: Connection,
        erp: str,
        *,
        request_timeout: float = 60.0,
        connect_timeout: float = 10.0,
        tries: int = 4,
        longest_wait: float = 5.0,
        deadline: float = 3600.0,
        budget: Budget = UNLIMITED,
        today: Callable[[], date] = _today,
    ) -> None:
        limits = Limits(request_timeout, connect_timeout, tries, longest_wait)
        self._connection = connection
        self._deadline = deadline
        self._erp = erp
        self._today = today
        self._session = Session(connection, erp, limits, budget)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def check(self) -> str:
        """Ask `check_path` of the connection, where it names one; one line about the server."""
        root = self._session.root
        path = self._connection.extra.get("check_path")
        if not path:
            return f"{root.host}: sign-in is tried by the first read"
        answer = self._session.get(
            self._session.url(path), {"Accept": "application/json"}, "check_path"
        )
        try:
            msgspec.json.decode(answer.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Misconfigured(
                f"{root} answers, but not with JSON",
                erp=self._erp,
                code="address",
                remedy="Set `service_root` and `check_path` of the connection.",
            ) from None
        return f"{root.host}: signed in, {path} answers"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Pages of one question, from the cursor on; see `Connector.read`."""
        if not isinstance(source, RestSource):
            message = f"a REST connector cannot read a {source.protocol} source"
            raise TypeError(message)
        return (yield from self._pages(Walk(self._session, source, since, self._today())))

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """The pages behind an earlier one; see `Resumable`."""
        if not isinstance(source, RestSource):
            message = f"a REST connector cannot read a {source.protocol} source"
            raise TypeError(message)
        walk = Walk(self._session, source, since, self._today(), Place.of(after))
        return (yield from self._pages(walk))

    def _pages(self, walk: Walk) -> Generator[Page, None, End]:
        yield from ahead(
            walk.pages_from_here(),
            most=_AHEAD,
            patience=self._deadline,
            too_late=lambda: Transient(
                f"{walk.source.path}: not all pages came in {self._deadline:g} s",
                erp=self._erp,
                code="timeout",
            ),
            name=f"rest-{self._erp}",
        )
        return walk.end()

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


__all__ = ["RestConnector"]
