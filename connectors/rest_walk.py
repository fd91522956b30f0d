"""The way through the answers to one REST question: parameters, pages, where it goes on, its end.

A page's size is what came, never what was asked for. Must not decide what a cursor means to a feed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from connectors import odata_page, rest_page
from connectors.http_session import Answer, Session
from connectors.json_places import put
from connectors.protocol import End, Page
from connectors.rest_page import Seen
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources.rest import LinkPaging, NumberPaging, OffsetPaging, RestSource, TokenPaging

_ACCEPT = {"Accept": "application/json"}
_FORGOTTEN = frozenset({"gone"})


@dataclass(frozen=True, slots=True)
class _Ask:
    url: str
    body: bytes | None


@dataclass
class Walk:
    """One read. `today` decides which periods are read."""

    session: Session
    source: RestSource
    since: str | None
    today: date
    pages: int = 0
    read: int = 0
    declared: int | None = None
    cursor: str | None = None
    server_at: datetime | None = None
    _gap: str | None = None
    notes: list[str] = field(default_factory=list)

    def pages_from_here(self) -> Iterator[Page]:
        """Page after page, value after value of `each`."""
        each = self.source.each
        if each is None:
            yield from self._one({})
            return
        for one in each.values:
            early = one.starts is not None and self.today < one.starts
            late = one.ends is not None and self.today > one.ends
            if not early and not late:
                yield from self._one({each.parameter: one.value})
        if not self.pages:
            raise Misconfigured(
                f"{self.source.path}: no value of `each` is read on {self.today}",
                erp=self.session.erp,
                code="each",
                remedy="Add the new period to the mapping's source.",
            )

    def end(self) -> End:
        """What the whole walk proved."""
        return End(
            complete=self._gap is None,
            reason=self._gap or f"{self.read} records in {self.pages} pages, to their end",
            cursor=self.cursor,
            declared=self.declared,
            server_at=self.server_at,
            notes=tuple(self.notes),
        )

    def _one(self, fixed: dict[str, str | int]) -> Iterator[Page]:
        """All pages of one question."""
        paging = self.source.page
        state = _State(fixed=fixed)
        ask: _Ask | None = self._ask(state.fixed | state.place(paging))
        while ask is not None:
            answer, seen = self._get(ask)
            self._take(answer, seen, state)
            yield Page(
                f"{self.pages:06}.json",
                "application/json",
                (answer.content,),
                records=seen.records,
                declared=state.first_declared,
            )
            ask = self._next(answer, seen, state)
        self._close(state)

    def _get(self, ask: _Ask) -> tuple[Answer, Seen]:
        source = self.source
        headers = {**_ACCEPT, **source.headers}
        if ask.body is not None:
            headers["Content-Type"] = "application/json"

        def looked(answer: Answer) -> Seen:
            return rest_page.look(answer.content, answer.headers, source)

        try:
            return self.session.get_checked(
                ask.url, headers, source.path, looked, method=source.method, body=ask.body
            )
        except SourceChanged as error:
            if error.code in _FORGOTTEN and self.since is not None and not self.pages:
                error.code = "cursor_expired"  # the ERP does not know our cursor any more
            raise

    def _ask(self, parameters: dict[str, str | int]) -> _Ask:
        source = self.source
        if self.since is not None:
            if source.since is None:
                raise Misconfigured(
                    f"{source.path}: there is a cursor to start from, but no parameter for it",
                    erp=self.session.erp,
                    code="cursor",
                    remedy="Name the parameter as `since` in the mapping's source.",
                )
            parameters = {source.since: self.since, **parameters}
        query: dict[str, Any] = dict(source.parameters)
        body: bytes | None = None
        if source.body is None:
            query |= parameters
        else:
            whole = json.loads(source.body)
            for path, value in parameters.items():
                self._put(whole, path, value)
            body = json.dumps(whole, ensure_ascii=False).encode()
        text = "&".join(
            f"{quote(k, safe='$')}={quote(str(v), safe=':,')}" for k, v in query.items()
        )
        url = self.session.url(quote(source.path, safe="/()'=,.:$%?&"))
        if text:
            url += ("&" if "?" in url else "?") + text
        return _Ask(url, body)

    def _put(self, whole: dict[str, Any], path: str, value: str | int) -> None:
        try:
            put(whole, path, value)
        except ValueError:
            raise Misconfigured(
                f"{self.source.path}: `body` has no place {path}",
                erp=self.session.erp,
                code="body",
                remedy="Write the lists of the mapping's `body` out, with something in each place.",
            ) from None

    def _take(self, answer: Answer, seen: Seen, state: _State) -> None:
        self.pages += 1
        self.read += seen.records
        state.pages += 1
        state.read += seen.records
        self.server_at = self.server_at or answer.server_at
        if state.pages == 1:
            state.first_declared = seen.declared
        if seen.declared is not None:
            state.last_declared = seen.declared
        if seen.records:
            if seen.digest in state.digests:
                raise self._circle("the same records as an earlier page")
            state.digests.add(seen.digest)
        highest = odata_page.largest([*seen.cursors, *([self.cursor] if self.cursor else [])])
        self.cursor = highest or self.cursor

    def _next(self, answer: Answer, seen: Seen, state: _State) -> _Ask | None:
        paging = self.source.page
        if paging is None:
            return None
        if isinstance(paging, TokenPaging | LinkPaging):
            if seen.on is None:
                return None
            if seen.on in state.tokens:
                raise self._circle("a link or token that was followed before")
            state.tokens.add(seen.on)
            if isinstance(paging, LinkPaging):
                body = self._ask(state.fixed).body if self.source.body else None
                return _Ask(self.session.url(seen.on, answer.url), body)
        elif not seen.records:
            return None
        last = seen.on if isinstance(paging, NumberPaging) else None
        if last is not None and last.isdecimal():
            numbered = isinstance(paging, NumberPaging)
            if numbered and state.pages >= int(last):
                return None
        return self._ask(state.fixed | state.place(paging, seen.on))

    def _circle(self, says: str) -> BatchRefused:
        return BatchRefused(
            f"{self.source.path}: page {self.pages} holds {says}",
            erp=self.session.erp,
            code="repeated_page",
            remedy="Check the parameters of `page` in the mapping: the ERP seems to ignore them.",
        )

    def _close(self, state: _State) -> None:
        """What one question's pages proved; the first gap of all is told."""
        gap = None
        first, last = state.first_declared, state.last_declared
        if first is None:
            if self.source.page is not None and state.pages > 1:
                gap = f"{state.read} records in {state.pages} pages, but the ERP declared no count"
        elif first != last:
            gap = f"the ERP's count moved from {first} to {last} while paging"
        elif first != state.read:
            gap = f"the ERP declared {first} records and sent {state.read}"
        if first is not None:
            self.declared = (self.declared or 0) + first
        self._gap = self._gap or gap


@dataclass
class _State:
    """One question's way so far."""

    fixed: dict[str, str | int]
    pages: int = 0
    read: int = 0
    first_declared: int | None = None
    last_declared: int | None = None
    tokens: set[str] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)

    def place(self, paging: object, on: str | None = None) -> dict[str, str | int]:
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
