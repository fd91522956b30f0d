"""Makes the practice ERPs' data out of a seed: the size of the customer's case, or any other.

The same seed, size and day give the same tables, bit for bit. Every ERP and every part draws from a
stream of its own, so asking for more prices changes nothing but prices.
"""

from datetime import date
from zlib import crc32

import numpy as np
import pyarrow as pa

from sandbox.dataset import Dataset
from sandbox.dataset_shape import SCHEMAS, SHAPE
from sandbox.generator.columns import day_number
from sandbox.generator.dealers import Dealers, make_dealers
from sandbox.generator.orders import make_orders, order_keys
from sandbox.generator.payments import make_credit, make_payments
from sandbox.generator.prices import make_prices
from sandbox.generator.products import Products, category_keys, make_products
from sandbox.generator.receivables import bill_tables, counts, make_bills
from sandbox.generator.sales import make_sales
from sandbox.generator.size import PRESETS, Size

__all__ = ["DEFAULT_AS_OF", "PRESETS", "Size", "generate"]

DEFAULT_AS_OF = date(2026, 11, 1)


def generate(size: Size | None = None, *, seed: int = 1, as_of: date = DEFAULT_AS_OF) -> Dataset:
    """A data set as it stands in the morning of `as_of`; `size` defaults to the customer's case."""
    size = size or Size()
    today = day_number(as_of)
    parts: list[dict[str, pa.Table]] = []
    dealers: dict[str, Dealers] = {}
    products: dict[str, Products] = {}
    for erp, n in size.dealers.items():
        leaves = [key for key in category_keys() if "." in key]
        dealers[erp], tables = make_dealers(_stream(seed, erp, "dealers"), erp, n, today, leaves)
        parts.append(tables)
    for erp, n in size.products.items():
        products[erp], tables = make_products(_stream(seed, erp, "products"), erp, n, today)
        parts.append(tables)
    for erp, n in size.prices.items():
        rng = _stream(seed, erp, "prices")
        price = make_prices(rng, erp, n, as_of, products[erp], dealers[_customers_of(erp)])
        parts.append({"price": price})
    for erp, n in size.invoices.items():
        own = dealers[_customers_of(erp)]
        parts += _sales(seed, erp, size, n, as_of, products[erp], own)
    joined = {name: [p[name] for p in parts if name in p] for name in SHAPE}
    tables = {k: pa.concat_tables(v).combine_chunks() for k, v in joined.items() if v}
    return Dataset({name: t.cast(SCHEMAS[name]) for name, t in tables.items()}, as_of)


def _sales(
    seed: int,
    erp: str,
    size: Size,
    invoices: int,
    as_of: date,
    products: Products,
    dealers: Dealers,
) -> list[dict[str, pa.Table]]:
    """Everything that follows from what one ERP sold."""
    has_orders = erp == dealers.erp
    plain, _, _ = counts(invoices, cedar=not has_orders)
    open_orders = size.open_orders.get(erp, 0) if has_orders else 0
    sales = make_sales(
        _stream(seed, erp, "sales"), as_of, products, dealers,
        invoiced=plain, open_orders=open_orders,
    )  # fmt: skip
    bills = make_bills(_stream(seed, erp, "bills"), as_of, sales, dealers, erp, invoices)
    waiting: dict[int, str] = {}
    if has_orders:
        keys = order_keys(erp, len(sales.buyer))
        still = np.flatnonzero(sales.status == "approved")
        waiting = {int(dealers.account[sales.buyer[i]]): str(keys[i]) for i in still}
    payments, settled, paid = make_payments(
        _stream(seed, erp, "payments"), as_of, bills, dealers, waiting
    )
    rng = _stream(seed, erp, "bill_tables")
    parts = [paid, bill_tables(rng, as_of, bills, settled, sales, products, dealers)]
    if has_orders:
        orders = make_orders(_stream(seed, erp, "orders"), as_of, sales, products, dealers)
        rng = _stream(seed, erp, "credit")
        credit = make_credit(rng, as_of, bills, settled, payments, dealers, orders["sales_order"])
        parts += [orders, {"credit": credit}]
    return parts


def _customers_of(erp: str) -> str:
    """Whose dealers an ERP sells to."""
    return "birch" if erp == "cedar" else erp


def _stream(seed: int, erp: str, part: str) -> np.random.Generator:
    """Random numbers of their own for each part of each ERP."""
    return np.random.default_rng([seed, crc32(f"{erp}/{part}".encode())])
