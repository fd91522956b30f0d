"""What must hold in every data set that the practice ERPs serve.

Each function lists what breaks a law, for people to read; it must not repair anything.
"""

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import KEYS, PARENTS, REFERS

# table -> column -> the table it names
REFERENCES = {
    "dealer": {
        "parent_key": "dealer", "account_key": "dealer", "credit_account_key": "dealer",
        "warehouse_key": "warehouse",
    },
    "dealer_group": {"category_key": "category"},
    "product": {"successor_key": "product"},
    "category": {"parent_key": "category"},
    "product_category": {"category_key": "category"},
    "substitute": {"substitute_key": "product"},
    "stock": {"product_key": "product", "warehouse_key": "warehouse"},
    "stock_expected": {"product_key": "product", "warehouse_key": "warehouse"},
    "credit": {"account_key": "dealer"},
    "invoice": {"account_key": "dealer", "dealer_key": "dealer", "cancels_key": "invoice"},
    "invoice_line": {"product_key": "product"},
    "payment": {"account_key": "dealer", "order_ref": "sales_order"},
    "payment_allocation": {"invoice_key": "invoice"},
    "document": {"account_key": "dealer", "dealer_key": "dealer", "subject_key": "invoice"},
    "sales_order": {"dealer_key": "dealer", "backorder_of": "sales_order"},
    "sales_order_line": {
        "product_key": "product", "warehouse_key": "warehouse", "replaces_product_key": "product",
    },
}  # fmt: skip


def frame(table: pa.Table, *columns: str) -> Any:  # noqa: ANN401  pandas' types are too wide
    """Some columns as a pandas frame with Arrow types: real nulls, exact decimals."""
    return table.select(list(columns)).to_pandas(types_mapper=pd.ArrowDtype)


def keys_of(dataset: Dataset, table: str, erp: str) -> set[str]:
    """The keys of one ERP's rows of a table with a single key column."""
    rows = dataset[table].filter(pc.equal(dataset[table]["erp"], erp))
    return set(rows[KEYS[table][0]].to_pylist())


def dangling(dataset: Dataset) -> list[str]:
    """Every reference that names no row, as `erp table.column: key`."""
    bad: list[str] = []
    links = {child: {column: parent} for child, (column, parent) in PARENTS.items()}
    for table in links.keys() | REFERENCES.keys():
        for column, target in {**links.get(table, {}), **REFERENCES.get(table, {})}.items():
            for erp in dataset.erps:
                rows = dataset[table].filter(pc.equal(dataset[table]["erp"], erp))
                named = set(rows[column].drop_null().unique().to_pylist())
                owner = REFERS.get(erp, {}).get(target, erp)
                missing = named - keys_of(dataset, target, owner)
                bad += [f"{erp} {table}.{column}: {key}" for key in sorted(missing)]
    return bad + _dangling_prices(dataset) + _dangling_lines(dataset)


def _dangling_prices(dataset: Dataset) -> list[str]:
    """Keys of prices and grants, whose target depends on their scope."""
    bad: list[str] = []
    for table in ("price", "catalogue_grant"):
        for erp in dataset.erps:
            rows = dataset[table].filter(pc.equal(dataset[table]["erp"], erp))
            customers = REFERS.get(erp, {}).get("dealer", erp)
            groups = dataset["dealer_group"].filter(
                pc.equal(dataset["dealer_group"]["erp"], customers)
            )
            member = set(
                zip(groups["kind"].to_pylist(), groups["group_key"].to_pylist(), strict=True)
            )
            dealers = keys_of(dataset, "dealer", customers)
            products = keys_of(dataset, "product", erp)
            categories = keys_of(dataset, "category", erp)
            columns = (
                "dealer_scope",
                "dealer_group_kind",
                "dealer_key",
                "product_scope",
                "product_key",
            )
            for scope, kind, dealer, what, product in set(
                zip(*(rows[c].to_pylist() for c in columns), strict=True)
            ):
                good = {
                    "all": dealer is None, "group": (kind, dealer) in member,
                    "dealer": dealer in dealers, "account": dealer in dealers,
                }[scope] and {
                    "all": product is None, "cart": product is None,
                    "product": product in products, "category": product in categories,
                }[what]  # fmt: skip
                if not good:
                    bad.append(f"{erp} {table}: {scope} {kind} {dealer} {what} {product}")
    return bad


def _dangling_lines(dataset: Dataset) -> list[str]:
    """Order lines that invoices and shipments name."""
    linked = dataset["invoice_line"].filter(dataset["invoice_line"]["order_line_no"].is_valid())
    billed = set(_tuples(linked, "erp", "order_key", "order_line_no"))
    order_of = {
        (erp, key): order
        for erp, key, order in _tuples(dataset["shipment"], "erp", "key", "order_key")
    }
    sent = {
        (erp, order_of[erp, shipment], line)
        for erp, shipment, line in _tuples(
            dataset["shipment_line"], "erp", "shipment_key", "order_line_no"
        )
    }
    if not billed | sent:
        return []
    order_lines = set(_tuples(dataset["sales_order_line"], "erp", "order_key", "line_no"))
    return [str(row) for row in sorted((billed | sent) - order_lines)]


def _tuples(table: pa.Table, *columns: str) -> list[tuple]:
    return list(zip(*(table[c].to_pylist() for c in columns), strict=True))


def repeated_keys(dataset: Dataset) -> list[str]:
    """Tables in which a key appears twice."""
    bad = []
    for table, columns in KEYS.items():
        rows = dataset[table].select(["erp", *columns])
        if rows.group_by(rows.column_names).aggregate([]).num_rows != rows.num_rows:
            bad.append(table)
    return bad


def wrong_sums(dataset: Dataset) -> list[str]:
    """Heads that differ from their lines, orders too; to the cent."""
    bad: list[str] = []
    for head, line, link, columns in (
        ("invoice", "invoice_line", "invoice_key", ("net", "tax", "gross")),
        ("sales_order", "sales_order_line", "order_key", ("net", "gross")),
    ):
        grouped = dataset[line].group_by(["erp", link]).aggregate([(c, "sum") for c in columns])
        sums = {
            (erp, key): values
            for erp, key, *values in _tuples(grouped, "erp", link, *(f"{c}_sum" for c in columns))
        }
        for erp, key, *values in _tuples(dataset[head], "erp", "key", *columns):
            found = sums.get((erp, key), values)
            pairs = zip(columns, values, found, strict=True)
            bad += [f"{head} {erp} {key} {c}" for c, own, sum_ in pairs if own not in (None, sum_)]
    return bad


def wrong_balances(dataset: Dataset) -> list[str]:
    """Accounts whose credit row is not what is open less what is unapplied."""
    opened = _sums(dataset["invoice"], "account_key", "open_amount")
    loose = _sums(dataset["payment"], "account_key", "unapplied")
    return [
        f"{erp} {account}"
        for erp, account, balance in _tuples(
            dataset["credit"], "erp", "account_key", "open_balance"
        )
        if balance != (opened.get((erp, account)) or 0) - (loose.get((erp, account)) or 0)
    ]


def _sums(table: pa.Table, key: str, column: str) -> dict[tuple[str, str], Decimal | None]:
    """Exact sums of a column by ERP and key."""
    grouped = table.group_by(["erp", key]).aggregate([(column, "sum")])
    return {(erp, k): total for erp, k, total in _tuples(grouped, "erp", key, f"{column}_sum")}


def wrong_open_amounts(dataset: Dataset) -> list[str]:
    """Invoices that are open by more than their gross, or on the other side."""
    return [
        f"{erp} {key}"
        for erp, key, gross, left in _tuples(
            dataset["invoice"], "erp", "key", "gross", "open_amount"
        )
        if not (0 <= left <= gross or gross <= left <= 0)
    ]
