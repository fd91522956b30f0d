"""Generated sales: who bought what when, and how far each sale has come. In-memory columns only.

Orders, invoices and shipments are all views of these sales, so that they agree with each other.
"""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from dataclasses import dataclass
from datetime import date

import numpy as np

from sandbox.generator.columns import Bools, Ints, Texts, day_number, half_up
from sandbox.generator.dealers import Dealers
from sandbox.generator.products import Products

OPEN_STATUSES = (
    "pending", "approved", "processing", "processing", "shipped", "held", "rejected", "cancelled",
)  # fmt: skip


@dataclass(frozen=True)
class Lines:
    """Item lines, equally long columns, grouped by `sale` in rising order."""

    sale: Ints
    number: Ints  # 10, 20 ... within the sale
    product: Ints  # position
    qty: Ints  # thousandths of the base unit
    unit_price: Ints  # ten-thousandths per `per`
    per: Ints
    discount: Ints  # hundredths of a percent
    tax_pct: Ints  # hundredths of a percent
    net: Ints  # cents
    tax: Ints  # cents

    def total(self, column: Ints, sales: int) -> Ints:
        """Exact sum of a column for each sale."""
        sums = np.zeros(sales, dtype=np.int64)
        np.add.at(sums, self.sale, column)
        return sums


@dataclass(frozen=True)
class Sales:
    """Sales by rising day; equally long columns."""

    buyer: Ints  # position of the dealer
    ordered_on: Ints  # days since 1970
    shipped_on: Ints
    invoiced: Bools
    status: Texts
    lines: Lines


def _line_values(
    rng: np.random.Generator, sale: Ints, number: Ints, products: Products, currency_factor: Ints
) -> Lines:
    """Products, quantities and prices for lines of the given sales."""
    n = len(sale)
    # Popular products first: a square makes low positions likelier. No product twice in a sale.
    popular = products.sellable
    first = (rng.random(n) ** 2 * len(popular)).astype(np.int64)
    product = popular[(first // 8 * 8 + number // 10) % len(popular)]
    weighed = products.base_uom[product] == "KGM"
    pieces = np.where(
        products.per[product] > 1, rng.integers(1, 20, n) * 50, rng.integers(1, 25, n)
    )
    amount = np.where(weighed, pieces * 1000 + rng.integers(0, 4, n) * 250, pieces * 1000)
    unit_price = products.list_price[product] * currency_factor // 100 // 100 * 100
    discount = np.where(rng.random(n) < 0.4, rng.integers(1, 7, n) * 250, 0)
    per = products.per[product]
    # thousandths x ten-thousandths x (1 - discount) / per, in cents
    exact = amount * unit_price // 100 * ((10_000 - discount) // 50)
    net = _divide(exact, per * 1000 * 100 * 2)
    rate = products.tax[product]
    return Lines(
        sale, number, product, amount, unit_price, per, discount, rate, net,
        half_up(net * rate, 10_000),
    )  # fmt: skip


def _divide(numerator: Ints, denominator: Ints) -> Ints:
    """Whole division rounded half up, of columns that are not negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def make_sales(
    rng: np.random.Generator,
    as_of: date,
    products: Products,
    dealers: Dealers,
    *,
    invoiced: int,
    open_orders: int,
) -> Sales:
    """`invoiced` sales over the last twelve months and `open_orders` of the last weeks."""
    today = day_number(as_of)
    n = invoiced + open_orders
    is_invoiced = np.arange(n) < invoiced
    age = np.where(is_invoiced, rng.integers(4, 365, n), rng.integers(1, 25, n))
    ordered_on = today - age
    ordered_on = ordered_on - _weekend(ordered_on)
    shipped_on = np.minimum(ordered_on + rng.integers(1, 4, n), today - 1)
    active = np.flatnonzero(~dealers.closed)
    buyer = active[(np.arange(n) * 7 + rng.integers(0, 3, n)) % len(active)]
    status = np.array(OPEN_STATUSES, dtype=object)[np.arange(n) % len(OPEN_STATUSES)]
    status = np.where(is_invoiced, np.where(age > 8, "delivered", "shipped"), status)
    order = np.argsort(ordered_on, kind="stable")
    buyer = buyer[order]
    counts = rng.integers(2, 9, n)
    sale = np.repeat(np.arange(n), counts)
    number = (np.arange(len(sale)) - np.repeat(np.cumsum(counts) - counts, counts) + 1) * 10
    factor = np.where(dealers.currency[buyer] == "EUR", 100, 108)[sale]
    lines = _line_values(rng, sale, number, products, factor)
    return Sales(
        buyer, ordered_on[order], shipped_on[order], is_invoiced[order], status[order], lines
    )


def _weekend(day_numbers: Ints) -> Ints:
    """Days to go back to reach a working day; day 0 of 1970 was a Thursday."""
    weekday = (day_numbers + 3) % 7
    return np.maximum(weekday - 4, 0)
