"""One SOAP service, called: signed in, within its budget, whole answers or a named error.

The call is ours, streamed, with a time-out for the whole operation; status and media type are
judged before any XML is read. Must not know pages or records.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from connectors import tls
from connectors.budget import COUNTED, Budget
from connectors.formats.mime import Multipart, MultipartError, boundary_of
from connectors.formats.xml_feed import DoctypeError
from connectors.soap_answer import Answer, EncodingError, NotWholeError, Scan
from connectors.soap_body import Body
from connectors.soap_faults import SessionExpiredError, Wording, http_date
from connectors.soap_sign_in import sign_in_of
from connectors.soap_wsdl import Wsdl
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    RateLimited,
    Transient,
    WaybillError,
)
from mappings.sources import SoapSource

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from connectors.soap_wsdl import Message
    from mappings.connection import Connection

_ERROR_BYTES: Final = 1024 * 1024
_LONGEST_WAIT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, tries, and bytes of one answer. `timeout` is for a whole call; silence that begins
    late may last as long again.
    """

    timeout: float = 60.0
    connect_timeout: float = 10.0
    tries: int = 4
    page_bytes: int = 512 * 1024 * 1024


class Service:
    """One account at one service; `close` logs out.

    Raises Misconfigured (`auth_cert`, `tls`, `sign_in`) where the connection cannot work.
    """

    def __init__(
        self,
        connection: Connection,
        erp: str,
        limits: Limits,
        budget: Budget,
        cache: Path | None,
    ) -> None:
        self._connection = connection
        self._erp = erp
        self._limits = limits
        self._budget = budget
        self._words = Wording(connection, erp)
        self._sign_in = sign_in_of(connection, erp)
        try:
            context = tls.client_context(connection)
            expiry = tls.expiry_warning(connection)
        except Misconfigured as error:
            raise error.located(erp, None) from None
        self.warnings: tuple[str, ...] = (expiry,) if expiry else ()
        self._http = httpx.Client(
            timeout=httpx.Timeout(limits.timeout, connect=limits.connect_timeout),
            follow_redirects=False,
            verify=context,
        )
        self.wsdl = Wsdl(connection, erp, cache, self._sign_in, self._http)
        self._session: str | None = None
        self._place = ExitStack()  # among the account's sessions, as long as ours is open

    def close(self) -> None:
        """Log out and close; a log-out that fails is left to the ERP's own time-out."""
        with suppress(WaybillError, SessionExpiredError):
            self._log_out()
        self._place.close()
        self._http.close()

    def ask(
        self, source: SoapSource, operation: str, request: dict[str, str], *, renew: bool
    ) -> tuple[Body, Answer, datetime | None]:
        """One whole answer and the ERP's clock; tries again what may work in a moment.

        `renew`: sign in again, once, where the ERP does not know us any more.
        """
        renewed = not renew

        def once() -> tuple[Body, Answer, datetime | None]:
            nonlocal renewed
            try:
                return self._call(source, operation, request)
            except (SessionExpiredError, Misconfigured) as gone:
                self._session = None
                if isinstance(gone, Misconfigured) and gone.code != "auth":
                    raise
                if renewed:
                    if isinstance(gone, Misconfigured):
                        raise
                    raise self._words.sign_in(str(gone)) from None
                renewed = True
                return once()

        retrying = Retrying(
            stop=stop_after_attempt(self._limits.tries),
            wait=_wait,
            retry=retry_if_exception(_worth_another_try),
            reraise=True,
        )
        return retrying(once)

    def _call(
        self, source: SoapSource, operation: str, request: dict[str, str]
    ) -> tuple[Body, Answer, datetime | None]:
        words = self._sign_in.session
        if words is not None and self._session is None:
            self._log_in()
        message = self.wsdl.message(operation, request, self._session)
        if words is None:
            return self._exchange(source, operation, message, self._budget.request(operation))
        # a session's calls follow each other, and its place is held already
        self._budget.inside(operation)
        return self._exchange(source, operation, message, nullcontext())

    def _log_in(self) -> None:
        words = self._sign_in.session
        if words is None:
            return
        self._place.close()
        self._place.enter_context(self._budget.request("session"))
        account = {
            words.user: self._connection.login or "",
            words.password: self._connection.password or "",
        }
        page = {"request": words.token, "response": words.token}
        told = {"protocol": "soap", "operation": words.login, "records": ".", "page": page}
        message = self.wsdl.message(words.login, account)
        asked = SoapSource.model_validate(told)
        _, answer, _ = self._exchange(asked, words.login, message, nullcontext())
        if answer.token is None:
            raise self._words.sign_in(f"{words.login} gave no {words.token}")
        self._words.hide(answer.token)
        self._session = answer.token

    def _log_out(self) -> None:
        words = self._sign_in.session
        if words is None or words.logout is None or self._session is None:
            return
        message = self.wsdl.message(words.logout, {}, self._session)
        self._session = None
        self._exchange(single(words.logout), words.logout, message, nullcontext())

    def _exchange(
        self,
        source: SoapSource,
        operation: str,
        message: Message,
        turn: AbstractContextManager[None],
    ) -> tuple[Body, Answer, datetime | None]:
        scan = Scan(source)
        body = Body()
        try:
            with (
                turn,
                self._http.stream(
                    "POST",
                    self.wsdl.endpoint,
                    content=message.body,
                    headers=message.headers,
                    auth=self._sign_in.auth or httpx.USE_CLIENT_DEFAULT,
                ) as reply,
            ):
                at = http_date(reply.headers.get("date"))
                self._judge_status(operation, reply)
                self._take(operation, reply, scan, body)
            answer = scan.close()
        except httpx.TimeoutException:
            raise self._too_late(operation) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            refused = tls.refusal(self._connection, error)
            if refused is not None:
                raise refused.located(self._erp, None) from None
            raise self._words.broken(
                f"{operation}: the transfer broke ({type(error).__name__})", "transfer"
            ) from None
        except (NotWholeError, MultipartError) as error:
            raise self._words.broken(
                f"{operation}: the answer is not whole XML ({error})", "truncated"
            ) from None
        except EncodingError as error:
            raise BatchRefused(
                f"{operation}: the answer is not in the encoding that it declares ({error})",
                erp=self._erp,
                code="encoding",
                remedy="Ask the ERP's owner to declare the encoding it writes.",
            ) from None
        except BatchRefused as error:
            raise error.located(self._erp, None) from None
        except DoctypeError:
            raise BatchRefused(
                f"{operation}: the answer carries a DOCTYPE, which is never read",
                erp=self._erp,
                code="doctype",
                remedy="Ask the ERP's owner to answer without one.",
            ) from None
        self._judge(source, operation, reply.status_code, answer, at)
        return body, answer, at

    def _take(self, operation: str, reply: httpx.Response, scan: Scan, body: Body) -> None:
        boundary = boundary_of(reply.headers.get("content-type", ""))
        parts = Multipart(boundary) if boundary else None
        deadline = time.monotonic() + self._limits.timeout
        good = reply.status_code == httpx.codes.OK
        limit = self._limits.page_bytes if good else _ERROR_BYTES
        for piece in reply.iter_bytes():  # as they come: a size would wait for it
            body.add(piece)
            if body.size > limit:
                raise BatchRefused(
                    f"{operation}: the answer is larger than {limit:,} bytes",
                    erp=self._erp,
                    code="too_large",
                    remedy="Ask for smaller pages (`page.size`).",
                )
            if time.monotonic() > deadline:
                raise self._too_late(operation)
            if parts is None:
                scan.feed(piece)
            else:
                for number, envelope in parts.feed(piece):
                    if number == 0:
                        scan.feed(envelope)
        if parts is not None and not parts.ended:
            raise NotWholeError("the last boundary is missing")

    def _judge_status(self, operation: str, reply: httpx.Response) -> None:
        """Raise what the status and the media type say; the body is not looked at yet."""
        status = reply.status_code
        media_type = reply.headers.get("content-type", "").lower()
        wrong = self._words.status(operation, status, media_type, reply.headers)
        if isinstance(wrong, RateLimited):
            if wrong.retry_after:
                self._budget.pause(wrong.retry_after)
        elif wrong is not None and status in COUNTED:
            self._budget.refused(operation, status)
        if wrong is not None:
            raise wrong

    def _judge(
        self, source: SoapSource, operation: str, status: int, answer: Answer, at: datetime | None
    ) -> None:
        if answer.fault_code is not None:
            raise self._words.fault(operation, answer.fault_code, answer.fault_text or "", at)
        if status != httpx.codes.OK:
            raise self._words.broken(f"{operation}: HTTP {status} without a fault", "http")
        if answer.error is not None and answer.error not in source.error_ok:
            raise self._words.business(operation, answer.error, answer.error_text or "")

    def _too_late(self, operation: str) -> Transient:
        return self._words.broken(
            f"{operation}: no whole answer within {self._limits.timeout:g} s", "timeout"
        )


def single(operation: str) -> SoapSource:
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
