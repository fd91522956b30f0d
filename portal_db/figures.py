"""Statements behind the business figures: orders of one ERP, counted per span of local days.

Must not define a figure: `sync/figures.py` says what each of them means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row, dict_row

_BUCKETS: dict[str, LiteralString] = {
    "week": "date_trunc('week', o.day)::date",
    "month": "date_trunc('month', o.day)::date",
    "quarter": "date_trunc('quarter', o.day)::date",
    "baseline": "%(since)s::date",
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What the orders of one span add up to; medians are None where no order tells."""

    starts_on: date
    orders: int
    by_portal: int
    dealers_by_portal: int
    wrong: int
    by_portal_wrong: int
    timed: int
    after_hours: int
    shipped: int
    days_to_ship: Decimal | None
    shipped_timed: int
    hours_to_ship: Decimal | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one span, as it is kept."""

    span: str
    starts_on: date
    ends_on: date
    name: str
    value: Decimal | None
    counted: Decimal
    of: Decimal
    closed: bool


def counted(
    connection: psycopg.Connection[Any],
    erp: str,
    zone: str,
    span: str,
    since: date,
    until: date,
    *,
    evening: int,
    morning: int,
) -> list[Orders]:
    """Orders of the local days [since, until) by the span that they fall into.

    `evening` and `morning` are hours of the local day between which nobody is in the office.
    """
    statement = (
        "WITH o AS (SELECT s.*, t.at::date AS day, t.at, "
        "s.channel = 'portal' OR s.portal_ref IS NOT NULL AS portal, "
        "coalesce(s.ordered_at_exact, true) AS exact, "
        "(s.first_shipped_at AT TIME ZONE %(zone)s)::date - t.at::date AS ship_days, "
        "extract(epoch FROM s.first_shipped_at - s.ordered_at) / 3600 AS ship_hours, "
        "s.status = 'rejected' OR EXISTS (SELECT FROM portal.order_event e WHERE e.erp = s.erp "
        "AND e.order_key = s.key AND e.deleted_at IS NULL AND e.kind IN ('refused', 'changed') "
        "AND e.source = 'erp') OR EXISTS (SELECT FROM portal.sales_order_line l "
        "WHERE l.erp = s.erp AND l.order_key = s.key AND l.deleted_at IS NULL "
        "AND l.replaces_product_key IS NOT NULL) OR EXISTS (SELECT FROM portal.invoice i "
        "WHERE i.erp = s.erp AND i.order_key = s.key AND i.kind = 'credit_note' "
        "AND i.deleted_at IS NULL) AS wrong "
        "FROM portal.sales_order s, LATERAL (SELECT s.ordered_at AT TIME ZONE %(zone)s AS at) t "
        "WHERE s.erp = %(erp)s AND s.deleted_at IS NULL "
        "AND s.ordered_at >= %(since)s::timestamp AT TIME ZONE %(zone)s "
        "AND s.ordered_at < %(until)s::timestamp AT TIME ZONE %(zone)s) "
        f"SELECT {_BUCKETS[span]} AS starts_on, count(*) AS orders, "
        "count(*) FILTER (WHERE portal) AS by_portal, "
        "count(DISTINCT (dealer_erp, dealer_key)) FILTER (WHERE portal) AS dealers_by_portal, "
        "count(*) FILTER (WHERE wrong) AS wrong, "
        "count(*) FILTER (WHERE wrong AND portal) AS by_portal_wrong, "
        "count(*) FILTER (WHERE exact) AS timed, "
        "count(*) FILTER (WHERE exact AND (extract(isodow FROM at) > 5 "
        "OR extract(hour FROM at) >= %(evening)s OR extract(hour FROM at) < %(morning)s)) "
        "AS after_hours, count(ship_days) AS shipped, "
        "percentile_disc(0.5) WITHIN GROUP (ORDER BY ship_days)::numeric AS days_to_ship, "
        "count(ship_hours) FILTER (WHERE exact) AS shipped_timed, "
        "round(percentile_disc(0.5) WITHIN GROUP (ORDER BY ship_hours) FILTER (WHERE exact), 2) "
        "AS hours_to_ship FROM o GROUP BY 1 ORDER BY 1"
    )
    with connection.cursor(row_factory=class_row(Orders)) as cursor:
        return cursor.execute(
            statement,
            {
                "erp": erp,
                "zone": zone,
                "since": since,
                "until": until,
                "evening": evening,
                "morning": morning,
            },
        ).fetchall()


def first_days(
    connection: psycopg.Connection[Any], erp: str, zone: str
) -> tuple[date | None, date | None]:
    """The local days of an ERP's first order, and of its first order through the portal."""
    row = connection.execute(
        "SELECT min((ordered_at AT TIME ZONE %(zone)s)::date), min((ordered_at AT TIME ZONE "
        "%(zone)s)::date) FILTER (WHERE channel = 'portal' OR portal_ref IS NOT NULL) "
        "FROM portal.sales_order WHERE erp = %(erp)s AND deleted_at IS NULL",
        {"erp": erp, "zone": zone},
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


def dealers(connection: psycopg.Connection[Any], erp: str) -> int:
    """Live dealers of an ERP that are not closed."""
    row = connection.execute(
        "SELECT count(*) FROM portal.dealer WHERE erp = %s AND deleted_at IS NULL "
        "AND status <> 'closed'",
        (erp,),
    ).fetchone()
    return int(row[0]) if row else 0


def keep(connection: psycopg.Connection[Any], erp: str, figures: Iterable[Figure]) -> None:
    """Write figures; one of the same span is replaced by what is known now."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.figure AS f (erp, span, starts_on, ends_on, name, value, counted, "
            "of, closed) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (erp, span, starts_on, name) DO UPDATE SET ends_on = excluded.ends_on, "
            "value = excluded.value, counted = excluded.counted, of = excluded.of, "
            "closed = excluded.closed, computed_at = now() "
            "WHERE (f.ends_on, f.counted, f.of, f.closed, f.value) IS DISTINCT FROM "
            "(excluded.ends_on, excluded.counted, excluded.of, excluded.closed, excluded.value)",
            [
                (erp, f.span, f.starts_on, f.ends_on, f.name, f.value, f.counted, f.of, f.closed)
                for f in figures
            ],
        )


def known(
    connection: psycopg.Connection[Any], erp: str | None = None, span: str | None = None
) -> list[dict[str, Any]]:
    """Kept figures, the newest span first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT erp, span, starts_on, ends_on, name, value, counted, of, closed, computed_at "
            "FROM sync.figure WHERE (%(erp)s::text IS NULL OR erp = %(erp)s) "
            "AND (%(span)s::text IS NULL OR span = %(span)s) "
            "ORDER BY erp, span, starts_on DESC, name",
            {"erp": erp, "span": span},
        ).fetchall()
