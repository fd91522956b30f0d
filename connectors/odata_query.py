"""Addresses and headers of one read: OData's query options by what the mapping asks for.

Spaces are %20 and never +, OData's own marks stay readable. Must not send anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from connectors import odata_page
from mappings.errors import Misconfigured
from mappings.sources import ODataSource

# IEEE754Compatible asks for decimals as strings, where a number might have passed a float.
ACCEPT = "application/json;odata.metadata=minimal;IEEE754Compatible=true"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one entity set, from a cursor on or from the beginning."""

    source: ODataSource
    root: str
    since: str | None
    erp: str

    @property
    def first(self) -> str:
        """The first page's address."""
        return self._address(self._filter, None)

    def behind(self, records: int) -> str:
        """The page behind so many records, for a server that pages by $skip."""
        return self._address(self._filter, records)

    def beyond(self, key: str) -> str:
        """The page whose keys are greater; `key` as a literal."""
        return self._address(_both(self._filter, f"{self.source.key} gt {key}"), None)

    @property
    def count(self) -> str:
        """Where the server tells how many there are, for the same filter."""
        query = f"?$filter={quoted(self._filter)}" if self._filter else ""
        return f"{self._entity}/$count{query}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request of the read carries, the wish for the page size among it."""
        source = self.source
        wishes: list[str] = []
        if source.page_size:
            wishes.append(f"odata.maxpagesize={source.page_size}")
        if source.deleted or source.delta == "link":
            wishes.append("odata.track-changes")
        if source.version == "2":
            headers = {"Accept": "application/json", "MaxDataServiceVersion": "2.0"}
        else:
            headers = {"Accept": ACCEPT, "OData-MaxVersion": "4.01"}
        if wishes:
            headers["Prefer"] = ",".join(wishes)
        return {**headers, **source.headers}

    def _address(self, condition: str | None, skip: int | None) -> str:
        source = self.source
        own = source.paging != "link"
        counting = ("$count", "true") if source.version == "4" else ("$inlinecount", "allpages")
        options = {
            "$filter": condition,
            "$expand": ",".join(source.expand),
            "$orderby": source.key if source.paging == "seek" else source.order,
            counting[0]: counting[1] if source.count else None,
            "$top": str(source.page_size) if own else None,
            "$skip": str(skip) if skip else None,
        }
        query = "&".join(f"{name}={quoted(value)}" for name, value in options.items() if value)
        return f"{self._entity}?{query}" if query else self._entity

    @property
    def _entity(self) -> str:
        return f"{self.root}/" + quote(self.source.entity, safe="()='/,$.")

    @property
    def _filter(self) -> str | None:
        source = self.source
        if self.since is None or source.delta == "link":
            return source.filter
        if source.cursor is None:
            message = f"{source.entity}: there is a cursor to start from, but none in the mapping"
            remedy = "Name the `cursor` property in the mapping's source."
            raise Misconfigured(message, erp=self.erp, code="cursor", remedy=remedy)
        start = odata_page.literal(self.since, source.version)
        return _both(source.filter, f"{source.cursor} ge {start}")


def _both(one: str | None, other: str) -> str:
    """In brackets of their own: `or` in a mapping's filter must not reach over `and`."""
    return f"({one}) and ({other})" if one else other


def quoted(text: str | None) -> str:
    """Percent-encoded for a query, spaces as %20, OData's own marks left readable."""
    return quote(text or "", safe="()'=,/:$*!")
