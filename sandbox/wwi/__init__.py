"""Wide World Importers as a data set: its Parquet files, read as three ERPs would export them.

`wwi_soap` serves customers, credit, invoices and payments; `wwi_rest` orders; `wwi_sftp` products,
prices and stock. Values are the source's own: money becomes exact at its two decimals, garbled
names stay as they are. Tables are joined as an ERP's export view would; nothing is repaired.

Times carry no zone in the source and are taken as UTC. What the source lacks is null: no gross of
an order, no validity of a list price, no allocation of a payment, no limit where it has none.
"""

from datetime import date
from pathlib import Path

from sandbox.dataset import Dataset
from sandbox.wwi.customers import make_customers
from sandbox.wwi.documents import make_orders, make_receivables
from sandbox.wwi.products import make_prices, make_products, make_stock
from sandbox.wwi.source import Source

AS_OF = date(2016, 6, 1)
MARKS = ("customer_transactions.parquet", "stock_items.parquet", "customers.parquet")


def is_wwi(folder: Path) -> bool:
    """True for a folder that holds Wide World Importers' Parquet files."""
    return all((folder / name).is_file() for name in MARKS)


def read_wwi(folder: Path) -> Dataset:
    """All three ERPs' data. FileNotFoundError when one of the files is absent."""
    source = Source(folder)
    tables = make_customers(source) | make_products(source) | make_prices(source)
    tables |= make_stock(source) | make_receivables(source) | make_orders(source)
    return Dataset(tables, AS_OF)
