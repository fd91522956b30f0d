"""How large a generated data set is, per ERP. Holds numbers only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Size:
    """Rows per ERP. Price rows are met exactly; the others too, but for derived rows.

    `invoices` counts receivable items of every kind. ERPs left out of a mapping get none.
    `open_orders` come on top of the orders that were invoiced. ValueError for fewer dealers or
    products of an ERP than the groups, contracts and deals among them need.
    """

    dealers: Mapping[str, int] = field(default_factory=lambda: {"anvil": 200, "birch": 140})
    products: Mapping[str, int] = field(
        default_factory=lambda: {"anvil": 1200, "birch": 1000, "cedar": 800}
    )
    prices: Mapping[str, int] = field(
        default_factory=lambda: {"anvil": 90_000, "birch": 60_000, "cedar": 100_000}
    )
    invoices: Mapping[str, int] = field(
        default_factory=lambda: {"anvil": 1900, "birch": 1300, "cedar": 800}
    )
    open_orders: Mapping[str, int] = field(default_factory=lambda: {"anvil": 350, "birch": 250})

    def __post_init__(self) -> None:
        """Refuse what would leave groups without members."""
        for word, rows, least in (("dealers", self.dealers, 5), ("products", self.products, 6)):
            for erp, n in rows.items():
                if n < least:
                    message = f"{erp}: {n} {word} are too few, at least {least} are needed"
                    raise ValueError(message)

    def with_prices(self, **prices: int) -> "Size":
        """The same size but for the price rows of the named ERPs."""
        return replace(self, prices={**self.prices, **prices})


PRESETS: Mapping[str, Size] = {
    "default": Size(),
    "tiny": Size(
        dealers={"anvil": 7, "birch": 5},
        products={"anvil": 12, "birch": 10, "cedar": 8},
        prices={"anvil": 120, "birch": 90, "cedar": 90},
        invoices={"anvil": 18, "birch": 12, "cedar": 10},
        open_orders={"anvil": 8, "birch": 8},
    ),
}
