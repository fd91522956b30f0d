"""Which of a dealer's memberships speak for a product, and which conditions fall away with them.

Must not look at a price: who is addressed is settled before what it costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from portal_db.pricing.model import Candidate, Membership, Note, Product


def overruled(
    product: Product,
    candidates: Iterable[Candidate],
    memberships: Sequence[Membership],
    notes: list[Note],
) -> list[Candidate]:
    """The candidates for this product, without those of a membership that another one beats.

    Of one kind, a membership for the product's category beats the general one, and a lower
    priority a higher. Two that tie both stay, with a note: it is not ours to toss a coin.
    """
    mine = [one for one in candidates if _speaks_of(product, one)]
    of_kind: dict[str, list[Membership]] = defaultdict(list)
    for one in memberships:
        if one.category_key is None or one.category_key in product.categories:
            of_kind[one.kind].append(one)
    speak: set[str] = set()
    for kind, members in of_kind.items():
        special = [one for one in members if one.category_key is not None] or members
        ranks = {one.priority for one in special if one.priority is not None}
        first = [one for one in special if one.priority == min(ranks)] if ranks else special
        scopes = {one.scope for one in first}
        speak |= scopes
        there = sorted({one.scope for one in mine} & scopes)
        if len(there) > 1:
            notes.append(Note("tie", f"the dealer is in two of kind {kind}: {', '.join(there)}"))
    return [one for one in mine if "|" not in one.scope or one.scope in speak]


def _speaks_of(product: Product, one: Candidate) -> bool:
    if one.product_scope == "product":
        return one.product_key == product.key
    if one.product_scope == "category":
        return one.product_key in product.categories
    return one.product_scope == "all"
