"""Price headers as equally long columns, one row a header. Must not know how they are made."""

from dataclasses import dataclass

import numpy as np

from sandbox.generator.columns import Ints, Texts
from sandbox.generator.products import Products

AMOUNT, PERCENT, OFF, NOTHING = range(4)


@dataclass
class Headers:
    """Equally long columns, one row a header. `base`: ten-thousandths; -1 in days means open."""

    level: Texts
    dealer_scope: Texts
    group_kind: Texts
    dealer: Texts
    product_scope: Texts
    product: Texts
    currency: Texts
    uom: Texts
    per: Ints
    kind: Ints
    base: Ints
    start: Ints
    end: Ints
    breaks: Ints
    quota: Ints
    ref: Texts
    title: Texts
    min_amount: Ints

    def take(self, positions: Ints) -> "Headers":
        """Some of the headers, in the order of `positions`."""
        return Headers(**{name: column[positions] for name, column in vars(self).items()})

    @classmethod
    def concat(cls, blocks: list["Headers"]) -> "Headers":
        """All headers of several blocks."""
        return cls(**{k: np.concatenate([vars(b)[k] for b in blocks]) for k in vars(blocks[0])})


def headers(products: Products, n: int, **columns: object) -> Headers:
    """`n` headers; a column unsaid gets its default. `at` gives the product's position of each."""
    at = np.asarray(columns.pop("at", np.zeros(n, dtype=np.int64)), dtype=np.int64)
    defaults: dict[str, object] = {
        "level": "list", "dealer_scope": "all", "group_kind": None, "dealer": None,
        "product_scope": "product", "product": products.keys[at], "currency": "EUR",
        "uom": products.base_uom[at], "per": products.per[at], "kind": AMOUNT,
        "base": products.list_price[at], "start": -1, "end": -1, "breaks": 1, "quota": -1,
        "ref": None, "title": None, "min_amount": -1,
    }  # fmt: skip
    full = {}
    for name, default in defaults.items():
        value = columns.get(name, default)
        if not isinstance(value, np.ndarray):
            kind = np.int64 if isinstance(value, int) else np.object_
            value = np.full(n, value, dtype=kind)
        full[name] = value
    return Headers(**full)
