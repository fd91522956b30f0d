"""One signed-in HTTP session with an ERP: sign-in, budget, time-outs, tries, secrets kept.

Requests go to the connection's own host alone, whatever a link says: credentials never leave it.
This module must not know pages, records or cursors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeVar
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import httpx

from connectors import http_answers, tls
from connectors.budget import COUNTED, UNLIMITED, Budget
from connectors.http_client import open_client
from connectors.http_csrf import Csrf, is_required
from connectors.http_sign_in import SignedOutError, address, sign_in_for, sign_in_refused
from connectors.http_tries import Limits, again
from mappings.connection import Connection
from mappings.errors import BatchRefused, RateLimited, Transient, WaybillError

T = TypeVar("T")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole successful answer, unpacked."""

    url: str
    headers: httpx.Headers
    content: bytes
    server_at: datetime | None


class Session:
    """HTTP for one connection, below its `service_root`. Thread-safe; `close` when done."""

    def __init__(
        self, connection: Connection, erp: str, limits: Limits, budget: Budget = UNLIMITED
    ) -> None:
        self.budget = budget
        self.connection = connection
        self.erp = erp
        self.limits = limits
        self.root = httpx.URL(address(connection, "service_root", erp).rstrip("/"))
        seconds = httpx.Timeout(limits.request_timeout, connect=limits.connect_timeout)
        self._client = open_client(connection, self.root, seconds)
        self._sign_in = sign_in_for(connection, erp, self._client)
        self._csrf: Csrf | None = None
        if connection.extra.get("csrf_url"):
            self._csrf = Csrf(self.url(connection.extra["csrf_url"]), self._fetch_token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out and close the connections; a request under way fails."""
        try:
            self._sign_in.close()
        finally:
            self._client.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text of this session that must never be shown."""
        csrf = self._csrf.secrets if self._csrf else ()
        return (*self.connection.secrets, *self._sign_in.secrets, *csrf)

    def url(self, link: str, base: str | None = None) -> str:
        """A link of the server (absolute, or relative to `base`), verbatim but on our own host."""
        target = urlsplit(urljoin(base or f"{self.root}/", link))
        ours = (self.root.scheme, self.root.netloc.decode(), target.path, target.query, "")
        return str(httpx.URL(urlunsplit(ours)))

    def get(self, url: str, headers: Mapping[str, str], what: str) -> Answer:
        """A whole answer, after at most `tries` tries.

        Raises Transient, RateLimited (more than `longest_wait` to wait), Misconfigured,
        SourceChanged. `what` names the request in messages.
        """
        return self.get_checked(url, headers, what, lambda _: None)[0]

    def get_checked(
        self,
        url: str,
        headers: Mapping[str, str],
        what: str,
        look: Callable[[Answer], T],
        *,
        method: str = "GET",
        body: bytes | None = None,
    ) -> tuple[Answer, T]:
        """As `get`, with what `look` sees in the answer: its Transient is tried again, too.

        A `look` that raises SignedOutError makes us sign in anew, once. `method` and `body` are
        for questions that an ERP wants as POST: they must not change anything there.
        """
        renewed = False

        def once() -> tuple[Answer, T]:
            nonlocal renewed
            with self._open(url, headers, what, method, body) as (answer, used):
                content = self._body(answer, what)
            self._refuse(answer, content, what)
            whole = Answer(url, answer.headers, content, http_answers.server_at(answer))
            try:
                return whole, look(whole)
            except SignedOutError as error:
                self.budget.refused(self._endpoint(url), httpx.codes.UNAUTHORIZED)
                if renewed:
                    raise sign_in_refused(self.connection, self.erp, str(error)) from None
                renewed = True
                with self._wire("sign-in"):
                    again = self._sign_in.renew(used)
                if not again:
                    raise sign_in_refused(self.connection, self.erp, str(error)) from None
                return once()
            except RateLimited as error:
                self._pause(error)
                raise

        return self._trying(once)

    def send_once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, what: str
    ) -> httpx.Response:
        """One request with its whole answer, whatever its status; nothing is tried again.

        A forgotten sign-in or CSRF token is replaced once: a 401, and a 403 that asks for a token,
        say that nothing was done. Signing in raises as `get` does, and then nothing has left; the
        request itself raises httpx's own errors. The budget is the caller's to ask.
        """
        until = time.monotonic() + self.limits.request_timeout
        answer, _ = self._exchange(method, url, headers, body)
        content = bytearray()
        try:
            for piece in answer.iter_bytes():
                content += piece
                if time.monotonic() > until or len(content) > self.limits.largest_answer:
                    message = f"{what}: the answer did not end"
                    raise httpx.ReadTimeout(message, request=answer.request)
        finally:
            answer.close()
        kept = [(n, v) for n, v in answer.headers.items() if n != "content-encoding"]
        return httpx.Response(
            answer.status_code, headers=kept, content=bytes(content), request=answer.request
        )

    def stream(self, url: str, what: str) -> Iterator[bytes]:
        """The bytes of a file as they come. Only its start is tried again.

        Raises as `get`; Transient where it breaks off.
        """
        with ExitStack() as opened:

            def start() -> httpx.Response:
                with ExitStack() as trial:
                    answer, _ = trial.enter_context(
                        self._open(url, {"Accept": "*/*"}, what, "GET", None)
                    )
                    if not answer.is_success or http_answers.is_html(answer, b""):
                        self._refuse(answer, self._body(answer, what), what)
                    opened.push(trial.pop_all())
                return answer

            answer = self._trying(start)
            with self._wire(what):
                yield from answer.iter_bytes(_MIB)

    # --- one request ---

    @contextmanager
    def _open(
        self, url: str, headers: Mapping[str, str], what: str, method: str, body: bytes | None
    ) -> Iterator[tuple[httpx.Response, str]]:
        """An answer whose body is not read yet, and the sign-in that it was asked with."""
        endpoint = self._endpoint(url)
        with self._wire(what), self.budget.request(endpoint):
            answer, used = self._exchange(method, url, headers, body)
            try:
                if answer.status_code in COUNTED:
                    self.budget.refused(endpoint, answer.status_code)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise sign_in_refused(self.connection, self.erp, "401")
                yield answer, used
            finally:
                answer.close()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[httpx.Response, str]:
        """One request; asked again once where the ERP has forgotten who we are."""
        answer, used, token = self._ask(method, url, headers, body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            try:
                with self._wire("sign-in"):
                    again = self._sign_in.renew(used)
            except BaseException:
                answer.close()
                raise
            if again:
                self.budget.refused(self._endpoint(url), answer.status_code)
                answer.close()
                answer, used, token = self._ask(method, url, headers, body)
        if self._csrf is not None and is_required(answer):
            answer.close()
            answer, used, _ = self._ask(method, url, headers, body, stale=token)
        return answer, used

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        stale: str | None = None,
    ) -> tuple[httpx.Response, str, str | None]:
        token = None
        with self._wire("sign-in"):
            request = self._client.build_request(method, url, headers=dict(headers), content=body)
            if self._csrf is not None:
                token = self._csrf.sign(request, stale)
            used = self._sign_in.sign(request)
            if self._csrf is not None:  # its cookies came after the request was built
                request.headers.pop("Cookie", None)
                self._client.cookies.set_cookie_header(request)
        return self._client.send(request, stream=True), used, token

    def _fetch_token(self, url: str, headers: dict[str, str]) -> httpx.Response:
        """The answer to a GET for a CSRF token, whose headers are all that counts."""
        answer, _ = self._exchange("GET", url, headers, None)
        try:
            self._refuse(answer, self._body(answer, "CSRF token"), "CSRF token")
        finally:
            answer.close()
        return answer

    def _endpoint(self, url: str) -> str:
        """What vendors count by: the first word below the root, without keys."""
        path = unquote(urlsplit(url).path)
        below = path.removeprefix(self.root.path).lstrip("/")
        return below.partition("/")[0].partition("(")[0] or "/"

    def _body(self, answer: httpx.Response, what: str) -> bytes:
        """All of an answer, within the time and size of one request."""
        until = time.monotonic() + self.limits.request_timeout
        pieces: list[bytes] = []
        size = 0
        for piece in answer.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > self.limits.largest_answer:
                message = f"{what}: an answer of more than {self.limits.largest_answer} bytes"
                remedy = "Set a smaller `page_size` in the mapping."
                raise BatchRefused(message, code="too_large", remedy=remedy)
            if time.monotonic() > until:
                message = f"{what}: the answer did not end in {self.limits.request_timeout:g} s"
                raise Transient(message, code="timeout")
        return b"".join(pieces)

    def _refuse(self, answer: httpx.Response, content: bytes, what: str) -> None:
        error = http_answers.problem(answer, content, what, datetime.now(UTC))
        if isinstance(error, RateLimited):
            self._pause(error)
        if error is not None:
            raise error

    def _pause(self, error: RateLimited) -> None:
        if error.retry_after:
            self.budget.pause(error.retry_after)

    @contextmanager
    def _wire(self, what: str) -> Iterator[None]:
        """Every failure below as one of our errors, with its place and without a secret."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            refused = tls.refusal(self.connection, error)
            raise self._cleared(refused or http_answers.broken_wire(error, what)) from None
        except WaybillError as error:
            raise self._cleared(error) from None

    def _cleared(self, error: WaybillError) -> WaybillError:
        for secret in self.secrets:
            error.what = error.what.replace(secret, "***")
        return error.located(self.erp, None)

    def _trying(self, once: Callable[[], T]) -> T:
        try:
            return again(self.limits, once)
        except WaybillError as error:
            raise self._cleared(error) from None


__all__ = ["Answer", "Limits", "Session"]
