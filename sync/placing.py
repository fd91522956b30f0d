"""Placing an order on behalf of a dealer, by its customer number: for the command and for services.

The portal itself places as the dealer that is signed in. A price that the dealer was shown is held
to the portal's own. Must not judge credit.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg

from mappings.errors import Refused
from portal_db.orders import NewOrder, NotPlaced, PlacedOrder, as_dealer, place_order, portal_dealer
from sync.context import Context
from sync.pricing import PriceOf, PriceWish
from sync.routes import publish_routes

_CENT = Decimal("0.01")


def place_for(ctx: Context, order: NewOrder, *, prices: PriceOf | None = None) -> PlacedOrder:
    """Place it for the portal dealer that owns the order's customer number.

    `prices`: what the `unit_price` of a line is compared with; a line without one is taken as it
    is. Raises NotPlaced, and Refused (`price_changed`).
    """
    mapping = ctx.erp(order.erp)
    publish_routes(ctx)
    dealers_of = mapping.refers.get("dealer", mapping.erp)
    with ctx.connection() as connection:
        dealer = portal_dealer(connection, dealers_of, order.dealer_key)
        if dealer is None:
            raise NotPlaced(
                f"there is no dealer {order.dealer_key} at {dealers_of}",
                erp=order.erp,
                code="not_found",
                remedy=f"Is the customers feed of {dealers_of} loaded? `waybill feeds` tells.",
            )
        if prices is not None:
            _echo_compared(connection, order, prices)
        with as_dealer(connection, dealer):
            return place_order(connection, order)


def _echo_compared(connection: psycopg.Connection[Any], order: NewOrder, prices: PriceOf) -> None:
    shown = [line for line in order.lines if line.unit_price is not None]
    if not shown:
        return
    wishes = [PriceWish(line.product_key, line.qty, line.uom) for line in shown]
    own = prices(connection, order.erp, order.dealer_key, order.currency, wishes)
    wrong = []
    for line, price in zip(shown, own, strict=True):
        share = 1 - (line.discount_pct or Decimal(0)) / 100
        net = line.qty * (line.unit_price or Decimal(0)) / line.per * share
        net = net.quantize(_CENT, ROUND_HALF_UP)
        if price is None:
            wrong.append(f"{line.product_key}: no price is known")
        elif price.line_net != net:
            wrong.append(f"{line.product_key}: {net} was shown, it is {price.says}")
    if wrong:
        raise Refused("; ".join(wrong), erp=order.erp, code="price_changed",
                      remedy="Show the new price and ask again.")  # fmt: skip
