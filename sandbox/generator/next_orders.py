"""What a day does to orders: some advance, some are new."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.generator.next_rows import (
    Row,
    a_few,
    added,
    children,
    next_keys,
    patched,
    rows_at,
    where,
)

FEW = 2
STEPS = {
    # from: (to, column of its instant, the ERP's own code, kind of event)
    "pending": ("approved", "approved_at", "B", "status"),
    "approved": ("processing", None, "C", "status"),
    "shipped": ("delivered", "delivered_at", "E", "delivered"),
}
Accounts = set[tuple[str, str]]


def advance(
    rng: np.random.Generator, dataset: Dataset, moment: datetime
) -> tuple[Dataset, Accounts]:
    """A few orders of each ERP go one status further, with their lines, shipments and history."""
    order = dataset["sales_order"]
    changes: dict[int, Row] = {}
    moved: dict[tuple[str, str], str] = {}
    events: list[Row] = []
    touched = _Touched(dataset)
    for erp in dataset.erps:
        kept = len(where(dataset["order_event"], erp)) > 0
        for old, (new, column, raw, kind) in STEPS.items():
            chosen = a_few(rng, where(order, erp, status=old), FEW)
            for position, row in zip(chosen, rows_at(order, chosen), strict=True):
                change: Row = {"status": new, "changed_at": moment, "modified_at": moment}
                if len(row["status_raw"] or "") == 1:
                    change["status_raw"] = raw
                if column:
                    change[column] = moment
                if new == "approved" and row["open_gross"] is not None:
                    change["open_gross"] = row["gross"]
                changes[position] = change
                moved[erp, row["key"]] = new
                touched.add(erp, row["dealer_key"])
                if kept:
                    history = children(dataset["order_event"], erp, "order_key", [row["key"]])
                    events.append({
                        "erp": erp, "modified_at": moment, "order_key": row["key"], "at": moment,
                        "seq": max((event["seq"] for event in history), default=0) + 1,
                        "kind": kind, "old": f'{{"status": "{old}"}}',
                        "new": f'{{"status": "{new}"}}', "source": "erp",
                    })  # fmt: skip
    arrived = {key: status for key, status in moved.items() if status == "delivered"}
    changed = dataset.replace(
        sales_order=patched(order, changes),
        sales_order_line=_follow(dataset, "sales_order_line", moved, moment),
        shipment=_follow(dataset, "shipment", arrived, moment),
        order_event=added(dataset["order_event"], events),
    )
    return changed, touched.accounts


def place(rng: np.random.Generator, dataset: Dataset, moment: datetime) -> tuple[Dataset, Accounts]:
    """A few new orders of each ERP, pending, like older ones."""
    heads: list[Row] = []
    lines: list[Row] = []
    events: list[Row] = []
    for erp in dataset.erps:
        own = dataset["sales_order"].filter(pc.equal(dataset["sales_order"]["erp"], erp))
        if not own.num_rows:
            continue
        models = rows_at(own, a_few(rng, list(range(own.num_rows)), FEW))
        keys = next_keys(own["key"], len(models))
        kept = len(where(dataset["order_event"], erp)) > 0
        pending = where(own, erp, status="pending")
        raw = rows_at(own, pending[:1])[0]["status_raw"] if pending else "OPEN"
        for model, key in zip(models, keys, strict=True):
            heads.append(_new_head(model, key, raw, moment))
            lines += [
                _new_line(line, key, moment)
                for line in children(dataset["sales_order_line"], erp, "order_key", [model["key"]])
            ]
            if kept:
                events.append({
                    "erp": erp, "modified_at": moment, "order_key": key, "seq": 1, "at": moment,
                    "kind": "received", "new": '{"status": "pending"}', "source": "erp",
                })  # fmt: skip
    changed = dataset.replace(
        sales_order=added(dataset["sales_order"], heads),
        sales_order_line=added(dataset["sales_order_line"], lines),
        order_event=added(dataset["order_event"], events),
    )
    return changed, Accounts()


def _new_head(model: Row, key: str, raw: str, moment: datetime) -> Row:
    """An order placed now: what was asked for is the model's, nothing has happened to it yet."""
    kept = (
        "erp", "dealer_key", "address_key", "contact_key", "sales_rep_key", "currency", "net",
        "tax", "gross",
    )  # fmt: skip
    return {
        **{name: model[name] for name in kept},
        "key": key, "number": key, "channel": "phone", "customer_ref": f"TEL {key}",
        "ordered_at": moment, "ordered_at_exact": True, "status": "pending", "status_raw": raw,
        "expected_on": moment.date() + timedelta(days=4), "changed_at": moment,
        "modified_at": moment,
    }  # fmt: skip


def _new_line(model: Row, key: str, moment: datetime) -> Row:
    """A line of a new order."""
    kept = (
        "erp", "line_no", "product_key", "qty", "uom", "unit_price", "per", "discount_pct", "net",
        "tax_pct", "gross", "warehouse_key",
    )  # fmt: skip
    return {
        **{name: model[name] for name in kept},
        "order_key": key, "status": "pending", "modified_at": moment,
    }  # fmt: skip


class _Touched:
    """Collects the accounts of dealers whose orders moved."""

    def __init__(self, dataset: Dataset) -> None:
        self.accounts = Accounts()
        dealer = dataset["dealer"]
        names = (dealer[name].to_pylist() for name in ("erp", "key", "account_key"))
        self._account = {(erp, key): account for erp, key, account in zip(*names, strict=True)}

    def add(self, erp: str, dealer_key: str) -> None:
        """Note a dealer; one that another ERP serves has no account here."""
        account = self._account.get((erp, dealer_key))
        if account is not None:
            self.accounts.add((erp, account))


def _follow(
    dataset: Dataset, name: str, moved: Mapping[tuple[str, str], str], moment: datetime
) -> pa.Table:
    """The children of moved orders: lines take their order's status, shipments arrive."""
    table = dataset[name]
    wanted = pa.array(sorted({key for _, key in moved}), pa.string())
    near = np.flatnonzero(np.asarray(pc.is_in(table["order_key"], wanted))).tolist()
    changes: dict[int, Row] = {}
    for position, row in zip(near, rows_at(table, near), strict=True):
        status = moved.get((row["erp"], row["order_key"]))
        if status is None:
            continue
        if name == "shipment":
            changes[position] = {"delivered_at": moment, "modified_at": moment}
        elif row["status"] is not None:
            changes[position] = {"status": status, "modified_at": moment}
            if status == "approved":
                changes[position]["qty_confirmed"] = row["qty"]
    return patched(table, changes)
