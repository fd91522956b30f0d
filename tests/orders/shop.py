"""A small portal database to order from: dealers, products, stock and routes, as rows.

Written by a superuser, past the feeds: what these tests are about begins where the feeds end.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from portal_db.orders import NewLine, NewOrder, PlacedOrder, as_dealer, place_order

Connection = psycopg.Connection[Any]
SAMPLES: dict[str, object] = {
    "text": "x", "bigint": 1, "numeric": 1, "date": "2026-01-01", "boolean": False,
    "timestamp with time zone": "2026-01-01T00:00:00Z",
}  # fmt: skip


def put(admin: Connection, table: str, **values: object) -> None:
    """One row of a table of schema portal; what is required and not given gets a sample."""
    columns = admin.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = "
        "'portal' AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL "
        "AND is_identity = 'NO'",
        (table,),
    ).fetchall()
    given = {**{name: SAMPLES[kind] for name, kind in columns}, **values}
    admin.execute(
        sql.SQL("INSERT INTO portal.{} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, given)),
            sql.SQL(", ").join([sql.Placeholder()] * len(given)),
        ),
        list(given.values()),
    )


def stock_up(
    admin: Connection,
    erp: str = "mill",
    *,
    dealers: Iterable[tuple[str, int]] = (("D1", 101), ("D2", 102)),
    products: Iterable[tuple[str, int]] = (("P1", 100), ("P2", 1)),
    kinds: Iterable[str] = ("order", "order_cancel", "customer_update", "request"),
    release: str = "approved",
) -> None:
    """Dealers (key, portal dealer) and products (key, on hand in warehouse W1) of an ERP.

    Every product is counted in PCE and also sold in BOX of 10.
    """
    for key, portal_id in dealers:
        admin.execute(
            "INSERT INTO portal.dealer_account (erp, dealer_key, portal_dealer_id) "
            "VALUES (%s, %s, %s)",
            (erp, key, portal_id),
        )
        put(admin, "dealer", erp=erp, key=key, account_key=key, status="active", warehouse_key="W1")
    for key, on_hand in products:
        put(admin, "product", erp=erp, key=key, status="active", base_uom="PCE")
        put(admin, "product_uom", erp=erp, product_key=key, uom="BOX", numerator=10, denominator=1)
        put(admin, "stock", erp=erp, product_key=key, warehouse_key="W1", on_hand=on_hand)
    for kind in kinds:
        route(admin, erp, kind, release=release)


def route(
    admin: Connection, erp: str, kind: str, *, release: str = "approved", dealers_of: str = ""
) -> None:
    """Let an ERP take messages of a kind."""
    admin.execute(
        "INSERT INTO sync.order_route (erp, kind, release, dealer_erp, product_erp, stock_erp, "
        "mapping_sha256) VALUES (%s, %s, %s, %s, %s, %s, 'x')",
        (erp, kind, release, dealers_of or erp, erp, erp),
    )


def an_order(
    key: str,
    *lines: tuple[str, int] | NewLine,
    erp: str = "mill",
    dealer: str = "D1",
    **more: Any,
) -> NewOrder:
    """An order of (product, pieces) lines; by default one piece of P1."""
    made = tuple(
        one
        if isinstance(one, NewLine)
        else NewLine(one[0], Decimal(one[1]), "PCE", unit_price=Decimal("9.50"))
        for one in lines or (("P1", 1),)
    )
    return NewOrder(erp, dealer, key, "EUR", made, **more)


def place(connection: Connection, dealer: int, order: NewOrder) -> PlacedOrder:
    """Place it as that portal dealer, in a transaction of its own."""
    with as_dealer(connection, dealer):
        return place_order(connection, order)
