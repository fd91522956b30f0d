"""What the ERP's own feeds say of an order that was placed here: its status, its lines, its stock.

Nobody tells us: no webhook, only the feeds that come by their schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mappings.settings import Settings
from portal_db.orders import PlacedOrder
from portal_db.outcomes import acknowledge_from_feed
from sandbox.dataset import Dataset
from sync.feed import sync_feed
from tests.orders.practice import Practice, practising

ORDERS = ("sales_order", "sales_order_line", "order_event", "shipment", "shipment_line")


@pytest.fixture
def shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    """The SOAP ERP, its feeds small: no orders but ours, stock of what we sell alone."""
    with practising(settings, "anvil", all_of_tiny, tmp_path) as one:
        rows = one.server.dataset
        ours = pc.is_in(rows["stock"]["product_key"], value_set=_keys(one))
        one.server.dataset = rows.replace(
            stock=rows["stock"].filter(ours),
            **{name: rows[name].slice(0, 0) for name in ORDERS if name in rows.tables},
        )
        yield one


def _keys(shop: Practice) -> Any:
    return pa.array([one["key"] for one in shop.products])


def pulled(shop: Practice, feed: str = "order_status") -> None:
    """The feed's schedule comes round, and then the sweep of the outbox."""
    outcome = sync_feed(shop.ctx, "anvil", feed)
    assert outcome is not None
    assert outcome.state == "done"
    shop.deliver()


def lines(shop: Practice, placed: PlacedOrder) -> list[tuple[Any, ...]]:
    return shop.sql(
        "SELECT line_no, outcome, trim_scale(qty_confirmed)::text, erp_status, "
        "trim_scale(qty_shipped)::text FROM portal.dealer_order_line WHERE reference = %s "
        "ORDER BY 1",
        placed.reference,
    )


def test_the_feed_alone_acknowledges_an_order_and_carries_it_on(shop: Practice) -> None:
    shop.map(settle_seconds="3600")
    first, second = (one["key"] for one in shop.products[:2])
    shop.server.book._stock = {first: Decimal(100), second: Decimal(1)}
    shop.server.faults.arm("lost_answer", where="CreateOrder")
    placed = shop.place("k1", lines=2)
    shop.deliver()
    assert shop.says(placed).endswith(", sent, not yet confirmed")
    pulled(shop)
    (order,) = shop.server.book.found(placed.reference)
    assert (shop.state(placed), shop.order_state(placed)) == ("delivered", "acknowledged")
    assert shop.one("SELECT erp_number FROM portal.order_request") == order.number
    assert lines(shop, placed) == [
        (1, "accepted", "2", "approved", None), (2, "changed", "1", "approved", None),
    ]  # fmt: skip
    for status, shipped in (("processing", (None, None)), ("shipped", ("2", "1"))):
        shop.server.book.advance(placed.reference, status)
        pulled(shop)
        assert shop.says(placed) == status
        assert [one[3:] for one in lines(shop, placed)] == [(status, one) for one in shipped]
    assert shop.one("SELECT count(*) FROM sync.delivery_attempt WHERE what = 'find'") == 0
    assert shop.in_erp(placed) == 1


@pytest.mark.parametrize("state", ["retryable", "dead", "pending"])
def test_what_the_feed_shows_is_never_sent_again(shop: Practice, state: str) -> None:
    """Whatever we were about to do: a wrong "not found", a message for a person, an old backup."""
    shop.map(settle_seconds="3600")
    placed = shop.place("k1")
    if state != "pending":
        shop.server.faults.arm("lost_answer", where="CreateOrder")
        shop.deliver()
        shop.sql(
            "UPDATE sync.outbox SET state = %s, cleared_by = 'a wrong word', next_at = now()", state
        )
    else:  # the ERP remembers what our database has forgotten
        wish = {"line_no": "1", "product_key": shop.products[0]["key"], "qty": "2", "uom": "PCE"}
        shop.server.book.take(
            {"reference": placed.reference, "dealer_key": shop.dealers[0], "lines": [wish]}
        )
    pulled(shop)
    assert (shop.state(placed), shop.order_state(placed)) == ("delivered", "acknowledged")
    assert shop.in_erp(placed) == 1
    with shop.ctx.connection() as connection:
        assert acknowledge_from_feed(connection, "anvil") == []  # once


def test_stock_is_held_until_the_erps_own_figure_contains_the_order(shop: Practice) -> None:
    product = shop.products[0]["key"]
    query = "SELECT sum(held), sum(available) FROM portal.stock_available WHERE product_key = %s"

    def shown() -> tuple[Decimal, Decimal]:
        ((held, free),) = shop.sql(query, product)
        return held, free

    pulled(shop, "stock")
    _, there = shown()
    placed = shop.place("k1")
    assert shown() == (2, there - 2)
    shop.settle()
    assert shop.order_state(placed) == "acknowledged"
    assert shop.one("SELECT ended_because FROM portal.stock_hold") == "acknowledged"
    assert shown() == (2, there - 2)  # the figure is older than the acknowledgement
    pulled(shop, "stock")  # nothing has changed in it, and still it is newer
    assert shown() == (0, there)


def test_a_refused_line_gives_its_stock_back_at_once(shop: Practice) -> None:
    first, second = (one["key"] for one in shop.products[:2])
    shop.server.book._products = {first: "active", second: "blocked"}
    shop.place("k1", lines=2)
    shop.settle()
    ended = "SELECT product_key, ended_because FROM portal.stock_hold ORDER BY line_no"
    assert shop.sql(ended) == [(first, "acknowledged"), (second, "rejected")]
    query = "SELECT sum(held) FROM portal.stock_available WHERE product_key = %s"
    assert (shop.one(query, first), shop.one(query, second)) == (2, 0)
