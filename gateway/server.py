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
from portal_db.server import database_url
from sync.ask import Asker
from sync.budget import erp_budget
from sync.context import Context
from sync.deliver import DeliveryReport, deliver_due
from sync.pricing import portal_prices
from sync.routes import publish_routes
from sync.wake import Wake

log = logging.getLogger(__name__)

WakeWith = Callable[[Context], Wake]
"""Makes the way in which feeds are woken, of a context."""


@contextmanager
def running(
    settings: Settings, wake_with: WakeWith, *, public_url: str | None, poll: float = 5.0
) -> Iterator[Parts]:
    """The gateway without its web server: context, asker, outbox, rounds."""
    with ExitStack() as stack:
        ctx = stack.enter_context(Context.open(settings))
        publish_routes(ctx)
        asker = stack.enter_context(Asker(ctx))
        rounds = Rounds(ctx, wake_with(ctx), public_url=public_url)
        access = Access(gateway_tokens(settings))
        parts = Parts(ctx, asker, access, rounds, prices=portal_prices(ctx))
        budgets = functools.cache(functools.partial(erp_budget, ctx, lane="now"))

        def deliver(message_id: int | None) -> DeliveryReport:
            if message_id is not None:
                return deliver_due(ctx, message_id=message_id, limit=1, budgets=budgets)
            return deliver_due(ctx, threads=4, budgets=budgets)

        def count(report: DeliveryReport) -> None:
            for outcome, number in report.outcomes.items():
                parts.metrics.deliveries.labels(outcome).inc(number)

        url = settings.database_url or database_url(settings) or ""
        watch = OutboxWatch(url, deliver, poll=poll, done=count)
        watch.start()
        stack.callback(watch.stop)
        rounds.start()
        stack.callback(rounds.stop)
        threading.Thread(target=asker.warm, name="warm", daemon=True).start()
        yield parts


def serve(settings: Settings, wake_with: WakeWith, *, port: int, public_url: str | None) -> None:
    """Serve on loopback until SIGTERM or Ctrl-C."""
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
