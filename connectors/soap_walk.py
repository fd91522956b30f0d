"""What is known about a walk over the pages of one SOAP operation: counts, tokens, how it ends.

Must not call anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.protocol import End
from connectors.soap_answer import Answer, later
from mappings.errors import SourceChanged
from mappings.sources import SoapSource

if TYPE_CHECKING:
    from datetime import datetime


class Walk:
    """The pages of one search, so far."""

    def __init__(self, source: SoapSource, erp: str, since: str | None) -> None:
        self._source = source
        self._erp = erp
        self._tokens: set[str] = set()
        self._declared: set[int] = set()
        self._cursor: str | None = None
        self.pages = 0
        self.records = 0
        self.declared_now: int | None = None
        self.children: set[str] = set()
        """Local names of the records' children."""
        self.operation = source.operation
        self.request = dict(source.request)
        if source.page and source.page.size_request and source.page.size:
            self.request[source.page.size_request] = str(source.page.size)
        if source.page and source.page.index_request and not source.page.operation:
            self.request[source.page.index_request] = "1"
        if since is not None and source.since:
            self.request[source.since] = since

    def add(self, answer: Answer) -> bool:
        """Count one page and set the next request; False where there is none.

        Raises SourceChanged: `repeated_token`, `declared_count`, `multiref`.
        """
        if answer.references:
            raise SourceChanged(
                f"{self.operation}: the records are references to other elements (multiRef)",
                erp=self._erp,
                code="multiref",
                remedy="Write `references: true` in the source, or have the ERP send records in "
                "their place (Axis: `sendMultiRefs` false).",
            )
        self.pages += 1
        self.records += answer.records
        self.children.update(tag.rpartition("}")[2] for tag in answer.children)
        if answer.cursor and (self._cursor is None or later(answer.cursor, self._cursor)):
            self._cursor = answer.cursor
        self.declared_now = self._number(answer.declared, "count")
        if self.declared_now is not None:
            self._declared.add(self.declared_now)
        return self._go_on(answer)

    def end(self, server_at: datetime | None, notes: tuple[str, ...]) -> End:
        """How the read ended, and whether that proves it complete."""
        complete, reason = True, f"{self.pages} pages, {self.records} records"
        if self._source.payload is not None:
            complete = self._source.page is None
            reason = f"{self.pages} pages, their records inside a text"
        elif len(self._declared) > 1:
            complete, reason = False, f"the declared count moved while paging: {reason}"
        elif self._declared and self._declared != {self.records}:
            told = next(iter(self._declared))
            complete, reason = False, f"the ERP declared {told} records: {reason}"
        elif self._declared:
            reason += ", as declared"
        elif self._source.page is not None:
            complete, reason = False, f"paged without a declared count: {reason}"
        declared = max(self._declared) if self._declared else None
        return End(complete, reason, self._cursor, declared, server_at, notes)

    def _go_on(self, answer: Answer) -> bool:
        page = self._source.page
        if page is None or answer.token is None:
            return False
        if page.index_request is None:
            if answer.token in self._tokens:
                raise SourceChanged(
                    f"{self.operation}: page {self.pages} hands out an earlier token",
                    erp=self._erp,
                    code="repeated_token",
                    remedy="Ask the ERP's owner: its paging runs in a circle.",
                )
        else:
            last = self._number(answer.pages, "page.pages")
            if self.pages >= last if last is not None else answer.records == 0:
                return False
        self._tokens.add(answer.token)
        if page.operation:
            self.operation, self.request = page.operation, {}
        if page.index_request:
            self.request[page.index_request] = str(self.pages + 1)
        self.request[page.request] = answer.token
        return True

    def _number(self, text: str | None, word: str) -> int | None:
        if text is None:
            return None
        if not text.isdecimal():
            raise SourceChanged(
                f"the declared count {text[:40]!r} is no number",
                erp=self._erp,
                code="declared_count",
                remedy=f"Correct `{word}` of the mapping's source.",
            )
        return int(text)
