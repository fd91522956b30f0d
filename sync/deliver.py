"""Deliver what is owed: claim, send or look up, record. The gateway and Airflow run this same code.

No transaction is open while an ERP is asked. Once a byte may have left, a message is only sent
again after the ERP was asked for it, or where it refuses doubles by itself. Must not know a
protocol or decide what an error means: `sending.py` does.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import tenacity

from connectors.budget import Budget
from connectors.protocol import Message
from mappings.errors import Transient, WaybillError
from mappings.messages import KINDS
from mappings.outbound import Outbound
from mappings.spec import ErpMapping
from portal_db import circuits, outbox, outcomes
from portal_db.failures import as_waybill_error
from portal_db.outbox import Claim
from portal_db.outcomes import Move
from sync import sending
from sync.budget import erp_budget
from sync.context import Context
from sync.mapping_text import mapping_text
from sync.outages import tell_circuit
from sync.routes import publish_routes
from sync.senders import Senders
from sync.windows import closed_until
from transforms.outward import render

log = logging.getLogger(__name__)

Budgets = Callable[[str], Budget]
_RECORD_SECONDS = 20.0
"""How long an outcome is tried to be recorded while the database is away; then the lease ends."""


@dataclass(slots=True)
class DeliveryReport:
    """What one call did: outcomes by name, and why an ERP was left alone."""

    outcomes: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    acknowledged: int = 0
    left_alone: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def attempts(self) -> int:
        """How many messages were sent or looked up."""
        return sum(self.outcomes.values())


def deliver_due(
    ctx: Context,
    *,
    erp: str | None = None,
    message_id: int | None = None,
    limit: int = 100,
    worker: str | None = None,
    threads: int = 1,
    budgets: Budgets | None = None,
    stop: threading.Event | None = None,
) -> DeliveryReport:
    """Deliver messages that are due, oldest first, up to `limit` attempts an ERP.

    `erp` or `message_id` narrows it; several ERPs go side by side, so that a slow one holds up
    nobody else's messages. `threads` dealers of an ERP at a time. `budgets` gives each
    ERP's budget (default: the account's, in the lane for what is wanted now). Raises Misconfigured
    for an unknown ERP; what goes wrong with a message is recorded with it and never raised. A lost
    database is raised as Transient.
    """
    report = DeliveryReport()
    if message_id is None:  # one that is named is there, so its route is
        publish_routes(ctx)
    if message_id is not None and erp is None:
        with ctx.connection() as connection:
            erp = outbox.erp_of(connection, message_id)
        if erp is None:
            return report
    names = [erp] if erp is not None else taking(ctx)
    me = worker or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    lanes = []
    for name in names:
        mapping = ctx.erp(name)
        if _takes(mapping):
            budget = erp_budget(ctx, name, "now") if budgets is None else budgets(name)
            lanes.append(_Lane(ctx, mapping, me, message_id, limit, budget, stop, report))
    try:
        _side_by_side([functools.partial(lane.run, threads) for lane in lanes])
    except Exception as error:
        raise as_waybill_error(error) or error from error
    return report


def taking(ctx: Context) -> list[str]:
    """The ERPs that take messages."""
    return sorted(name for name, mapping in ctx.mappings.mappings.items() if _takes(mapping))


def _takes(mapping: ErpMapping) -> bool:
    return any(mapping.outbound(kind) is not None for kind in KINDS)


def _side_by_side(jobs: list[Callable[[], None]]) -> None:
    """Each to its end, whatever becomes of the others; the first error is raised then."""
    if len(jobs) < 2:  # noqa: PLR2004  one needs no thread
        for job in jobs:
            job()
        return
    with ThreadPoolExecutor(len(jobs), thread_name_prefix="deliver") as pool:
        running = [pool.submit(job) for job in jobs]
    for one in running:
        one.result()


class _Lane:
    """One ERP's messages in one call."""

    def __init__(
        self,
        ctx: Context,
        mapping: ErpMapping,
        worker: str,
        only: int | None,
        limit: int,
        budget: Budget,
        stop: threading.Event | None,
        report: DeliveryReport,
    ) -> None:
        self.ctx = ctx
        self.mapping = mapping
        self.erp = mapping.erp
        self.worker = worker
        self.only = only
        self.budget = budget
        self.stop = stop or threading.Event()
        self.report = report
        self.sha256 = mapping_text(ctx, mapping.erp)[1]
        kinds = [how for kind in KINDS if (how := mapping.outbound(kind)) is not None]
        self.lease = max(how.lease for how in kinds)
        self.settle = max(how.settle for how in kinds)
        self.windows = (*mapping.windows, *(w for how in kinds for w in how.windows))
        self._left = limit

    def run(self, threads: int) -> None:
        """Everything that is due, by several threads with a sender each."""
        with self.ctx.connection() as connection:
            if self.only is None:  # what others have left is looked after by the sweeps
                expired = outbox.expire(connection, self.erp, settle=self.settle)
                told = outcomes.acknowledge_from_feed(connection, self.erp)
                with self.report.lock:
                    self.report.expired += len(expired)
                    self.report.acknowledged += len(told)
            if self._closed(connection):
                return
        if threads == 1:
            self._work(self.worker)
            return
        with ThreadPoolExecutor(threads, thread_name_prefix=f"deliver-{self.erp}") as pool:
            jobs = [pool.submit(self._work, f"{self.worker}/{n}") for n in range(threads)]
            for job in jobs:
                job.result()

    def _closed(self, connection: outbox.Connection) -> bool:
        """The ERP's own closed hours: nothing is tried, so nothing counts as a try."""
        until = closed_until(self.windows, self.mapping.time_zone, datetime.now(UTC))
        circuits.closed_until(connection, self.erp, until)
        if until is not None:
            self.report.left_alone[self.erp] = f"closed until {until:%H:%M}"
        return until is not None

    def _work(self, worker: str) -> None:
        with Senders(self.ctx, self.mapping, self.budget) as senders:
            while not self.stop.is_set() and self._take():
                if not self._one(worker, senders):
                    return

    def _take(self) -> bool:
        with self.report.lock:
            self._left -= 1
            return self._left >= 0

    def _one(self, worker: str, senders: Senders) -> bool:
        """Claim and process one message; False where there is nothing to do now."""
        with senders.database() as connection:
            if not senders.prepared and outbox.is_due(connection, self.erp):
                senders.prepare()
            gate = circuits.gate(connection, self.erp, worker=worker, lease=self.lease)
            if gate == "none":
                self.report.left_alone[self.erp] = "unreachable"
                return False
            claim = outbox.claim(
                connection,
                self.erp,
                worker=worker,
                lease=self.lease,
                mapping_sha256=self.sha256,
                message_id=self.only,
                canary=gate == "canary",
            )
            if claim is None and self.only is None:
                claim = outbox.claim_waiting(
                    connection,
                    self.erp,
                    worker=worker,
                    lease=self.lease,
                    mapping_sha256=self.sha256,
                )
            if claim is None:
                if gate == "canary":
                    circuits.nobody_waits(connection, self.erp, worker=worker)
                return False
        self._process(claim, worker, senders, canary=gate == "canary")
        return True

    def _process(self, claim: Claim, worker: str, senders: Senders, *, canary: bool) -> None:
        how = self.mapping.outbound(claim.kind)
        began = time.monotonic()
        error: Exception | None = None
        if how is None:
            error = WaybillError(f"{self.erp} takes no {claim.kind} any more", code="no_route")
            move = Move("not_sent", "dead", code="no_route", says=str(error), left=claim.was_sent)
        elif claim.what == "find":
            move, error = self._find(claim, how, senders)
        else:
            move, error = self._send(claim, how, senders, began, canary=canary)
        exchange = senders.exchange if error is None or senders.asked else None
        move = sending.with_exchange(move, exchange, time.monotonic() - began)
        with self.report.lock:
            self.report.outcomes[move.outcome] += 1
        self._record(claim, worker, move, senders)
        with senders.database() as connection:
            tell_circuit(connection, self.erp, how, move, error, worker=worker, asked=senders.asked)

    def _send(
        self, claim: Claim, how: Outbound, senders: Senders, began: float, *, canary: bool
    ) -> tuple[Move, Exception | None]:
        senders.asked = False
        try:
            payload = sending.payload_of(claim)
            made = render(
                KINDS[claim.kind], how, payload, self.mapping.lookups, self.mapping.time_zone
            )
            if made.faults:
                return sending.unwritable(made.faults), None
            message = Message(
                claim.reference,
                made.fields,
                tuple(made.lines),
                how.lines.records if how.lines is not None else "",
            )
            sender = senders.of(claim.kind, how)
            if time.monotonic() - began > self.lease - 2 * how.target.timeout_seconds:
                late = "this worker stood still for too long to be sure of its lease"
                raise Transient(late, erp=self.erp, code="lease")  # noqa: TRY301  nothing has left
            senders.asked = True
            receipt = sender.send(message)
            return sending.arrived(claim, how, self.mapping, receipt, found=False), None
        except Exception as error:  # noqa: BLE001  every one has its move
            _log(claim, error)
            move = sending.after_send(claim, how, error, canary=canary, began=senders.asked)
            return move, error

    def _find(self, claim: Claim, how: Outbound, senders: Senders) -> tuple[Move, Exception | None]:
        senders.asked = False
        ready = sending.before_find(claim, how)
        if ready is not None:
            return ready, None
        try:
            sender = senders.of(claim.kind, how)
            senders.asked = True
            receipt = sender.find(claim.reference)
            if receipt is None:
                return sending.nothing_found(claim, how), None
            return sending.arrived(claim, how, self.mapping, receipt, found=True), None
        except Exception as error:  # noqa: BLE001  every one has its move
            _log(claim, error)
            return sending.after_find(claim, how, error), error

    def _record(self, claim: Claim, worker: str, move: Move, senders: Senders) -> None:
        """Keep the outcome; a database that is away for a moment is waited for."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(min(_RECORD_SECONDS, self.lease)),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
            retry=tenacity.retry_if_exception(_passing),
            reraise=True,
        )

        def once() -> None:
            with senders.database() as connection:
                if not outcomes.finish(connection, claim, worker, move):
                    log.warning(
                        "%s %s: %s came after the lease had ended", claim.kind, claim.reference,
                        move.outcome,
                    )  # fmt: skip

        retrying(once)


def _passing(error: BaseException) -> bool:
    return isinstance(as_waybill_error(error), Transient)


def _log(claim: Claim, error: Exception) -> None:
    if isinstance(error, WaybillError):
        log.info("%s %s: %s", claim.kind, claim.reference, error)
    else:
        log.error("%s %s: unforeseen", claim.kind, claim.reference, exc_info=error)
