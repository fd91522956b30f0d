"""OData on httpx: pages of JSON as the ERP sent them, with proof that all of them came.

The next pages are asked for while the caller works on earlier ones, a few ahead. This module must
not type or map a value, and must not decide what a cursor means to a feed.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from connectors.budget import UNLIMITED, Budget
from connectors.http_reading import HttpReading
from connectors.http_session import Limits
from connectors.odata_walk import ACCEPT, Walk
from connectors.protocol import End, Page
from mappings.connection import Connection
from mappings.errors import Misconfigured
from mappings.sources import ODataSource, Source


class ODataConnector(HttpReading):
    """One ERP's OData service, signed in as its connection says.

    Times in seconds. `longest_wait`: what the ERP may ask us to wait before it becomes the
    caller's business (RateLimited). `tries` of one request, the first among them; a refused
    sign-in is never tried again. `deadline`: what one `read` may take in all, the caller's own
    work on the pages not counted.
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
    ) -> None:
        limits = Limits(request_timeout, connect_timeout, tries, longest_wait)
        super().__init__(connection, erp, limits, budget, deadline)

    def check(self) -> str:
        """Sign in and read the service document; says what is there."""
        root = self._session.root
        answer = self._session.get(f"{root}/", {"Accept": ACCEPT}, "service document")
        try:
            found = msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = {}
        older = found.get("d")
        sets = older.get("EntitySets") if isinstance(older, dict) else found.get("value")
        if not isinstance(sets, list):
            message = f"{root} is not the root of an OData service"
            remedy = "Set `service_root` of the connection to where its entity sets are."
            raise Misconfigured(message, erp=self._erp, code="address", remedy=remedy)
        told = answer.headers.get("odata-version") or answer.headers.get("dataserviceversion")
        version = told or "(version not told)"
        return f"OData {version} at {root.host}, {len(sets)} entity sets"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Pages of one entity set, from the cursor on; see `Connector.read`."""
        if not isinstance(source, ODataSource):
            message = f"an OData connector cannot read a {source.protocol} source"
            raise TypeError(message)
        return (yield from self._pages(Walk(self._session, source, since), source.entity))

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """The pages behind an earlier one; see `Resumable`."""
        if not isinstance(source, ODataSource):
            message = f"an OData connector cannot read a {source.protocol} source"
            raise TypeError(message)
        walk = Walk.behind(self._session, source, since, after)
        return (yield from self._pages(walk, source.entity))


__all__ = ["ODataConnector"]
