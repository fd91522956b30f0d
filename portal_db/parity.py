"""Parity's statements: every invoice line with the conditions that address it, set-based.

Fills temporary tables inside the caller's transaction and streams from them; writes the runs and
their items. Must not choose a price or judge a line: that is `sync.parity`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from portal_db.pricing import Candidate, Membership

Connection = psycopg.Connection[Any]
OPEN_END = date.max

_CANDIDATE: LiteralString = (
    "p.product_key, p.level, p.header_key, p.min_qty, p.uom, p.per, p.unit_price, p.pct_off_list, "
    "p.amount_off_list, p.valid_from, p.seq, p.quota_left, p.product_scope, "
    "CASE p.dealer_scope WHEN 'dealer' THEN 'dealer' WHEN 'account' THEN 'account' "
    "ELSE portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key) END AS scope, "
    "p.combine, p.tax_included, p.batch_id, p.ref, p.title"
)


@dataclass(frozen=True, slots=True)
class Side:
    """Whose invoices are compared with whose conditions, in which code spaces."""

    erp: str
    price_erp: str
    dealer_erp: str
    product_erp: str
    order_erp: str
    order_time_zone: str
    """An order's instant is a day of this zone: the day of the price where the line names none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One invoice line and the ids of the conditions that hold for it (of `conditions`)."""

    invoice_key: str
    line_no: str
    dealer_key: str | None
    product_key: str
    qty: Decimal
    uom: str
    currency: str
    priced_on: date
    unit_price: Decimal
    per: int
    discount_pct: Decimal | None
    net: Decimal
    ids: list[int]


@dataclass(frozen=True, slots=True)
class Item:
    """One compared line, as it is kept. `reason` None: explained."""

    invoice_key: str
    line_no: str
    dealer_erp: str
    dealer_key: str | None
    product_erp: str
    product_key: str
    qty: Decimal
    uom: str
    currency: str
    priced_on: date
    invoiced: Decimal
    invoiced_net: Decimal
    resolved: Decimal | None
    resolved_net: Decimal | None
    level: str | None
    header_key: str | None
    min_qty: Decimal | None
    reason: str | None
    says: str | None


@dataclass(frozen=True, slots=True)
class Buyer:
    """What a dealer's conditions depend on, beside the dealer: memberships with their days."""

    standard_discount_pct: Decimal | None
    memberships: tuple[tuple[Membership, date, date], ...]


def gather(connection: Connection, side: Side) -> int:
    """Fill `parity_line`, `parity_scope` and `parity_price`; returns the number of lines."""
    run = connection.execute
    run(
        "CREATE TEMP TABLE parity_line ON COMMIT DROP AS "
        "SELECT row_number() OVER () AS n, l.invoice_key, l.line_no, i.dealer_key, l.product_key, "
        "l.qty, l.uom, i.currency, coalesce(l.priced_on, "
        "(o.ordered_at AT TIME ZONE %s)::date, i.issued_on) AS priced_on, l.unit_price, l.per, "
        "l.discount_pct, l.net FROM portal.invoice_line l JOIN portal.invoice i "
        "ON i.erp = l.erp AND i.key = l.invoice_key AND i.deleted_at IS NULL "
        "LEFT JOIN portal.sales_order o ON o.erp = %s "
        "AND o.key = coalesce(l.order_key, i.order_key) "
        "WHERE l.erp = %s AND l.kind = 'item' AND l.deleted_at IS NULL "
        "AND i.dealer_erp = %s AND l.product_erp = %s",
        (side.order_time_zone, side.order_erp, side.erp, side.dealer_erp, side.product_erp),
    )
    run(
        "CREATE TEMP TABLE parity_scope ON COMMIT DROP AS "
        "WITH buyer AS (SELECT d.key, d.account_key FROM portal.dealer d WHERE d.erp = %(dealer)s "
        "AND d.key IN (SELECT dealer_key FROM parity_line)) "
        "SELECT b.key AS dealer_key, s.scope, date '0001-01-01' AS since, NULL::date AS until "
        "FROM buyer b CROSS JOIN LATERAL (VALUES ('all'), ('dealer|' || b.key), "
        "('account|' || b.account_key)) s (scope) UNION ALL "
        "SELECT g.dealer_key, g.kind || '|' || g.group_key, min(g.valid_from), "
        "nullif(max(coalesce(g.valid_to, 'infinity')), 'infinity') FROM portal.dealer_group g "
        "WHERE g.erp = %(dealer)s AND g.deleted_at IS NULL "
        "AND g.dealer_key IN (SELECT key FROM buyer) GROUP BY 1, 2",
        {"dealer": side.dealer_erp},
    )
    run(
        "CREATE TEMP TABLE parity_price ON COMMIT DROP AS "
        "WITH RECURSIVE sold AS (SELECT DISTINCT product_key FROM parity_line), "
        "place AS (SELECT c.product_key, c.category_key FROM portal.product_category c JOIN sold s "
        "ON s.product_key = c.product_key WHERE c.erp = %(product)s AND c.deleted_at IS NULL UNION "
        "SELECT pl.product_key, up.parent_key FROM place pl JOIN portal.category up "
        "ON up.erp = %(product)s AND up.key = pl.category_key WHERE up.parent_key IS NOT NULL), "
        "own AS (SELECT p.*, row_number() OVER (ORDER BY p.header_key, p.min_qty) AS id, "
        "portal.price_scope(p.dealer_scope, p.dealer_group_kind, p.dealer_key) AS address "
        "FROM portal.price p WHERE p.erp = %(price)s AND p.dealer_erp = %(dealer)s "
        "AND p.product_erp = %(product)s AND p.product_scope <> 'cart') "
        "SELECT p.id, p.address, p.product_key AS sold_key, p.currency, p.valid_from, p.valid_to, "
        "p.deleted_at, p.header_key, p.min_qty FROM own p JOIN sold s USING (product_key) "
        "WHERE p.product_scope = 'product' UNION ALL "
        "SELECT p.id, p.address, pl.product_key, p.currency, p.valid_from, p.valid_to, "
        "p.deleted_at, p.header_key, p.min_qty FROM own p JOIN place pl "
        "ON pl.category_key = p.product_key WHERE p.product_scope = 'category' UNION ALL "
        "SELECT p.id, p.address, s.product_key, p.currency, p.valid_from, p.valid_to, "
        "p.deleted_at, p.header_key, p.min_qty FROM own p CROSS JOIN sold s "
        "WHERE p.product_scope = 'all'",
        {"price": side.price_erp, "dealer": side.dealer_erp, "product": side.product_erp},
    )
    run("ANALYZE parity_line, parity_scope, parity_price")
    row = run("SELECT count(*) FROM parity_line").fetchone()
    return int(row[0]) if row else 0


def lines(connection: Connection) -> Iterator[Line]:
    """Every line in order of invoice, with the conditions live today that held on its day."""
    with connection.cursor("parity", row_factory=class_row(Line)) as cursor:
        cursor.itersize = 10_000
        cursor.execute(
            "WITH held AS (SELECT l.n, array_agg(p.id ORDER BY p.id) AS ids FROM parity_line l "
            "JOIN parity_scope s ON s.dealer_key = l.dealer_key AND s.since <= l.priced_on "
            "AND (s.until IS NULL OR s.until > l.priced_on) JOIN parity_price p "
            "ON p.address = s.scope AND p.sold_key = l.product_key AND p.currency = l.currency "
            "AND p.valid_from <= l.priced_on AND (p.valid_to IS NULL OR p.valid_to > l.priced_on) "
            "AND p.deleted_at IS NULL GROUP BY l.n) "
            "SELECT l.invoice_key, l.line_no, l.dealer_key, l.product_key, l.qty, l.uom, "
            "l.currency, l.priced_on, l.unit_price, l.per, l.discount_pct, l.net, "
            "coalesce(h.ids, '{}') AS ids FROM parity_line l LEFT JOIN held h USING (n) "
            "ORDER BY l.n"
        )
        yield from cursor


def conditions(connection: Connection, side: Side) -> dict[int, Candidate]:
    """Id → condition, of all that may price a line; past and deleted ones too."""
    rows = connection.execute(
        f"SELECT x.id, {_CANDIDATE} FROM (SELECT DISTINCT id, header_key, min_qty "
        "FROM parity_price) x JOIN portal.price p ON p.erp = %s AND p.header_key = x.header_key "
        "AND p.min_qty = x.min_qty",
        (side.price_erp,),
    ).fetchall()
    return {int(row[0]): Candidate(*row[1:]) for row in rows}


def any_day(connection: Connection, line: Line) -> list[tuple[int, date, date | None, bool]]:
    """What addresses a line whatever the day: id, first day, first day after, since deleted."""
    return [
        (int(number), since, until, bool(gone))
        for number, since, until, gone in connection.execute(
            "SELECT DISTINCT p.id, p.valid_from, p.valid_to, p.deleted_at IS NOT NULL "
            "FROM parity_scope s JOIN parity_price p ON p.address = s.scope "
            "WHERE s.dealer_key = %s AND p.sold_key = %s AND p.currency = %s ORDER BY 1",
            (line.dealer_key, line.product_key, line.currency),
        ).fetchall()
    ]


def buyers(connection: Connection, side: Side) -> dict[str, Buyer]:
    """Dealer → discount and memberships, of the dealers in the lines."""
    rows = connection.execute(
        "SELECT d.key, d.standard_discount_pct, g.kind, g.group_key, g.category_key, g.priority, "
        "g.valid_from, coalesce(g.valid_to, %s) FROM portal.dealer d "
        "LEFT JOIN portal.dealer_group g "
        "ON g.erp = d.erp AND g.dealer_key = d.key AND g.deleted_at IS NULL "
        "WHERE d.erp = %s AND d.key IN (SELECT dealer_key FROM parity_line) ORDER BY 1, 3, 4, 5, 7",
        (OPEN_END, side.dealer_erp),
    ).fetchall()
    discounts: dict[str, Decimal | None] = {}
    members: dict[str, list[tuple[Membership, date, date]]] = {}
    for key, discount, kind, *rest in rows:
        discounts[key] = discount
        mine = members.setdefault(key, [])
        if kind is not None:
            mine.append((Membership(kind, rest[0], rest[1], rest[2]), rest[3], rest[4]))
    return {key: Buyer(discounts[key], tuple(mine)) for key, mine in members.items()}


def products(
    connection: Connection, side: Side
) -> tuple[list[tuple[str, str]], list[tuple[str, str, int, int]], list[tuple[str, str]]]:
    """(key, base unit), (key, unit, numerator, denominator), (key, category) of what was sold."""
    sold = "SELECT product_key FROM parity_line"
    run = connection.execute
    base = run(
        f"SELECT key, base_uom FROM portal.product WHERE erp = %s AND key IN ({sold})",
        (side.product_erp,),
    ).fetchall()
    units = run(
        "SELECT product_key, uom, numerator, denominator FROM portal.product_uom "
        f"WHERE erp = %s AND deleted_at IS NULL AND product_key IN ({sold})",
        (side.product_erp,),
    ).fetchall()
    places = run(
        "WITH RECURSIVE place AS (SELECT c.product_key, c.category_key "
        "FROM portal.product_category c WHERE c.erp = %s AND c.deleted_at IS NULL "
        f"AND c.product_key IN ({sold}) UNION SELECT pl.product_key, up.parent_key FROM place pl "
        "JOIN portal.category up ON up.erp = %s AND up.key = pl.category_key "
        "WHERE up.parent_key IS NOT NULL) SELECT * FROM place",
        (side.product_erp, side.product_erp),
    ).fetchall()
    return base, units, places  # type: ignore[return-value]  rows as selected


def begin(connection: Connection, side: Side, mapping_sha256: str | None) -> int:
    """Draw the id of a comparison."""
    row = connection.execute(
        "INSERT INTO sync.parity (erp, price_erp, mapping_sha256) VALUES (%s, %s, %s) RETURNING id",
        (side.erp, side.price_erp, mapping_sha256),
    ).fetchone()
    return int(row[0])  # pyright: ignore[reportOptionalSubscript]  RETURNING gives a row


def keep(connection: Connection, parity_id: int, items: Iterable[Item]) -> None:
    """Store compared lines."""
    names: LiteralString = ", ".join(Item.__dataclass_fields__)  # type: ignore[assignment]
    fields = tuple(Item.__dataclass_fields__)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY sync.parity_item (parity_id, {names}) FROM STDIN") as copy,
    ):
        for item in items:
            copy.write_row((parity_id, *(getattr(item, name) for name in fields)))


def finish(connection: Connection, parity_id: int, explained: int, unexplained: int) -> None:
    """Close a comparison; of the ERP's older ones only the unexplained lines are kept."""
    connection.execute(
        "UPDATE sync.parity SET finished_at = clock_timestamp(), lines = %s, explained = %s, "
        "unexplained = %s, seconds = extract(epoch FROM clock_timestamp() - started_at) "
        "WHERE id = %s",
        (explained + unexplained, explained, unexplained, parity_id),
    )
    connection.execute(
        "DELETE FROM sync.parity_item i USING sync.parity mine, sync.parity older "
        "WHERE mine.id = %s AND older.erp = mine.erp AND older.id < mine.id "
        "AND i.parity_id = older.id AND i.reason IS NULL",
        (parity_id,),
    )
