"""WS-Security UsernameToken as the practice ERP checks it: digest or text, no replay, no skew."""

import base64
import binascii
import hashlib
import hmac
import threading
from datetime import UTC, datetime, timedelta

from lxml import etree

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
SKEW = timedelta(minutes=5)


class RefusalError(Exception):
    """Sign-in refused: the local name of the wsse fault code, and what the fault says."""

    def __init__(self, code: str, says: str) -> None:
        super().__init__(says)
        self.code = code
        self.says = says


class Doorkeeper:
    """Knows the account, and every nonce of the last minutes. Thread-safe."""

    def __init__(self, user: str, password: str, clock: timedelta = timedelta()) -> None:
        self._user = user
        self._clock = clock
        self._password = password
        self._seen: dict[bytes, datetime] = {}
        self._lock = threading.Lock()

    def admit(self, envelope: etree._Element) -> None:
        """Raise RefusalError unless the header holds a fresh, right UsernameToken."""
        token = envelope.find(f".//{{{WSSE}}}Security/{{{WSSE}}}UsernameToken")
        if token is None:
            raise RefusalError("InvalidSecurity", "no UsernameToken")
        user = token.findtext(f"{{{WSSE}}}Username") or ""
        given = token.findtext(f"{{{WSSE}}}Password") or ""
        kind = token.find(f"{{{WSSE}}}Password")
        wanted = self._password
        if kind is not None and (kind.get("Type") or "").endswith("#PasswordDigest"):
            wanted = self._digest(token)
        right = hmac.compare_digest(given.encode(), wanted.encode())
        if not (right and hmac.compare_digest(user.encode(), self._user.encode())):
            raise RefusalError("FailedAuthentication", "user or password is wrong")

    def _digest(self, token: etree._Element) -> str:
        created = token.findtext(f"{{{WSU}}}Created") or ""
        try:
            nonce = base64.b64decode(token.findtext(f"{{{WSSE}}}Nonce") or "", validate=True)
            at = datetime.fromisoformat(created)
        except (binascii.Error, ValueError):
            raise RefusalError(
                "InvalidSecurityToken", "nonce or creation time is malformed"
            ) from None
        now = datetime.now(UTC) + self._clock
        if at.tzinfo is None or abs(now - at) > SKEW:
            raise RefusalError("MessageExpired", "creation time is not within five minutes of ours")
        with self._lock:
            self._seen = {n: t for n, t in self._seen.items() if now - t <= 2 * SKEW}
            if not nonce or nonce in self._seen:
                raise RefusalError("InvalidSecurity", "the nonce was used before")
            self._seen[nonce] = now
        raw = nonce + created.encode() + self._password.encode()
        return base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode()
