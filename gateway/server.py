"""Runs the gateway: opens what it needs, serves, and closes it in order.

The command gives it its settings, its port and how a feed is woken. Must not know Airflow.
"""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import uvicorn

from gateway.access import Access
from gateway.app import Parts, application
from gateway.outbox import OutboxWatch
from gateway.rounds import Rounds
from mappings.private_files import gateway_tokens
from mappings.settings import Settings
from portal_db import outbox
from portal_db.server import database_url
from sync.ask import Asker
from sync.budget import erp_budget
from sync.context import Context
from sync.deliver import DeliveryReport, deliver_due, taking
from sync.pricing import portal_prices
from sync.routes import publish_routes
from sync.wake import Wake

log = logging.getLogger(__name__)

_ASKING = 8
_ASKING_PATIENCE = 1.0
_DELIVERING = 10
_DELIVERING_MORE = 40
_SWITCH_SECONDS = 0.0005
"""How long a thread may compute before another gets its turn: most of ours wait for somebody, and
with Python's own 5 ms each of their many short steps would wait for that long again."""

WakeWith = Callable[[Context], Wake]
"""Makes the way in which feeds are woken, of a context."""


def asking_context(ctx: Context) -> Context:
    """The same with the connections that live asks count their budget by; to be closed."""
    return ctx.beside(_ASKING, patience=_ASKING_PATIENCE)


@contextmanager
def running(
    settings: Settings, wake_with: WakeWith, *, public_url: str | None, poll: float = 5.0
) -> Iterator[Parts]:
    """The gateway without its web server: context, asker, outbox, rounds."""
    with ExitStack() as stack:
        ctx = stack.enter_context(Context.open(settings))
        publish_routes(ctx)
        # each kind of work has connections of its own: none can use up another's
        asking = stack.enter_context(asking_context(ctx))
        delivering = stack.enter_context(ctx.beside(_DELIVERING, more=_DELIVERING_MORE))
        asker = stack.enter_context(Asker(asking))
        rounds = Rounds(ctx, wake_with(ctx), public_url=public_url)
        access = Access(gateway_tokens(settings))
        parts = Parts(ctx, asker, access, rounds, prices=portal_prices(ctx))
        stack.callback(parts.close)
        budgets = functools.cache(functools.partial(erp_budget, delivering, lane="now"))

        def deliver(erp: str, message_id: int | None) -> DeliveryReport:
            if message_id is not None:
                return deliver_due(
                    delivering, erp=erp, message_id=message_id, limit=1, budgets=budgets
                )
            return deliver_due(delivering, erp=erp, threads=4, budgets=budgets)

        def erp_of(message_id: int) -> str | None:
            with delivering.connection() as connection:
                return outbox.erp_of(connection, message_id)

        def count(report: DeliveryReport) -> None:
            for outcome, number in report.outcomes.items():
                parts.metrics.deliveries.labels(outcome).inc(number)

        url = settings.database_url or database_url(settings) or ""
        watch = OutboxWatch(url, deliver, erp_of, taking(ctx), poll=poll, done=count)
        watch.start()
        stack.callback(watch.stop)
        rounds.start()
        stack.callback(rounds.stop)
        threading.Thread(target=asker.warm, name="warm", daemon=True).start()
        yield parts


def serve(settings: Settings, wake_with: WakeWith, *, port: int, public_url: str | None) -> None:
    """Serve on loopback until SIGTERM or Ctrl-C."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    # uvicorn ends well on a signal and then raises it again: as an exit, so that we end well too
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with running(settings, wake_with, public_url=public_url) as parts:
        config = uvicorn.Config(
            application(parts),
            host="127.0.0.1",
            port=port,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        log.info("the gateway serves at 127.0.0.1:%d", port)
        uvicorn.Server(config).run()
