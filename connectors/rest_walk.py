"""The way through the answers to one REST question: parameters, pages, where it goes on, its end.

A page's size is what came, never what was asked for. Must not decide what a cursor means to a feed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from connectors import odata_page, rest_page, xml_rpc
from connectors.http_session import Answer, Session
from connectors.json_places import put
from connectors.protocol import End, Page
from connectors.rest_page import Seen
from connectors.rest_state import Place, State
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources.rest import LinkPaging, NumberPaging, RestSource, TokenPaging

_ACCEPT = {"Accept": "application/json"}
_ACCEPT_XML = {"Accept": "text/xml, application/xml"}
_FORGOTTEN = frozenset({"gone"})


@dataclass(frozen=True, slots=True)
class _Ask:
    url: str
    body: bytes | None


@dataclass
class Walk:
    """One read. `today` decides which periods are read; `behind` is where an earlier one stood."""

    session: Session
    source: RestSource
    since: str | None
    today: date
    behind: Place | None = None
    pages: int = 0
    read: int = 0
    declared: int | None = None
    cursor: str | None = None
    server_at: datetime | None = None
    _gap: str | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.behind is not None:
            known = self.behind
            self.pages, self.read, self.declared = (
                known.all_pages,
                known.all_read,
                known.all_declared,
            )
            self.cursor, self.server_at, self._gap = known.cursor, known.server_at, known.gap
            self.notes = list(known.notes)

    def pages_from_here(self) -> Iterator[Page]:
        """Page after page, value after value of `each`.

        Raises Misconfigured (`place`) where what was read before is not asked for any more.
        """
        questions = self._questions()
        if self.behind is not None:
            if self.behind.fixed not in questions:
                raise Misconfigured(
                    f"{self.source.path}: {self.behind.fixed} is not read on {self.today}",
                    erp=self.session.erp,
                    code="place",
                    remedy="Nothing to do: it is read from its beginning.",
                )
            questions = questions[questions.index(self.behind.fixed) :]
        for fixed, following in pairwise([*questions, None]):
            assert fixed is not None  # noqa: S101  the last one alone is none
            state = State(fixed)
            if self.behind is not None and fixed == self.behind.fixed:
                state = State.at(self.behind)
            yield from self._one(state, following)

    def _questions(self) -> list[dict[str, str | int]]:
        """The fixed parameters of each question of today. Raises Misconfigured (`each`)."""
        each = self.source.each
        if each is None:
            return [{}]
        asked: list[dict[str, str | int]] = [
            {each.parameter: one.value}
            for one in each.values
            if (one.starts is None or self.today >= one.starts)
            and (one.ends is None or self.today <= one.ends)
        ]
        if not asked:
            raise Misconfigured(
                f"{self.source.path}: no value of `each` is read on {self.today}",
                erp=self.session.erp,
                code="each",
                remedy="Add the new period to the mapping's source.",
            )
        return asked

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

    def _one(self, state: State, following: dict[str, str | int] | None) -> Iterator[Page]:
        """All pages of one question, or the rest of them. `following`: the next question's."""
        kind = "json" if self.source.speaks == "json" else "xml"
        on = self.behind.on if state.pages and self.behind is not None else None
        ask: _Ask | None = self._behind(state, on)
        while ask is not None:
            answer, seen = self._get(ask)
            self._take(answer, seen, state)
            ask = self._next(answer, seen, state)
            after: str | None = None
            if ask is not None:
                on = ask.url if isinstance(self.source.page, LinkPaging) else seen.on
                after = self._place(state, on)
            else:
                self._close(state)
                after = None if following is None else self._place(State(following), None)
            yield Page(
                f"{self.pages:06}.{kind}",
                f"application/{kind}",
                (answer.content,),
                records=seen.records,
                declared=state.first_declared,
                after=after,
            )

    def _behind(self, state: State, on: str | None) -> _Ask:
        """The question behind what was read, or the first one."""
        if isinstance(self.source.page, LinkPaging) and on is not None:
            body = self._ask(state.fixed).body if self.source.body else None
            return _Ask(self.session.url(on), body)
        return self._ask(state.fixed | state.parameters(self.source.page, on))

    def _place(self, state: State, on: str | None) -> str | None:
        """Where another walk goes on; None where that would hold a secret."""
        told = Place(
            self.pages,
            self.read,
            self.declared,
            self.cursor,
            self.server_at,
            self._gap,
            tuple(self.notes),
            state.fixed,
            state.pages,
            state.read,
            state.first_declared,
            state.last_declared,
            on,
        ).told()
        return None if any(secret in told for secret in self.session.secrets) else told

    def _get(self, ask: _Ask) -> tuple[Answer, Seen]:
        source = self.source
        speaks_json = source.speaks == "json"
        headers = {**(_ACCEPT if speaks_json else _ACCEPT_XML), **source.headers}
        if ask.body is not None:
            headers["Content-Type"] = "application/json" if speaks_json else "text/xml"

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
            speaks_json = source.speaks == "json"
            whole = json.loads(source.body) if speaks_json else xml_rpc.question(source.body)
            for path, value in parameters.items():
                self._put(whole, path, value)
            body = json.dumps(whole, ensure_ascii=False).encode() if speaks_json else None
            body = body or xml_rpc.call(whole)
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

    def _take(self, answer: Answer, seen: Seen, state: State) -> None:
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

    def _next(self, answer: Answer, seen: Seen, state: State) -> _Ask | None:
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
                return self._behind(state, self.session.url(seen.on, answer.url))
        elif not seen.records:
            return None
        last = seen.on if isinstance(paging, NumberPaging) else None
        if last is not None and last.isdecimal():
            numbered = isinstance(paging, NumberPaging)
            if numbered and state.pages >= int(last):
                return None
        return self._behind(state, seen.on)

    def _circle(self, says: str) -> BatchRefused:
        return BatchRefused(
            f"{self.source.path}: page {self.pages} holds {says}",
            erp=self.session.erp,
            code="repeated_page",
            remedy="Check the parameters of `page` in the mapping: the ERP seems to ignore them.",
        )

    def _close(self, state: State) -> None:
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
