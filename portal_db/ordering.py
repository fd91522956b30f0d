"""What an order is checked against and shown with: products, and the order as a dealer reads it.

Must not place anything: `portal_db/orders.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row


@dataclass(frozen=True, slots=True)
class Product:
    """What can be ordered. `order_step` is in `order_uom`."""

    key: str
    tax_pct: Decimal | None
    order_uom: str
    order_step: Decimal | None


def products(
    connection: psycopg.Connection[Any], erp: str, keys: Sequence[str]
) -> dict[str, Product]:
    """Product key → product, of those that are there."""
    rows = connection.execute(
        "SELECT key, tax_pct, coalesce(sales_uom, base_uom), order_step FROM portal.product "
        "WHERE erp = %s AND key = ANY (%s) AND deleted_at IS NULL",
        (erp, list(keys)),
    ).fetchall()
    return {row[0]: Product(*row) for row in rows}


def readable_order(connection: psycopg.Connection[Any], reference: str) -> dict[str, Any] | None:
    """One order with its state in words (`says`) and its lines; None where there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        order = cursor.execute(
            "SELECT * FROM portal.dealer_order WHERE reference = %s", (reference,)
        ).fetchone()
        if order is None:
            return None
        order["lines"] = cursor.execute(
            "SELECT line_no, product_key, qty, uom, unit_price, per, gross, outcome, "
            "qty_confirmed, unit_price_confirmed, expected_on, reason, erp_status, qty_shipped "
            "FROM portal.dealer_order_line WHERE reference = %s ORDER BY line_no",
            (reference,),
        ).fetchall()
    return order
