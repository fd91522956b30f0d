"""What the gateway does by itself, in rounds: wakes feeds, keeps subscriptions, tells alerts.

One thread; each job fails alone and is done again in the next round. Must not answer requests.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from mappings.errors import WaybillError
from portal_db import webhooks
from sync import alerts, watch
from sync.context import Context
from sync.subscriptions import keep_subscriptions
from sync.wake import GATEWAY, Wake, sweep_erp, sweep_gap, wake_waiting

log = logging.getLogger(__name__)

_DAY = 86400.0


class Rounds:
    """The gateway's own work, from `start` to `stop`.

    `public_url`: where ERPs reach the gateway; None: no subscription is made. `each`: seconds
    between rounds, ended early by `wake_up`.
    """

    def __init__(
        self, ctx: Context, wake: Wake, *, public_url: str | None, each: float = 15.0
    ) -> None:
        self._ctx = ctx
        self._wake = wake
        self._public_url = public_url
        self._each = each
        self._soon = threading.Event()
        self._stop = threading.Event()
        self._sweeps: dict[str, str] = {}
        self._lock = threading.Lock()
        self._next_cleaning = 0.0
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin, with what was missed while nobody was here."""
        self._thread.start()

    def stop(self) -> None:
        """End after the job at hand."""
        self._stop.set()
        self._soon.set()
        self._thread.join(30)

    def wake_up(self) -> None:
        """A call came in: do not wait for the next round."""
        self._soon.set()

    def sweep(self, erp: str, why: str) -> None:
        """Pull everything that an ERP calls about, in the next round."""
        with self._lock:
            self._sweeps[erp] = why
        self._soon.set()

    def once(self) -> None:
        """One round."""
        for job in (self._swept, self._woken, self._subscribed, self._watched, self._told):
            self._tried(job)
        self._tried(self._alive)

    def _run(self) -> None:
        self._tried(lambda: sweep_gap(self._ctx, self._wake))
        while not self._stop.is_set():
            self.once()
            self._soon.wait(self._each)
            self._soon.clear()

    def _tried(self, job: Callable[[], object]) -> None:
        try:
            job()
        except (WaybillError, psycopg.Error, SQLAlchemyError) as error:
            log.warning("%s", error)
        except Exception:
            log.exception("a round failed")

    def _swept(self) -> None:
        with self._lock:
            sweeps, self._sweeps = self._sweeps, {}
        for erp, why in sweeps.items():
            sweep_erp(self._ctx, self._wake, erp, why)

    def _woken(self) -> None:
        wake_waiting(self._ctx, self._wake)

    def _subscribed(self) -> None:
        if self._public_url is not None:
            keep_subscriptions(self._ctx, self._public_url, self._wake)

    def _watched(self) -> None:
        watch.look(self._ctx)

    def _told(self) -> None:
        alerts.tell(self._ctx)

    def _alive(self) -> None:
        with self._ctx.connection() as connection:
            webhooks.note_alive(connection, GATEWAY)
            if time.monotonic() >= self._next_cleaning:
                self._next_cleaning = time.monotonic() + _DAY
                webhooks.forget_old(connection)
