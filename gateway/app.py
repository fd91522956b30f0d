"""The gateway's web application: routes, access, errors, measurements. Wires, and nothing else.

Must not be started here, and must not hold a rule of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import anyio.to_thread
import psycopg
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.access import Access
from gateway.answers import Plain, refusal
from gateway.live import Live
from gateway.metrics import Metrics
from gateway.orders import Orders
from gateway.reserve import Reserve
from gateway.rounds import Rounds
from gateway.webhooks import WebhooksIn
from mappings.errors import WaybillError
from portal_db.gateway_figures import Figure, figures, outbox_age
from sync.ask import WITHIN, Asker
from sync.context import Context
from sync.pricing import PriceOf

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
_PORTAL = ("portal",)


@dataclass(slots=True)
class Parts:
    """What the application is made of. `oldest`: how old a message that could go may be, for
    readiness; `prices`: what a price echo is held to.
    """

    ctx: Context
    asker: Asker
    access: Access
    rounds: Rounds
    prices: PriceOf | None = None
    within: timedelta = WITHIN
    oldest: timedelta = timedelta(minutes=10)
    metrics: Metrics = field(init=False)
    own: Reserve = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self._figures)
        self.own = Reserve(self.ctx)

    def close(self) -> None:
        """Give back what was opened here."""
        self.own.close()

    def _figures(self) -> list[Figure]:
        try:
            with self.ctx.connection() as connection:
                return figures(connection)
        except (psycopg.Error, SQLAlchemyError):
            return []  # without a database the process's own figures are still worth reading


def application(parts: Parts) -> Starlette:
    """The ASGI application."""
    live = Live(parts.own, parts.asker, parts.metrics, parts.within)
    orders = Orders(parts.ctx, parts.own, parts.asker, parts.metrics, parts.within, parts.prices)
    calls = WebhooksIn(parts.ctx, parts.metrics, parts.rounds)

    async def health(_request: Request) -> Response:
        """Is the process there? Says nothing about what it needs."""
        return Plain({"alive": True})

    async def ready(_request: Request) -> Response:
        """Can it work: does the database answer, does what could go, go?"""
        return await anyio.to_thread.run_sync(_readiness, parts)

    async def metrics(_request: Request) -> Response:
        text = await anyio.to_thread.run_sync(parts.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def route(path: str, endpoint: Endpoint, method: str, *roles: str) -> Route:
        return Route(path, _guarded(parts, path, endpoint, roles), methods=[method])

    return Starlette(
        routes=[
            route("/health", health, "GET"),
            route("/ready", ready, "GET"),
            route("/metrics", metrics, "GET", "portal", "metrics"),
            route("/credit/{dealer}", live.credit, "GET", *_PORTAL),
            route("/price", live.price, "GET", *_PORTAL),
            route("/stock", live.stock, "GET", *_PORTAL),
            route("/orders", orders.post, "POST", *_PORTAL),
            route("/orders/{reference}", orders.get, "GET", *_PORTAL),
            route("/orders/{reference}/approve", orders.approve, "POST", *_PORTAL),
            route("/webhooks/{erp}", calls.post, "POST"),
        ]
    )


def _guarded(parts: Parts, path: str, endpoint: Endpoint, roles: tuple[str, ...]) -> Endpoint:
    """Access first, then the work, then every foreseen error as an answer."""

    async def answer(request: Request) -> Response:
        began = request.state.arrived = time.monotonic()
        response: Response | None = parts.access.refusal(request, *roles) if roles else None
        if response is None:
            try:
                response = await endpoint(request)
            except WaybillError as error:
                response = refusal(error)
            except (psycopg.Error, SQLAlchemyError) as error:
                log.warning("%s: the database failed: %s", path, type(error).__name__)
                response = Plain({"error": "database", "says": "Try again."}, status_code=503)
            except Exception:
                log.exception("%s failed", path)
                response = Plain({"error": "bug", "says": "This is ours."}, status_code=500)
        parts.metrics.requests.labels(path, str(response.status_code)).inc()
        parts.metrics.seconds.labels(path).observe(time.monotonic() - began)
        return response

    return answer


def _readiness(parts: Parts) -> Response:
    try:
        with parts.ctx.connection() as connection:
            connection.execute("SELECT 1")
            age = outbox_age(connection)
    except (psycopg.Error, SQLAlchemyError):
        return Plain({"ready": False, "because": "the database does not answer"}, status_code=503)
    if age > parts.oldest.total_seconds():
        body = {"ready": False, "because": "messages could go and do not", "oldest_seconds": age}
        return Plain(body, status_code=503)
    return Plain({"ready": True, "oldest_seconds": round(age), "erps": parts.asker.states()})
