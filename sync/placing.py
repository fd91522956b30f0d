"""Placing an order on behalf of a dealer, by its customer number: for the command and for services.

The portal itself places as the dealer that is signed in. Must not judge prices or credit.
"""

from __future__ import annotations

from portal_db.orders import NewOrder, NotPlaced, PlacedOrder, as_dealer, place_order, portal_dealer
from sync.context import Context
from sync.routes import publish_routes


def place_for(ctx: Context, order: NewOrder) -> PlacedOrder:
    """Place it for the portal dealer that owns the order's customer number. Raises NotPlaced."""
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
        with as_dealer(connection, dealer):
            return place_order(connection, order)
