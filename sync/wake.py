"""What follows an ERP's call: the feed that it is about is pulled, once however many calls came.

Events are rows, so nothing is lost while Airflow is away. A `collection` is one pull from the
cursor like any other: the ERP's own filter of what changed. Must not pull by itself.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mappings.errors import Misconfigured, WaybillError
from portal_db import webhooks
from portal_db.audit import record
from portal_db.webhooks import Event
from sync.context import Context
from sync.scope import scope_of
from sync.turn import want

log = logging.getLogger(__name__)

Wake = Callable[[str, str], str]
"""Starts a pull of (ERP, feed); returns what it did, for the record. Raises WaybillError."""

GATEWAY = "gateway"


def want_feed(ctx: Context, erp: str, feed: str) -> str:
    """Without Airflow: leave a note, so that whoever pulls the feed goes once more."""
    mapping = ctx.erp(erp)
    scope = scope_of(ctx.feed(erp, feed), mapping.time_zone, datetime.now(UTC))
    want(ctx, erp, feed, scope.key)
    return "marked as wanted"


def ask_for_pull(ctx: Context, erp: str, feed: str, *, actor: str) -> None:
    """A person wants a feed pulled now: written down beside the ERP's own calls, so that whoever
    wakes feeds for those does it for this. Raises Misconfigured where it is not mapped.
    """
    ctx.feed(erp, feed)
    with ctx.connection() as connection, connection.transaction():
        event = Event(f"person {uuid.uuid4()}", "person", actor, feed)
        webhooks.take_events(connection, erp, [event])
        record(connection, actor, "pull asked for", f"{erp}/{feed}", {})


def wake_waiting(ctx: Context, wake: Wake) -> list[tuple[str, str]]:
    """Start a pull of every feed that calls are waiting for; returns those started.

    One that cannot be started now keeps its events; the next round tries again.
    """
    started = []
    with ctx.connection() as connection:
        found = webhooks.waiting(connection)
    for erp, feed, newest in found:
        try:
            says = wake(erp, feed)
        except Misconfigured as error:
            says = str(error)  # a feed that is not mapped any more: nobody will ever pull it
        except WaybillError as error:
            log.warning("%s/%s cannot be started: %s", erp, feed, error, extra={"erp": erp})
            continue
        with ctx.connection() as connection:
            webhooks.woken(connection, erp, feed, newest, says)
        started.append((erp, feed))
    return started


def sweep_gap(ctx: Context, wake: Wake) -> list[tuple[str, str]]:
    """At the start: pull what ERPs may have given up telling us while the gateway was away."""
    with ctx.connection() as connection:
        away = webhooks.absence(connection, GATEWAY)
    swept = []
    for erp, mapping in ctx.mappings.mappings.items():
        words = mapping.webhooks
        if words is None or away is None or away <= timedelta(hours=words.retry_hours):
            continue
        for feed in dict.fromkeys(words.feeds.values()):
            swept.append((erp, feed))
            _start(wake, erp, feed, f"the gateway was away for {away}")
    return swept


def sweep_erp(ctx: Context, wake: Wake, erp: str, why: str) -> list[tuple[str, str]]:
    """Pull every feed that an ERP calls about: a call was lost, or said what nobody understands."""
    words = ctx.erp(erp).webhooks
    feeds = list(dict.fromkeys(words.feeds.values())) if words else []
    for feed in feeds:
        _start(wake, erp, feed, why)
    return [(erp, feed) for feed in feeds]


def _start(wake: Wake, erp: str, feed: str, why: str) -> None:
    log.warning("%s/%s is pulled: %s", erp, feed, why, extra={"erp": erp, "feed": feed})
    try:
        wake(erp, feed)
    except WaybillError as error:  # its schedule comes anyway
        log.warning("%s/%s cannot be started: %s", erp, feed, error, extra={"erp": erp})
