"""ERPs call us: proved, once, answered with 2xx or 5xx; subscriptions live on; gaps are swept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mappings.errors import Transient
from mappings.lines import read_lines
from sandbox.dataset import Dataset
from sync.deliver import deliver_due
from sync.feed import sync_feed
from sync.subscriptions import keep_subscriptions
from sync.wake import sweep_gap, want_feed
from sync.webhooks import client_state
from tests.gateway.front import Front, served
from tests.gateway.till import ERP, Till

NOW = datetime.now(UTC)
RESOURCES = (
    "Customers", "Items", "SalesPrices", "Inventory", "CreditAccounts", "SalesInvoices",
    "SalesOrders",
)  # fmt: skip

ORDER_PARTS = {"sales_order", "sales_order_line", "order_event", "shipment", "shipment_line"}


@pytest.fixture
def front(till: Till) -> Iterator[Front]:
    with served(till) as one:
        yield one


def subscribe(front: Front, at: datetime = NOW) -> dict[str, str]:
    """One round of keeping subscriptions, at some time."""

    def wake(erp: str, feed: str) -> str:
        front.woken.append((erp, feed))
        return "noted"

    return keep_subscriptions(front.till.ctx, front.address, wake, now=at)


def call(front: Front, body: bytes, **headers: str) -> httpx.Response:
    """A call as the ERP makes it."""
    return front.stranger.post(f"/webhooks/{ERP}", content=body, headers=headers)


def event(front: Front, resource: str = "SalesOrders", **more: str) -> dict[str, Any]:
    """An event as Business Central writes it, with the right client state."""
    words = front.till.ctx.erp(ERP).webhooks
    assert words is not None
    return {
        "subscriptionId": "s1",
        "clientState": client_state(front.till.settings, ERP, resource, words),
        "resource": f"api/v2.0/companies(1)/{resource}(7)",
        "changeType": "updated",
        "lastModifiedDateTime": "2026-11-20T10:00:00Z",
        **more,
    }


def body(*events: dict[str, Any]) -> bytes:
    return json.dumps({"value": list(events)}).encode()


def test_REST_18_the_handshake_is_echoed_on_create_and_on_renew(front: Front) -> None:
    """The ERP subscribes nobody who does not echo its token, and renews nobody either."""
    done = subscribe(front)
    assert done == {f"{ERP}/{one}": "made" for one in RESOURCES}
    assert len(front.till.erp.subscriptions.known) == len(RESOURCES)
    later = NOW + timedelta(days=1.4)
    assert set(subscribe(front, later).values()) == {"renewed"}
    assert [one.renewals for one in front.till.erp.subscriptions.known] == [1] * len(RESOURCES)
    echo = front.stranger.post(f"/webhooks/{ERP}", params={"validationToken": "a b&c=<d>"})
    assert (echo.status_code, echo.text) == (200, "a b&c=<d>")
    assert echo.headers["content-type"].startswith("text/plain")
    assert echo.headers["x-content-type-options"] == "nosniff"


def test_REST_18_renewed_before_half_of_three_days_and_not_sooner(front: Front) -> None:
    subscribe(front)
    assert subscribe(front, NOW + timedelta(days=1)) == {}
    assert subscribe(front, NOW + timedelta(hours=33)).keys() == {
        f"{ERP}/{one}" for one in RESOURCES
    }


def test_REST_18_answers_2xx_or_5xx_only_whatever_comes(front: Front) -> None:
    """A 4xx would end the subscription for good."""
    subscribe(front)
    good = body(event(front))
    spoiled = {
        "not JSON": b"<html>", "no list": b'{"value": 1}', "not objects": b'{"value": [1]}',
        "empty": b"", "nothing": b'{"value": []}', "not UTF-8": b"\xff\xfe", "deep": b"[" * 100_000,
        "wrong state": good.replace(b'"clientState": "', b'"clientState": "x'),
        "another's state": body({**event(front), "resource": "api/v2.0/companies(1)/Items(1)"}),
    }  # fmt: skip
    for name, one in spoiled.items():
        assert call(front, one).status_code == 503, name
    assert front.stranger.post("/webhooks/nowhere", content=good).status_code == 503
    assert front.stranger.post(f"/webhooks/{ERP}?validationToken=%00").status_code == 503
    assert call(front, good).status_code == 202
    assert front.till.one("SELECT count(*) FROM sync.webhook_event") == 1
    front.till.db.execute("ALTER TABLE sync.webhook_event RENAME TO away")
    try:
        assert front.till.erp.subscriptions.notify("SalesOrders") == [503]
    finally:
        front.till.db.execute("ALTER TABLE sync.away RENAME TO webhook_event")
    assert len(front.till.erp.subscriptions.known) == len(RESOURCES)  # none was lost
    assert front.till.erp.subscriptions.repeat() == [202]


def test_REST_18_a_collection_is_one_pull_by_the_erps_own_filter(front: Front) -> None:
    """More changes than it lists: one pull from the cursor, not one a record."""
    subscribe(front)
    assert front.till.erp.subscriptions.notify("SalesOrders", "collection") == [202]
    assert front.till.erp.subscriptions.notify("SalesOrders", "updated") == [202]
    front.parts.rounds.once()
    assert front.woken == [(ERP, "order_status")]
    rows = front.till.db.execute("SELECT change, state, says FROM sync.webhook_event").fetchall()
    assert sorted(rows) == [("collection", "woken", "noted"), ("updated", "woken", "noted")]
    front.parts.rounds.once()
    assert front.woken == [(ERP, "order_status")]  # and not again


def test_REST_18_after_more_than_36_hours_away_every_feed_is_pulled(front: Front) -> None:
    ctx = front.till.ctx

    def wake(erp: str, feed: str) -> str:
        front.woken.append((erp, feed))
        return "noted"

    assert sweep_gap(ctx, wake) == []  # the first start ever: schedules begin from nothing
    front.parts.rounds.once()
    front.till.db.execute("UPDATE sync.gateway_life SET alive_at = now() - interval '35 hours'")
    assert sweep_gap(ctx, wake) == []  # the ERP repeats its calls for that long
    front.till.db.execute("UPDATE sync.gateway_life SET alive_at = now() - interval '37 hours'")
    swept = sweep_gap(ctx, wake)
    assert {feed for _, feed in swept} == {
        "customers", "products", "prices", "stock", "credit", "invoices", "order_status",
    }  # fmt: skip
    assert front.woken == swept


def test_REST_18_a_subscription_that_the_erp_forgot_is_made_again_and_its_feed_pulled(
    front: Front,
) -> None:
    subscribe(front)
    front.till.erp.subscriptions.forget("SalesOrders")
    done = subscribe(front, NOW + timedelta(days=1.4))
    assert done[f"{ERP}/SalesOrders"] == "made again"
    assert front.woken == [(ERP, "order_status")]
    assert len(front.till.erp.subscriptions.known) == len(RESOURCES)


def test_subscriptions_follow_the_gateway_and_survive_an_erp_that_is_away(front: Front) -> None:
    front.till.erp.faults.arm("maintenance", times=None, where="token")
    assert set(subscribe(front).values()) == {"failed"}
    front.till.erp.faults.disarm()
    assert set(subscribe(front).values()) == {"made"}
    with served(front.till) as moved:
        assert set(subscribe(moved).values()) == {"made again"}
        assert {one.url for one in front.till.erp.subscriptions.known} == {
            f"{moved.address}/webhooks/{ERP}"
        }


@pytest.mark.parametrize("bom", [False, True])
def test_REST_19_a_body_with_or_without_bom_is_read(front: Front, bom: bool) -> None:  # noqa: FBT001
    subscribe(front)
    assert front.till.erp.subscriptions.notify("Inventory", bom=bom) == [202]
    assert front.till.one("SELECT feed FROM sync.webhook_event") == "stock"


def test_REST_19_a_replayed_event_is_ignored(front: Front) -> None:
    one = body(event(front), event(front, "Inventory"))
    assert [call(front, one).status_code for _ in range(3)] == [202] * 3
    front.parts.rounds.once()
    assert sorted(front.woken) == [(ERP, "order_status"), (ERP, "stock")]
    assert front.till.one("SELECT min(times) FROM sync.webhook_event") == 3
    assert call(front, one).status_code == 202
    front.parts.rounds.once()
    assert len(front.woken) == 2
    assert 'waybill_webhook_calls_total{erp="birch",result="replayed"} 6.0' in (
        front.call.get("/metrics").text
    )


@pytest.fixture
def signed_till(database: str, tmp_path: Path, tiny_dataset: Dataset) -> Iterator[Till]:
    """An ERP that signs its calls."""
    one = Till(tiny_dataset, database, tmp_path / "home")
    path = one.settings.mappings[0] / f"{ERP}.yaml"
    text = path.read_text(encoding="utf-8")
    signed = """proof: hmac_sha256
  header: X-Erp-Signature
  event_id: X-Event-Id
"""
    text = text.replace("proof: client_state\n", signed)
    path.write_text(text.replace("  subscribe: {entity: subscriptions, hours: 72}\n", ""))
    one.start()
    try:
        yield one
    finally:
        one.stop()


def test_REST_19_a_signature_is_of_the_very_bytes_and_compared_in_constant_time(
    signed_till: Till,
) -> None:
    from mappings.private_files import change_connections  # noqa: PLC0415

    connection = signed_till.erp.connection()
    secret = "hook-s3cret"
    extra = {**connection["extra"], "webhook_secret": secret}
    with served(signed_till, public=False) as front:
        one = b"\xef\xbb\xbf" + body({"resource": "SalesOrders", "changeType": "updated"})
        digest = hmac.new(secret.encode(), one, hashlib.sha256)
        right = digest.hexdigest()
        unset = call(front, one, **{"X-Erp-Signature": hmac.new(b"", one, "sha256").hexdigest()})
        assert unset.status_code == 503  # no secret is no proof
        change_connections(signed_till.settings, {ERP: {**connection, "extra": extra}})
        for signature in ("", "x", right[:-1], right[::-1], "é", right.replace("a", "b")):
            given = {b"X-Erp-Signature": signature.encode()}
            answer = front.stranger.post(f"/webhooks/{ERP}", content=one, headers=given)
            assert answer.status_code == (202 if signature == right else 503), signature
        assert call(front, one + b" ", **{"X-Erp-Signature": right}).status_code == 503
        for number, signature in enumerate(
            (right, f"sha256={right.upper()}", base64.b64encode(digest.digest()).decode())
        ):
            given = {"X-Erp-Signature": signature, "X-Event-Id": str(number)}
            assert call(front, one, **given).status_code == 202
        assert signed_till.one("SELECT count(*) FROM sync.webhook_event") == 3


def test_a_signed_call_that_nobody_understands_makes_everything_be_pulled(
    signed_till: Till,
) -> None:
    from mappings.private_files import change_connections  # noqa: PLC0415

    connection = signed_till.erp.connection()
    extra = {**connection["extra"], "webhook_secret": "s"}
    change_connections(signed_till.settings, {ERP: {**connection, "extra": extra}})
    with served(signed_till, public=False) as front:
        junk = b"<changed/>"
        signature = hmac.new(b"s", junk, "sha256").hexdigest()
        assert call(front, junk, **{"X-Erp-Signature": signature}).status_code == 202
        front.parts.rounds.once()
        assert {feed for _, feed in front.woken} >= {"order_status", "stock", "prices"}


def test_events_wait_while_nothing_can_be_started_and_are_marked_without_airflow(
    till: Till,
) -> None:
    away = [True]

    def wake(erp: str, feed: str) -> str:
        if away[0]:
            raise Transient("Airflow does not answer", code="airflow")
        return want_feed(till.ctx, erp, feed)

    with served(till, wake=wake, public=False) as front:
        assert call(front, body(event(front))).status_code == 202
        front.parts.rounds.once()
        assert till.one("SELECT state FROM sync.webhook_event") == "received"
        away[0] = False
        front.parts.rounds.once()
        assert till.one("SELECT says FROM sync.webhook_event") == "marked as wanted"
        wanted = "SELECT wanted_at IS NOT NULL FROM sync.cursor WHERE feed = 'order_status'"
        assert till.one(wanted) is True


def test_what_the_erp_does_to_an_order_is_told_by_a_call_and_shown_to_its_dealer(
    till: Till,
) -> None:
    """Order → ERP → its call → a pull of what changed, by its own filter → the dealer's order."""
    pulled: list[tuple[str, str]] = []

    def wake(erp: str, feed: str) -> str:
        outcome = sync_feed(till.ctx, erp, feed)
        assert outcome is not None
        pulled.append((feed, outcome.state))
        return "pulled"

    path = till.settings.mappings[0] / f"{ERP}.yaml"
    tree: Any = read_lines(path.read_text(encoding="utf-8")).tree
    tree["feeds"] = {name: tree["feeds"][name] for name in ("stock", "order_status")}
    tree["webhooks"]["feeds"] = {"SalesOrders": "order_status"}
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    tables = {name: till.erp.dataset[name] for name in till.erp.dataset.tables}
    tables |= {name: one.slice(0, 0) for name, one in tables.items() if name in ORDER_PARTS}
    till.erp.dataset = Dataset(tables, till.base.as_of)
    with served(till, wake=wake) as front:
        reference = front.order("k1", "10").json()["reference"]
        deliver_due(till.ctx, erp=ERP)
        assert sync_feed(till.ctx, ERP, "order_status") is not None  # the cursor's beginning
        front.parts.rounds.once()
        assert pulled == []
        for status in ("processing", "shipped"):
            till.erp.book.advance(reference, status)
            till.erp.requests.clear()
            assert till.erp.subscriptions.notify("SalesOrders") == [202]
            front.parts.rounds.once()
            told = front.call.get(f"/orders/{reference}").json()
            assert told["says"] == status
        assert pulled == [("order_status", "done")] * 2
        assert front.till.one("SELECT count(*) FROM sync.batch WHERE mode = 'delta'") == 3


def test_calls_that_prove_nothing_are_one_alert(front: Front) -> None:
    for _ in range(5):
        call(front, b'{"value": []}')
    alert = "SELECT fingerprint, times FROM sync.alert"
    assert front.till.db.execute(alert).fetchall() == [(f"webhook_not_proved/{ERP}", 5)]
