"""Orders out, the conformance list: exactly once, whatever the wire and the ERP do (ORD)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from mappings.settings import Settings
from portal_db.orders import NewLine, NewOrder, NotPlaced, cancel_order, request_change
from sandbox.dataset import Dataset, load
from tests.orders.practice import PROTOCOLS, Practice, practising
from tests.orders.shop import as_dealer


@pytest.fixture(scope="session")
def all_of_tiny() -> Dataset:
    return load("tiny")


@pytest.fixture(params=list(PROTOCOLS))
def practice(
    request: pytest.FixtureRequest, settings: Settings, all_of_tiny: Dataset, tmp_path: Path
) -> Iterator[Practice]:
    with practising(settings, request.param, all_of_tiny, tmp_path) as one:
        yield one


@pytest.fixture
def anvil_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    with practising(settings, "anvil", all_of_tiny, tmp_path) as one:
        yield one


@pytest.fixture
def birch_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    with practising(settings, "birch", all_of_tiny, tmp_path) as one:
        yield one


WHERE = {"anvil": "CreateOrder", "birch": "POST SalesOrders", "cedar": ".done"}
"""What the request that commits an order is called at each ERP."""


def test_ORD_1_a_lost_answer_is_one_order_and_passes_through_uncertain(practice: Practice) -> None:
    practice.server.faults.arm("lost_answer", where=WHERE[practice.erp])
    placed = practice.place("k1")
    practice.deliver()
    assert practice.state(placed) == "uncertain"
    assert practice.order_state(placed) == "sent"
    assert practice.says(placed).endswith(", sent, not yet confirmed")
    practice.settle()
    assert practice.in_erp(placed) == 1
    assert practice.order_state(placed) == "acknowledged"
    ended = practice.attempts(placed)
    assert ended[0] == ("send", "uncertain")
    if practice.erp == "birch":  # it refuses a second one by itself
        assert ended[1:] == [("find", "retry"), ("send", "delivered")]
    else:
        assert ("send", "delivered") not in ended
        assert ended[1] == ("find", "found")


def test_ORD_1_what_did_not_arrive_is_asked_for_twice_before_it_is_sent_again(
    anvil_shop: Practice,
) -> None:
    anvil_shop.map(settle_seconds="0.4")
    anvil_shop.server.faults.arm("reset", where="CreateOrder")
    placed = anvil_shop.place("k1")
    anvil_shop.settle()
    assert anvil_shop.in_erp(placed) == 1
    assert anvil_shop.attempts(placed) == [
        ("send", "uncertain"), ("find", "not_found"), ("find", "not_found"), ("send", "delivered"),
    ]  # fmt: skip
    begun = [
        at for (at,) in anvil_shop.sql(
            "SELECT at FROM sync.delivery_attempt WHERE event = 'begun' ORDER BY id"
        )
    ]  # fmt: skip
    gaps = [(later - at).total_seconds() for at, later in itertools.pairwise(begun)]
    assert min(gaps[:2]) >= 0.4


def test_ORD_2_two_workers_one_order(practice: Practice) -> None:
    placed = [practice.place(f"k{n}", dealer=n % 4) for n in range(12)]

    def work(worker: str) -> int:
        return practice.deliver(worker=worker).attempts

    with ThreadPoolExecutor(4) as pool:
        sum(pool.map(work, ["a", "b", "c", "d"]))
    practice.settle()
    assert [practice.in_erp(one) for one in placed] == [1] * 12
    sends = practice.one("SELECT count(*) FROM sync.delivery_attempt WHERE what = 'send' AND "
                         "event = 'begun'")  # fmt: skip
    assert sends == 12
    # the same again, told by name to two workers at once: nothing is sent twice
    again = practice.place("twice")
    with ThreadPoolExecutor(4) as pool:
        ids = [again.message_id] * 4
        list(pool.map(lambda one: practice.deliver(message_id=one, erp=practice.erp), ids))
    practice.settle()
    assert practice.in_erp(again) == 1


def test_ORD_3_a_native_key_makes_the_erp_refuse_the_second(birch_shop: Practice) -> None:
    birch_shop.server.faults.arm("lost_answer", where="POST SalesOrders")
    placed = birch_shop.place("k1")
    birch_shop.settle()
    (order,) = birch_shop.server.book.found(placed.reference)
    assert order.native_key == placed.reference
    answer = birch_shop.one("SELECT answer FROM sync.outbox")
    assert answer["again"] is True  # "already exists" is a success
    assert answer["number"] == order.number
    assert birch_shop.order_state(placed) == "acknowledged"
    gets = [one for one in birch_shop.server.requests if one.startswith("GET")]
    assert len(gets) == 1  # only for the number; the send itself was the question


def test_ORD_3_a_header_as_native_key(birch_shop: Practice) -> None:
    birch_shop.server.faults.arm("lost_answer", where="POST CustomerChanges")
    with as_dealer(birch_shop.admin, 101):
        request_change(birch_shop.admin, "customer_update", erp="birch", idempotency_key="k",
                       dealer_key=birch_shop.dealers[0], body={"phone": "030 1"})  # fmt: skip
    birch_shop.settle()
    noted = [texts for _, _, texts in birch_shop.server.book.notices]
    assert birch_shop.one("SELECT state FROM sync.outbox") == "delivered"
    assert [one["PhoneNo"] for one in noted] in ([["030 1"]], ["030 1"])


def test_ORD_4_an_order_never_makes_a_second_customer(anvil_shop: Practice) -> None:
    for n, fault in enumerate(("lost_answer", "reset", "truncated", "drop")):
        anvil_shop.server.faults.arm(fault, where="CreateOrder")
        placed = anvil_shop.place(f"k{n}", dealer=n)
        anvil_shop.settle()
        assert anvil_shop.in_erp(placed) == 1
    assert anvil_shop.server.book.customers == []  # it would have made one for any other number
    other = NewOrder("anvil", f"0{anvil_shop.dealers[0]}", "x", "EUR", anvil_shop.order("x").lines)
    with pytest.raises(NotPlaced):
        anvil_shop.place("other", order=other)


def test_ORD_5_a_refusal_reaches_the_dealer_at_once_and_burns_no_tries(practice: Practice) -> None:
    book = practice.server.book
    unknown = practice.products[0]["key"]
    book._products = {"other": "active"}  # the ERP has dropped the item since the last sync
    placed = practice.place("k1")
    began = time.monotonic()
    practice.settle()
    assert time.monotonic() - began < 10
    assert practice.order_state(placed) == "rejected"
    assert practice.says(placed) == f"refused: item {unknown} is not known"
    assert len([one for one in practice.attempts(placed) if one[0] == "send"]) == 1
    assert practice.in_erp(placed) == 0
    assert practice.one("SELECT ended_because FROM portal.stock_hold") == "rejected"
    practice.deliver()
    assert len([one for one in practice.attempts(placed) if one[0] == "send"]) == 1


def test_ORD_5_a_credit_block_is_readable(birch_shop: Practice) -> None:
    dealer = birch_shop.dealers[0]
    birch_shop.server.book._blocked[dealer] = True
    placed = birch_shop.place("k1")
    birch_shop.settle()
    assert birch_shop.says(placed) == f"refused: customer {dealer} is blocked for new orders"
    assert birch_shop.sql("SELECT state, code, tries FROM sync.outbox") == [
        ("dead", "credit_block", 1)
    ]


def test_ORD_6_partial_acceptance_is_kept_per_line(practice: Practice) -> None:
    book = practice.server.book
    first, second, third = (one["key"] for one in practice.products[:3])
    book._products = {**dict.fromkeys((first, second), "active"), third: "blocked"}
    book._stock = {first: Decimal(100), second: Decimal(1), third: Decimal(100)}
    book.prices = {first: Decimal("10.25")}
    placed = practice.place("k1", lines=3)
    practice.settle()
    lines = practice.sql(
        "SELECT outcome, trim_scale(qty_confirmed)::text, trim_scale(unit_price_confirmed)::text, "
        "reason FROM portal.order_request_line ORDER BY line_no"
    )
    assert lines == [
        ("changed", "2", "10.25", None),
        ("changed", "1", "9.5", "only 1 available"),
        ("rejected", "0", None, f"item {third} is not for sale"),
    ]
    assert practice.order_state(placed) == "acknowledged"


def test_ORD_7_a_cancel_never_overtakes_its_create(anvil_shop: Practice) -> None:
    anvil_shop.map(settle_seconds="0.3")
    anvil_shop.server.faults.arm("lost_answer", where="CreateOrder")
    placed = anvil_shop.place("k1")
    anvil_shop.deliver()
    assert anvil_shop.state(placed) == "uncertain"
    asked = cancel_order(anvil_shop.admin, placed.reference, reason="typo", actor="ayse")
    anvil_shop.deliver(message_id=asked.message_id)  # told by name, and still it waits
    assert anvil_shop.one("SELECT tries FROM sync.outbox WHERE kind = 'order_cancel'") == 0
    anvil_shop.settle()
    sent = [one for one in anvil_shop.server.requests if one in ("CreateOrder", "CancelOrder")]
    assert sent == ["CreateOrder", "CancelOrder"]
    assert [one.status for one in anvil_shop.server.book.found(placed.reference)] == ["cancelled"]
    assert anvil_shop.order_state(placed) == "cancelled"


def test_ORD_7_orders_of_a_dealer_keep_their_order(practice: Practice) -> None:
    placed = [practice.place(f"k{n}", dealer=n % 2) for n in range(10)]
    practice.deliver(threads=4)
    practice.settle()
    taken = [order.reference for order in practice.server.book.orders]
    for dealer in (0, 1):
        mine = [one.reference for one in placed[dealer::2]]
        assert [one for one in taken if one in mine] == mine


def test_ORD_9_an_outage_queues_and_everything_follows_in_order(
    settings: Settings, all_of_tiny: Dataset, tmp_path: Path
) -> None:
    with practising(settings, "birch", all_of_tiny, tmp_path) as practice:
        practice.server.stop()  # refuses every connection
        placed = [practice.place(f"k{n}", dealer=n % 3) for n in range(12)]
        for _ in range(4):
            practice.deliver()
            time.sleep(0.05)
        assert "ERP unreachable, next try" in practice.says(placed[-1])
        assert practice.says(placed[-1]).startswith("received ")
        incident = practice.sql("SELECT guard, times, closed_at FROM sync.incident")
        assert incident == [("outage", 12, None)]  # one, with a count
        untouched = practice.one("SELECT count(*) FROM sync.outbox WHERE tries = 0")
        assert untouched >= 9  # a few found out for all
        port = practice.server.port
        from sandbox.odata import ODataErp  # noqa: PLC0415

        back = ODataErp(practice.server.dataset, client_id="waybill", client_secret="practice",
                        port=port, orders=practice.orders_file)  # fmt: skip
        practice.server = back
        back.start()
        practice.settle()
        taken = [order.reference for order in back.book.orders]
        assert sorted(taken) == sorted(one.reference for one in placed)
        for dealer in range(3):
            mine = [one.reference for one in placed[dealer::3]]
            assert [one for one in taken if one in mine] == mine
        assert practice.one("SELECT count(*) FROM sync.incident WHERE closed_at IS NULL") == 0


def test_ORD_1_an_erp_that_cannot_be_asked_waits_for_a_person(anvil_shop: Practice) -> None:
    anvil_shop.map(target={"find": "cannot"})
    anvil_shop.server.faults.arm("lost_answer", where="CreateOrder")
    placed = anvil_shop.place("k1")
    anvil_shop.settle()
    assert anvil_shop.sql("SELECT state, code FROM sync.outbox") == [("dead", "cannot_find")]
    assert anvil_shop.in_erp(placed) == 1
    assert anvil_shop.says(placed).endswith("our staff is looking at it")
    assert anvil_shop.one("SELECT count(*) FROM portal.stock_hold WHERE ended_at IS NULL") == 1


def test_ORD_6_units_and_numbers_are_written_as_the_erp_wants(
    settings: Settings, all_of_tiny: Dataset, tmp_path: Path
) -> None:
    with practising(settings, "cedar", all_of_tiny, tmp_path) as practice:
        product = practice.products[0]
        line = NewLine(product["key"], Decimal("1234.5"), product["base_uom"],
                       unit_price=Decimal("1000.125"))  # fmt: skip
        practice.server.book._stock[product["key"]] = Decimal(9999)
        order = practice.order("k1")
        note = 'Şeker; "acil"\n2. kat'
        wish = NewOrder(order.erp, order.dealer_key, "k1", "TRY", (line,), note=note)
        placed = practice.place("k1", order=wish)
        practice.settle()
        request = practice.one("SELECT request FROM sync.delivery_attempt WHERE what = 'send' "
                               "AND event = 'ended'")  # fmt: skip
        assert "1.234,5;" in request
        assert ";1000,125" in request
        (taken,) = practice.server.book.found(placed.reference)
        assert Decimal(taken.lines[0].qty) == Decimal("1234.5")
        assert taken.note == 'Şeker; "acil" 2. kat'
