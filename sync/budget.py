"""The budget of an ERP account, kept in PostgreSQL for all DAGs, processes and both lanes.

Waits for a turn with no transaction open. A place in flight is a row with a lease that is renewed
while the request lasts, so that a killed process's place comes back by itself. Must not know a
protocol or a feed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from connectors.budget import Budget
from mappings.errors import RateLimited
from mappings.spec import ErpMapping
from portal_db import budgets
from portal_db.budgets import Allowed, Lane, Turn
from sync.context import Context

_PATIENCE = {"bulk": 120.0, "now": 2.0}
_LEASE = timedelta(seconds=60)
_LONGEST_PAUSE = 3600.0
_log = logging.getLogger(__name__)


def erp_budget(
    ctx: Context,
    erp: str,
    lane: Lane,
    *,
    patience: float | None = None,
    lease: timedelta = _LEASE,
) -> Budget:
    """The budget of the account that this ERP's mapping signs in with.

    Two mappings of one connection share it. `patience`: seconds that a request may wait for its
    turn before it is RateLimited; by default 120 for `bulk`, 2 for `now`.
    """
    mapping = ctx.erp(erp)
    return _AccountBudget(ctx, mapping, lane, patience or _PATIENCE[lane], lease)


def allowed(mapping: ErpMapping) -> Allowed:
    """The limits as the mapping states them."""
    limits = mapping.limits
    return Allowed(
        limits.requests_per_minute, limits.concurrent, limits.reserve, limits.errors_per_hour
    )


def look(ctx: Context, erp: str) -> dict[str, Any]:
    """One ERP's limits and how much of them is in use, for people."""
    mapping = ctx.erp(erp)
    limits = mapping.limits
    with ctx.connection() as connection:
        now = budgets.state(connection, mapping.connection)
    stopped = [
        endpoint
        for endpoint, (count, _, _) in now.refusals.items()
        if limits.errors_per_hour is not None and count >= limits.errors_per_hour
    ]
    state = "paused" if now.paused_seconds else "stopped" if stopped else "open"
    return {
        "erp": erp,
        "account": mapping.connection,
        "state": state,
        "requests_per_minute": limits.requests_per_minute,
        "concurrent": limits.concurrent,
        "reserve": limits.reserve,
        "errors_per_hour": limits.errors_per_hour,
        "in_flight_bulk": now.bulk,
        "in_flight_now": now.now,
        "paused_seconds": round(now.paused_seconds, 1),
        "stopped": stopped,
        "refusals": {
            endpoint: {"count": count, "last_status": status, "since": since}
            for endpoint, (count, status, since) in now.refusals.items()
        },
    }


class _AccountBudget:
    """See `connectors.budget.Budget`."""

    def __init__(
        self, ctx: Context, mapping: ErpMapping, lane: Lane, patience: float, lease: timedelta
    ) -> None:
        self._ctx = ctx
        self._erp = mapping.erp
        self._account = mapping.connection
        self._allowed = allowed(mapping)
        self._lane: Lane = lane
        self._patience = patience
        self._lease = lease
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._held: set[int] = set()
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None

    @contextmanager
    def request(self, endpoint: str) -> Iterator[None]:
        """Wait for a turn and hold it; see `Budget.request`."""
        place = self._turn(endpoint, self._allowed)
        if place is None:
            yield
            return
        self._keep(place)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(place)
            self._give_back(place)

    def inside(self, endpoint: str) -> None:
        """Wait for the rate alone; see `Budget.inside`."""
        place = self._turn(endpoint, replace(self._allowed, concurrent=None))
        if place is not None:
            self._give_back(place)

    def _give_back(self, place: int) -> None:
        # a database that is away now lets the lease run out
        with (
            contextlib.suppress(psycopg.Error, SQLAlchemyError),
            self._ctx.connection() as connection,
        ):
            budgets.give_back(connection, place)

    def refused(self, endpoint: str, status: int) -> None:
        """Count it; says so in the log when this was the last one allowed."""
        with self._ctx.connection() as connection:
            count = budgets.note_refusal(connection, self._account, endpoint, status)
        if count == self._allowed.errors_per_hour:
            _log.warning(
                "%s: %d requests of %s were refused within the hour (last: %d); "
                "no more are sent until the oldest of them is an hour old",
                *(self._erp, count, endpoint, status),
            )

    def pause(self, seconds: float) -> None:
        """Nobody calls the account for that long, at most an hour."""
        with self._ctx.connection() as connection:
            budgets.pause(connection, self._account, min(seconds, _LONGEST_PAUSE))

    def _turn(self, endpoint: str, allowed: Allowed) -> int | None:
        until = time.monotonic() + self._patience
        while True:
            with self._ctx.connection() as connection:
                turn = budgets.take(
                    connection,
                    self._account,
                    endpoint,
                    self._lane,
                    allowed,
                    holder=self._holder,
                    lease=self._lease,
                )
            if turn.why == "granted":
                return turn.place
            if turn.why == "errors" or time.monotonic() + turn.seconds > until:
                raise self._denied(endpoint, turn)
            time.sleep(turn.seconds * random.uniform(1.0, 1.2) + 0.001)  # noqa: S311  spreads those who wait

    def _denied(self, endpoint: str, turn: Turn) -> RateLimited:
        limits = self._allowed
        if turn.why == "errors":
            with self._ctx.connection() as connection:
                status = budgets.last_status(connection, self._account, endpoint)
            return RateLimited(
                f"{endpoint}: {limits.errors_per_hour} requests were refused within the hour "
                f"(last: {status}), so none is sent for {turn.seconds / 60:.0f} minutes: "
                "the vendor would block the account",
                erp=self._erp,
                code="error_budget",
                retry_after=turn.seconds,
                remedy="Correct what was refused (the mapping or the connection); "
                "see `waybill limits`.",
            )
        why = {
            "paused": "the ERP asked everybody to wait",
            "places": "as many requests as it allows at once are under way",
            "rate": f"its {limits.requests_per_minute} requests a minute are used up",
        }[turn.why]
        return RateLimited(
            f"{endpoint}: {why}",
            erp=self._erp,
            code="rate_limit",
            retry_after=turn.seconds,
            remedy="It is tried again by itself.",
        )

    # --- leases ---

    def _keep(self, place: int) -> None:
        with self._lock:
            self._held.add(place)
            if self._keeper is None:
                self._keeper = threading.Thread(
                    target=self._renew, name=f"budget-{self._account}", daemon=True
                )
                self._keeper.start()

    def _renew(self) -> None:
        """Renew what is held, three times a lease; ends when nothing is."""
        while True:
            time.sleep(self._lease.total_seconds() / 3)
            with self._lock:
                held = list(self._held)
                if not held:
                    self._keeper = None
                    return
            with (
                contextlib.suppress(psycopg.Error, SQLAlchemyError),
                self._ctx.connection() as connection,
            ):
                budgets.renew(connection, held, self._lease)
