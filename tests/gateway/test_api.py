"""The gateway as the portal calls it: access, live figures, orders, health, metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from gateway.app import application
from gateway.reserve import time_to_ask
from mappings.private_files import WEBHOOK_KEY
from sync.pricing import portal_prices
from tests.gateway.front import Front, served
from tests.gateway.till import ERP, SECRET, Till
from tests.orders.shop import put

OPEN = {"/health", "/ready", "/webhooks/{erp}"}
"""What may be called without a token: two that say nothing, one that proves itself otherwise."""


@pytest.fixture
def front(till: Till) -> Iterator[Front]:
    with served(till) as one:
        yield one


def test_every_route_but_three_wants_the_service_token(front: Front) -> None:
    for route in application(front.parts).routes:
        path = route.path.format(dealer="D1", reference="WB-X", erp=ERP)  # type: ignore[attr-defined]
        method = "POST" if "POST" in route.methods else "GET"  # type: ignore[attr-defined]
        without = front.stranger.request(method, path)
        wrong = front.stranger.request(method, path, headers={"Authorization": "Bearer wrong"})
        if route.path in OPEN:  # type: ignore[attr-defined]
            assert without.status_code in {200, 503}
        else:
            assert (without.status_code, wrong.status_code) == (401, 401), path
    metrics = {"Authorization": f"Bearer {front.tokens['metrics']}"}
    assert front.stranger.get("/metrics", headers=metrics).status_code == 200
    assert front.stranger.get("/stock?erp=birch&product=P1", headers=metrics).status_code == 403


def test_credit_is_live_and_counts_what_is_in_flight(front: Front) -> None:
    assert front.order("k1", "4000").status_code == 201
    (account,) = front.call.get(f"/credit/D1?erp={ERP}").json()["accounts"]
    assert account["live"] is True
    assert {k: account[k] for k in ("limit", "open_balance", "pending", "inflight")} == {
        "limit": "50000.0000", "open_balance": "32000.0000", "pending": "10000.0000",
        "inflight": "4000.0000",
    }  # fmt: skip
    assert account["available"] == "4000.0000"
    assert front.call.get(f"/credit/nobody?erp={ERP}").status_code == 404
    assert front.call.get("/credit/D1?erp=nowhere").status_code == 404
    assert front.call.get("/credit/D1").status_code == 400


def test_ORD_10_credit_comes_within_its_time_from_an_erp_that_hangs(till: Till) -> None:
    put(
        till.db, "credit", erp=ERP, account_key="D1", currency="EUR", limit_amount=50000,
        open_balance=1, dealer_erp=ERP, as_of="2026-11-01T00:00:00Z",
    )  # fmt: skip
    with served(till, within=0.5) as front:
        till.erp.faults.arm("hang", times=None)
        began = time.monotonic()
        (account,) = front.call.get(f"/credit/D1?erp={ERP}").json()["accounts"]
        assert time.monotonic() - began < 20  # not the hour that it hangs
        # `busy`: this machine itself was behind, and did not even ask
        assert (account["live"], account["not_live_because"] in {"timeout", "busy"}) == (
            False,
            True,
        )
        assert account["open_balance"] == "1.0000"
        assert account["age_seconds"] > 86400


def test_ORD_10_deliveries_leave_who_asks_a_connection_and_its_time(till: Till) -> None:
    """Every connection of the engine's own is in use: the answer comes all the same, and live."""
    with served(till) as front, ExitStack() as taken:
        for _ in range(15):
            taken.enter_context(till.ctx.connection())
        answer = front.call.get(f"/credit/D1?erp={ERP}", timeout=20)
        assert answer.status_code == 200
        (account,) = answer.json()["accounts"]
        assert account["live"] is True
        assert front.call.get(f"/stock?erp={ERP}&product=P1", timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("left", "behind", "seconds"),
    [
        (3.0, 0.0, 3.0),  # an idle machine: all of it is the ERP's
        (2.5, 0.5, 2.0),  # as long as our own part took before is kept for the part that follows
        (2.2, 0.8, 0.0),  # we are behind ourselves: the ERP's part is shed first
        (-1.0, 0.1, 0.0),
    ],
)
def test_ORD_10_the_time_counts_from_the_arrival_and_the_live_part_is_shed_first(
    left: float, behind: float, seconds: float
) -> None:
    assert time_to_ask(left, 3.0, behind) == seconds


def test_ORD_10_not_even_our_own_database_makes_a_caller_hang(till: Till) -> None:
    with served(till, within=0.5) as front, psycopg.connect(till.url) as other:
        other.execute("LOCK TABLE portal.dealer IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answer = front.call.get(f"/credit/D1?erp={ERP}")
        assert time.monotonic() - began < 20  # and not until the lock is gone
        assert (answer.status_code, answer.json()["error"]) == (503, "overloaded")


def test_ORD_8_available_is_on_hand_less_reserved_less_unacknowledged_orders(
    front: Front,
) -> None:
    till = front.till
    till.db.execute("UPDATE portal.stock SET on_hand = 100, reserved = 30, available = NULL")
    front.order("k1", "1", lines=[{"product": "P1", "qty": "2", "uom": "BOX", "unit_price": "1"}])
    shown = "SELECT on_hand, reserved, held, available FROM portal.stock_available"
    assert till.db.execute(shown).fetchone() == (100, 30, 20, 50)
    with till.db.transaction():  # as the front reads it
        till.db.execute("SET LOCAL ROLE waybill_portal_app")
        assert till.db.execute(shown).fetchone() == (100, 30, 20, 50)
    till.erp.faults.arm("maintenance", times=None)  # the gateway says the same from what it has
    answer = front.call.get(f"/stock?erp={ERP}&product=P1").json()
    assert (answer["live"], answer["stock"]) == (
        False,
        [
            {
                "product": "P1", "warehouse": "W1", "on_hand": "100.000000",
                "reserved": "30.000000", "held": "20.000000", "available": "50.000000",
            }
        ],
    )  # fmt: skip
    till.db.execute("UPDATE portal.stock_hold SET ended_at = now(), ended_because = 'acknowledged'")
    assert till.db.execute(shown).fetchone() == (100, 30, 20, 50)  # a figure from before that
    till.db.execute("UPDATE portal.stock SET as_of = now()")
    assert till.one("SELECT available FROM portal.stock_available") == 70  # the ERP has it now


def test_live_stock_knows_nothing_of_unacknowledged_orders_so_they_are_taken_off(
    front: Front,
) -> None:
    till = front.till
    row = till.base["stock"].slice(0, 1).to_pylist()[0]
    key, warehouse = row["product_key"], row["warehouse_key"]
    till.db.execute(
        "INSERT INTO portal.stock_hold (reference, line_no, portal_dealer_id, erp, product_key, "
        "warehouse_key, qty) VALUES ('WB-X', 1, 1, %s, %s, %s, 1)",
        (ERP, key, warehouse),
    )
    answer = front.call.get(f"/stock?erp={ERP}&product={key}&warehouse={warehouse}").json()
    (shown,) = answer["stock"]
    own = row["available"]
    if own is None:
        own = row["on_hand"] - (row["reserved"] or 0)
    assert answer["live"]
    assert Decimal(shown["available"]) == max(own - 1, 0)


def test_an_order_is_placed_once_and_says_how_far_it_is(front: Front) -> None:
    first = front.order("k1", "100", customer_ref="PO 7")
    assert first.status_code == 201
    body = first.json()
    assert (body["outcome"], body["state"], body["gross"]) == ("ok", "approved", "100.00")
    assert body["credit"]["live"]
    again = front.order("k1", "100", customer_ref="PO 7")
    assert (again.status_code, again.json()["reference"]) == (200, body["reference"])
    assert front.order("k1", "101").status_code == 422
    shown = front.call.get(f"/orders/{body['reference']}").json()
    assert shown["says"].startswith("received ")
    assert shown["lines"][0]["product_key"] == "P1"
    assert front.call.get("/orders/WB-NOTHING").status_code == 404


def test_an_order_that_credit_blocks_or_that_waits_says_what_would_help(front: Front) -> None:
    blocked = front.order("k1", "8000.01")
    assert (blocked.status_code, blocked.json()["shortage"]) == (422, "0.0100")
    assert front.till.one("SELECT count(*) FROM portal.order_request") == 0
    front.till.credit(limit=None)
    waits = front.order("k2", "10")
    assert (waits.status_code, waits.json()["reason"]) == (202, "NO_LIMIT_RECORD")
    front.till.credit()
    reference = waits.json()["reference"]
    done = front.call.post(f"/orders/{reference}/approve", json={"actor": "rep"})
    assert (done.status_code, done.json()["state"]) == (200, "approved")


def test_the_price_echo_is_held_to_the_portals_own_price(till: Till) -> None:
    till.db.execute("SELECT portal.ensure_price_partition('birch')")
    put(
        till.db, "price", erp=ERP, header_key="L1", level="list", dealer_scope="all",
        product_scope="product", product_key="P1", currency="EUR", uom="PCE", per=1, min_qty=1,
        unit_price="9.50", valid_from="0001-01-01", dealer_erp=ERP, product_erp=ERP,
    )  # fmt: skip
    with served(till, prices=portal_prices(till.ctx)) as front:
        right = front.order("k1", "9.50")
        assert (right.status_code, right.json()["prices_checked"]) == (201, True)
        wrong = front.order("k2", "9.49")
        assert (wrong.status_code, wrong.json()["error"]) == (409, "price_changed")
        assert "9.49 was shown, it is 9.50 EUR" in wrong.json()["says"]
        unknown = front.order("k3", "9.50", currency="USD")
        assert unknown.json()["error"] == "price_changed"
        assert "no price is known" in unknown.json()["says"]


@pytest.mark.parametrize(
    ("spoil", "status", "error"),
    [
        ({"lines": []}, 400, "incomplete"),
        ({"unknown": 1}, 400, "incomplete"),
        ({"currency": "Euro"}, 400, "incomplete"),
        ({"lines": [{"product": "P1", "qty": "-1", "uom": "PCE", "unit_price": "1"}]}, 400,
         "incomplete"),
        ({"lines": [{"product": "P9", "qty": "1", "uom": "PCE", "unit_price": "1"}]}, 422,
         "product"),
        ({"lines": [{"product": "P1", "qty": "1", "uom": "TON", "unit_price": "1"}]}, 422,
         "product"),
        ({"lines": [{"product": "P1", "qty": "2000000", "uom": "PCE", "unit_price": "0"}]}, 409,
         "stock"),
        ({"dealer": "D9"}, 404, "not_found"),
        ({"erp": "nowhere"}, 404, "mapping"),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_is_refused_with_its_reason(
    front: Front, spoil: dict[str, Any], status: int, error: str
) -> None:
    answer = front.order("k", **spoil)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert front.till.one("SELECT count(*) FROM portal.order_request") == 0


def test_an_order_wants_a_key_and_json(front: Front) -> None:
    assert front.call.post("/orders", json={}).json()["error"] == "incomplete"
    keyed = {"Idempotency-Key": "k"}
    assert front.call.post("/orders", content=b"{", headers=keyed).status_code == 400


def test_readiness_is_the_database_and_a_lane_that_moves(front: Front) -> None:
    assert front.stranger.get("/health").json() == {"alive": True}
    assert front.stranger.get("/ready").status_code == 200
    front.order("k1")
    front.till.db.execute("UPDATE sync.outbox SET next_at = now() - interval '1 hour'")
    stuck = front.stranger.get("/ready")
    assert (stuck.status_code, stuck.json()["because"]) == (503, "messages could go and do not")
    front.till.db.execute(
        "INSERT INTO sync.circuit (erp, state) VALUES ('birch', 'open')"
    )  # it waits for the ERP, not for us
    assert front.stranger.get("/ready").status_code == 200


def test_metrics_are_prometheus_text(front: Front) -> None:
    front.order("k1")
    front.call.get(f"/credit/D1?erp={ERP}")
    text = front.call.get("/metrics").text
    for line in (
        'waybill_orders_total{erp="birch",outcome="ok"} 1.0',
        'waybill_asks_total{answer="live",erp="birch",what="credit"} 1.0',
        'waybill_outbox_messages{erp="birch",state="pending"} 1.0',
        'waybill_gateway_requests_total{route="/orders",status="201"} 1.0',
        "waybill_alerts_open 0.0",
    ):
        assert line in text
    assert "D1" not in text


def test_nothing_secret_is_logged_or_shown(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    till = front.till
    secrets = [SECRET, front.tokens["portal"], till.settings.secret(WEBHOOK_KEY)]
    till.erp.faults.arm("business_error", times=None)
    answers = [
        front.call.get(f"/credit/D1?erp={ERP}"),
        front.order("k1"),
        front.call.post("/orders", content=b"\xff", headers={"Idempotency-Key": "k"}),
        front.stranger.post(f"/webhooks/{ERP}", content=b"{}"),
        front.stranger.get("/metrics", headers={"Authorization": f"Bearer {secrets[1]}x"}),
    ]
    front.parts.rounds.once()
    text = caplog.text + "".join(one.text for one in answers)
    text += "".join(str(row) for row in till.db.execute("SELECT * FROM sync.credit_decision"))
    text += "".join(str(row) for row in till.db.execute("SELECT * FROM sync.alert"))
    assert not [secret for secret in secrets if secret in text]
