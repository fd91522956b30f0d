"""Business figures out of the orders that the ERP knows: what the portal is there for, measured.

Per week, month and quarter of the distributor's time zone, beside a baseline from before the
portal's first order. A past span is worked out anew while its orders may still change. Must not
estimate: a figure that nothing tells has no value, and says how many orders it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from mappings.errors import Misconfigured
from portal_db import figures as store
from portal_db.audit import record
from portal_db.figures import Figure, Orders
from sync.context import Context

EVENING, MORNING = 18, 9
"""Hours of the local day; weekends are after hours, too."""

BASELINE_DAYS = 91
STILL_CHANGING_DAYS = 100
"""Spans that ended longer ago are not worked out again: their orders are shipped or gone."""

SPANS = ("week", "month", "quarter")
MEANINGS = {
    "orders": "orders of every channel",
    "portal_share": "orders through the portal, of all orders",
    "active_dealers": "dealers with an order through the portal, of all that are not closed today",
    "error_rate": "orders refused or changed by the office, filled with another product, or "
    "credited, of all orders",
    "error_rate_portal": "the same, of the orders through the portal",
    "entry_to_shipment_hours": "median from entry to first shipment, orders with a known time",
    "entry_to_shipment_days": "median of the same in local days, all shipped orders",
    "after_hours_share": f"orders from {EVENING}:00 to {MORNING:02}:00 and at weekends, of those "
    "with a known time",
}
"""Figure → what it says. Shares are between 0 and 1, cut to six digits behind the point."""


def supplying(ctx: Context) -> list[str]:
    """The ERPs that map orders."""
    return sorted(erp for erp, one in ctx.mappings.mappings.items() if "order_status" in one.feeds)


def compute(ctx: Context, erp: str, *, now: datetime | None = None) -> list[Figure]:
    """Work out and keep the figures of one ERP; those that may have changed since last time.

    The baseline is the quarter of a year before the portal's first order; until there is one,
    the quarter before today. Raises Misconfigured where the ERP maps no orders.
    """
    ctx.feed(erp, "order_status")
    zone = ctx.erp(erp).time_zone
    today = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone)).date()
    dealer_erp = ctx.refers(erp, "order_status").get("dealer", erp)
    with ctx.connection() as connection:
        first, first_portal = store.first_days(connection, erp, zone)
        if first is None:
            return []
        of_dealers = store.dealers(connection, dealer_erp)
        kept = {row["starts_on"] for row in store.known(connection, erp) if row["span"] == "week"}
        since = max(first, today - timedelta(days=STILL_CHANGING_DAYS)) if kept else first
        found: list[Figure] = []
        for span in SPANS:
            start = starts(span, since)
            for one in store.counted(
                connection,
                erp,
                zone,
                span,
                start,
                today + timedelta(days=1),
                evening=EVENING,
                morning=MORNING,
            ):
                end = following(span, one.starts_on)
                found += _figures(one, span, end, of_dealers, closed=end <= today)
        if not _has_own_baseline(ctx, erp):
            end = first_portal or today
            found += _baseline(ctx, erp, zone, end - timedelta(days=BASELINE_DAYS), end, of_dealers)
        with connection.transaction():
            store.keep(connection, erp, found)
    return found


def set_baseline(ctx: Context, erp: str, since: date, until: date, *, actor: str) -> list[Figure]:
    """Take the local days [since, until) as what it was like before; on record as a decision."""
    if since >= until:
        raise Misconfigured(
            "the baseline is empty", code="period", remedy="Give --from before --to."
        )
    ctx.feed(erp, "order_status")
    zone = ctx.erp(erp).time_zone
    with ctx.connection() as connection:
        of_dealers = store.dealers(connection, ctx.refers(erp, "order_status").get("dealer", erp))
        found = _baseline(ctx, erp, zone, since, until, of_dealers)
        with connection.transaction():
            store.keep(connection, erp, found)
            record(connection, actor, "baseline", f"figures {erp}", {"from": since, "to": until})
    return found


def starts(span: str, day: date) -> date:
    """The first day of the span that a day is in."""
    if span == "week":
        return day - timedelta(days=day.weekday())
    if span == "month":
        return day.replace(day=1)
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def following(span: str, first: date) -> date:
    """The first day of the next span."""
    if span == "week":
        return first + timedelta(days=7)
    months = 1 if span == "month" else 3
    return starts("month", first + timedelta(days=31 * months))


def _has_own_baseline(ctx: Context, erp: str) -> bool:
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM sync.audit WHERE subject = %s AND action = 'baseline')",
            (f"figures {erp}",),
        ).fetchone()
    return bool(row and row[0])


def _baseline(
    ctx: Context, erp: str, zone: str, since: date, until: date, of_dealers: int
) -> list[Figure]:
    with ctx.connection() as connection:
        rows = store.counted(
            connection, erp, zone, "baseline", since, until, evening=EVENING, morning=MORNING
        )
    empty = Orders(since, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, None)
    one = rows[0] if rows else empty
    return list(_figures(one, "baseline", until, of_dealers, closed=True))


def _figures(
    one: Orders, span: str, end: date, of_dealers: int, *, closed: bool
) -> Iterator[Figure]:
    def share(name: str, part: int, whole: int) -> Figure:
        value = Decimal(part * 1_000_000 // whole).scaleb(-6) if whole else None
        return Figure(span, one.starts_on, end, name, value, Decimal(part), Decimal(whole), closed)

    def median(name: str, value: Decimal | None, over: int) -> Figure:
        return Figure(
            span, one.starts_on, end, name, value, Decimal(over), Decimal(one.orders), closed
        )

    yield median("orders", Decimal(one.orders), one.orders)
    yield share("portal_share", one.by_portal, one.orders)
    yield share("active_dealers", one.dealers_by_portal, of_dealers)
    yield share("error_rate", one.wrong, one.orders)
    yield share("error_rate_portal", one.by_portal_wrong, one.by_portal)
    yield median("entry_to_shipment_hours", one.hours_to_ship, one.shipped_timed)
    yield median("entry_to_shipment_days", one.days_to_ship, one.shipped)
    yield share("after_hours_share", one.after_hours, one.timed)
