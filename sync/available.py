"""What can be ordered of a product: the ERP's stock less what portal orders hold back.

A live figure knows no more than a synced one of an order that the ERP has not acknowledged yet.
Must not ask an ERP.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from portal_db.held_stock import held, held_of_synced
from sync.ask import LiveAnswer


def available(
    connection: psycopg.Connection[Any], erp: str, answer: LiveAnswer
) -> list[dict[str, Any]]:
    """A row a warehouse: on_hand, reserved, held, available; never below 0.

    available = the ERP's own figure, else on hand − reserved, and from that the portal's orders
    that the ERP had not acknowledged when it gave the figure.
    """
    product_keys = sorted({row["product_key"] for row in answer.rows})
    if answer.live and answer.as_of is not None:
        holds = held(connection, erp, product_keys, answer.as_of)
    else:
        holds = held_of_synced(connection, erp, product_keys)
    shown = []
    for row in answer.rows:
        kept = holds.get((row["product_key"], row["warehouse_key"]), Decimal(0))
        own = row["available"]
        if own is None:
            own = row["on_hand"] - (row["reserved"] or Decimal(0))
        shown.append(
            {
                "product": row["product_key"],
                "warehouse": row["warehouse_key"],
                "on_hand": row["on_hand"],
                "reserved": row["reserved"],
                "held": kept,
                "available": max(own - kept, Decimal(0)),
            }
        )
    return shown
