"""The way of an order through every protocol when nothing goes wrong."""

from __future__ import annotations

from tests.orders.practice import Practice


def test_an_order_reaches_the_erp_and_its_answer_comes_back(practice: Practice) -> None:
    placed = practice.place("k1", lines=2, customer_ref="PO 7", note="bitte\nschnell")
    practice.settle()
    assert practice.in_erp(placed) == 1
    assert practice.state(placed) == "delivered"
    (order,) = practice.server.book.found(placed.reference)
    assert (order.dealer_key, order.customer_ref) == (practice.dealers[0], "PO 7")
    assert [(x.product_key, x.qty.rstrip("0").rstrip(".")) for x in order.lines] == [
        (p["key"], "2") for p in practice.products[:2]
    ]
    row = practice.sql("SELECT state, erp_key, erp_number FROM portal.order_request")
    assert row == [("acknowledged", order.key, order.number)]
    lines = practice.sql(
        "SELECT outcome, qty_confirmed, unit_price_confirmed FROM portal.order_request_line"
    )
    assert [(o, int(q), float(p)) for o, q, p in lines] == [("accepted", 2, 9.5)] * 2
    assert practice.one("SELECT count(*) FROM portal.stock_hold WHERE ended_at IS NULL") == 0
    assert practice.says(placed) == f"confirmed as {order.number}"
