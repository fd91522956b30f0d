"""Ways in, as the practice ERP checks them: HTTP headers, sessions, signed passports.

WS-Security is `sandbox.soap.security`. Must not know operations.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from lxml import etree

from sandbox.soap.habits import Habits
from sandbox.soap.security import SKEW, Doorkeeper, RefusalError

ACCOUNT = {
    "account": "TSTDRV1",
    "consumer_key": "consumer-of-practice",
    "consumer_secret": "consumer-Geheimnis",
    "token_id": "token-of-practice",
    "token_secret": "token-Geheimnis",
}
"""Of the signed passport; practice, no secret."""
HTTP_REFUSED = "401"
"""Code of a refusal that is an HTTP status and no fault."""


class Door:
    """Lets requests in by the ERP's way. Thread-safe; counts the sessions that are open."""

    def __init__(self, user: str, password: str, habits: Habits) -> None:
        self._user = user
        self._password = password
        self._habits = habits
        self._keeper = Doorkeeper(user, password, habits.clock)
        self._lock = threading.Lock()
        self._nonces: set[str] = set()
        self.sessions: set[str] = set()
        self.most_sessions = 0
        """The largest number of sessions that were open, or asked for, at once."""

    def admit(self, envelope: etree._Element, headers: Mapping[str, str], operation: str) -> None:
        """Raise RefusalError for who may not come in."""
        way = self._habits.sign_in
        if way == "wsse":
            self._keeper.admit(envelope)
        elif way == "session":
            token = envelope.findtext(".//{*}Header/{*}Session") or ""
            if operation != "Login" and token not in self.sessions:
                raise RefusalError("SessionExpired", "the session is not known any more")
        elif way == "passport":
            self._passport(envelope)
        elif way == "request":
            given = [envelope.findtext(f".//{{*}}ACCESS/{{*}}{n}") for n in ("USER", "PASSWORD")]
            if given != [self._user, self._password]:
                raise RefusalError("FailedAuthentication", "user or password is wrong")
        else:
            name, wanted = self._header()
            if not hmac.compare_digest(headers.get(name, "").encode(), wanted.encode()):
                raise RefusalError(HTTP_REFUSED, "unauthorised")

    def open(self, user: str, password: str) -> str:
        """A session's token. Raises RefusalError for a wrong password or one session too many."""
        if (user, password) != (self._user, self._password):
            raise RefusalError("FailedAuthentication", "user or password is wrong")
        with self._lock:
            self.most_sessions = max(self.most_sessions, len(self.sessions) + 1)
            if len(self.sessions) >= self._habits.sessions:
                raise RefusalError("SessionLimitExceeded", "too many sessions")
            token = secrets.token_hex(12)
            self.sessions.add(token)
            return token

    def close(self, envelope: etree._Element) -> None:
        """End the session of this request."""
        with self._lock:
            self.sessions.discard(envelope.findtext(".//{*}Header/{*}Session") or "")

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """A request by the way `request` is a session of its own, for as long as it lasts."""
        if self._habits.sign_in != "request":
            yield
            return
        token = self.open(self._user, self._password)
        try:
            time.sleep(seconds)
            yield
        finally:
            with self._lock:
                self.sessions.discard(token)

    def _header(self) -> tuple[str, str]:
        """Name in lower case and content of the HTTP header that opens the door."""
        if self._habits.sign_in == "basic":
            both = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            return "authorization", f"Basic {both}"
        if self._habits.sign_in == "bearer":
            return "authorization", f"Bearer {self._password}"
        return "x-api-key", self._password

    def _passport(self, envelope: etree._Element) -> None:
        uri = self._habits.namespace
        given = envelope.find(f".//{{*}}Header/{{{uri}}}tokenPassport")
        if given is None:
            raise RefusalError("InvalidCredentials", "no tokenPassport")
        names = ("account", "consumerKey", "token", "nonce", "timestamp")
        account, consumer, token, nonce, at = (given.findtext(f"{{{uri}}}{n}") or "" for n in names)
        signature = given.find(f"{{{uri}}}signature")
        if signature is None or signature.get("algorithm") != "HMAC-SHA256":
            raise RefusalError("InvalidCredentials", "the signature's algorithm is not known")
        key = f"{ACCOUNT['consumer_secret']}&{ACCOUNT['token_secret']}".encode()
        text = f"{account}&{consumer}&{token}&{nonce}&{at}".encode()
        right = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        wanted = (ACCOUNT["account"], ACCOUNT["consumer_key"], ACCOUNT["token_id"])
        if (account, consumer, token) != wanted or signature.text != right:
            raise RefusalError("InvalidCredentials", "Invalid login attempt.")
        now = datetime.now(UTC) + self._habits.clock
        if not at.isdecimal() or abs(now.timestamp() - int(at)) > SKEW.total_seconds():
            raise RefusalError("InvalidTimestamp", "the timestamp is not within five minutes")
        with self._lock:
            if nonce in self._nonces:
                raise RefusalError("InvalidCredentials", "the nonce was used before")
            self._nonces.add(nonce)
