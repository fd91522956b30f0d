"""Ways to sign in to a SOAP service, by the words of a connection.

Extra `sign_in`: `wsse` (WS-Security UsernameToken; where there is a login it is the default),
`basic`, `bearer`, `api_key`, `session` (a log-in operation whose token goes into each header, a
log-out at the end), `passport` (OAuth 1 token-based, NetSuite's tokenPassport, HMAC-SHA256),
`request` (login and password are elements of each request) or `none`. A client certificate
(`connectors.tls`) goes with any of them. Must not send anything, and shows no secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zeep.wsse.username import UsernameToken

from mappings.errors import Misconfigured

if TYPE_CHECKING:
    from mappings.connection import Connection

WAYS: Final = ("wsse", "basic", "bearer", "api_key", "session", "passport", "request", "none")


@dataclass(frozen=True, slots=True)
class SessionWords:
    """How a service opens and ends a session. Elements are paths below the operation's root."""

    login: str
    user: str
    password: str
    token: str
    """Where the log-in's answer holds the session's token."""
    header: str
    """Element of the SOAP header that carries it afterwards: `{namespace}Name`, or with the path
    of the token inside it, `{namespace}Name/token`."""
    logout: str | None


@dataclass(slots=True)
class SignIn:
    """What one connection's way in adds to requests."""

    way: str
    token: UsernameToken | None = None
    auth: tuple[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    elements: dict[str, str] = field(default_factory=dict, repr=False)
    """Request elements, path → text."""
    session: SessionWords | None = None
    passport: str | None = None


def sign_in_of(connection: Connection, erp: str) -> SignIn:
    """How this connection signs in. Raises Misconfigured (`sign_in`) where words are missing."""
    extra = connection.extra
    way = extra.get("sign_in") or ("wsse" if connection.login else "none")
    found = SignIn(way)
    if way == "wsse":
        digest = extra.get("wsse", "digest") != "text"
        user, password = _account(connection, erp)
        # servers that speak of Zulu time only are more than those that cannot read it
        found.token = UsernameToken(user, password, use_digest=digest, zulu_timestamp=True)
    elif way == "basic":
        found.auth = _account(connection, erp)
    elif way == "bearer":
        found.headers = {"Authorization": f"Bearer {_word(connection, erp, 'bearer_token')}"}
    elif way == "api_key":
        name = extra.get("api_key_header", "X-API-Key")
        found.headers = {name: _word(connection, erp, "api_key")}
    elif way == "session":
        _account(connection, erp)
        found.session = _session_words(connection, erp)
    elif way == "passport":
        for name in ("account", "consumer_key", "consumer_secret", "token_id", "token_secret"):
            _word(connection, erp, name)
        found.passport = _word(connection, erp, "passport_element")
    elif way == "request":
        user, password = _words(
            connection, erp, "sign_in_elements", 2, "user-element password-element"
        )
        login, secret = _account(connection, erp)
        found.elements = {user: login, password: secret}
    elif way != "none":
        raise _missing(connection, erp, "sign_in", f"one of {', '.join(WAYS)}")
    return found


def passport(connection: Connection) -> dict[str, object]:
    """NetSuite's tokenPassport for one request: a new nonce, signed with HMAC-SHA256."""
    extra = connection.extra
    nonce = secrets.token_hex(16)
    at = str(int(time.time()))
    said = "&".join((extra["account"], extra["consumer_key"], extra["token_id"], nonce, at))
    key = f"{extra['consumer_secret']}&{extra['token_secret']}"
    signature = hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()
    return {
        "account": extra["account"],
        "consumerKey": extra["consumer_key"],
        "token": extra["token_id"],
        "nonce": nonce,
        "timestamp": at,
        "signature": {
            "_value_1": base64.b64encode(signature).decode(),
            "algorithm": "HMAC-SHA256",
        },
    }


def _session_words(connection: Connection, erp: str) -> SessionWords:
    login, user, password, token = _words(
        connection, erp, "session", 4, "operation user-element password-element token-element"
    )
    header = _word(connection, erp, "session_header")
    logout = connection.extra.get("session_logout")
    return SessionWords(login, user, password, token, header, logout)


def _account(connection: Connection, erp: str) -> tuple[str, str]:
    if not connection.login:
        raise _missing(connection, erp, "login", "the account's name, and its password")
    return connection.login, connection.password or ""


def _word(connection: Connection, erp: str, name: str) -> str:
    if not connection.extra.get(name):
        raise _missing(connection, erp, name, "what the ERP's owner gave you")
    return connection.extra[name]


def _words(connection: Connection, erp: str, name: str, count: int, shape: str) -> list[str]:
    words = connection.extra.get(name, "").split()
    if len(words) != count:
        raise _missing(connection, erp, name, f'"{shape}"')
    return words


def _missing(connection: Connection, erp: str, name: str, wanted: str) -> Misconfigured:
    return Misconfigured(
        f'connection "{connection.id}" does not say `{name}`, which its way to sign in needs',
        erp=erp,
        code="sign_in",
        remedy=f"Set it to {wanted}.",
    )
