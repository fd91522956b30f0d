"""Stock that portal orders keep for themselves until the ERP has acknowledged them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg


def held(
    connection: psycopg.Connection[Any], erp: str, product_keys: Sequence[str]
) -> dict[tuple[str, str], Decimal]:
    """(product, warehouse) → quantity held, in the product's base unit."""
    rows = connection.execute(
        "SELECT product_key, warehouse_key, sum(qty) FROM portal.stock_hold "
        "WHERE erp = %s AND product_key = ANY (%s) AND ended_at IS NULL GROUP BY 1, 2",
        (erp, list(product_keys)),
    ).fetchall()
    return {(str(product), str(warehouse)): qty for product, warehouse, qty in rows}
