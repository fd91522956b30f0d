"""SOAP: walks an operation's pages and hands on the bytes of each whole, well-formed answer.

zeep builds and signs requests; the call itself is ours, streamed, with a time-out for the whole
operation. Status and media type are judged before any XML is read. Must not parse values.
"""

from __future__ import annotations

import base64
import binascii
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx
from lxml import etree
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from connectors.budget import COUNTED, UNLIMITED, Budget
from connectors.protocol import End, Page
from connectors.soap_answer import Answer, ForbiddenError, NotWholeError, Scan, later
from connectors.soap_faults import SessionExpiredError, Wording, http_date
from connectors.soap_wsdl import Wsdl
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
)
from mappings.sources import SoapSource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from mappings.connection import Connection
    from mappings.sources import Source

PAGE_BYTES: Final = 512 * 1024 * 1024
_ERROR_BYTES: Final = 1024 * 1024
_TRIES: Final = 4
_LONGEST_WAIT: Final = 5.0


class SoapConnector:
    """One account at one SOAP ERP. Use as a context manager.

    `timeout`: seconds for a whole call (silence that begins late may last as long again);
    `connect_timeout`: to reach the ERP. `cache`: folder in
    which the WSDL is pinned; without it the WSDL is read once a process. Connection extras:
    `wsdl`, `endpoint`, `wsse` (`digest` or `text`), `documents` ("operation request-element
    answer-element" for `fetch`), `check_operation`, `wsdl_cache` (folder, beats `cache`).
    """

    def __init__(
        self,
        connection: Connection,
        erp: str,
        *,
        timeout: float = 60.0,
        connect_timeout: float = 10.0,
        tries: int = _TRIES,
        cache: Path | None = None,
        page_bytes: int = PAGE_BYTES,
        budget: Budget = UNLIMITED,
    ) -> None:
        self._connection = connection
        self._budget = budget
        self._erp = erp
        self._timeout = timeout
        self._tries = tries
        self._page_bytes = page_bytes
        self._words = Wording(connection, erp)
        folder = connection.extra.get("wsdl_cache")
        self._wsdl = Wsdl(connection, erp, Path(folder) if folder else cache)
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=connect_timeout), follow_redirects=False
        )
        self._server_at: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def check(self) -> str:
        """Sign in and look: calls `Ping` (or the extra `check_operation`) where the WSDL has it.

        Raises Misconfigured or Transient.
        """
        names = self._wsdl.operations
        ping = self._connection.extra.get("check_operation", "Ping")
        server = httpx.URL(self._wsdl.endpoint).host
        if ping not in names:
            return f"{server}: {len(names)} operations; sign-in is tried by the first read"
        self._page(_single(ping), {}, renew=False)
        return f"{server}: signed in, {len(names)} operations"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Yield whole answers until there is no next token; see `connectors.protocol`."""
        if not isinstance(source, SoapSource):
            message = f"a SOAP connector cannot read {type(source).__name__}"
            raise TypeError(message)
        self._server_at = None
        request = dict(source.request)
        if source.page and source.page.size_request and source.page.size:
            request[source.page.size_request] = str(source.page.size)
        if since is not None and source.since:
            request[source.since] = since
        walk = _Walk()
        while True:
            body, answer = self._page(source, request, renew=walk.pages > 0)
            walk.add(answer, self._erp)
            yield Page(
                f"{source.operation}-{walk.pages:06d}.xml",
                "text/xml",
                body,
                records=answer.records,
                declared=walk.declared_now,
            )
            if answer.token is None or source.page is None:
                return walk.end(source, self._server_at)
            if answer.token in walk.tokens:
                raise SourceChanged(
                    f"{source.operation}: page {walk.pages} hands out an earlier token",
                    erp=self._erp,
                    code="repeated_token",
                    remedy="Ask the ERP's owner: its paging runs in a circle.",
                )
            walk.tokens.add(answer.token)
            request[source.page.request] = answer.token

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document. Raises Refused (`not_found`), Misconfigured, Transient."""
        words = self._connection.extra.get("documents", "").split()
        if len(words) != 3:  # noqa: PLR2004  operation, request element, answer element
            raise Misconfigured(
                "nothing says which operation hands out documents",
                erp=self._erp,
                code="documents",
                remedy=f'Set the extra `documents` of connection "{self._connection.id}" to '
                '"operation request-element answer-element".',
            )
        operation, asked, answered = words
        body, _ = self._page(_single(operation), {asked: location}, renew=True)
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
        )
        content = etree.fromstring(b"".join(body), parser).findtext(f".//{{*}}{answered}")
        if not content:
            raise Refused(f"there is no document {location}", erp=self._erp, code="not_found")
        try:
            yield base64.b64decode("".join(content.split()), validate=True)
        except binascii.Error:
            raise SourceChanged(
                f"the document {location} is not base64", erp=self._erp, code="document"
            ) from None

    def _page(
        self, source: SoapSource, request: dict[str, str], *, renew: bool
    ) -> tuple[list[bytes], Answer]:
        """One whole answer; tries again what may work in a moment. `renew`: sign in again once."""
        renewed = not renew

        def once() -> tuple[list[bytes], Answer]:
            nonlocal renewed
            try:
                return self._call(source, request)
            except (SessionExpiredError, Misconfigured) as gone:
                if isinstance(gone, Misconfigured) and gone.code != "auth":
                    raise
                if renewed:
                    if isinstance(gone, Misconfigured):
                        raise
                    raise self._words.sign_in(str(gone)) from None
                renewed = True
                return once()

        retrying = Retrying(
            stop=stop_after_attempt(self._tries),
            wait=_wait,
            retry=retry_if_exception(_worth_another_try),
            reraise=True,
        )
        return retrying(once)

    def _call(self, source: SoapSource, request: dict[str, str]) -> tuple[list[bytes], Answer]:
        operation = source.operation
        message = self._wsdl.message(operation, request)
        scan = Scan(source)
        kept: list[bytes] = []
        size = 0
        try:
            with (
                self._budget.request(operation),
                self._http.stream(
                    "POST", self._wsdl.endpoint, content=message.body, headers=message.headers
                ) as reply,
            ):
                deadline = time.monotonic() + self._timeout
                at = http_date(reply.headers.get("date"))
                self._server_at = self._server_at or at
                media_type = reply.headers.get("content-type", "").lower()
                wrong = self._words.status(operation, reply.status_code, media_type, reply.headers)
                if wrong is not None:
                    self._told(operation, reply.status_code, wrong)
                    raise wrong
                limit = self._page_bytes if reply.status_code == httpx.codes.OK else _ERROR_BYTES
                for piece in reply.iter_bytes():  # as they come: a size would wait for it
                    size += len(piece)
                    if size > limit:
                        raise self._too_large(operation, limit)
                    if time.monotonic() > deadline:
                        raise self._too_late(operation)
                    scan.feed(piece)
                    kept.append(piece)
            answer = scan.close()
        except httpx.TimeoutException:
            raise self._too_late(operation) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self._words.broken(
                f"{operation}: the transfer broke ({type(error).__name__})", "transfer"
            ) from None
        except NotWholeError as error:
            raise self._words.broken(
                f"{operation}: the answer is not whole XML ({error})", "truncated"
            ) from None
        except ForbiddenError:
            raise BatchRefused(
                f"{operation}: the answer carries a DOCTYPE, which is never read",
                erp=self._erp,
                code="doctype",
                remedy="Ask the ERP's owner to answer without one.",
            ) from None
        self._judge(source, reply.status_code, answer, at)
        return kept, answer

    def _judge(self, source: SoapSource, status: int, answer: Answer, at: datetime | None) -> None:
        if answer.fault_code is not None:
            raise self._words.fault(
                source.operation, answer.fault_code, answer.fault_text or "", at
            )
        if status != httpx.codes.OK:
            raise self._words.broken(f"{source.operation}: HTTP {status} without a fault", "http")
        if answer.error is not None and answer.error not in source.error_ok:
            raise self._words.business(source.operation, answer.error, answer.error_text or "")

    def _told(self, operation: str, status: int, wrong: Exception) -> None:
        """Let everybody who calls this account know what the ERP said."""
        if isinstance(wrong, RateLimited):
            if wrong.retry_after:
                self._budget.pause(wrong.retry_after)
        elif status in COUNTED:
            self._budget.refused(operation, status)

    def _too_large(self, operation: str, limit: int) -> BatchRefused:
        return BatchRefused(
            f"{operation}: the answer is larger than {limit:,} bytes",
            erp=self._erp,
            code="too_large",
            remedy="Ask for smaller pages (`page.size`).",
        )

    def _too_late(self, operation: str) -> Transient:
        return self._words.broken(
            f"{operation}: no whole answer within {self._timeout:g} s", "timeout"
        )


class _Walk:
    """What is known about a read so far."""

    def __init__(self) -> None:
        self.pages = 0
        self.records = 0
        self.tokens: set[str] = set()
        self.declared_now: int | None = None
        self._declared: set[int] = set()
        self._cursor: str | None = None

    def add(self, answer: Answer, erp: str) -> None:
        """Count one page."""
        self.pages += 1
        self.records += answer.records
        if answer.cursor and (self._cursor is None or later(answer.cursor, self._cursor)):
            self._cursor = answer.cursor
        self.declared_now = None
        if answer.declared is not None:
            if not answer.declared.isdecimal():
                raise SourceChanged(
                    f"the declared count {answer.declared[:40]!r} is no number",
                    erp=erp,
                    code="declared_count",
                    remedy="Correct `count` of the mapping's source.",
                )
            self.declared_now = int(answer.declared)
            self._declared.add(self.declared_now)

    def end(self, source: SoapSource, server_at: datetime | None) -> End:
        """How the read ended, and whether that proves it complete."""
        complete, reason = True, f"{self.pages} pages, {self.records} records"
        if len(self._declared) > 1:
            complete, reason = False, f"the declared count moved while paging: {reason}"
        elif self._declared and self._declared != {self.records}:
            told = next(iter(self._declared))
            complete, reason = False, f"the ERP declared {told} records: {reason}"
        elif self._declared:
            reason += ", as declared"
        elif source.page is not None:
            complete, reason = False, f"paged without a declared count: {reason}"
        declared = max(self._declared) if self._declared else None
        return End(complete, reason, self._cursor, declared, server_at)


def _single(operation: str) -> SoapSource:
    """An operation whose answer is one record: the answer itself."""
    told = {"protocol": "soap", "operation": operation, "records": "."}
    return SoapSource.model_validate(told)


def _worth_another_try(error: BaseException) -> bool:
    if isinstance(error, RateLimited):
        return error.retry_after is not None and error.retry_after <= _LONGEST_WAIT
    return isinstance(error, Transient) and error.code != "search_expired"


_backoff = wait_exponential_jitter(multiplier=0.1, max=2.0, jitter=0.2)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return max(asked or 0.0, _backoff(state))
