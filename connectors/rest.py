"""Plain REST, JSON-RPC and XML-RPC on httpx: pages as the ERP sent them.

Says no feed's word: where records are, how pages follow and how the ERP says no stand in the
mapping. This module must not type or map a value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, date, datetime

import msgspec

from connectors.budget import UNLIMITED, Budget
from connectors.http_reading import HttpReading
from connectors.http_session import Limits
from connectors.protocol import End, Page
from connectors.rest_state import Place
from connectors.rest_walk import Walk
from mappings.connection import Connection
from mappings.errors import Misconfigured
from mappings.sources import RestSource, Source


def _today() -> date:
    return datetime.now(UTC).date()


class RestConnector(HttpReading):
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
        super().__init__(connection, erp, limits, budget, deadline)
        self._today = today

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
        walk = Walk(self._session, source, since, self._today())
        return (yield from self._pages(walk, source.path))

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """The pages behind an earlier one; see `Resumable`."""
        if not isinstance(source, RestSource):
            message = f"a REST connector cannot read a {source.protocol} source"
            raise TypeError(message)
        walk = Walk(self._session, source, since, self._today(), Place.of(after))
        return (yield from self._pages(walk, source.path))


__all__ = ["RestConnector"]
