"""Delivers what is owed the moment it is committed: listens to the outbox, and looks by itself too.

The listening connection may break and notifications may be lost: every few seconds everything that
is due is looked for, and Airflow's sweep is the net below this process. Each ERP has workers and
looks of its own, so that one that is slow holds up nobody else's messages. Must not know how a
message is sent: `sync/deliver.py` does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from mappings.errors import WaybillError
from sync.deliver import DeliveryReport

log = logging.getLogger(__name__)

CHANNEL = "waybill_outbox"
_STOPS_WITHIN = 0.5
"""Seconds after which the listener sees that it is to stop."""
Deliver = Callable[[str, int | None], DeliveryReport]
"""Delivers one message of an ERP, or with None everything of it that is due."""
ErpOf = Callable[[int], str | None]
"""The ERP that a message is owed to; None where there is no such message."""
Done = Callable[[DeliveryReport], None]


class OutboxWatch:
    """Threads that deliver, from `start` to `stop`. `url`: of the database, for listening.

    `erps`: those that take messages. `poll`: seconds between two looks for what is due. `workers`
    messages of an ERP go at once; what comes while all are busy is found by the next look, which
    follows at once.
    """

    def __init__(
        self,
        url: str,
        deliver: Deliver,
        erp_of: ErpOf,
        erps: Iterable[str],
        *,
        poll: float = 5.0,
        workers: int = 8,
        done: Done = lambda _report: None,
    ) -> None:
        self._url = url
        self._erp_of = erp_of
        self._poll = poll
        self._stop = threading.Event()
        self._lanes = {erp: _Lane(erp, deliver, poll, workers, done, self._stop) for erp in erps}
        self._thread = threading.Thread(target=self._listen, name="outbox-listen", daemon=True)
        self.listening = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        for lane in self._lanes.values():
            lane.start()

    def stop(self) -> None:
        """Take nothing new and wait for what is being sent."""
        self._stop.set()
        for lane in self._lanes.values():
            lane.look_now()
        self._thread.join(self._poll + 5)
        for lane in self._lanes.values():
            lane.join()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=10) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.listening.set()
                    self._look_everywhere()  # what was committed before we listened
                    while not self._stop.is_set():
                        for told in connection.notifies(timeout=_STOPS_WITHIN):
                            self._told(told.payload)
            except psycopg.Error as error:
                self.listening.clear()
                log.warning("not listening to the outbox: %s", type(error).__name__)
                self._stop.wait(min(self._poll, 2.0))

    def _told(self, payload: str) -> None:
        try:
            erp = self._erp_of(int(payload)) if payload.isdecimal() else None
        except (WaybillError, psycopg.Error, SQLAlchemyError) as error:
            log.warning("whose message %s is, is not known: %s", payload, type(error).__name__)
            erp = None
        lane = self._lanes.get(erp or "")
        if lane is None:
            self._look_everywhere()
        else:
            lane.told(int(payload))

    def _look_everywhere(self) -> None:
        for lane in self._lanes.values():
            lane.look_now()


class _Lane:
    """One ERP's messages: a thread that looks, and workers for those told by name."""

    def __init__(
        self,
        erp: str,
        deliver: Deliver,
        poll: float,
        workers: int,
        done: Done,
        stop: threading.Event,
    ) -> None:
        self._erp = erp
        self._deliver = deliver
        self._poll = poll
        self._done = done
        self._stop = stop
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"deliver-{erp}")
        self._free = threading.Semaphore(workers)
        self._look = threading.Event()
        self._behind = threading.Event()
        """A message could not go yet: another of its dealer was on its way."""
        self._thread = threading.Thread(target=self._sweep, name=f"sweep-{erp}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait for what is being sent, once `stop` is set."""
        self._thread.join(self._poll + 5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def look_now(self) -> None:
        """Look for what is due, without waiting for the time to come round."""
        self._look.set()

    def told(self, message_id: int) -> None:
        """A message was committed."""
        if not self._free.acquire(blocking=False):
            self._look.set()
            return
        self._pool.submit(self._one, message_id)

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
            report = self._deliver(self._erp, message_id)
        except (WaybillError, psycopg.Error, SQLAlchemyError) as error:
            log.warning("nothing was delivered: %s", error, extra={"erp": self._erp})
            return True  # the next look is soon enough: the database may be away
        except Exception:
            log.exception("delivering failed", extra={"erp": self._erp})
            return True
        self._done(report)
        return report.attempts > 0
