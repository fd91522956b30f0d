"""The way through one entity set: what is asked for, what came, where it goes on, how it ended.

Follows the server's own links, or pages by key or by $skip where the mapping says so. Must not
decide what a cursor means to a feed, and keeps nothing after its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from connectors import odata_page
from connectors.http_session import Answer, Session
from connectors.odata_page import Seen
from connectors.odata_query import ACCEPT, Query
from connectors.protocol import End, Page
from mappings.errors import BatchRefused, Misconfigured, SourceChanged, Transient
from mappings.sources import ODataSource

_FORGOTTEN = frozenset({"gone", "bad_request", "missing_entity"})


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
class Walk:
    """The way through one entity set: where it began, what came, how it ended."""

    session: Session
    source: ODataSource
    since: str | None
    pages: int = 0
    read: int = 0
    declared: int | None = None
    cursor: str | None = None
    opening: Answer | None = None
    notes: list[str] = field(default_factory=list)
    link: str | None = None
    """Where an interrupted read goes on."""
    server_at: datetime | None = None
    delta_link: str | None = None
    _links: set[str] = field(default_factory=set)

    @classmethod
    def behind(cls, session: Session, source: ODataSource, since: str | None, place: str) -> Walk:
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

    def place(self, link: str) -> str | None:
        """What `behind` needs to go on at `link`; None where that would hold a secret."""
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
        told = msgspec.json.encode(place).decode()
        return None if any(secret in told for secret in self.session.secrets) else told

    @property
    def query(self) -> Query:
        """What is asked for. Raises Misconfigured (`cursor`)."""
        return Query(self.source, str(self.session.root), self.since, self.session.erp)

    def pages_from_here(self) -> Iterator[Page]:
        """Fetch page after page; each knows where the next one is."""
        url: str | None = self.link or self._first_url
        while url is not None:
            answer, seen = self._get(url)
            url = self._take(answer, seen)
            yield Page(
                f"{self.pages:06}.json",
                "application/json",
                (answer.content,),
                records=seen.records,
                declared=seen.declared if self.source.paging != "seek" else self.declared,
                after=None if url is None else self.place(url),
            )

    @property
    def _first_url(self) -> str:
        if self.source.delta == "link" and self.since is not None:
            return self.session.url(self.since)
        return self.query.first

    def _get(self, url: str) -> tuple[Answer, Seen]:
        """One page, looked into."""
        source, what = self.source, self.source.entity
        key = source.key if source.paging == "seek" else None

        def looked(answer: Answer) -> Seen:
            return odata_page.look(answer.content, source.records, source.cursor, what, key)

        try:
            return self.session.get_checked(url, self.query.headers, what, looked)
        except SourceChanged as error:
            forgotten = _FORGOTTEN if source.delta == "link" else {"gone"}
            if error.code in forgotten and self.since is not None and not self.pages:
                error.code = "cursor_expired"  # the ERP does not know our cursor any more
            raise

    def _take(self, answer: Answer, seen: Seen) -> str | None:
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
        highest = odata_page.largest(seen.cursors)
        if highest is not None:
            self.cursor = odata_page.largest([highest, *([self.cursor] if self.cursor else [])])
        if seen.delta_link is not None:
            self.delta_link = seen.delta_link
        link = self._next(answer, seen)
        if link is None:
            return None
        if link in self._links:
            raise BatchRefused(
                f"{self.source.entity}: page {self.pages} links to a page that was read before",
                erp=self.session.erp,
                code="repeated_link",
                remedy="Ask the ERP's owner: its paging does not end.",
            )
        return link

    def _next(self, answer: Answer, seen: Seen) -> str | None:
        if self.source.paging == "link":
            return self.session.url(seen.next_link, answer.url) if seen.next_link else None
        if not seen.records:  # a short page proves nothing: servers have largest pages of their own
            return None
        if self.source.paging == "skip":
            return self.query.behind(self.read)
        if seen.last_key is None:
            raise SourceChanged(
                f"{self.source.entity}: a page's last record has no {self.source.key}",
                erp=self.session.erp,
                code="missing_key",
                remedy="Correct `key` in the mapping's source.",
            )
        return self.query.beyond(seen.last_key)

    def end(self) -> End:
        """What the whole walk proved; may ask the server for its count once more."""
        reason = self._gap()
        server_at = self.server_at if self.opening is None else self.opening.server_at
        return End(
            complete=reason is None,
            reason=reason or f"{self.read} records in {self.pages} pages, as declared",
            cursor=self.delta_link if self.source.delta == "link" else self.cursor,
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
        headers = {**self.query.headers, "Accept": "text/plain, application/json"}
        try:
            answer = self.session.get(self.query.count, headers, f"{self.source.entity}/$count")
            return int(answer.content.decode("utf-8-sig"))
        except (SourceChanged, Misconfigured, Transient) as error:
            self.notes.append(f"count after the last page: {error.what}")
        except ValueError:
            self.notes.append("count after the last page: not a number")
        return None


__all__ = ["ACCEPT", "Walk"]
