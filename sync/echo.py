"""The price echo: what a dealer was shown, held to what the portal says now.

Must not work out the portal's price or place anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg

from mappings.errors import Refused
from sync.pricing import PriceOf, PriceWish

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Shown:
    """A line as the dealer saw it: `name` for people, `net` of the whole line."""

    name: str
    wish: PriceWish
    net: Decimal


def cents(amount: Decimal) -> Decimal:
    """An amount of money, rounded half up."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def line_net(qty: Decimal, unit_price: Decimal, per: int, discount_pct: Decimal) -> Decimal:
    """What a line costs, rounded once."""
    return cents(qty * unit_price / per * (1 - discount_pct / 100))


def hold_to(
    prices: PriceOf,
    connection: psycopg.Connection[Any],
    erp: str,
    dealer_key: str,
    currency: str,
    shown: Sequence[Shown],
) -> None:
    """Each line is what the portal would say now. Raises Refused (`price_changed`)."""
    if not shown:
        return
    own = prices(connection, erp, dealer_key, currency, [line.wish for line in shown])
    wrong = []
    for line, price in zip(shown, own, strict=True):
        if price is None:
            wrong.append(f"{line.name}: no price is known")
        elif price.line_net != line.net:
            net = format(line.net.normalize(), "f")
            wrong.append(f"{line.name}: {net} was shown, it is {price.says}")
    if wrong:
        raise Refused(
            "; ".join(wrong),
            erp=erp,
            code="price_changed",
            remedy="Show the new price and ask again.",
        )
