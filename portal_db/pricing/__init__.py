"""Which price holds: pure functions over candidate conditions, in exact arithmetic.

The database finds the candidates (`portal.price_candidates`: set-based, indexed); the choice is
made here, because it needs rationals (unit factors, price per 100) that NUMERIC would have to
round, and because every rule can then be tested without a server. Nothing here connects, reads a
clock or knows a mapping file.
"""

from portal_db.pricing.choose import choose
from portal_db.pricing.model import (
    Candidate,
    Item,
    Membership,
    Note,
    Price,
    Product,
    Status,
)

__all__ = [
    "Candidate",
    "Item",
    "Membership",
    "Note",
    "Price",
    "Product",
    "Status",
    "choose",
]
