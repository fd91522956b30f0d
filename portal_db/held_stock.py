"""Stock that portal orders keep until a figure of the ERP contains them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

Held = dict[tuple[str, str], Decimal]
"""(product, warehouse) → quantity, in the product's base unit."""


def held(
    connection: psycopg.Connection[Any], erp: str, product_keys: Sequence[str], asked_at: datetime
) -> Held:
    """What to take off a figure that the ERP gave at `asked_at`: what it had not acknowledged."""
    rows = connection.execute(
        "SELECT product_key, warehouse_key, sum(qty) FROM portal.stock_hold "
        "WHERE erp = %s AND product_key = ANY (%s) AND (ended_at IS NULL "
        "OR (ended_because = 'acknowledged' AND ended_at > %s)) GROUP BY 1, 2",
        (erp, list(product_keys), asked_at),
    ).fetchall()
    return {(str(product), str(warehouse)): qty for product, warehouse, qty in rows}


def held_of_synced(
    connection: psycopg.Connection[Any], erp: str, product_keys: Sequence[str]
) -> Held:
    """What to take off the synced figures."""
    rows = connection.execute(
        "SELECT product_key, warehouse_key, held FROM portal.stock_available "
        "WHERE erp = %s AND product_key = ANY (%s)",
        (erp, list(product_keys)),
    ).fetchall()
    return {(str(product), str(warehouse)): qty for product, warehouse, qty in rows}
