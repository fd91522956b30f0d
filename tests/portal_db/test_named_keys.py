"""What the rows of a first list refer to, by kind, each key once."""

from __future__ import annotations

import pyarrow as pa

from mappings.feeds import PARTS
from mappings.vocabulary import Reference
from portal_db.named_keys import NamedKeys

PRICE = PARTS["price"]


def rows(*those: tuple[str, str | None]) -> pa.Table:
    """Prices of (what kind of thing, its key)."""
    kinds, keys = zip(*those, strict=True)
    return pa.table(
        {
            "product_scope": pa.array(kinds, pa.string()),
            "product_key": pa.array(keys, pa.string()),
            "dealer_scope": pa.array(["all"] * len(those)),
            "dealer_key": pa.nulls(len(those), pa.string()),
        }
    )


def to(part: str) -> Reference:
    """The reference of a price to such a part by `product_key`."""
    return next(r for r in PRICE.references if (r.field, r.to) == ("product_key", part))


def test_each_key_is_kept_once_under_what_it_names() -> None:
    """A category is no product, and null names nothing."""
    named = NamedKeys()
    named.add(PRICE, rows(("product", "P1"), ("product", "P2"), ("category", "C1")))
    named.add(PRICE, rows(("product", "P2"), ("product", "P3"), ("all", None)))
    assert sorted(named.of(to("product")) or ()) == ["P1", "P2", "P3"]
    assert named.of(to("category")) == ["C1"]
    assert named.of(next(r for r in PRICE.references if r.to == "dealer")) == []


def test_too_many_keys_are_given_up() -> None:
    """Then the rows themselves are compared."""
    named = NamedKeys(most=2)
    named.add(PRICE, rows(("product", "P1"), ("product", "P2")))
    assert named.of(to("product")) is not None
    named.add(PRICE, rows(("product", "P3")))
    named.add(PRICE, rows(("product", "P1")))
    assert named.of(to("product")) is None
