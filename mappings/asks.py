"""What can be asked live: the part that an answer fills, and the keys it is asked by.

Declares, like a feed; must not ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mappings.feeds import PARTS
from mappings.live import What
from mappings.vocabulary import Field, Part, RowCheck

QUOTE = Part(
    name="quote",
    meaning="What one dealer pays for one quantity of one product, as the ERP works it out now.",
    key=("dealer_key", "product_key"),
    fields=(
        Field("dealer_key", "text", "R", "who asks"),
        Field("product_key", "text", "R", "the product"),
        Field("qty", "qty", "-", "the quantity asked for"),
        Field("uom", "text", "-", "unit of quantity and price"),
        Field("currency", "ccy", "R", "currency of the price"),
        Field("unit_price", "price", "R", "price of one `per`, without tax"),
        Field("per", "int", "-", "price per 1, 100, 1000; absent = 1"),
        Field("reason", "text", "-", "why this price, as the ERP says it"),
    ),
    checks=(
        RowCheck(
            "unit_price_negative",
            "between",
            "unit_price",
            "unit_price must not be negative",
            low=Decimal(0),
        ),
        RowCheck("per_not_positive", "above", "per", "per must be greater than 0", low=Decimal(0)),
    ),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One kind of ask. `keys`: our names of what it is asked by, those of `needed` always given."""

    part: Part
    keys: tuple[Field, ...]
    needed: tuple[str, ...]

    @property
    def numbers(self) -> set[str]:
        """Keys that are numbers."""
        return {key.name for key in self.keys if key.type in ("qty", "int")}


_DEALER = Field("dealer_key", "text", "R", "who asks")
_ACCOUNT = Field("account_key", "text", "R", "the paying account")
_PRODUCT = Field("product_key", "text", "R", "the product")
_WAREHOUSE = Field("warehouse_key", "text", "-", "the warehouse; without it all of them")
_QTY = Field("qty", "qty", "R", "how much of it")

ASKS: dict[What, Ask] = {
    "credit": Ask(PARTS["credit"], (_ACCOUNT,), ("account_key",)),
    "price": Ask(QUOTE, (_DEALER, _PRODUCT, _QTY), ("dealer_key", "product_key", "qty")),
    "stock": Ask(PARTS["stock"], (_PRODUCT, _WAREHOUSE), ("product_key",)),
}
