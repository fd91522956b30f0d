"""What every request passes: the gate, the role, the form's token; then foreseen errors as pages.

Must not hold a rule of a page.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mappings.errors import Misconfigured, Transient, WaybillError
from portal_db.failures import as_waybill_error
from review.web import forms
from review.web.desk import desk_of
from review.web.gate import Page, admit
from review.web.render import page

log = logging.getLogger(__name__)

HEADERS = {
    # nothing from elsewhere, no inline script or style; Airflow shows us in a frame of its own
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_NOT_FOUND = frozenset({"unknown_item", "no_message", "run", "not_found"})

_NOT_OURS = (
    "The form is too old, or not from this page. Nothing was changed: go back, reload, try again."
)
_TOO_SLOW = "This took longer than a page may. Narrow the filter."
_BUG = "Nothing was changed by this page. The log has its trace."

Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(one: Page) -> Endpoint:
    """The page's handler behind everything that stands before it."""

    async def answer(request: Request) -> Response:
        desk = desk_of(request)
        try:
            response = await _answered(one, request)
        except forms.TooLarge:
            response = _refused(request, 413, "That is too much", "Send less at once.")
        desk.gate.refresh(request, response)
        forms.keep_seed(request, response)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return answer


async def _answered(one: Page, request: Request) -> Response:
    refused = await _kept_out(one, request)
    if refused is not None:
        return refused
    if request.method == "POST":
        await forms.take_form(request)
        if not forms.ours(request):
            return _refused(request, 403, "Not taken", _NOT_OURS)
    try:
        return await run_in_threadpool(one.handler, request)
    except WaybillError as error:
        return _foreseen(request, error)
    except (psycopg.Error, SQLAlchemyError) as error:
        meant = as_waybill_error(error)
        if isinstance(getattr(error, "orig", error), psycopg.errors.QueryCanceled):
            return _refused(request, 503, "Too slow", _TOO_SLOW)
        if meant is not None:
            return _foreseen(request, meant)
        log.exception("%s failed", one.path)
    except Exception:
        log.exception("%s failed", one.path)
    return _refused(request, 500, "This is a bug", _BUG)


async def _kept_out(one: Page, request: Request) -> Response | None:
    """The answer to who may not see a page; None where they may."""
    if one.public:
        return None
    desk = desk_of(request)
    user = await desk.gate.user(request)
    if user is None:
        return RedirectResponse(desk.gate.login_url(request), status_code=303)
    admit(request, user)
    needed = one.needs(request.method)
    if needed & user.roles:
        return None
    says = (
        f"This needs the role {' or '.join(sorted(needed))}; "
        f"{user.name} has {', '.join(sorted(user.roles)) or 'none'}."
    )
    return _refused(request, 403, "Not allowed", says)


def _foreseen(request: Request, error: WaybillError) -> Response:
    log.info("%s: %s", request.url.path, error)
    if isinstance(error, Transient):
        status = 503
    elif isinstance(error, Misconfigured) and error.code in _NOT_FOUND and request.method == "GET":
        status = 404
    else:
        status = 409
    return _refused(request, status, error.what, error.remedy or "")


def _refused(request: Request, status: int, title: str, says: str) -> Response:
    return page(request, "refused.html", status=status, title=title, says=says)
