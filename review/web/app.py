"""The desk as one ASGI application: every page behind the gate. Wires, and nothing else.

Must not hold a rule of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from mappings.errors import Misconfigured
from mappings.settings import Settings
from review.web.desk import Desk
from review.web.gate import Gate, Page
from review.web.guard import guarded
from review.web.pages import PAGES
from review.web.render import STATIC

_SHEETS = {"desk.css": "text/css", "desk.js": "text/javascript", "icon.svg": "image/svg+xml"}


def make_app(
    settings: Settings, gate: Gate, *, prefix: str = "", more: tuple[Page, ...] = ()
) -> Starlette:
    """The application. `prefix` is where it is mounted, if the server in front does not say.

    `more` are pages of the gate's own (a sign-in).
    """
    pages = (*PAGES, *more, *_OPEN)
    desk = Desk(settings, gate, prefix, pages)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    routes = [Route(one.path, guarded(one), methods=list(one.methods)) for one in pages]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.desk = desk
    return app


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _SHEETS:
        raise Misconfigured("there is no such file", code="not_found")
    return FileResponse(
        STATIC / name, media_type=_SHEETS[name], headers={"cache-control": "max-age=3600"}
    )


def _health(_request: Request) -> Response:
    return PlainTextResponse("alive")


_OPEN = (
    Page("/static/{name}", _static, public=True),
    Page("/health", _health, public=True),
)
