"""SOAP: gives an operation one message, and asks another one for it by our reference.

One try each, and an exact word about it: what happened before the request's first byte could leave
did not go out; after that only an understood answer counts. Must not read feeds, parse values or
try again by itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Self

import httpx
from lxml import etree

from connectors import tls
from connectors.budget import UNLIMITED, Budget
from connectors.message_tree import nested
from connectors.protocol import Exchange, Message, Receipt
from connectors.replies import cleared, element_texts, elements_at, kept_headers
from connectors.soap_faults import SessionExpiredError, Wording
from connectors.soap_replies import Replies
from connectors.soap_session import SenderSession
from connectors.soap_sign_in import sign_in_of
from connectors.soap_wsdl import Message as Ready
from connectors.soap_wsdl import Wsdl
from mappings.connection import Connection
from mappings.errors import (
    Misconfigured,
    Refused,
    Transient,
    Uncertain,
)
from mappings.targets import SoapTarget

ANSWER_BYTES: Final = 32 * 1024 * 1024
_CONNECT_SECONDS: Final = 10.0
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class SoapSender:
    """One account at one SOAP ERP, for one target. Use as a context manager."""

    def __init__(
        self,
        connection: Connection,
        erp: str,
        target: SoapTarget,
        *,
        cache: Path | None = None,
        budget: Budget = UNLIMITED,
    ) -> None:
        self.exchange = Exchange()
        self._connection = connection
        self._erp = erp
        self._target = target
        self._budget = budget
        self._words = Wording(connection, erp)
        folder = connection.extra.get("wsdl_cache")
        sign_in = sign_in_of(connection, erp)
        words = sign_in.session
        self._session = words and SenderSession(words, connection, self._words, budget)
        self._replies = Replies(
            connection.id, erp, self._words, budget,
            safe_503=target.safe_503, in_session=words is not None,
        )  # fmt: skip
        connect = min(_CONNECT_SECONDS, target.timeout_seconds)
        self._http = httpx.Client(
            timeout=httpx.Timeout(target.timeout_seconds, connect=connect),
            verify=tls.client_context(connection),
            auth=sign_in.auth,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=2.0),  # an old connection may be half closed
        )
        cached = Path(folder) if folder else cache
        self._wsdl = Wsdl(connection, erp, cached, sign_in, self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._session is not None:
            self._session.close(self._ask)
        self._http.close()

    def ready(self) -> None:
        """See `connectors.protocol.Sender`: reads the WSDL, which takes its time, and logs in."""
        _ = self._wsdl.operations
        if self._session is not None:
            self._session.open(self._ask)

    def send(self, message: Message) -> Receipt:
        """See `connectors.protocol.Sender`."""
        target = self._target
        request: dict[str, Any] = dict(message.fields)
        if target.native_key is not None and target.native_key.field:
            request[target.native_key.field] = message.reference
        if message.lines:
            request[message.lines_path] = [nested(line) for line in message.lines]
        root = self._call(target.operation, request, sending=True)
        code, says = self._business(root)
        if code is not None and code in target.exists:
            return self._there_already(message.reference)
        if code is not None:
            raise Refused(self._words.clean(says or code), erp=self._erp, code=code.lower())
        made = elements_at(root, target.answer_records)
        if not made:
            raise Uncertain(
                f"{target.operation}: the answer holds nothing at {target.answer_records}",
                erp=self._erp,
                code="answer",
            )
        return self._receipt(made[0])

    def find(self, reference: str) -> Receipt | None:
        """See `connectors.protocol.Sender`."""
        how = self._target.find
        if how == "cannot":
            raise Misconfigured(
                "this ERP cannot be asked for a message", erp=self._erp, code="cannot_find"
            )
        root = self._call(how.operation, {how.reference: reference}, sending=False)
        code, says = self._business(root)
        if code is not None:
            raise Transient(
                f"{how.operation}: {self._words.clean(f'{code} {says}')}",
                erp=self._erp,
                code="business_error",
            )
        found = elements_at(root, how.records)
        return self._receipt(found[0]) if found else None

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

    def _receipt(self, made: etree._Element) -> Receipt:
        path = self._target.answer_lines
        lines = elements_at(made, path) if path else []
        return Receipt(
            element_texts(made, without=path), tuple(element_texts(line) for line in lines)
        )

    def _business(self, root: etree._Element) -> tuple[str | None, str]:
        """(error code, text) inside an understood answer; None where it says no error."""
        target = self._target
        if target.error is None:
            return None, ""
        found = elements_at(root, target.error)
        code = (found[0].text or "").strip() if found else ""
        if not code or code in target.error_ok:
            return None, ""
        texts = elements_at(root, target.error_text) if target.error_text else []
        return code, (texts[0].text or "").strip() if texts else ""

    # the call

    def _call(self, operation: str, request: dict[str, Any], *, sending: bool) -> etree._Element:
        """The answer's root element (below Body)."""
        session = self._session
        self.exchange = Exchange()
        if session is None:
            with_it = self._wsdl.message(operation, request)  # its errors: nothing has left
            return self._exchange(
                operation, with_it, self._budget.request(operation), sending=sending
            )
        until = time.monotonic() + self._target.timeout_seconds
        while True:
            new = session.open(self._ask)
            with_it = self._wsdl.message(operation, request, session.token)
            if time.monotonic() > until:  # the rest of the lease is for the message itself
                raise Transient(f"{operation}: logging in took too long", erp=self._erp,
                                code="session")  # fmt: skip
            self._budget.inside(operation)
            try:
                return self._exchange(operation, with_it, nullcontext(), sending=sending)
            except SessionExpiredError as gone:  # said before anything was done: as good as unsent
                session.forget()
                if new:
                    raise self._words.sign_in(str(gone)) from None

    def _ask(self, operation: str, request: Mapping[str, str], token: str | None) -> etree._Element:
        """The answer to what opens or ends a session; nothing of it is kept."""
        message = self._wsdl.message(operation, request, token)
        kept = self.exchange
        try:
            return self._exchange(operation, message, nullcontext(), sending=False)
        finally:
            self.exchange = kept

    def _exchange(
        self,
        operation: str,
        ready: Ready,
        turn: AbstractContextManager[None],
        *,
        sending: bool,
    ) -> etree._Element:
        secrets = (*self._connection.secrets, *(self._session.secrets if self._session else ()))
        self.exchange = Exchange(cleared(ready.body, secrets))
        unclear = self._replies.unclear
        deadline = time.monotonic() + self._target.timeout_seconds
        content = bytearray()
        try:
            with (
                turn,
                self._http.stream(
                    "POST", self._wsdl.endpoint, content=ready.body, headers=ready.headers
                ) as reply,
            ):
                for piece in reply.iter_bytes():
                    content += piece
                    if len(content) > ANSWER_BYTES or time.monotonic() > deadline:
                        raise unclear(sending, f"{operation}: no whole answer in time", "timeout")
        except (*_NOT_SENT, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Transient(
                f"{operation}: no connection ({type(error).__name__})",
                erp=self._erp,
                code="connect",
            ) from None
        except httpx.TimeoutException:
            raise unclear(sending, f"{operation}: no answer in time", "timeout") from None
        except httpx.HTTPError as error:
            raise unclear(
                sending, f"{operation}: the connection broke ({type(error).__name__})", "dropped"
            ) from None
        body = bytes(content)
        self.exchange.answer = cleared(body, secrets)
        headers = kept_headers(dict(reply.headers), secrets)
        self.exchange.detail = {"status": str(reply.status_code), **headers}
        return self._replies.understood(operation, reply, body, sending=sending)
