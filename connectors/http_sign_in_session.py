"""A session by log-in: cookies (all of them) or a token of the log-in's answer; logged out on exit.

Extras: `login_url`; `login_as` (json or form); `login_fields` (a JSON object of fixed fields);
`login_user`, `login_password` (paths of their fields, UserName and Password by default);
`login_error` (path whose presence in a 200 means no); `login_token` (path of a token, sent as
bearer); `logout_url`, `logout_method`. ERPs count sessions: one that a killed process left open is
logged out by the next that logs in. Must not send a request of the caller's.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import psutil

from connectors import http_answers
from connectors.http_sign_in import address, extra_object, sign_in_refused
from connectors.http_tokens import TokenStore
from connectors.json_places import at, put
from mappings.connection import Connection
from mappings.errors import Transient

_REFUSALS = frozenset({400, 401, 403})
_LOGOUT_SECONDS = 5.0


class SessionLogin:
    """See `connectors.http_sign_in.SignIn`. The client's cookie jar holds the session's cookies."""

    def __init__(self, connection: Connection, erp: str, client: httpx.Client) -> None:
        self._connection = connection
        self._erp = erp
        self._client = client
        self._url = address(connection, "login_url", erp)
        out = connection.extra.get("logout_url")
        self._logout_url = address(connection, "logout_url", erp) if out else None
        self._fixed = extra_object(connection, erp, "login_fields")
        self._store = TokenStore(connection.token_file)
        self._lock = threading.Lock()
        self._number = 0
        self._open: dict[str, Any] | None = None
        self._seen: set[str] = set()

    def sign(self, request: httpx.Request) -> str:
        """With the session's cookies or token; see `SignIn.sign`."""
        with self._lock:
            if self._open is None:
                self._log_in()
            number, session = self._number, self._open or {}
            if session.get("token"):
                request.headers["Authorization"] = f"Bearer {session['token']}"
            request.headers.pop("Cookie", None)  # as it was before the log-in
            self._client.cookies.set_cookie_header(request)
        return str(number)

    def renew(self, used: str) -> bool:
        """Log in again, unless another thread has already."""
        with self._lock:
            if used == str(self._number):
                self._forget()
                self._log_in()
        return True

    def close(self) -> None:
        """Log out. An ERP that does not answer that is not waited for long."""
        with self._lock:
            session, self._open = self._open, None
            if session is None:
                return
            self._log_out(session)
            self._note(gone=session)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Cookies and tokens of every session so far."""
        return tuple(self._seen)

    def _log_in(self) -> None:
        self._log_out_the_dead()
        extra, connection = self._connection.extra, self._connection
        fields = json.loads(json.dumps(self._fixed))
        put(fields, extra.get("login_user", "UserName"), connection.login or "")
        put(fields, extra.get("login_password", "Password"), connection.password or "")
        self._client.cookies.clear()
        headers = {"Accept": "application/json"}
        if extra.get("login_as") == "form":
            answer = self._client.post(self._url, data=fields, headers=headers)
        else:
            answer = self._client.post(self._url, json=fields, headers=headers)
        if answer.status_code in _REFUSALS:
            said = f"{answer.status_code}{http_answers.said_in(answer.content)}"
            raise sign_in_refused(connection, self._erp, said)
        problem = http_answers.problem(answer, answer.content, "sign-in", datetime.now(UTC))
        if problem is not None:
            raise problem
        self._begin(answer)

    def _begin(self, answer: httpx.Response) -> None:
        extra = self._connection.extra
        token, wants = None, extra.get("login_token")
        if wants or extra.get("login_error"):
            try:
                body = msgspec.json.decode(answer.content)
            except msgspec.DecodeError:
                raise Transient("sign-in: an answer that is not JSON", code="token") from None
            if extra.get("login_error") and at(body, extra["login_error"]):
                said = f"200{http_answers.said_in(answer.content)}"
                raise sign_in_refused(self._connection, self._erp, said)
            token = at(body, wants) if wants else None
            if wants and not isinstance(token, str):
                raise Transient("sign-in: an answer without a token", code="token")
        cookies = {c.name: c.value or "" for c in self._client.cookies.jar}
        self._open = {"cookies": cookies, "token": token, "holder": _holder()}
        self._number += 1
        self._seen |= {*(v for v in cookies.values() if v), *([token] if token else [])}
        self._note(new=self._open)

    def _forget(self) -> None:
        if self._open is not None:
            self._note(gone=self._open)
            self._open = None

    # --- what outlives us ---

    def _note(self, new: dict[str, Any] | None = None, gone: dict[str, Any] | None = None) -> None:
        with self._store.held():
            known = [one for one in self._store.read().get("sessions", []) if one != gone]
            self._store.write({"sessions": [*known, *([new] if new else [])]})

    def _log_out_the_dead(self) -> None:
        """Sessions of processes of this machine that are no more."""
        if self._logout_url is None:
            return
        with self._store.held():
            known = self._store.read().get("sessions", [])
            dead = [one for one in known if _is_dead(one.get("holder", ""))]
            for one in dead:
                self._log_out(one)
            if dead:
                self._store.write({"sessions": [one for one in known if one not in dead]})

    def _log_out(self, session: dict[str, Any]) -> None:
        if self._logout_url is None:
            return
        method = self._connection.extra.get("logout_method", "POST")
        request = self._client.build_request(method, self._logout_url, timeout=_LOGOUT_SECONDS)
        if session.get("token"):
            request.headers["Authorization"] = f"Bearer {session['token']}"
        if session.get("cookies"):
            pairs = (f"{name}={value}" for name, value in session["cookies"].items())
            request.headers["Cookie"] = "; ".join(pairs)
        with contextlib.suppress(httpx.HTTPError):  # it ends by itself, some time
            self._client.send(request)
        self._client.cookies.clear()


def _holder() -> str:
    born = psutil.Process().create_time()
    return f"{socket.gethostname()} {os.getpid()} {born:.2f}"


def _is_dead(holder: str) -> bool:
    host, _, rest = holder.partition(" ")
    if host != socket.gethostname():
        return False  # of another machine: cannot be known
    pid, _, born = rest.partition(" ")
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != born
    except (psutil.NoSuchProcess, ValueError):
        return True
