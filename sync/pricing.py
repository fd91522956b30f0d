"""What the portal itself says the lines of an order cost: what a price echo is held to.

Asks the resolver of `portal_db`; must not compute a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import psycopg

from portal_db.resolver import Ask, Market, pricing_day, resolve_for
from sync.context import Context


@dataclass(frozen=True, slots=True)
class PriceWish:
    """One line to be priced."""

    product_key: str
    qty: Decimal
    uom: str | None


@dataclass(frozen=True, slots=True)
class Price:
    """A line's price as the portal has it: its net, rounded once; `says` for people."""

    line_net: Decimal
    says: str


class PriceOf(Protocol):
    """Prices of the lines of one dealer's order, in their order; None where there is none."""

    def __call__(
        self,
        connection: psycopg.Connection[Any],
        erp: str,
        dealer_key: str,
        currency: str,
        wishes: Sequence[PriceWish],
    ) -> list[Price | None]:
        """As many as there are wishes."""
        ...


def portal_prices(ctx: Context) -> PriceOf:
    """Prices by the portal's own resolver, as of now."""

    def prices(
        connection: psycopg.Connection[Any],
        erp: str,
        dealer_key: str,
        currency: str,
        wishes: Sequence[PriceWish],
    ) -> list[Price | None]:
        market = market_of(ctx, erp, dealer_key, currency)
        asks = [Ask(wish.product_key, wish.qty, wish.uom) for wish in wishes]
        found = resolve_for(connection, market, asks, detail=False)
        return [
            None
            if one.line_net is None
            else Price(one.line_net, f"{one.line_net} {currency} for the line")
            for one in found
        ]

    return prices


def market_of(ctx: Context, erp: str, dealer_key: str, currency: str) -> Market:
    """Whose conditions hold for an order of this ERP: its own, else its product owner's."""
    mapping = ctx.erp(erp)
    products = mapping.refers.get("product", erp)
    priced_by = mapping if "prices" in mapping.feeds else ctx.erp(products)
    return Market(
        price_erp=priced_by.erp,
        dealer_erp=mapping.refers.get("dealer", erp),
        dealer_key=dealer_key,
        product_erp=products,
        currency=currency,
        day=pricing_day(datetime.now(UTC), priced_by.time_zone),
        pricing=priced_by.pricing,
        closed=ctx.erp(products).catalogue == "closed",
    )
