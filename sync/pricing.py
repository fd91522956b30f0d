"""What the portal itself says a line costs: the seam that the price echo of an order is held to.

Shapes only; must not compute a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import psycopg


@dataclass(frozen=True, slots=True)
class PriceWish:
    """One line to be priced."""

    erp: str
    dealer_key: str
    product_key: str
    qty: Decimal
    uom: str
    currency: str


@dataclass(frozen=True, slots=True)
class Price:
    """A price as the portal has it: net of one unit, all discounts in; `says` for people."""

    net_of_one: Decimal
    says: str


class PriceOf(Protocol):
    """Prices of lines, in their order; None where the portal knows none."""

    def __call__(
        self, connection: psycopg.Connection[Any], wishes: Sequence[PriceWish]
    ) -> list[Price | None]:
        """As many as there are wishes."""
        ...
