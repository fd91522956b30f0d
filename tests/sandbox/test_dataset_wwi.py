"""Wide World Importers: everything its files hold, to the cent, in the counts expected."""

import os
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sandbox import laws
from sandbox.dataset import Dataset, load

SHARED = os.environ.get("WAYBILL_SHARED_DATA")
FOLDER = (Path(SHARED) if SHARED else Path(__file__).parents[3] / "shared" / "data") / "wwi"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="Wide World Importers is not here")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load(FOLDER)


def source(name: str) -> pa.Table:
    return pq.read_table(FOLDER / f"{name}.parquet")


def exact(value: float) -> Decimal:
    """The two decimals that a float of the source stands for."""
    return Decimal(repr(value)).quantize(Decimal("0.01"))


def test_counts(dataset: Dataset) -> None:
    rows = {name: table.num_rows for name, table in dataset.tables.items() if table.num_rows}
    assert rows == {
        "dealer": 663, "dealer_group": 402 + 663, "dealer_address": 1326, "dealer_contact": 1065,
        "product": 227, "product_uom": 227 + 47, "category": 10, "product_category": 442,
        "price": 229, "warehouse": 1, "stock": 227, "credit": 263, "invoice": 70_510,
        "invoice_line": 228_265, "payment": 26_637, "sales_order": 73_595,
        "sales_order_line": 231_412,
    }  # fmt: skip
    owned = {erp: set(dataset.of(erp).tables) for erp in dataset.erps}
    assert sorted(owned) == ["wwi_rest", "wwi_sftp", "wwi_soap"]


def test_whole(dataset: Dataset) -> None:
    assert laws.repeated_keys(dataset) == []
    assert laws.dangling(dataset) == []
    assert laws.wrong_sums(dataset) == []
    assert laws.wrong_balances(dataset) == []
    assert laws.wrong_open_amounts(dataset) == []


def test_money_of_the_source_has_two_decimals() -> None:
    for table, columns in (
        ("customer_transactions", ("AmountExcludingTax", "TaxAmount", "TransactionAmount",
                                   "OutstandingBalance")),
        ("invoice_lines", ("UnitPrice", "TaxAmount", "ExtendedPrice")),
        ("order_lines", ("UnitPrice",)),
        ("stock_items", ("UnitPrice", "RecommendedRetailPrice")),
        ("customers", ("CreditLimit",)),
    ):  # fmt: skip
        rows = source(table)
        for column in columns:
            values = rows[column].drop_null().to_numpy()
            assert np.abs(values * 100 - np.rint(values * 100)).max() < 1e-4, column
    weight = source("stock_items")["TypicalWeightPerUnit"].to_numpy()
    assert np.abs(weight * 1000 - np.rint(weight * 1000)).max() < 1e-6


def test_dealers_and_credit(dataset: Dataset) -> None:
    theirs = {str(r["CustomerID"]): r for r in source("customers").to_pylist()}
    for row in dataset["dealer"].to_pylist():
        customer = theirs[row["key"]]
        assert row["name"] == customer["CustomerName"]
        assert row["account_key"] == str(customer["BillToCustomerID"])
        assert row["parent_key"] == (
            None if row["account_key"] == row["key"] else row["account_key"]
        )
    branches = Counter(r["account_key"] for r in dataset["dealer"].to_pylist())
    assert sorted(branches.values(), reverse=True)[:3] == [201, 201, 1]
    balances: Counter[str] = Counter()
    for r in source("customer_transactions").to_pylist():
        balances[str(r["CustomerID"])] += int(exact(r["OutstandingBalance"]) * 100)
    for row in dataset["credit"].to_pylist():
        limit = theirs[row["account_key"]]["CreditLimit"]
        assert row["limit_amount"] == (None if limit is None else exact(limit))
        assert not row["unlimited"]
        assert row["open_balance"] * 100 == balances[row["account_key"]]
    assert dataset["credit"]["limit_amount"].null_count == 2


def same_money(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> bool:
    """True when each exact value is what the source's float prints as."""
    kind = pa.decimal128(18, 6)
    return ours.cast(kind).equals(theirs.cast(pa.string()).cast(kind))


def numbers(column: pa.ChunkedArray) -> list[int]:
    return column.cast(pa.int64()).to_pylist()


def test_invoices(dataset: Dataset) -> None:
    ledger = source("customer_transactions").sort_by("InvoiceID")
    bills = ledger.filter(pc.equal(ledger["TransactionTypeID"], 1))
    moves = source("stock_item_transactions").select(["InvoiceID", "CustomerID"])
    moves = moves.filter(moves["InvoiceID"].is_valid())
    buyers = dict(zip(numbers(moves["InvoiceID"]), numbers(moves["CustomerID"]), strict=True))
    number = pc.cast(dataset["invoice"]["key"], pa.int64())
    ours = dataset["invoice"].append_column("n", number).sort_by("n")
    assert ours["n"].to_pylist() == numbers(bills["InvoiceID"])
    assert numbers(ours["account_key"]) == bills["CustomerID"].to_pylist()
    assert numbers(ours["dealer_key"]) == [buyers[n] for n in ours["n"].to_pylist()]
    assert same_money(ours["gross"], bills["TransactionAmount"])
    assert same_money(ours["tax"], bills["TaxAmount"])
    assert same_money(ours["open_amount"], bills["OutstandingBalance"])
    issued = pc.cast(bills["TransactionDate"], pa.date32()).to_pylist()
    assert ours["issued_on"].to_pylist() == issued
    assert ours["due_on"].to_pylist() == [day + timedelta(days=7) for day in issued]
    assert ours["settled_on"].equals(pc.cast(bills["FinalizationDate"], pa.date32()))
    assert pc.sum(ours["order_key"].is_valid()).as_py() == 1948
    assert pc.sum(ours["attributes"].is_valid()).as_py() == 1948


def test_invoice_lines_and_payments(dataset: Dataset) -> None:
    theirs, ours = source("invoice_lines"), dataset["invoice_line"]
    assert numbers(ours["line_no"]) == theirs["InvoiceLineID"].to_pylist()
    assert numbers(ours["invoice_key"]) == theirs["InvoiceID"].to_pylist()
    assert numbers(ours["product_key"]) == theirs["StockItemID"].to_pylist()
    assert same_money(ours["unit_price"], theirs["UnitPrice"])
    assert same_money(ours["gross"], theirs["ExtendedPrice"])
    assert same_money(ours["tax"], theirs["TaxAmount"])
    product = pc.multiply(pc.cast(ours["qty"], pa.decimal128(12, 0)), ours["unit_price"])
    assert pc.all(pc.equal(product, pc.cast(ours["net"], product.type))).as_py()
    ledger = source("customer_transactions")
    paid = ledger.filter(pc.equal(ledger["TransactionTypeID"], 3))
    payment = dataset["payment"]
    assert numbers(payment["key"]) == paid["CustomerTransactionID"].to_pylist()
    assert same_money(payment["amount"], pc.negate(paid["TransactionAmount"]))
    assert pc.min(payment["amount"]).as_py() > 0
    assert payment["booked_on"].equals(pc.cast(paid["TransactionDate"], pa.date32()))


def test_orders(dataset: Dataset) -> None:
    status = Counter(dataset["sales_order"]["status"].to_pylist())
    assert status == {"processing": 3085, "delivered": 1864, "shipped": 73_595 - 3085 - 1864}
    later = {
        str(int(r["BackorderOrderID"])): str(r["OrderID"])
        for r in source("orders").select(["OrderID", "BackorderOrderID"]).to_pylist()
        if r["BackorderOrderID"] is not None
    }
    orders = dataset["sales_order"].select(["key", "backorder_of"]).to_pylist()
    assert {r["key"]: r["backorder_of"] for r in orders if r["backorder_of"]} == later
    assert dataset["sales_order"]["gross"].null_count == 73_595


def test_products_and_prices(dataset: Dataset) -> None:
    items = {str(r["StockItemID"]): r for r in source("stock_items").to_pylist()}
    prices = dataset["price"].to_pylist()
    for row in (r for r in prices if r["level"] == "list"):
        assert row["unit_price"] == exact(items[row["product_key"]]["UnitPrice"])
        assert row["valid_from"] is None
        assert row["currency"] == "USD"
    deals = [r for r in prices if r["level"] == "promo"]
    told = [
        (r["dealer_group_kind"], r["dealer_key"], r["product_scope"], r["product_key"],
         r["pct_off_list"], r["valid_from"], r["valid_to"])
        for r in deals
    ]  # fmt: skip
    assert told == [
        ("buying_group", "2", "category", "7", 10, date(2016, 1, 1), date(2016, 4, 1)),
        ("buying_group", "1", "category", "7", 15, date(2016, 4, 1), date(2016, 7, 1)),
    ]
    stepped = dataset["product"].filter(dataset["product"]["order_step"].is_valid())
    assert stepped.num_rows == 61
    codes = [c for c in dataset["product_uom"]["barcodes"].to_pylist() if c]
    assert len(codes) == 8
    assert ["8302039293929"] in codes


def test_sftp_part_exists_in_cp1254(dataset: Dataset) -> None:
    texts = 0
    for table in dataset.of("wwi_sftp").tables.values():
        for field in table.schema:
            column = table[field.name]
            if pa.types.is_list(field.type):
                column = pc.list_flatten(column)
            if pa.types.is_string(column.type):
                found = column.drop_null().unique().to_pylist()
                "".join(found).encode("cp1254")
                texts += len(found)
    assert texts > 500
