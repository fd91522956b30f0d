"""Posted forms and their token: only a form of ours, in the browser it was shown in, is taken.

The token is bound to a random cookie of the browser and to the person's name; beside it the
browser's own word (Origin, Sec-Fetch-Site) must not say otherwise. Must not read a field's meaning.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from mappings.private_files import DESK_KEY
from review.web.desk import desk_of
from review.web.gate import user_if_any

COOKIE = "waybill_desk_form"
FIELD = "token"
_FORM, _SEED = "waybill_form", "waybill_form_seed"
_MOST_FIELDS = 2_000
_MOST_BYTES = 2_000_000
_NONE, _SEED_BYTES = FormData(), 24


class TooLarge(ValueError):
    """The form is larger than any of ours."""


async def take_form(request: Request) -> None:
    """Read a POST's form, for `form_of`. Raises TooLarge."""
    if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
        raise TooLarge
    form = await request.form(max_fields=_MOST_FIELDS, max_files=0)
    setattr(request.state, _FORM, form)


def form_of(request: Request) -> FormData:
    """The posted form; empty for a GET."""
    return getattr(request.state, _FORM, _NONE)


def field(request: Request, name: str, default: str = "") -> str:
    """One posted field as text, without blanks around it."""
    value = form_of(request).get(name)
    return value.strip() if isinstance(value, str) else default


def token(request: Request) -> str:
    """What a form of this page must send back in `token`."""
    user = user_if_any(request)
    key = desk_of(request).settings.secret(DESK_KEY).encode()
    text = f"form|{_seed(request)}|{user.name if user else ''}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def ours(request: Request) -> bool:
    """Does this POST come from a form of ours?"""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    if origin is not None and origin != "null" and urlsplit(origin).netloc != host:
        return False
    if request.cookies.get(COOKIE) is None:
        return False
    return hmac.compare_digest(field(request, FIELD), token(request))


def keep_seed(request: Request, response: Response) -> None:
    """Give the browser the cookie that its tokens are bound to."""
    if request.cookies.get(COOKIE) is None and hasattr(request.state, _SEED):
        response.set_cookie(
            COOKIE,
            _seed(request),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )


def _seed(request: Request) -> str:
    given = request.cookies.get(COOKIE)
    if given:
        return given
    if not hasattr(request.state, _SEED):
        setattr(request.state, _SEED, secrets.token_urlsafe(_SEED_BYTES))
    return getattr(request.state, _SEED)
