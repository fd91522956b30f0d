"""Ways in to the practice REST ERP: who may ask, and how each vendor wants it proved."""

import base64
import hashlib
import hmac
import itertools
import secrets
import threading
import time
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from sandbox.rest.server import Reply, Request

USER, PASSWORD = "waybill", "pr4ctice-p4ss"
API_KEY, BEARER = "pr4ctice-4pi-key", "pr4ctice-be4rer"
CLIENT_SECRET, REFRESH = "pr4ctice-client-s3cret", "pr4ctice-refresh-0"
CONSUMER_SECRET, TOKEN_SECRET = "pr4ctice-consumer-s3cret", "pr4ctice-token-s3cret"
UNSIGNED = Reply(401, {"error": {"code": "401", "message": "Sign in first."}})


class Doors:
    """Tokens and sessions that are open. `way` decides what `lets_in` asks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.way = "none"
        self.token_seconds = 3600.0
        self.tells_lifetime = True
        self.rotates = False
        self.refresh = REFRESH
        self.tokens: dict[str, float] = {}
        self.token_requests: list[tuple[float, dict[str, str]]] = []
        self.sessions: set[tuple[str, str]] = set()
        self.most_sessions = 0
        self.logins = 0
        self.csrf: str | None = None
        self.csrf_fetches = 0

    def lets_in(self, request: Request) -> bool:
        """Has this request the right credentials for the way that is set?"""
        given = request.headers.get("authorization", "")
        match self.way:
            case "basic":
                pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                return given == f"Basic {pair}"
            case "api_key":
                return API_KEY in (request.headers.get("x-api-key"), request.query.get("key"))
            case "bearer":
                return given == f"Bearer {BEARER}"
            case "oauth2":
                return self.tokens.get(given.removeprefix("Bearer "), 0.0) > time.monotonic()
            case "session" | "rpc":
                cookies = request.cookies
                return (cookies.get("B1SESSION", ""), cookies.get("ROUTEID", "")) in self.sessions
            case "oauth1":
                return _signed(request, given)
        return True

    def forget(self) -> None:
        """Nobody is signed in any more."""
        with self._lock:
            self.tokens.clear()
            self.sessions.clear()
            self.csrf = None

    def token(self, request: Request) -> Reply:
        """OAuth2: client credentials, password and refresh token, form-encoded only."""
        form = request.form
        with self._lock:
            self.token_requests.append((time.monotonic(), form))
            if not form:
                return Reply(400, {"error": "invalid_request"})
            basic = base64.b64encode(f"waybill:{CLIENT_SECRET}".encode()).decode()
            client = form.get("client_secret") == CLIENT_SECRET or (
                request.headers.get("authorization") == f"Basic {basic}"
            )
            right = {
                "client_credentials": client,
                "password": (form.get("username"), form.get("password")) == (USER, PASSWORD)
                and form.get("branchcode", "0") == "0",
                "refresh_token": client and form.get("refresh_token") == self.refresh,
            }.get(form.get("grant_type", ""))
            if right is None:
                return Reply(400, {"error": "unsupported_grant_type"})
            if not right:
                return Reply(400, {"error": "invalid_grant", "error_description": "No."})
            token = secrets.token_urlsafe(16)
            self.tokens[token] = time.monotonic() + self.token_seconds
            grant: dict[str, object] = {"access_token": token, "token_type": "bearer"}
            if self.tells_lifetime:
                grant["expires_in"] = self.token_seconds
            if self.rotates:
                self.refresh = f"pr4ctice-refresh-{next(self._numbers)}"
                grant["refresh_token"] = self.refresh
            return Reply(200, grant)

    def log_in(self, request: Request) -> Reply:
        """A session of two cookies; both are needed, as behind a load balancer."""
        found = request.form or request.json
        with self._lock:
            self.logins += 1
            right = found.get("UserName") == USER and found.get("Password") == PASSWORD
            if not right or found.get("CompanyDB") != "PRACTICE":
                return Reply(401, {"error": {"code": "-304", "message": "Fail to log in."}})
            return Reply(200, {"SessionTimeout": 30}, self._open())

    def rpc_log_in(self, request: Request) -> Reply:
        """JSON-RPC: whatever happens is HTTP 200."""
        found = request.json["params"]
        with self._lock:
            self.logins += 1
            if (found.get("login"), found.get("password")) != (USER, PASSWORD):
                error = {"code": 200, "data": {"name": "AccessDenied", "message": "Access Denied"}}
                return Reply(200, {"jsonrpc": "2.0", "id": None, "error": error})
            return Reply(200, {"jsonrpc": "2.0", "id": None, "result": {"uid": 7}}, self._open())

    def log_out(self, request: Request) -> Reply:
        """Frees the session's place."""
        cookies = request.cookies
        pair = cookies.get("B1SESSION", ""), cookies.get("ROUTEID", "")
        with self._lock:
            if pair not in self.sessions:
                return UNSIGNED
            self.sessions.discard(pair)
        return Reply(204, b"")

    def csrf_reply(self, request: Request) -> Reply | None:
        """As SAP: a token for who asks for one; None where the request may pass."""
        asked = request.headers.get("x-csrf-token", "")
        with self._lock:
            if request.method == "GET":
                if asked.lower() != "fetch":
                    return None
                self.csrf_fetches += 1
                self.csrf = secrets.token_urlsafe(12)
                cookie = ("Set-Cookie", f"SAP_SESSION={self.csrf[:6]}; path=/; HttpOnly")
                return Reply(200, {}, [("X-CSRF-Token", self.csrf), cookie])
            known = self.csrf is not None and asked == self.csrf
            if known and request.cookies.get("SAP_SESSION") == str(self.csrf)[:6]:
                return None
            return Reply(403, {"error": {"code": "403"}}, [("X-CSRF-Token", "Required")])

    def _open(self) -> list[tuple[str, str]]:
        pair = secrets.token_hex(8), f".node{next(self._numbers)}"
        self.sessions.add(pair)
        self.most_sessions = max(self.most_sessions, len(self.sessions))
        return [
            ("Set-Cookie", f"B1SESSION={pair[0]}; path=/; HttpOnly"),
            ("Set-Cookie", f"ROUTEID={pair[1]}; path=/"),
        ]


def _signed(request: Request, header: str) -> bool:
    """OAuth1 by RFC 5849 with HMAC-SHA256, computed here anew."""
    if not header.startswith("OAuth "):
        return False
    pairs = [one.strip().partition("=") for one in header.removeprefix("OAuth ").split(",")]
    given = {unquote(name): unquote(value.strip('"')) for name, _, value in pairs}
    if given.pop("realm", "") != "PRACTICE_1" or given.get("oauth_token") != "token-id":
        return False
    signature = given.pop("oauth_signature", "")
    parts = urlsplit(request.raw)
    every = [*given.items(), *parse_qsl(parts.query, keep_blank_values=True)]
    parameters = "&".join(
        f"{name}={value}" for name, value in sorted((_plain(n), _plain(v)) for n, v in every)
    )
    address = f"http://{request.headers['host']}{parts.path}"
    base = "&".join((request.method, _plain(address), _plain(parameters)))
    key = f"{_plain(CONSUMER_SECRET)}&{_plain(TOKEN_SECRET)}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(signature, base64.b64encode(digest).decode())


def _plain(text: str) -> str:
    return quote(text, safe="~")
