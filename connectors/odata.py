"""OData v4 on httpx: pages of JSON as the ERP sent them, with proof that all of them came.

Paging follows the server's own links and ends where there is none. The next page is asked for while
the caller works on the current one, never more than one ahead. This module must not type or map a
value, and must not decide what a cursor means to a feed.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

import msgspec

from connectors import odata_page
from connectors.budget import UNLIMITED, Budget
from connectors.http_session import Answer, Limits, Session
from connectors.odata_page import Seen
from connectors.protocol import End, Page
from mappings.connection import Connection
from mappings.errors import BatchRefused, Misconfigured, Refused, SourceChanged, Transient
from mappings.sources import ODataSource, Source

# IEEE754Compatible asks for decimals as strings, where a number might have passed a float.
_ACCEPT = "application/json;odata.metadata=minimal;IEEE754Compatible=true"


class ODataConnector:
    """One ERP's OData v4 service, signed in by OAuth2 client credentials or by password.

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
        self._deadline = deadline
        self._erp = erp
        self._session = Session(connection, erp, limits, budget)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def check(self) -> str:
        """Sign in and read the service document; says what is there."""
        root = self._session.root
        answer = self._session.get(f"{root}/", {"Accept": _ACCEPT}, "service document")
        try:
            sets = msgspec.json.decode(answer.content, type=dict[str, Any]).get("value")
        except (msgspec.DecodeError, UnicodeDecodeError):
            sets = None
        if not isinstance(sets, list):
            message = f"{root} is not the root of an OData service"
            remedy = "Set `service_root` of the connection to where its entity sets are."
            raise Misconfigured(message, erp=self._erp, code="address", remedy=remedy)
        version = answer.headers.get("odata-version", "(version not told)")
        return f"OData {version} at {root.host}, {len(sets)} entity sets"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Pages of one entity set, from the cursor on; see `Connector.read`."""
        if not isinstance(source, ODataSource):
            message = f"an OData connector cannot read a {source.protocol} source"
            raise TypeError(message)
        return (yield from self._pages(_Walk(self._session, source, since)))

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """The pages behind an earlier one; see `Resumable`."""
        if not isinstance(source, ODataSource):
            message = f"an OData connector cannot read a {source.protocol} source"
            raise TypeError(message)
        return (yield from self._pages(_Walk.behind(self._session, source, since, after)))

    def _pages(self, walk: _Walk) -> Generator[Page, None, End]:
        pool = ThreadPoolExecutor(1, thread_name_prefix=f"odata-{self._erp}")
        try:
            coming: Future[tuple[Answer, Seen]] | None
            coming = pool.submit(walk.get, walk.link or walk.first_url)
            while coming is not None:
                answer, seen = walk.waited(coming, self._deadline)
                link = walk.take(answer, seen)
                coming = None if link is None else pool.submit(walk.get, link)
                yield Page(
                    f"{walk.pages:06}.json",
                    "application/json",
                    (answer.content,),
                    records=seen.records,
                    declared=seen.declared,
                    after=None if link is None else walk.place(link),
                )
        finally:
            # A page that nobody wants any more is not waited for.
            pool.shutdown(wait=False, cancel_futures=True)
        return walk.end()

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document; `location` is absolute or relative to the service root.

        Raises Refused (`not_found`) where there is none, else as `read`.
        """
        url = self._session.url(location)
        try:
            yield from self._session.stream(url, f"document {location}")
        except SourceChanged as error:
            if error.code not in {"missing_entity", "gone"}:
                raise
            message = f"document {location} is not there"
            raise Refused(message, erp=self._erp, code="not_found") from None


class _Place(msgspec.Struct):
    """Where a walk stood behind one of its pages."""

    link: str
    pages: int
    read: int
    declared: int | None
    cursor: str | None
    server_at: datetime | None
    notes: tuple[str, ...]


@dataclass
class _Walk:
    """The way through one entity set: where it began, what came, how it ended."""

    session: Session
    source: ODataSource
    since: str | None
    pages: int = 0
    read: int = 0
    declared: int | None = None
    declared_last: int | None = None
    cursor: str | None = None
    opening: Answer | None = None
    waited_for: float = 0.0
    notes: list[str] = field(default_factory=list)
    link: str | None = None
    """Where an interrupted read goes on."""
    server_at: datetime | None = None
    _links: set[str] = field(default_factory=set)

    @classmethod
    def behind(cls, session: Session, source: ODataSource, since: str | None, place: str) -> _Walk:
        """The rest of a walk, with all that it knew at `place`."""
        known = msgspec.json.decode(place, type=_Place)
        return cls(
            session,
            source,
            since,
            pages=known.pages,
            read=known.read,
            declared=known.declared,
            cursor=known.cursor,
            notes=list(known.notes),
            link=session.url(known.link),
            server_at=known.server_at,
        )

    def place(self, link: str) -> str:
        """What `behind` needs to go on at `link`."""
        at = self.opening.server_at if self.opening else None
        place = _Place(
            link,
            self.pages,
            self.read,
            self.declared,
            self.cursor,
            self.server_at or at,
            tuple(self.notes),
        )
        return msgspec.json.encode(place).decode()

    @property
    def first_url(self) -> str:
        """The entity set with what the mapping asks for, spaces as %20."""
        source = self.source
        options = {
            "$filter": self._filter,
            "$expand": ",".join(source.expand),
            "$orderby": source.order,
            "$count": "true" if source.count else None,
        }
        query = "&".join(f"{name}={_quoted(value)}" for name, value in options.items() if value)
        base = self._entity_url
        return f"{base}?{query}" if query else base

    @property
    def _entity_url(self) -> str:
        entity = quote(self.source.entity, safe="()='/,$.")
        return f"{self.session.root}/{entity}"

    @property
    def _filter(self) -> str | None:
        source = self.source
        changed = None
        if self.since is not None:
            if source.cursor is None:
                message = (
                    f"{source.entity}: there is a cursor to start from, but none in the mapping"
                )
                remedy = "Name the `cursor` property in the mapping's source."
                raise Misconfigured(message, erp=self.session.erp, code="cursor", remedy=remedy)
            changed = f"{source.cursor} ge {odata_page.literal(self.since)}"
        if source.filter and changed:
            return f"({source.filter}) and {changed}"
        return source.filter or changed

    @property
    def _headers(self) -> dict[str, str]:
        wishes: list[str] = []
        if self.source.page_size:
            wishes.append(f"odata.maxpagesize={self.source.page_size}")
        if self.source.deleted:
            wishes.append("odata.track-changes")
        headers = {"Accept": _ACCEPT, "OData-MaxVersion": "4.01"}
        return {**headers, "Prefer": ",".join(wishes)} if wishes else headers

    def get(self, url: str) -> tuple[Answer, Seen]:
        """One page, looked into."""
        what = self.source.entity

        def looked(answer: Answer) -> Seen:
            return odata_page.look(answer.content, self.source.records, self.source.cursor, what)

        try:
            return self.session.get_checked(url, self._headers, what, looked)
        except SourceChanged as error:
            if error.code == "gone" and self.since is not None and not self.pages:
                error.code = "cursor_expired"  # the ERP does not know our cursor any more
            raise

    def waited(self, coming: Future[tuple[Answer, Seen]], deadline: float) -> tuple[Answer, Seen]:
        """The page that is coming, once it is there. Transient (`timeout`) past the deadline."""
        began = time.monotonic()
        try:
            return coming.result(max(0.0, deadline - self.waited_for))
        except FutureTimeoutError:
            message = f"{self.source.entity}: not all pages came in {deadline:g} s"
            raise Transient(message, erp=self.session.erp, code="timeout") from None
        finally:
            self.waited_for += time.monotonic() - began

    def take(self, answer: Answer, seen: Seen) -> str | None:
        """Count a page in; gives the address of the next one, None at the end.

        Raises BatchRefused (`repeated_link`) for a link that was followed before.
        """
        self.pages += 1
        self.read += seen.records
        self._links.add(answer.url)
        if self.opening is None and self.link is None:
            self.opening = answer
            self.declared = seen.declared
            etag = answer.headers.get("etag") or seen.etag
            if etag:
                self.notes.append(f"etag={etag}")
        self.declared_last = seen.declared
        highest = odata_page.largest(seen.cursors)
        if highest is not None:
            self.cursor = odata_page.largest([highest, *([self.cursor] if self.cursor else [])])
        if seen.next_link is None:
            return None
        link = self.session.url(seen.next_link, answer.url)
        if link in self._links:
            raise BatchRefused(
                f"{self.source.entity}: page {self.pages} links to a page that was read before",
                erp=self.session.erp,
                code="repeated_link",
                remedy="Ask the ERP's owner: its paging does not end.",
            )
        return link

    def end(self) -> End:
        """What the whole walk proved; may ask the server for its count once more."""
        reason = self._gap()
        server_at = self.server_at if self.opening is None else self.opening.server_at
        return End(
            complete=reason is None,
            reason=reason or f"{self.read} records in {self.pages} pages, as declared",
            cursor=self.cursor,
            declared=self.declared,
            server_at=server_at,
            notes=tuple(self.notes),
        )

    def _gap(self) -> str | None:
        """Why what came is not proved to be everything; None where it is."""
        if self.declared is None:
            if self.pages == 1:
                return None
            asked = "declared no count" if self.source.count else "was not asked for a count"
            return f"{self.read} records in {self.pages} pages, but the ERP {asked}"
        if self.declared != self.read:
            return f"the ERP declared {self.declared} records and sent {self.read}"
        last = self.declared if self.pages == 1 else self._count_now()
        if last is None:
            return f"the ERP declared {self.declared} records, but no count after the last page"
        if last != self.declared:
            return f"the ERP's count moved from {self.declared} to {last} while paging"
        return None

    def _count_now(self) -> int | None:
        """The server's count after the last page; None where it cannot tell."""
        query = f"?$filter={_quoted(self._filter)}" if self._filter else ""
        url = f"{self._entity_url}/$count{query}"
        headers = {**self._headers, "Accept": "text/plain, application/json"}
        try:
            answer = self.session.get(url, headers, f"{self.source.entity}/$count")
            return int(answer.content.decode("utf-8-sig"))
        except (SourceChanged, Misconfigured, Transient) as error:
            self.notes.append(f"count after the last page: {error.what}")
        except ValueError:
            self.notes.append("count after the last page: not a number")
        return None


def _quoted(text: str | None) -> str:
    """Percent-encoded for a query, spaces as %20, OData's own marks left readable."""
    return quote(text or "", safe="()'=,/:$*!")


__all__ = ["ODataConnector"]
