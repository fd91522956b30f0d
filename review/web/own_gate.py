"""The desk's own sign-in, for where it runs without Airflow: a page, a signed session, a limit.

A session lives in a cookie that scripts cannot read: 30 minutes without a request, 12 hours at
the most, and no longer than the account's password and role stay as they were. Must not decide
what a person may do.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mappings.private_files import DESK_KEY
from mappings.settings import Settings
from review.web import forms
from review.web.accounts import read_accounts, signed_in
from review.web.desk import desk_of
from review.web.gate import READERS, Page, Role, User
from review.web.render import page, url

COOKIE = "waybill_desk"
_IDLE_SECONDS, _LONGEST_SECONDS, _AGAIN_SECONDS = 1800, 43200, 60
_WINDOW_SECONDS = 300.0
_PER_PERSON_AND_PLACE, _PER_PLACE = 5, 30
_MOST_PLACES = 10_000
_SESSION = "waybill_session"


class OwnGate:
    """People with an account of ours (`waybill desk-user`)."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self.limit = Limit()

    async def user(self, request: Request) -> User | None:
        """Who has a session that still counts."""
        given = request.cookies.get(COOKIE)
        if not given:
            return None
        try:
            session: dict[str, Any] = self._signer().loads(given)
        except BadSignature:
            return None
        account = read_accounts(self._settings).get(session["name"])
        if account is None or session["stamp"] != account.stamp:
            return None
        now = self._clock()
        if now - session["began"] > _LONGEST_SECONDS or now - session["seen"] > _IDLE_SECONDS:
            return None
        setattr(request.state, _SESSION, session)
        roles: frozenset[Role] = frozenset({account.role, "auditor"})
        return User(account.name, roles)

    def login_url(self, request: Request) -> str:
        """Our sign-in page, with the way back."""
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return f"{url(request, '/sign-in')}?back={quote(back)}"

    def logout_url(self, request: Request) -> str | None:
        """Our sign-out."""
        return url(request, "/sign-out")

    def refresh(self, request: Request, response: Response) -> None:
        """Begin the 30 minutes anew, once a minute."""
        session = getattr(request.state, _SESSION, None)
        if session is None or self._clock() - session["seen"] < _AGAIN_SECONDS:
            return
        self.keep(request, response, {**session, "seen": self._clock()})

    def begin(self, request: Request, response: Response, name: str) -> None:
        """Give the browser a new session for an account."""
        stamp = read_accounts(self._settings)[name].stamp
        now = self._clock()
        self.keep(request, response, {"name": name, "stamp": stamp, "began": now, "seen": now})

    def keep(self, request: Request, response: Response, session: dict[str, Any]) -> None:
        """Put a session into the browser."""
        text = self._signer().dumps(session)
        response.set_cookie(
            COOKIE,
            text if isinstance(text, str) else text.decode(),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
            path="/",
        )

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._settings.secret(DESK_KEY), salt="desk.session")


class Limit:
    """Failed sign-ins of the last five minutes: 5 a name and address, 30 an address.

    By address, so that nobody can lock another person out. Lives with the process.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def reached(self, name: str, place: str) -> bool:
        """Must this one wait?"""
        with self._lock:
            return (
                self._count((name, place)) >= _PER_PERSON_AND_PLACE
                or self._count(("", place)) >= _PER_PLACE
            )

    def failed(self, name: str, place: str) -> None:
        """Note a failure."""
        with self._lock:
            if len(self._failed) > _MOST_PLACES:
                for key in list(self._failed):
                    if not self._count(key):
                        del self._failed[key]
            for key in ((name, place), ("", place)):
                self._failed[key].append(self._clock())

    def _count(self, key: tuple[str, str]) -> int:
        found = self._failed[key]
        while found and found[0] < self._clock() - _WINDOW_SECONDS:
            found.popleft()
        return len(found)


def _sign_in(request: Request) -> Response:
    desk = desk_of(request)
    gate = desk.gate
    if not isinstance(gate, OwnGate):
        raise TypeError("the sign-in page belongs to our own gate")
    settings = desk.settings
    back = _inside(request, request.query_params.get("back", ""))
    says, status, name = "", 200, ""
    if request.method == "POST":
        name = forms.field(request, "name")
        place = request.client.host if request.client else ""
        password = forms.form_of(request).get("password")
        if gate.limit.reached(name, place):
            says, status = "Too many tries. Wait five minutes.", 429
        elif account := signed_in(settings, name, password if isinstance(password, str) else ""):
            response = RedirectResponse(back, status_code=303)
            gate.begin(request, response, account.name)
            return response
        else:
            gate.limit.failed(name, place)
            says, status = "Name and password do not go together.", 403
    return page(
        request,
        "sign_in.html",
        status=status,
        says=says,
        name=name,
        back=back,
        empty=not read_accounts(settings),
    )


def _sign_out(request: Request) -> Response:
    response = RedirectResponse(url(request, "/sign-in"), status_code=303)
    response.delete_cookie(COOKIE, path="/")
    setattr(request.state, _SESSION, None)
    return response


def _inside(request: Request, back: str) -> str:
    """Only a path of ours is a way back: never another site."""
    if back.startswith("/") and not back.startswith(("//", "/\\")):
        return back
    return url(request, "/")


ROUTES = (
    Page("/sign-in", _sign_in, methods=("GET", "POST"), public=True),
    Page("/sign-out", _sign_out, roles=READERS, methods=("POST",)),
)
