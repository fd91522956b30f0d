"""The seven feeds, in the order in which a first sync takes them. Must only declare."""

from mappings.feeds import credit, customers, invoices, order_status, prices, products, stock
from mappings.vocabulary import Feed, Part

FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        customers.FEED,
        products.FEED,
        prices.FEED,
        stock.FEED,
        credit.FEED,
        invoices.FEED,
        order_status.FEED,
    )
}
"""Feed name → declaration, in loading order."""

PARTS: dict[str, Part] = {part.name: part for feed in FEEDS.values() for part in feed.parts}
"""Part name → declaration; part names are unique over all feeds."""
