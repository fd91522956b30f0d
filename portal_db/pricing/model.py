"""The words of price resolution: conditions, what is asked, what is answered. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

EXCLUSIVE = frozenset({"quote", "customer", "contract"})
"""Levels that under policy `default` win by being there, even when they are dearer."""

Status = Literal["priced", "price_on_request", "not_authorised", "invalid_quantity"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One break of one condition, valid on the day asked about and addressed to the dealer.

    At most one of the three values is set; none means "no price" and is never used. `uom` is the
    unit of `unit_price` (for one `per`) and of `min_qty`; None: the product's base unit.
    `scope` is whom it addresses (`all`, `dealer`, `account`, `tier|GOLD`).
    """

    product_key: str | None
    level: str
    header_key: str
    min_qty: Decimal
    uom: str | None
    per: int
    unit_price: Decimal | None
    pct_off_list: Decimal | None
    amount_off_list: Decimal | None
    valid_from: date
    seq: int | None = None
    quota_left: Decimal | None = None
    product_scope: str = "product"
    scope: str = "all"
    combine: str | None = None
    tax_included: bool | None = None
    batch_id: int | None = None
    ref: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """What the choice must know of a product. `factors`: unit → base units in one of it."""

    key: str
    base_uom: str
    factors: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    categories: frozenset[str] = frozenset()
    """Its categories and all above them."""

    def factor(self, uom: str | None) -> Fraction | None:
        """Base units in one `uom`, exactly; None where the unit is not one of the product's."""
        if uom is None or uom == self.base_uom:
            return Fraction(1)
        return self.factors.get(uom)


@dataclass(frozen=True, slots=True)
class Membership:
    """A group that the dealer is in on the day asked about."""

    kind: str
    group_key: str
    category_key: str | None = None
    """For products of this category only; beats the general one."""
    priority: int | None = None
    """Low wins when the dealer is in two of a kind."""

    @property
    def scope(self) -> str:
        """As `portal.price_scope` writes it."""
        return f"{self.kind}|{self.group_key}"


@dataclass(frozen=True, slots=True)
class Item:
    """One line to price. `qty` > 0 in `uom`; `scale_base`: the break's quantity in base units.

    `scale_base` None: the line's own. A cart gives the sum over the lines of the product.
    """

    product: Product
    qty: Decimal
    uom: str
    currency: str
    scale_base: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something beside the price. `kind`: `cheaper`, `quota`, `pack`, `overlap`, `unit`,
    `no_list`, `tie`, `cumulated`, `price_list`. `text` is for people.
    """

    kind: str
    text: str
    header_key: str | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """The answer for one line; amounts in the currency asked for.

    `unit` is the exact price of one ordered unit; `line_net` is rounded to the currency's minor
    units once, from the exact value. Both None unless `status` is `priced`.
    """

    status: Status
    unit: Fraction | None = None
    line_net: Decimal | None = None
    list_unit: Fraction | None = None
    won: Candidate | None = None
    tax_included: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def level(self) -> str | None:
        """The level that won."""
        return self.won.level if self.won else None

    @property
    def saving(self) -> Fraction | None:
        """List less own price of one ordered unit, where there is a list price."""
        if self.unit is None or self.list_unit is None:
            return None
        return self.list_unit - self.unit
