"""OData: posts one message as an entity, and asks for it by a filter on our reference.

One try each, and an exact word about it: what happened before the request's first byte could leave
did not go out; after that only an understood answer counts. Must not read feeds, parse values or
try again by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
import msgspec

from connectors import http_answers
from connectors.budget import UNLIMITED, Budget
from connectors.http_session import Limits, Session
from connectors.message_tree import nested
from connectors.odata_document import document_operations, error_of, read_results, written
from connectors.protocol import Exchange, Message, Receipt
from connectors.replies import cleared, kept_headers, object_texts, objects_at
from mappings.connection import Connection
from mappings.errors import (
    Misconfigured,
    RateLimited,
    Refused,
    Transient,
    Uncertain,
    WaybillError,
)
from mappings.targets import ODataTarget

_ACCEPT: Final = "application/json;odata.metadata=minimal;IEEE754Compatible=true"
_CONNECT_SECONDS: Final = 10.0
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_EXACT: Final = msgspec.json.Decoder(float_hook=str)  # a price is never a float
_UNDERSTOOD_NO: Final = frozenset({400, 409, 412, 422})


class ODataSender:
    """One account at one OData ERP, for one target. Use as a context manager."""

    def __init__(
        self, connection: Connection, erp: str, target: ODataTarget, *, budget: Budget = UNLIMITED
    ) -> None:
        self.exchange = Exchange()
        self._erp = erp
        self._target = target
        self._budget = budget
        seconds = target.timeout_seconds
        limits = Limits(
            request_timeout=seconds, connect_timeout=min(_CONNECT_SECONDS, seconds), tries=1
        )
        self._session = Session(connection, erp, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def ready(self) -> None:
        """See `connectors.protocol.Sender`: there is nothing to prepare."""

    def send(self, message: Message) -> Receipt:
        """See `connectors.protocol.Sender`."""
        target = self._target
        body: dict[str, Any] = nested(message.fields)
        headers = {
            "Accept": _ACCEPT,
            "Content-Type": "application/json;IEEE754Compatible=true",
            "Prefer": "return=representation",
        }
        key = target.native_key
        if key is not None and key.field:
            body[key.field] = message.reference
        if key is not None and key.header:
            headers[key.header] = message.reference
        if message.lines and target.lines_by != "nested":
            return self._send_batch(message, body, headers)
        if message.lines:
            body[message.lines_path] = [nested(line) for line in message.lines]
        url = self._session.url(quote(target.entity, safe="()='/,$."))
        content = json.dumps(body, ensure_ascii=False).encode()
        answer = self._call("POST", url, headers, content, sending=True)
        if not answer.is_success:
            return self._refused(answer, message.reference)
        record = self._decoded(answer, sending=True)
        made = objects_at(record, target.answer_records)
        if not made:
            raise self._unclear(True, f"{target.entity}: an answer without what was made", "answer")
        return self._receipt(made[0], again=answer.status_code == httpx.codes.OK)

    def _send_batch(
        self, message: Message, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Receipt:
        """The document and its lines as one transaction of a $batch."""
        entity = self._target.entity
        what = f"$batch of {entity}"
        lines = [nested(line) for line in message.lines]
        operations = document_operations(entity, body, message.lines_path, lines, headers)
        try:
            media_type, content = written(operations, self._target.lines_by)
        except ValueError as error:
            raise Misconfigured(
                f"{what}: {error}",
                erp=self._erp,
                code="batch_size",
                remedy="Split the document, or write `lines_by: nested` where the ERP takes it.",
            ) from None
        outer = {**headers, "Content-Type": media_type}
        if self._target.lines_by == "batch_multipart":
            outer["Accept"] = "multipart/mixed"
        answer = self._call("POST", self._session.url("$batch"), outer, content, sending=True)
        if not answer.is_success:
            return self._refused(answer, message.reference)
        if http_answers.is_html(answer, answer.content):
            raise self._unclear(True, f"{what}: an HTML page ({answer.status_code})", "html")
        try:
            found = read_results(operations, answer, what)
        except Uncertain as error:
            raise error.located(self._erp, None) from None
        bad = next((one for one in found if not one.is_done and not one.rolled_back), None)
        if bad is not None:
            return self._refused_as(bad.status, error_of(bad.body), message.reference)
        made = [one.body if isinstance(one.body, dict) else {} for one in found]
        return Receipt(
            object_texts(made[0], without=self._target.answer_lines),
            tuple(object_texts(one) for one in made[1:]),
        )

    def _refused_as(self, status: int, told: tuple[str | None, str], reference: str) -> Receipt:
        """As `_refused`, of one operation inside a $batch: its group was rolled back."""
        code, says = told
        if code is not None and (code in self._target.exists or str(status) in self._target.exists):
            return self._there_already(reference)
        if status in _UNDERSTOOD_NO and code is not None:
            raise Refused(self._clean(says or code), erp=self._erp, code=code.lower())
        raise self._unclear(True, f"{self._target.entity}: HTTP {status} in a $batch", "server")

    def find(self, reference: str) -> Receipt | None:
        """See `connectors.protocol.Sender`."""
        how = self._target.find
        if how == "cannot":
            raise Misconfigured(
                "this ERP cannot be asked for a message", erp=self._erp, code="cannot_find"
            )
        wanted = quote(f"{how.reference} eq '{reference}'", safe="()'")
        query = f"$filter={wanted}"
        if how.expand:
            query += f"&$expand={','.join(how.expand)}"
        entity = quote(how.entity or self._target.entity, safe="()='/,$.")
        url = f"{self._session.url(entity)}?{query}"
        answer = self._call("GET", url, {"Accept": _ACCEPT}, None, sending=False)
        if not answer.is_success:
            raise self._problem(answer) or Transient(
                f"{entity}: HTTP {answer.status_code}", erp=self._erp, code="http"
            )
        record = self._decoded(answer, sending=False)
        if not isinstance(record.get("value"), list):
            raise self._unclear(False, f"{entity}: an answer without a list", "answer")
        found = objects_at(record, "value")
        return self._receipt(found[0]) if found else None

    def _receipt(self, made: Mapping[str, Any], *, again: bool = False) -> Receipt:
        path = self._target.answer_lines
        lines = objects_at(made, path) if path else []
        return Receipt(
            object_texts(made, without=path), tuple(object_texts(one) for one in lines), again=again
        )

    # the call

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        sending: bool,
    ) -> httpx.Response:
        what, session = self._target.entity, self._session
        self.exchange = Exchange()
        self.exchange.request = cleared(
            f"{method} {httpx.URL(url).raw_path.decode()}", session.secrets
        )
        if body is not None:
            self.exchange.request += "\n" + cleared(body, session.secrets)
        try:
            with self._budget.request(what):
                answer = session.send_once(method, url, headers, body, what)
        except _NOT_SENT as error:
            raise Transient(
                f"{what}: no connection ({type(error).__name__})", erp=self._erp, code="connect"
            ) from None
        except httpx.TimeoutException:
            raise self._unclear(sending, f"{what}: no answer in time", "timeout") from None
        except httpx.HTTPError as error:
            raise self._unclear(
                sending, f"{what}: the connection broke ({type(error).__name__})", "dropped"
            ) from None
        self.exchange.answer = cleared(answer.content, session.secrets)
        kept = kept_headers(dict(answer.headers), session.secrets)
        self.exchange.detail = {"status": str(answer.status_code), **kept}
        return answer

    def _decoded(self, answer: httpx.Response, *, sending: bool) -> Mapping[str, Any]:
        """A JSON object whose numbers are exact; everything else was not understood."""
        what = self._target.entity
        if http_answers.is_html(answer, answer.content):
            raise self._unclear(sending, f"{what}: an HTML page ({answer.status_code})", "html")
        try:
            record = _EXACT.decode(answer.content)
        except msgspec.DecodeError:
            raise self._unclear(
                sending, f"{what}: an answer that is not whole JSON", "truncated"
            ) from None
        if not isinstance(record, dict):
            raise self._unclear(sending, f"{what}: an answer that is no object", "answer")
        if "error" in record:
            raise self._unclear(sending, f"{what}: {self._said(answer)}", "business_error")
        return record

    # what a refusal of a message means

    def _refused(self, answer: httpx.Response, reference: str) -> Receipt:
        """A success where it is there already; else the error that the status stands for."""
        status = answer.status_code
        code, says = _error(answer)
        if code is not None and (code in self._target.exists or str(status) in self._target.exists):
            return self._there_already(reference)
        problem = self._problem(answer)
        if problem is not None and (
            status not in _UNDERSTOOD_NO or isinstance(problem, RateLimited)
        ):
            raise problem
        if status in _UNDERSTOOD_NO and code is not None:
            raise Refused(self._clean(says or code), erp=self._erp, code=code.lower())
        raise self._unclear(
            True, f"{self._target.entity}: HTTP {status}{self._said(answer)}", "server"
        )

    def _there_already(self, reference: str) -> Receipt:
        """Its number is asked for; where that fails it is a success all the same."""
        sent = self.exchange
        try:
            found = self.find(reference) if self._target.find != "cannot" else None
        except Transient:
            found = None
        finally:
            self.exchange = sent
        return Receipt(found.fields, found.lines, again=True) if found else Receipt(again=True)

    def _problem(self, answer: httpx.Response) -> WaybillError | None:
        """What is provably unprocessed, or None: 401, 403, 404, 429, a 503 listed as safe …"""
        status = answer.status_code
        if status == httpx.codes.UNAUTHORIZED:
            self._budget.refused(self._target.entity, status)
            return Misconfigured(
                f"sign-in refused (401{self._said(answer)})",
                erp=self._erp,
                code="auth",
                remedy=f'Update the secret of connection "{self._session.connection.id}".',
            )
        text = answer.content.decode("utf-8", errors="replace")
        safe = any(mark == "*" or mark in text for mark in self._target.safe_503)
        if status == httpx.codes.SERVICE_UNAVAILABLE and not safe:
            return None
        now = datetime.now(UTC)
        found = http_answers.problem(answer, answer.content, self._target.entity, now)
        if isinstance(found, RateLimited) and found.retry_after is not None:
            self._budget.pause(found.retry_after)
        if isinstance(found, Transient) and status != httpx.codes.SERVICE_UNAVAILABLE:
            return found if isinstance(found, RateLimited) else None
        if found is not None:
            found.what = self._clean(found.what)
            found.located(self._erp, None)
        return found

    def _said(self, answer: httpx.Response) -> str:
        return self._clean(http_answers.said_in(answer.content))

    def _clean(self, text: str) -> str:
        return " ".join(cleared(text, self._session.secrets).split())[:300]

    def _unclear(self, sending: bool, what: str, code: str) -> WaybillError:  # noqa: FBT001  which of two
        kind: type[WaybillError] = Uncertain if sending else Transient
        return kind(self._clean(what), erp=self._erp, code=code)


def _error(answer: httpx.Response) -> tuple[str | None, str]:
    try:
        return error_of(msgspec.json.decode(answer.content))
    except msgspec.DecodeError:
        return None, ""
