"""One signed-in HTTP session with an OData service: tokens, time-outs, tries, secrets kept.

Requests go to the connection's own host alone, whatever a link says: credentials never leave it.
This module must not know pages, records or cursors.
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urljoin

import httpx
import msgspec
import tenacity

from connectors import odata_answers
from connectors.budget import COUNTED, UNLIMITED, Budget
from mappings.connection import Connection
from mappings.errors import BatchRefused, Misconfigured, RateLimited, Transient, WaybillError

T = TypeVar("T")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often; seconds, and bytes of one answer."""

    request_timeout: float = 60.0
    connect_timeout: float = 10.0
    tries: int = 4
    longest_wait: float = 5.0
    largest_answer: int = 512 * _MIB


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole successful answer, unpacked."""

    url: str
    headers: httpx.Headers
    content: bytes
    server_at: datetime | None


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: int | float | str = 300


class Session:
    """HTTP for one connection. Thread-safe; `close` when done."""

    def __init__(
        self, connection: Connection, erp: str, limits: Limits, budget: Budget = UNLIMITED
    ) -> None:
        self.budget = budget
        self.connection = connection
        self.erp = erp
        self.limits = limits
        self.root = httpx.URL(_address(connection, "service_root", erp).rstrip("/"))
        self._token_url = connection.extra.get("token_url") and _address(
            connection, "token_url", erp
        )
        authority = connection.extra.get("ca_file")
        self._client = httpx.Client(
            limits=httpx.Limits(keepalive_expiry=2.0),  # an old connection may be half closed
            timeout=httpx.Timeout(limits.request_timeout, connect=limits.connect_timeout),
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=authority) if authority else True,
            # A proxy of the environment is not on the way to this machine itself.
            trust_env=not _is_loopback(self.root.host),
        )
        self._token: str | None = None
        self._token_until = 0.0
        self._token_lock = threading.Lock()

    def close(self) -> None:
        """Forget the token and close the connections; a request under way fails."""
        self._token = None
        self._client.close()

    def url(self, link: str, base: str | None = None) -> str:
        """A link of the server (absolute, or relative to `base`), verbatim but on our own host."""
        target = httpx.URL(urljoin(base or f"{self.root}/", link))
        here = self.root
        return str(target.copy_with(scheme=here.scheme, netloc=here.netloc, fragment=None))

    def get(self, url: str, headers: Mapping[str, str], what: str) -> Answer:
        """A whole answer, after at most `tries` tries.

        Raises Transient, RateLimited (more than `longest_wait` to wait), Misconfigured,
        SourceChanged. `what` names the request in messages.
        """
        return self.get_checked(url, headers, what, lambda _: None)[0]

    def get_checked(
        self, url: str, headers: Mapping[str, str], what: str, look: Callable[[Answer], T]
    ) -> tuple[Answer, T]:
        """As `get`, with what `look` sees in the answer: its Transient is tried again, too."""

        def once() -> tuple[Answer, T]:
            with self._open(url, headers, what) as answer:
                content = self._body(answer, what)
            self._refuse(answer, content, what)
            whole = Answer(url, answer.headers, content, odata_answers.server_at(answer))
            return whole, look(whole)

        return self._trying(once)

    def send_once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, what: str
    ) -> httpx.Response:
        """One request with its whole answer, whatever its status; nothing is tried again.

        A forgotten token is replaced once: a 401 says that nothing was done. Signing in raises as
        `get` does, and then nothing has left; the request itself raises httpx's own errors.
        """
        with self._wire(what):
            token = self._bearer(stale=None)
        request = self._client.build_request(method, url, headers=dict(headers), content=body)
        answer = self._whole(self._signed(request, token))
        if answer.status_code == httpx.codes.UNAUTHORIZED and token is not None:
            with self._wire(what):
                token = self._bearer(stale=token)
            request = self._client.build_request(method, url, headers=dict(headers), content=body)
            answer = self._whole(self._signed(request, token))
        return answer

    def _whole(self, request: httpx.Request) -> httpx.Response:
        """The answer with all of its body, in the time of one request however it trickles."""
        until = time.monotonic() + self.limits.request_timeout
        content = bytearray()
        answer = self._client.send(request, stream=True)
        try:
            for piece in answer.iter_bytes():
                content += piece
                if time.monotonic() > until or len(content) > self.limits.largest_answer:
                    message = "the answer did not end"
                    raise httpx.ReadTimeout(message, request=request)
        finally:
            answer.close()
        kept = [(n, v) for n, v in answer.headers.items() if n != "content-encoding"]
        return httpx.Response(
            answer.status_code, headers=kept, content=bytes(content), request=request
        )

    def _signed(self, request: httpx.Request, token: str | None) -> httpx.Request:
        login = self.connection.login
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        elif login:
            basic = httpx.BasicAuth(login, self.connection.password or "")
            request = next(basic.sync_auth_flow(request))
        return request

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text of this session that must never be shown."""
        return (*self.connection.secrets, *((self._token,) if self._token else ()))

    def stream(self, url: str, what: str) -> Iterator[bytes]:
        """The bytes of a file as they come. Only its start is tried again.

        Raises as `get`; Transient where it breaks off.
        """
        with ExitStack() as opened:

            def start() -> httpx.Response:
                with ExitStack() as trial:
                    answer = trial.enter_context(self._open(url, {"Accept": "*/*"}, what))
                    if not answer.is_success or odata_answers.is_html(answer, b""):
                        self._refuse(answer, self._body(answer, what), what)
                    opened.push(trial.pop_all())
                return answer

            answer = self._trying(start)
            with self._wire(what):
                yield from answer.iter_bytes(_MIB)

    # --- one request ---

    @contextmanager
    def _open(self, url: str, headers: Mapping[str, str], what: str) -> Iterator[httpx.Response]:
        """An answer whose body is not read yet. A forgotten token is replaced once."""
        with self._wire(what), self.budget.request(what):
            token = self._bearer(stale=None)
            answer = self._send(url, headers, token)
            if answer.status_code == httpx.codes.UNAUTHORIZED and token is not None:
                answer.close()
                answer = self._send(url, headers, self._bearer(stale=token))
            try:
                if answer.status_code in COUNTED:
                    self.budget.refused(what, answer.status_code)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise self._sign_in_refused("401")
                yield answer
            finally:
                answer.close()

    def _send(self, url: str, headers: Mapping[str, str], token: str | None) -> httpx.Response:
        request = self._client.build_request("GET", url, headers=dict(headers))
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
            return self._client.send(request, stream=True)
        login = self.connection.login
        auth = httpx.BasicAuth(login, self.connection.password or "") if login else None
        return self._client.send(request, stream=True, auth=auth)

    def _body(self, answer: httpx.Response, what: str) -> bytes:
        """All of an answer, within the time and size of one request."""
        until = time.monotonic() + self.limits.request_timeout
        content = bytearray()
        for piece in answer.iter_bytes(_MIB):
            content += piece
            if len(content) > self.limits.largest_answer:
                message = f"{what}: an answer of more than {self.limits.largest_answer} bytes"
                remedy = "Set a smaller `page_size` in the mapping."
                raise BatchRefused(message, code="too_large", remedy=remedy)
            if time.monotonic() > until:
                message = f"{what}: the answer did not end in {self.limits.request_timeout:g} s"
                raise Transient(message, code="timeout")
        return bytes(content)

    def _refuse(self, answer: httpx.Response, content: bytes, what: str) -> None:
        error = odata_answers.problem(answer, content, what, datetime.now(UTC))
        if isinstance(error, RateLimited) and error.retry_after:
            self.budget.pause(error.retry_after)
        if error is not None:
            raise error

    @contextmanager
    def _wire(self, what: str) -> Iterator[None]:
        """Every failure below as one of our errors, with its place and without a secret."""
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._cleared(odata_answers.broken_wire(error, what)) from None
        except WaybillError as error:
            raise self._cleared(error) from None

    def _cleared(self, error: WaybillError) -> WaybillError:
        for secret in (*self.connection.secrets, self._token):
            if secret:
                error.what = error.what.replace(secret, "***")
        return error.located(self.erp, None)

    def _trying(self, once: Callable[[], T]) -> T:
        trying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.limits.tries),
            retry=tenacity.retry_if_exception(self._is_worth_a_try),
            wait=self._wait,
            reraise=True,
        )
        try:
            return trying(once)
        except WaybillError as error:
            raise self._cleared(error) from None

    def _is_worth_a_try(self, error: BaseException) -> bool:
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after <= self.limits.longest_wait
        return isinstance(error, Transient)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Exponential with jitter, and no less than the server asked for."""
        longest = self.limits.longest_wait
        pause = tenacity.wait_random_exponential(multiplier=0.1, max=longest)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return max(pause, asked or 0.0)

    # --- signing in ---

    def _bearer(self, stale: str | None) -> str | None:
        """A token that is not `stale`; None where the connection has no token address.

        Whoever comes while another thread signs in waits for its token.
        """
        if not self._token_url:
            return None
        with self._token_lock:
            if self._token in {None, stale} or time.monotonic() >= self._token_until:
                self._token = None
                self._sign_in(self._token_url)
            return self._token

    def _sign_in(self, token_url: str) -> None:
        """Client credentials, form-encoded. A refusal is final: no second try."""
        extra = self.connection.extra
        form = {
            "grant_type": "client_credentials",
            "client_id": extra.get("client_id") or self.connection.login or "",
            "client_secret": extra.get("client_secret") or self.connection.password or "",
        }
        if extra.get("scope"):
            form["scope"] = extra["scope"]
        answer = self._client.post(token_url, data=form, headers={"Accept": "application/json"})
        if answer.status_code in {400, 401, 403}:
            raise self._sign_in_refused(
                f"{answer.status_code}{odata_answers.said_in(answer.content)}"
            )
        self._refuse(answer, answer.content, "sign-in")
        try:
            grant = msgspec.json.decode(answer.content, type=_Grant)
            lifetime = float(grant.expires_in)
        except (msgspec.DecodeError, ValueError):
            message = "sign-in: an answer without a token"
            raise Transient(message, code="token") from None
        self._token = grant.access_token
        self._token_until = time.monotonic() + lifetime - min(60.0, lifetime / 10)

    def _sign_in_refused(self, said: str) -> Misconfigured:
        return Misconfigured(
            f"sign-in refused ({said})",
            erp=self.erp,
            code="auth",
            remedy=f'Update the secret of connection "{self.connection.id}", then retry.',
        )


def _address(connection: Connection, name: str, erp: str) -> str:
    """An address of the connection, relative ones on its host and port."""
    given = connection.extra.get(name, "")
    scheme = connection.extra.get("scheme", "https")
    port = f":{connection.port}" if connection.port else ""
    full = urljoin(f"{scheme}://{connection.host}{port}/", given)
    if not given or not httpx.URL(full).host or not full.startswith(("http://", "https://")):
        raise Misconfigured(
            f'connection "{connection.id}" has no usable {name}',
            erp=erp,
            code="address",
            remedy=f"Set `{name}` in its extra to the full address, beginning with https://.",
        )
    return full


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
