"""The outbox is watched: what is committed leaves at once, and what nobody was told of, too."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import psycopg
import pytest

from gateway.outbox import OutboxWatch
from mappings.errors import Transient
from portal_db import outbox
from portal_db.orders import NewLine, NewOrder, as_dealer, place_order
from sync.ask import Asker
from sync.budget import erp_budget
from sync.deliver import DeliveryReport, deliver_due
from tests.gateway.till import ERP, Till


class Watched:
    """A watch over a shop's outbox that really delivers."""

    def __init__(self, till: Till, poll: float) -> None:
        self.till = till
        self.asked: list[int | None] = []
        self.failing = threading.Event()
        budget = erp_budget(till.ctx, ERP, "now")

        def deliver(erp: str, message_id: int | None) -> DeliveryReport:
            self.asked.append(message_id)
            if self.failing.is_set():
                raise Transient("the database was away")
            return deliver_due(
                till.ctx, erp=erp, message_id=message_id, budgets=lambda _erp: budget
            )

        def erp_of(message_id: int) -> str | None:
            with till.ctx.connection() as connection:
                return outbox.erp_of(connection, message_id)

        self.watch = OutboxWatch(till.url, deliver, erp_of, [ERP], poll=poll, workers=2)

    def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for something."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            time.sleep(0.01)

    def delivered(self) -> int:
        """How many messages the ERP has acknowledged."""
        return int(self.till.one("SELECT count(*) FROM sync.outbox WHERE state = 'delivered'"))


@pytest.fixture
def watched(till: Till) -> Iterator[Watched]:
    one = Watched(till, poll=30)
    one.watch.start()
    one.until(one.watch.listening.is_set)
    yield one
    one.watch.stop()


def test_an_order_leaves_the_moment_it_is_committed(watched: Watched) -> None:
    with Asker(watched.till.ctx) as asker:
        placed = watched.till.order(asker, "10")
    watched.until(lambda: watched.delivered() == 1)
    message = watched.till.one("SELECT id FROM sync.outbox")
    assert message in watched.asked  # told by name, not found by the next look in half a minute
    says = "SELECT says FROM portal.dealer_order WHERE reference = %s"
    assert str(watched.till.one(says, placed.reference)).startswith("confirmed as SO-")
    assert len(watched.till.erp.book.orders) == 1


def test_a_burst_is_delivered_whole_by_few_workers(watched: Watched) -> None:
    with Asker(watched.till.ctx) as asker:
        for _ in range(12):
            watched.till.order(asker, "1")
    watched.until(lambda: watched.delivered() == 12)
    assert len({one.reference for one in watched.till.erp.book.orders}) == 12


def test_what_waits_behind_another_order_of_its_dealer_follows_at_once(till: Till) -> None:
    """Not by the next look, which is ten minutes away."""
    one = Watched(till, poll=600)
    one.watch.start()
    try:
        one.until(one.watch.listening.is_set)
        till.erp.faults.arm("slow", times=None, where="POST SalesOrders", seconds=0.3)
        with as_dealer(till.db, 101):
            for number in range(6):
                line = NewLine("P1", Decimal(1), "PCE", gross=Decimal(1))
                order = NewOrder(ERP, "D1", f"b{number}", "EUR", (line,), gross=Decimal(1))
                place_order(till.db, order)
        one.until(lambda: one.delivered() == 6)
    finally:
        one.watch.stop()
    keys = till.db.execute(
        "SELECT r.idempotency_key FROM portal.order_request r JOIN sync.outbox o "
        "ON o.reference = r.reference ORDER BY o.delivered_at"
    ).fetchall()
    assert [key for (key,) in keys] == [f"b{number}" for number in range(6)]


def test_a_broken_listener_loses_nothing(till: Till) -> None:
    one = Watched(till, poll=0.3)
    one.watch.start()
    try:
        one.until(one.watch.listening.is_set)
        till.db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        with Asker(till.ctx) as asker:
            till.order(asker, "1")
        one.until(lambda: one.delivered() == 1)
        one.until(one.watch.listening.is_set)
    finally:
        one.watch.stop()


def test_a_delivery_that_fails_is_tried_by_the_next_look(till: Till) -> None:
    one = Watched(till, poll=0.2)
    one.failing.set()
    one.watch.start()
    try:
        with Asker(till.ctx) as asker:
            till.order(asker, "1")
        one.until(lambda: len(one.asked) > 3)
        one.failing.clear()
        one.until(lambda: one.delivered() == 1)
    finally:
        one.watch.stop()


def test_an_erp_that_hangs_holds_up_nobody_elses_messages(database: str) -> None:
    """Not even where it has more messages than workers, and a look that never ends."""
    hung, went = threading.Event(), threading.Event()

    def deliver(erp: str, message_id: int | None) -> DeliveryReport:
        if erp == "slow":
            hung.wait(60)
        elif message_id is not None:
            went.set()
        return DeliveryReport()

    def erp_of(message_id: int) -> str:
        return "slow" if message_id < 100 else "quick"

    watch = OutboxWatch(database, deliver, erp_of, ["quick", "slow"], poll=600, workers=2)
    watch.start()
    try:
        assert watch.listening.wait(60)
        with psycopg.connect(database, autocommit=True) as db:
            for message_id in (*range(10), 100):
                db.execute("SELECT pg_notify('waybill_outbox', %s)", (str(message_id),))
        assert went.wait(30)
    finally:
        hung.set()
        watch.stop()
