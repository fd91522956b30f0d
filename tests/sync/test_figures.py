"""Business figures: each is a share or a median of orders that the test counts by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from mappings.settings import Settings
from portal_db.figures import known
from sync.context import Context
from sync.figures import MEANINGS, compute, following, set_baseline, starts
from tests.portal_db.price_world import ERP, dealer, insert
from tests.sync import far_side

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    """An engine that knows mill's orders."""
    feed = FEEDS["order_status"]
    supply = {
        "mode": "snapshot",
        "source": far_side.csv_source("sales_order"),
        "fields": {
            f.name: {"from": f.name} if f.need == "R" else "absent"
            for f in feed.part(feed.main).mapped_fields
        },
        "parts": {p.name: "absent" for p in feed.parts if p.name != feed.main},
    }
    mapped = far_side.mapping(ERP, {"order_status": supply}, time_zone="Europe/Istanbul")
    far_side.write_mapping(settings.mappings[0], mapped)
    with Context.open(settings) as context:
        yield context


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Four dealers, one of them closed."""
    with psycopg.connect(database, autocommit=True) as connection:
        for key in "ABC":
            dealer(connection, key)
        dealer(connection, "Z", status="closed")
        yield connection


def order(admin: psycopg.Connection[Any], key: str, at: str, by: str, **more: Any) -> None:
    """An order at an instant of UTC; Istanbul is three hours ahead."""
    row = {"status": "shipped", "channel": "phone", "ordered_at_exact": True, **more}
    insert(
        admin, "sales_order", key=key, number=key, dealer_key=by, dealer_erp=ERP, currency="EUR",
        ordered_at=datetime.fromisoformat(at).replace(tzinfo=UTC), **row,
    )  # fmt: skip


def test_every_figure_is_what_its_orders_say(ctx: Context, admin: psycopg.Connection[Any]) -> None:
    # the week of Monday 2026-03-09; 06:30 UTC is 09:30 in the office
    order(
        admin,
        "1",
        "2026-03-09T06:30",
        "A",
        channel="portal",
        first_shipped_at=datetime(2026, 3, 9, 10, 30, tzinfo=UTC),
    )
    order(admin, "2", "2026-03-10T15:00", "A", portal_ref="WB-1")  # 18:00: after hours
    order(admin, "3", "2026-03-11T05:59", "B", status="rejected")  # 08:59: after hours, an error
    order(admin, "4", "2026-03-14T10:00", "B", channel="portal")  # Saturday
    order(
        admin,
        "5",
        "2026-03-12T10:00",
        "C",
        ordered_at_exact=False,
        first_shipped_at=datetime(2026, 3, 14, 10, tzinfo=UTC),
    )
    order(admin, "6", "2026-03-08T21:30", "C")  # Monday 00:30 in the office: the same week
    insert(
        admin,
        "order_event",
        order_key="4",
        dealer_key="B",
        dealer_erp=ERP,
        seq=1,
        at=NOW,
        kind="changed",
        source="erp",
    )
    order(admin, "7", "2026-03-16T10:00", "C")  # the next week, not over yet
    compute(ctx, ERP, now=NOW)
    with ctx.connection() as connection:
        rows = {
            (r["starts_on"], r["name"]): (r["value"], int(r["counted"]), int(r["of"]), r["closed"])
            for r in known(connection, ERP, "week")
        }
        before = known(connection, ERP, "baseline")
    week = {name: rows[date(2026, 3, 9), name] for name in MEANINGS}
    assert week == {
        "orders": (Decimal(6), 6, 6, True),
        "portal_share": (Decimal("0.500000"), 3, 6, True),
        "active_dealers": (Decimal("0.666666"), 2, 3, True),
        "error_rate": (Decimal("0.333333"), 2, 6, True),
        "error_rate_portal": (Decimal("0.333333"), 1, 3, True),
        "entry_to_shipment_hours": (Decimal("4.00"), 1, 6, True),
        "entry_to_shipment_days": (Decimal(0), 2, 6, True),
        "after_hours_share": (Decimal("0.800000"), 4, 5, True),
    }
    assert rows[date(2026, 3, 16), "orders"] == (Decimal(1), 1, 1, False)
    assert rows[date(2026, 3, 16), "entry_to_shipment_hours"][0] is None, "nothing tells: no value"
    (orders,) = [r for r in before if r["name"] == "orders"]
    assert (orders["ends_on"], orders["value"]) == (date(2026, 3, 9), Decimal(0))


def test_a_later_change_of_an_order_corrects_its_span(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    order(admin, "1", "2026-03-09T06:30", "A")
    compute(ctx, ERP, now=NOW)
    admin.execute("UPDATE portal.sales_order SET status = 'rejected' WHERE key = '1'")
    compute(ctx, ERP, now=NOW)
    with ctx.connection() as connection:
        rates = {r["span"]: r["value"] for r in known(connection, ERP) if r["name"] == "error_rate"}
    assert rates == {"baseline": 1, "week": 1, "month": 1, "quarter": 1}


def test_a_baseline_that_a_person_chose_stays_and_is_on_record(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    order(admin, "1", "2025-03-09T06:30", "A")
    with pytest.raises(Misconfigured, match="empty"):
        set_baseline(ctx, ERP, date(2025, 4, 1), date(2025, 4, 1), actor="olga")
    set_baseline(ctx, ERP, date(2025, 3, 1), date(2025, 4, 1), actor="olga")
    compute(ctx, ERP, now=NOW)
    with ctx.connection() as connection:
        starts_on = {r["starts_on"] for r in known(connection, ERP, "baseline")}
    assert starts_on == {date(2025, 3, 1)}
    assert admin.execute("SELECT actor FROM sync.audit").fetchall() == [("olga",)]


def test_spans_follow_each_other_without_a_gap() -> None:
    for span in ("week", "month", "quarter"):
        first = starts(span, date(2023, 12, 31))
        for _ in range(60):
            end = following(span, first)
            assert starts(span, end) == end
            assert starts(span, end - timedelta(days=1)) == first
            first = end
