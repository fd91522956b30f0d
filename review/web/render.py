"""Pages out of templates: what every page is given, and how values are written for people.

Instants are UTC, amounts are exact decimals; nothing is rounded that is not said to be. Must not
read the database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from itsdangerous import BadSignature
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from review.web import charts, forms
from review.web.desk import desk_of
from review.web.gate import user_if_any
from sync.history import key_words

UNREADABLE = "unreadable:"
SAID = "waybill_desk_said"
_SAID_SECONDS = 60
_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def page(request: Request, template: str, *, status: int = 200, **context: object) -> Response:
    """The template as an answer. `context` comes on top of what every page has: `user`, `menu`,
    `token`, `url`, `said`, `now`, `charts`.
    """
    user = user_if_any(request)
    desk = desk_of(request)
    said = _said(request)
    everywhere: dict[str, object] = {
        "request": request,
        "user": user,
        "menu": _menu(request) if user else (),
        "token": forms.token(request),
        "url": lambda path, /, **query: url(request, path, **query),
        "said": said,
        "now": datetime.now(UTC),
        "charts": charts,
        "sign_out": desk.gate.logout_url(request) if user else None,
    }
    html = _ENVIRONMENT.get_template(template).render(everywhere | context)
    response = HTMLResponse(html, status_code=status)
    if said:
        response.delete_cookie(SAID, path="/")
    return response


def url(request: Request, path: str, /, **query: object) -> str:
    """The address of one of our pages, wherever the application is mounted; None drops a part."""
    base = str(request.scope.get("root_path") or desk_of(request).prefix).rstrip("/")
    kept = [(name, value) for name, value in query.items() if value not in (None, "")]
    return f"{base}{path}" + (f"?{urlencode(kept, doseq=True)}" if kept else "")


def go(request: Request, path: str, /, *, said: str = "", **query: object) -> Response:
    """Send the browser to one of our pages after a POST; `said` is shown there once."""
    response = RedirectResponse(url(request, path, **query), status_code=303)
    if said:
        text = desk_of(request).signer("said").dumps(said)
        response.set_cookie(
            SAID,
            text if isinstance(text, str) else text.decode(),
            max_age=_SAID_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
    return response


def age(since: datetime | timedelta | None, now: datetime | None = None) -> str:
    """How long ago, in the largest whole unit: `4 min`, `3 h`, `12 d`; `–` for never."""
    if since is None:
        return "–"
    if isinstance(since, timedelta):
        seconds = since.total_seconds()
    else:
        seconds = ((now or datetime.now(UTC)) - since).total_seconds()
    seconds = max(0.0, seconds)
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def instant(value: datetime | None) -> str:
    """`2026-03-29 01:30:05` in UTC; `–` for none."""
    return "–" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def number(value: float | Decimal | None) -> str:
    """Digits in groups of three, exact; `–` for none."""
    if value is None:
        return "–"
    if isinstance(value, Decimal):
        return exact(value)
    return f"{value:,}"


def exact(value: Decimal | None, least: int = 0) -> str:
    """All digits of a decimal but zeros at its end, `least` of them behind the point; `–` for none.

    `12.500000` is `12.5`, as an amount (`exact(2)`) `12.50`; `0.000001` stays what it is.
    """
    if value is None:
        return "–"
    whole, _, rest = f"{value:,f}".partition(".")
    rest = rest.rstrip("0").ljust(least, "0")
    return f"{whole}.{rest}" if rest else whole


def counted(value: int, one: str) -> str:
    """A number with what it counts: `1 record`, `2,000 records`."""
    return f"{value:,} {one if value == 1 else one + 's'}"


def money(value: Decimal | None, currency: str | None = None) -> str:
    """An amount with two digits behind the point and its currency; `–` for none."""
    if value is None:
        return "–"
    return f"{value:,.2f}" + (f" {currency}" if currency else "")


def key_text(stored: str | None) -> str:
    """A record's key as people type it; one that could not be read is said so."""
    if stored is None or stored.startswith(UNREADABLE):
        return "without a readable key"
    return key_words(stored) or ""


def _plain(value: object) -> str:
    """Any value of the database as text, as it stands."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
    return str(value)


def _menu(request: Request) -> list[tuple[str, str, bool]]:
    """(address, name, is it open now) of the pages that this person may see."""
    desk, user = desk_of(request), user_if_any(request)
    here = request.scope.get("path", "").removeprefix(str(request.scope.get("root_path", "")))
    found = []
    for one in desk.pages:
        if one.nav and user and one.needs("GET") & user.roles:
            inside = one.path != "/" and here.startswith(one.path)
            found.append((url(request, one.path), one.nav, here == one.path or inside))
    return found


def _said(request: Request) -> str | None:
    given = request.cookies.get(SAID)
    if not given:
        return None
    try:
        return str(desk_of(request).signer("said").loads(given, max_age=_SAID_SECONDS))
    except BadSignature:
        return None


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "age": age, "instant": instant, "number": number, "exact": exact, "counted": counted,
        "key": key_text, "money": money, "plain": _plain,
    }  # fmt: skip
    made.filters.update(filters)
    return made


_ENVIRONMENT = _environment()
