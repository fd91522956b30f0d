"""Delivers what is owed the moment it is committed: listens to the outbox, and looks by itself too.

The listening connection may break and notifications may be lost: every few seconds everything that
is due is looked for, and Airflow's sweep is the net below this process. Must not know how a message
is sent: `sync/deliver.py` does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from mappings.errors import WaybillError
from sync.deliver import DeliveryReport

log = logging.getLogger(__name__)

CHANNEL = "waybill_outbox"
_STOPS_WITHIN = 0.5
"""Seconds after which the listener sees that it is to stop."""
Deliver = Callable[[int | None], DeliveryReport]
"""Delivers one message, or with None everything that is due."""


class OutboxWatch:
    """Threads that deliver, from `start` to `stop`. `url`: of the database, for listening.

    `poll`: seconds between two looks for what is due. `workers` messages go at once; what comes
    while all are busy is found by the next look, which follows at once.
    """

    def __init__(
        self,
        url: str,
        deliver: Deliver,
        *,
        poll: float = 5.0,
        workers: int = 8,
        done: Callable[[DeliveryReport], None] = lambda _report: None,
    ) -> None:
        self._url = url
        self._deliver = deliver
        self._poll = poll
        self._done = done
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="deliver")
        self._free = threading.Semaphore(workers)
        self._look = threading.Event()
        self._stop = threading.Event()
        self._behind = threading.Event()
        """A message could not go yet: another of its dealer was on its way."""
        self._threads = [
            threading.Thread(target=self._listen, name="outbox-listen", daemon=True),
            threading.Thread(target=self._sweep, name="outbox-sweep", daemon=True),
        ]
        self.listening = threading.Event()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take nothing new and wait for what is being sent."""
        self._stop.set()
        self._look.set()
        for thread in self._threads:
            thread.join(self._poll + 5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.listening.set()
                    self._look.set()  # what was committed before we listened
                    while not self._stop.is_set():
                        for told in connection.notifies(timeout=_STOPS_WITHIN):
                            self._told(told.payload)
            except psycopg.Error as error:
                self.listening.clear()
                log.warning("not listening to the outbox: %s", type(error).__name__)
                self._stop.wait(min(self._poll, 2.0))

    def _told(self, payload: str) -> None:
        if not payload.isdecimal() or not self._free.acquire(blocking=False):
            self._look.set()
            return
        self._pool.submit(self._one, int(payload))

    def _one(self, message_id: int) -> None:
        try:
            went = self._run(message_id)
        finally:
            self._free.release()
        if not went:
            self._behind.set()
            self._look.set()
        elif self._behind.is_set():  # what waited behind this one may go now
            self._behind.clear()
            self._look.set()

    def _sweep(self) -> None:
        while not self._stop.is_set():
            self._look.wait(self._poll)
            self._look.clear()
            if self._stop.is_set():
                return
            self._run(None)

    def _run(self, message_id: int | None) -> bool:
        """Deliver; False where nothing went, and nobody knows why not."""
        try:
            report = self._deliver(message_id)
        except (WaybillError, psycopg.Error, SQLAlchemyError) as error:
            log.warning("nothing was delivered: %s", error)
            return True  # the next look is soon enough: the database may be away
        except Exception:
            log.exception("delivering failed")
            return True
        self._done(report)
        return report.attempts > 0
