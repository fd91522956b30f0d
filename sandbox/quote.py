"""What a practice ERP asks one dealer for one quantity: the dealer's own price, else the list's.

Shared by the ERPs that answer at once. Must not know a protocol.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow.compute as pc

from sandbox.dataset import Dataset


@dataclass(frozen=True)
class Quote:
    """The price of one `per`, in the dealer's currency."""

    dealer_key: str
    product_key: str
    qty: Decimal
    uom: str
    currency: str
    unit_price: Decimal
    per: int
    reason: str


def quote(dataset: Dataset, dealer_key: str, product_key: str, qty: Decimal) -> Quote | None:
    """The price that holds on the data set's day; None where the ERP knows none."""
    dealer = _row(dataset, "dealer", dealer_key)
    product = _row(dataset, "product", product_key)
    if dealer is None or product is None:
        return None
    prices = dataset["price"]
    rows = prices.filter(pc.equal(prices["product_key"], product_key)).to_pylist()
    fitting = [
        row
        for row in rows
        if row["product_scope"] == "product"
        and row["unit_price"] is not None
        and row["currency"] == dealer["currency"]
        and (row["min_qty"] or Decimal(0)) <= qty
        and row["valid_from"] <= dataset.as_of
        and (row["valid_to"] is None or dataset.as_of < row["valid_to"])
    ]
    for scope in ("dealer", "all"):
        own = [
            row
            for row in fitting
            if row["dealer_scope"] == scope and (scope == "all" or row["dealer_key"] == dealer_key)
        ]
        if own:
            best = max(own, key=lambda row: (row["min_qty"] or Decimal(0), row["header_key"]))
            return Quote(
                dealer_key,
                product_key,
                qty,
                best["uom"] or product["base_uom"],
                best["currency"],
                best["unit_price"],
                best["per"],
                "customer price" if scope == "dealer" else "list price",
            )
    return None


def _row(dataset: Dataset, table: str, key: str) -> dict[str, Any] | None:
    rows = dataset[table]
    found = rows.filter(pc.equal(rows["key"], key)).to_pylist()
    return found[0] if found else None
