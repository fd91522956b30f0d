"""OAuth2: client credentials, password and refresh token grants, form-encoded.

One token for all processes of the installation: fetched under the store's lock, no more often than
`token_interval` seconds apart (extra), and a rotated refresh token is on disk before its access
token is used. Extras: `token_url`, `grant` (client_credentials, password, refresh_token),
`client_id`, `client_secret`, `client_auth` (form or basic), `scope`, `refresh_token`,
`token_form` (a JSON object of further fields). Must not send a request of the caller's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec

from connectors import http_answers
from connectors.http_sign_in import address, extra_object, needed, sign_in_refused
from connectors.http_tokens import TokenStore
from mappings.connection import Connection
from mappings.errors import Misconfigured, RateLimited, Transient

GRANTS: Final = ("client_credentials", "password", "refresh_token")
_REFUSALS: Final = frozenset({400, 401, 403})
_WORTH_WAITING: Final = 5.0
_LIFETIME: Final = 300.0
"""Seconds that a token is trusted where the answer does not say."""


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: int | float | str | None = None
    refresh_token: str | None = None


class OAuth2:
    """See `http_sign_in.SignIn`. `clock`: seconds since the epoch, the same for all processes."""

    def __init__(
        self,
        connection: Connection,
        erp: str,
        client: httpx.Client,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connection = connection
        self._erp = erp
        self._client = client
        self._clock = clock
        self._url = address(connection, "token_url", erp)
        self._grant = connection.extra.get("grant", "client_credentials")
        if self._grant not in GRANTS:
            raise Misconfigured(
                f'connection "{connection.id}": unknown grant {self._grant!r}',
                erp=erp,
                code="sign_in",
                remedy=f"Use one of {', '.join(GRANTS)}.",
            )
        self._more = {k: str(v) for k, v in extra_object(connection, erp, "token_form").items()}
        self._store = TokenStore(connection.token_file)
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until = 0.0
        self._seen: set[str] = set()

    def sign(self, request: httpx.Request) -> str:
        """With a token that has not ended; see `SignIn.sign`."""
        token = self._current(stale=None)
        request.headers["Authorization"] = f"Bearer {token}"
        return token

    def renew(self, used: str) -> bool:
        """Fetch another one, unless somebody has already."""
        self._current(stale=used)
        return True

    def close(self) -> None:
        """Forget it here; other processes go on with it."""
        self._token = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every token of this session."""
        return tuple(self._seen)

    def _current(self, stale: str | None) -> str:
        with self._lock:
            if self._token is not None and self._token != stale and self._clock() < self._until:
                return self._token
            self._token = None
            with self._store.held():
                kept = self._store.read()
                if kept.get("made_by") != self._made_by():
                    kept = {}  # of other credentials
                token = kept.get("access_token")
                if not token or token == stale or self._clock() >= kept.get("until", 0.0):
                    kept = self._ask(kept)
            self._token, self._until = str(kept["access_token"]), float(kept["until"])
            self._remember(kept)
            return self._token

    def _ask(self, kept: dict[str, Any]) -> dict[str, Any]:
        """A new grant, noted down before anybody uses it."""
        self._remember(kept)
        self._wait(kept)
        kept = {**kept, "made_by": self._made_by(), "asked_at": self._clock()}
        self._store.write(kept)  # a crash right after the request must not forget that it was made
        refresh = kept.get("refresh_token") or self._connection.extra.get("refresh_token")
        answer = self._post("refresh_token", refresh) if refresh else None
        if answer is None or (answer.status_code in _REFUSALS and self._grant != "refresh_token"):
            answer = self._post(self._grant, refresh)
        if answer.status_code in _REFUSALS:
            said = f"{answer.status_code}{http_answers.said_in(answer.content)}"
            raise sign_in_refused(self._connection, self._erp, said)
        problem = http_answers.problem(answer, answer.content, "sign-in", datetime.now(UTC))
        if problem is not None:
            raise problem
        try:
            grant = msgspec.json.decode(answer.content, type=_Grant)
            lifetime = _LIFETIME if grant.expires_in is None else float(grant.expires_in)
        except (msgspec.DecodeError, ValueError):
            message = "sign-in: an answer without a token"
            raise Transient(message, code="token") from None
        # not used up to its last second: a request may be slow
        until = self._clock() + lifetime - min(60.0, lifetime / 10)
        kept = {**kept, "access_token": grant.access_token, "until": until}
        if grant.refresh_token:
            kept["refresh_token"] = grant.refresh_token
        self._store.write(kept)
        return kept

    def _wait(self, kept: dict[str, Any]) -> None:
        """Hold `token_interval`: vendors count sign-ins. Raises RateLimited for a long wait."""
        interval = float(self._connection.extra.get("token_interval") or 0)
        left = float(kept.get("asked_at", float("-inf"))) + interval - self._clock()
        if left <= 0:
            return
        if left > _WORTH_WAITING:
            raise RateLimited(
                f"sign-in: the ERP wants {interval:g} s between two tokens",
                retry_after=left,
                code="token_interval",
                remedy="It is tried again by itself.",
            )
        time.sleep(left)

    def _post(self, grant: str, refresh: str | None) -> httpx.Response:
        connection, extra = self._connection, self._connection.extra
        form = {"grant_type": grant, **self._more}
        if extra.get("scope"):
            form["scope"] = extra["scope"]
        if grant == "refresh_token":
            form["refresh_token"] = refresh or needed(connection, self._erp, "refresh_token")
        elif grant == "password":
            form |= {"username": connection.login or "", "password": connection.password or ""}
        client_id = extra.get("client_id") or ("" if grant == "password" else connection.login)
        secret = extra.get("client_secret") or ("" if grant == "password" else connection.password)
        headers = {"Accept": "application/json"}
        if extra.get("client_auth") == "basic":
            pair = base64.b64encode(f"{client_id or ''}:{secret or ''}".encode())
            headers["Authorization"] = f"Basic {pair.decode()}"
        elif client_id:
            form |= {"client_id": client_id, "client_secret": secret or ""}
        return self._client.post(self._url, data=form, headers=headers)

    def _made_by(self) -> str:
        """Which credentials tokens belong to, so that new ones do not use old tokens."""
        facts = (self._url, self._connection.login, self._connection.password)
        named = ("grant", "client_id", "client_secret", "scope", "refresh_token", "token_form")
        facts += tuple(self._connection.extra.get(name) for name in named)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _remember(self, kept: dict[str, Any]) -> None:
        names = ("access_token", "refresh_token")
        self._seen |= {str(kept[name]) for name in names if kept.get(name)}
