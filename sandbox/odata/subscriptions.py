"""Webhooks of the practice OData ERP, in the manner of Business Central.

Whoever subscribes must echo a validation token, on create and on renew. A call that is answered
with 4xx ends the subscription, one that is not answered with 2xx is repeated. Knows no data.
"""

import json
import secrets
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.odata.misbehaviour import error

LIFETIME = timedelta(days=3)
SET = "subscriptions"
_TIMEOUT = 10.0
_BOM = b"\xef\xbb\xbf"
_OK, _BAD = 200, 400


@dataclass
class Subscription:
    """Who wants to hear about one resource."""

    id: str
    url: str
    resource: str
    client_state: str
    expires_at: datetime
    etag: str = field(default_factory=lambda: secrets.token_hex(6))
    renewals: int = 0

    def as_json(self) -> dict[str, str]:
        """As the ERP shows it."""
        return {
            "@odata.etag": f'W/"{self.etag}"',
            "subscriptionId": self.id,
            "notificationUrl": self.url,
            "resource": self.resource,
            "clientState": self.client_state,
            "expirationDateTime": self.expires_at.isoformat().replace("+00:00", "Z"),
        }


class Subscriptions:
    """All subscriptions of one server. Thread-safe. `sent` are the calls made: (body, status)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Subscription] = {}
        self.sent: list[tuple[bytes, int]] = []
        self.waiting: list[tuple[str, bytes]] = []
        """Calls that were not taken: (subscription, body); `repeat` sends them again."""

    def clear(self) -> None:
        """Nobody is subscribed."""
        with self._lock:
            self._known.clear()
            self.waiting.clear()
            self.sent.clear()

    @property
    def known(self) -> list[Subscription]:
        """Who is subscribed, expired ones too."""
        with self._lock:
            return list(self._known.values())

    def forget(self, resource: str) -> None:
        """Lose a subscription without a word, as an ERP's operator may."""
        with self._lock:
            self._known = {k: s for k, s in self._known.items() if s.resource != resource}

    def notify(self, resource: str, change: str = "updated", *, bom: bool = False) -> list[int]:
        """Tell everybody who wants to know; returns the statuses they answered."""
        body_of = {
            one.id: self._body(one, change)
            for one in self.known
            if one.resource == resource and one.expires_at > datetime.now(UTC)
        }
        return [self._call(key, (_BOM if bom else b"") + body) for key, body in body_of.items()]

    def repeat(self) -> list[int]:
        """Send what was not taken once more."""
        with self._lock:
            waiting, self.waiting = self.waiting, []
        return [self._call(key, body) for key, body in waiting]

    def routes(self, root: str, signed_in: Callable[[Request], bool]) -> list[Route]:
        """The entity set of subscriptions."""

        async def create(request: Request) -> Response:
            if not signed_in(request):
                return error(401, "Unauthorized", "Sign in first.")
            wish: dict[str, Any] = json.loads(await request.body())
            one = Subscription(
                uuid.uuid4().hex,
                str(wish.get("notificationUrl", "")),
                str(wish.get("resource", "")),
                str(wish.get("clientState", "")),
                datetime.now(UTC) + LIFETIME,
            )
            if not await run_in_threadpool(_echoes, one.url):
                return error(400, "BadRequest", "The notificationUrl did not validate.")
            with self._lock:
                self._known[one.id] = one
            return JSONResponse(one.as_json(), status_code=201)

        async def change(request: Request) -> Response:
            if not signed_in(request):
                return error(401, "Unauthorized", "Sign in first.")
            with self._lock:
                one = self._known.get(request.path_params["key"].strip("'"))
            if one is None:
                return error(404, "NotFound", "No such subscription.")
            if request.method == "DELETE":
                with self._lock:
                    self._known.pop(one.id, None)
                return Response(status_code=204)
            if request.headers.get("if-match") not in {f'W/"{one.etag}"', "*"}:
                return error(409, "Request_EntityChanged", "Another etag.")
            if not await run_in_threadpool(_echoes, one.url):
                return error(400, "BadRequest", "The notificationUrl did not validate.")
            one.expires_at = datetime.now(UTC) + LIFETIME
            one.etag = secrets.token_hex(6)
            one.renewals += 1
            return JSONResponse(one.as_json())

        return [
            Route(f"{root}/{SET}", create, methods=["POST"]),
            Route(f"{root}/{SET}({{key}})", change, methods=["PATCH", "DELETE"]),
        ]

    def _body(self, one: Subscription, change: str) -> bytes:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        resource = f"api/v2.0/companies(1)/{one.resource}"
        if change == "collection":
            resource += "?$filter=lastModifiedDateTime gt 2026-01-01T00:00:00Z"
        else:
            resource += f"({uuid.uuid4()})"
        event = {
            "subscriptionId": one.id,
            "clientState": one.client_state,
            "expirationDateTime": one.expires_at.isoformat(),
            "resource": resource,
            "changeType": change,
            "lastModifiedDateTime": now,
        }
        return json.dumps({"value": [event]}).encode()

    def _call(self, key: str, body: bytes) -> int:
        with self._lock:
            one = self._known.get(key)
        if one is None:
            return 0
        status = _post(one.url, body)
        self.sent.append((body, status))
        with self._lock:
            if _BAD <= status < 500:  # noqa: PLR2004  the range of 4xx
                self._known.pop(key, None)
            elif not _OK <= status < 300:  # noqa: PLR2004  the range of 2xx
                self.waiting.append((key, body))
        return status


def _echoes(url: str) -> bool:
    """The handshake: does the address give the token back?"""
    token = secrets.token_urlsafe(24)
    full = f"{url}{'&' if '?' in url else '?'}validationToken={urllib.parse.quote(token)}"
    request = urllib.request.Request(full, data=b"", method="POST")  # noqa: S310  loopback
    try:
        with _opener().open(request, timeout=_TIMEOUT) as answer:
            return answer.status == _OK and answer.read().decode() == token
    except OSError:
        return False


def _post(url: str, body: bytes) -> int:
    """The status of the answer; 599 where there is none."""
    request = urllib.request.Request(  # noqa: S310  loopback
        url, data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with _opener().open(request, timeout=_TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 599


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
