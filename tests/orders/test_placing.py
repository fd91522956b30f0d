"""Placing: order, lines, holds and message together or not at all, once, and only for oneself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg import errors

from portal_db.orders import (
    NewLine,
    NewOrder,
    NotPlaced,
    approve_order,
    as_dealer,
    cancel_order,
    place_order,
    request_change,
)
from tests.orders.shop import Connection, an_order, place, put, stock_up


@pytest.fixture
def admin(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as one:
        stock_up(one)
        yield one


@pytest.fixture
def portal(database: str, admin: Connection) -> Iterator[Connection]:
    del admin
    with psycopg.connect(database, autocommit=True) as one:
        one.execute("SET ROLE waybill_portal_app")
        yield one


@pytest.fixture
def staff(database: str, admin: Connection) -> Iterator[Connection]:
    del admin
    with psycopg.connect(database, autocommit=True) as one:
        one.execute("SET ROLE waybill_sync")
        yield one


def one(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query, parameters).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0] if len(row) == 1 else row


def available(connection: Connection, product: str) -> Decimal:
    query = "SELECT available FROM portal.stock_available WHERE product_key = %s"
    return one(connection, query, product)


def test_an_order_its_hold_and_its_message_are_there_together(
    admin: Connection, portal: Connection
) -> None:
    placed = place(portal, 101, an_order("k1", ("P1", 3), gross=Decimal("28.50")))
    assert re.fullmatch("WB-[A-Z2-7]{26}", placed.reference)
    assert (placed.state, placed.again) == ("approved", False)
    message = one(
        admin,
        "SELECT kind, erp, state, subject, lane FROM sync.outbox WHERE id = %s",
        placed.message_id,
    )
    assert message == ("order", "mill", "pending", placed.reference, "mill/D1")
    payload = one(admin, "SELECT payload FROM sync.outbox_payload")
    assert payload["lines"][0]["qty"] == "3.000000"
    assert payload["reference"] == placed.reference
    assert available(admin, "P1") == 97
    with as_dealer(portal, 101):
        says = one(portal, "SELECT says FROM portal.dealer_order")
    assert re.fullmatch("received [0-9]{2}:[0-9]{2}, being sent", says)


def test_of_two_orders_for_the_last_unit_one_succeeds(database: str, admin: Connection) -> None:
    start = Barrier(2)

    def buy(dealer: str, portal_id: int) -> str:
        with psycopg.connect(database, autocommit=True) as mine:
            mine.execute("SET ROLE waybill_portal_app")
            start.wait()
            try:
                return place(mine, portal_id, an_order("k", ("P2", 1), dealer=dealer)).state
            except NotPlaced as no:
                return f"{no.code}, {no.detail['available']} available"

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(buy, ["D1", "D2"], [101, 102]))
    assert sorted(ended) == ["approved", "stock, 0 available"]
    assert one(admin, "SELECT count(*) FROM portal.order_request") == 1
    assert one(admin, "SELECT count(*) FROM sync.outbox") == 1


def test_the_same_key_is_the_same_order(portal: Connection, admin: Connection) -> None:
    first = place(portal, 101, an_order("k1"))
    second = place(portal, 101, an_order("k1"))
    assert (second.reference, second.message_id, second.again) == (
        first.reference, first.message_id, True,
    )  # fmt: skip
    with pytest.raises(NotPlaced) as no:
        place(portal, 101, an_order("k1", ("P1", 2)))
    assert (no.value.code, no.value.detail) == ("idempotency", {"detail": first.reference})
    other = place(portal, 102, an_order("k1", dealer="D2"))  # keys are each dealer's own
    assert other.reference != first.reference
    assert one(admin, "SELECT count(*) FROM sync.outbox") == 2


def test_units_are_held_in_the_base_unit(portal: Connection, admin: Connection) -> None:
    boxes = NewLine("P1", Decimal(2), "BOX")
    place(portal, 101, an_order("k1", boxes))
    assert available(admin, "P1") == 80
    with pytest.raises(NotPlaced, match="90 of product P1 wanted, 80 available"):
        place(portal, 101, an_order("k2", NewLine("P1", Decimal(9), "BOX")))


def test_a_backorder_holds_what_there_is(portal: Connection, admin: Connection) -> None:
    place(portal, 101, an_order("k1", ("P2", 5), backorder=True))
    assert available(admin, "P2") == 0
    assert one(admin, "SELECT qty FROM portal.stock_hold") == 1


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (an_order("k", dealer="D2"), "not_found"),
        (an_order("k", dealer="D9"), "not_found"),
        (an_order("k", erp="forge"), "no_route"),
        (an_order("", ("P1", 1)), "incomplete"),
        (NewOrder("mill", "D1", "k", "EUR", ()), "incomplete"),
        (an_order("k", ("P9", 1)), "product"),
        (an_order("k", NewLine("P1", Decimal(1), "PAL")), "product"),
    ],
)
def test_what_cannot_be_placed_leaves_nothing(
    portal: Connection, admin: Connection, order: NewOrder, code: str
) -> None:
    with pytest.raises(NotPlaced) as no:
        place(portal, 101, order)
    assert no.value.code == code
    for table in ("portal.order_request", "portal.order_request_line", "sync.outbox"):
        assert one(admin, f"SELECT count(*) FROM {table}") == 0


def test_without_a_dealer_nobody_orders(portal: Connection) -> None:
    with pytest.raises(NotPlaced) as no:
        place_order(portal, an_order("k"))
    assert no.value.code == "not_found"


def test_a_blocked_dealer_does_not_order(portal: Connection, admin: Connection) -> None:
    admin.execute("UPDATE portal.dealer SET order_block = true, order_block_reason = 'unpaid'")
    with pytest.raises(NotPlaced, match="unpaid") as no:
        place(portal, 101, an_order("k"))
    assert no.value.code == "blocked"


def test_what_needs_approval_is_sent_once_it_has_it(
    portal: Connection, staff: Connection, admin: Connection
) -> None:
    placed = place(portal, 101, an_order("k", needs_approval=True))
    assert (placed.state, placed.message_id) == ("submitted", None)
    assert available(admin, "P1") == 99  # held meanwhile
    message = approve_order(staff, placed.reference, actor="ayse")
    assert approve_order(staff, placed.reference, actor="ayse") == message
    assert one(admin, "SELECT payload ->> 'status' FROM sync.outbox_payload") == "approved"
    with pytest.raises(errors.InsufficientPrivilege):
        approve_order(portal, placed.reference, actor="D1 itself")


def test_release_pending_sends_before_approval(portal: Connection, admin: Connection) -> None:
    admin.execute("UPDATE sync.order_route SET release = 'pending'")
    placed = place(portal, 101, an_order("k", needs_approval=True))
    assert placed.state == "submitted"
    assert placed.message_id is not None
    assert one(admin, "SELECT payload ->> 'status' FROM sync.outbox_payload") == "pending"


def test_cancelling_what_was_never_sent_ends_it(portal: Connection, admin: Connection) -> None:
    placed = place(portal, 101, an_order("k", ("P1", 5)))
    with pytest.raises(NotPlaced), as_dealer(portal, 102):
        cancel_order(portal, placed.reference, reason="not mine")
    with as_dealer(portal, 101):
        done = cancel_order(portal, placed.reference, reason="changed my mind")
    assert (done.state, done.message_id) == ("cancelled", None)
    assert available(admin, "P1") == 100
    assert one(admin, "SELECT state FROM sync.outbox") == "cancelled"


def test_cancelling_what_may_have_left_follows_it(
    portal: Connection, staff: Connection, admin: Connection
) -> None:
    placed = place(portal, 101, an_order("k"))
    admin.execute(
        "UPDATE sync.outbox SET state = 'sending', worker = 'w', lease_until = now(), "
        "sent_at = now(), tries = 1"
    )
    first = cancel_order(staff, placed.reference, reason="typo", actor="ayse")
    again = cancel_order(staff, placed.reference, reason="typo", actor="ayse")
    assert first.message_id == again.message_id != placed.message_id
    assert available(admin, "P1") == 99  # until the ERP has said so
    kinds = admin.execute("SELECT kind, subject FROM sync.outbox ORDER BY id").fetchall()
    assert kinds == [("order", placed.reference), ("order_cancel", placed.reference)]


def test_a_change_is_owed_once(portal: Connection, admin: Connection) -> None:
    def ask(body: dict[str, str]) -> bool:
        with as_dealer(portal, 101):
            return request_change(
                portal, "customer_update", erp="mill", dealer_key="D1", body=body,
                idempotency_key="k",
            ).again  # fmt: skip

    assert [ask({"phone": "1"}), ask({"phone": "1"})] == [False, True]
    with pytest.raises(NotPlaced):
        ask({"phone": "2"})
    assert one(admin, "SELECT subject FROM sync.outbox") == "customer_update/mill/D1"


def test_a_dealer_sees_its_own_orders_only(portal: Connection, admin: Connection) -> None:
    place(portal, 101, an_order("k1"))
    place(portal, 102, an_order("k2", dealer="D2"))
    views = ("order_request", "order_request_line", "stock_hold", "dealer_order", "order_delivery")
    for view in views:
        with as_dealer(portal, 101):
            assert one(portal, f"SELECT count(*) FROM portal.{view}") == 1
        assert one(portal, f"SELECT count(*) FROM portal.{view}") == 0
    for statement in ("INSERT INTO sync.outbox (kind) VALUES ('order')", "TABLE sync.outbox",
                      "UPDATE portal.order_request SET state = 'acknowledged'",
                      "SELECT portal.end_holds('x', 'dead')"):  # fmt: skip
        with pytest.raises(errors.InsufficientPrivilege):
            portal.execute(statement)  # type: ignore[arg-type]
    assert one(admin, "SELECT count(*) FROM portal.order_delivery") == 2


def test_credit_in_flight_counts_nothing_twice(portal: Connection, admin: Connection) -> None:
    def inflight() -> Any:
        with as_dealer(portal, 101):
            row = portal.execute("SELECT gross FROM portal.credit_inflight").fetchone()
        return row and row[0]

    put(admin, "credit", erp="mill", dealer_erp="mill", account_key="D1", pending=0)
    placed = place(portal, 101, an_order("k1", gross=Decimal(4000)))
    place(portal, 102, an_order("k2", dealer="D2", gross=Decimal(7)))
    assert inflight() == 4000
    admin.execute("UPDATE portal.credit SET pending_refs = ARRAY[%s]", (placed.reference,))
    assert inflight() is None  # the ERP counts it by itself now
    admin.execute("UPDATE portal.credit SET pending_refs = '{}'")
    assert inflight() == 4000
    admin.execute("UPDATE portal.order_request SET state = 'acknowledged', acknowledged_at = now()")
    assert inflight() == 4000  # the figure is older than the order
    admin.execute("UPDATE portal.credit SET calculated_at = now()")
    assert inflight() is None
