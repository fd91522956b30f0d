"""Placing an order on behalf of a dealer, by its customer number: for the command and for services.

The portal itself places as the dealer that is signed in. A price that the dealer was shown is held
to the portal's own. Must not judge credit.
"""

from __future__ import annotations

from decimal import Decimal

from portal_db.orders import NewOrder, NotPlaced, PlacedOrder, as_dealer, place_order, portal_dealer
from sync.context import Context
from sync.echo import Shown, hold_to, line_net
from sync.pricing import PriceOf, PriceWish
from sync.routes import publish_routes


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
            hold_to(prices, connection, order.erp, order.dealer_key, order.currency, _shown(order))
        with as_dealer(connection, dealer):
            return place_order(connection, order)


def _shown(order: NewOrder) -> list[Shown]:
    """The lines that came with the price that their dealer saw."""
    return [
        Shown(
            line.product_key,
            PriceWish(line.product_key, line.qty, line.uom),
            line_net(line.qty, line.unit_price, line.per, line.discount_pct or Decimal(0)),
        )
        for line in order.lines
        if line.unit_price is not None
    ]
