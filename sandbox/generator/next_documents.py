"""What a day adds to the receivables: payments of open invoices, new invoices, new balances."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
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

FEW = 3
Accounts = set[tuple[str, str]]


def pay(rng: np.random.Generator, dataset: Dataset, moment: datetime) -> tuple[Dataset, Accounts]:
    """A few open invoices of each ERP are paid in full, each by a payment of its own."""
    invoice, touched, today = dataset["invoice"], Accounts(), moment.date()
    changes: dict[int, Row] = {}
    payments: list[Row] = []
    allocations: list[Row] = []
    for erp in dataset.erps:
        mine = dataset["payment"].filter(pc.equal(dataset["payment"]["erp"], erp))
        if not mine.num_rows:
            continue
        is_open = pc.greater(invoice["open_amount"], Decimal(0))
        due = np.asarray(pc.fill_null(is_open, fill_value=False))
        chosen = a_few(rng, [p for p in where(invoice, erp, kind="invoice") if due[p]], FEW)
        keys = next_keys(mine["key"], len(chosen))
        allocates = len(where(dataset["payment_allocation"], erp)) > 0
        for key, position, row in zip(keys, chosen, rows_at(invoice, chosen), strict=True):
            changes[position] = {
                "open_amount": Decimal(0), "settled_on": today, "modified_at": moment,
            }  # fmt: skip
            stamp = {"erp": erp, "modified_at": moment, "amount": row["open_amount"]}
            payments.append({
                **stamp, "key": key, "account_key": row["account_key"], "kind": "payment",
                "booked_on": today, "currency": row["currency"], "unapplied": Decimal(0),
                "method": "transfer",
            })  # fmt: skip
            if allocates:
                allocations.append({
                    **stamp, "payment_key": key, "invoice_key": row["key"], "allocated_on": today,
                })  # fmt: skip
            touched.add((erp, row["account_key"]))
    changed = dataset.replace(
        invoice=patched(invoice, changes),
        payment=added(dataset["payment"], payments),
        payment_allocation=added(dataset["payment_allocation"], allocations),
    )
    return changed, touched


def bill(rng: np.random.Generator, dataset: Dataset, moment: datetime) -> tuple[Dataset, Accounts]:
    """A few new invoices of each ERP, like older ones but issued today and wholly open."""
    touched, today = Accounts(), moment.date()
    heads: list[Row] = []
    lines: list[Row] = []
    documents: list[Row] = []
    for erp in dataset.erps:
        invoice = dataset["invoice"].filter(pc.equal(dataset["invoice"]["erp"], erp))
        chosen = a_few(rng, where(invoice, erp, kind="invoice"), FEW)
        if not chosen:
            continue
        keys, numbers = (next_keys(invoice[name], len(chosen)) for name in ("key", "number"))
        models = rows_at(invoice, chosen)
        for model, key, number in zip(models, keys, numbers, strict=True):
            fresh = {"key": key, "modified_at": moment, "issued_on": today}
            term = model["due_on"] - model["issued_on"]
            heads.append({
                **model, **fresh, "number": number, "due_on": today + term,
                "open_amount": model["gross"], "settled_on": None, "order_key": None,
                "disputed": False, "dispute_reason": None, "dunning_level": None,
                "discount_until": None, "discount_amount": None,
            })  # fmt: skip
            unlinked = {"order_key": None, "order_line_no": None, "delivery_key": None}
            lines += [
                {**line, **unlinked, "invoice_key": key, "modified_at": moment, "priced_on": None}
                for line in children(dataset["invoice_line"], erp, "invoice_key", [model["key"]])
            ]
            documents += [
                {**paper, **fresh, "key": f"DOC-{key}", "number": number, "subject_key": key,
                 "location": f"invoices/{key}.pdf", "retain_until": today + timedelta(days=3653)}
                for paper in children(dataset["document"], erp, "subject_key", [model["key"]])
            ]  # fmt: skip
            touched.add((erp, model["account_key"]))
    changed = dataset.replace(
        invoice=added(dataset["invoice"], heads),
        invoice_line=added(dataset["invoice_line"], lines),
        document=added(dataset["document"], documents),
    )
    return changed, touched


def recalculate(
    dataset: Dataset, accounts: Accounts, as_of: date, calculated_at: datetime
) -> Dataset:
    """The credit rows of the accounts, worked out anew from invoices, payments and orders.

    Figures that an ERP does not tell (null) stay untold, but for the balance.
    """
    credit = dataset["credit"]
    changes: dict[int, Row] = {}
    for erp, account in sorted(accounts):
        found = where(credit, erp, account_key=account)
        if not found:
            continue
        position, old = found[0], rows_at(credit, found[:1])[0]
        items = children(dataset["invoice"], erp, "account_key", [account])
        paid = children(dataset["payment"], erp, "account_key", [account])
        unapplied = sum((row["unapplied"] or Decimal(0) for row in paid), Decimal(0))
        late = [
            row for row in items
            if row["kind"] == "invoice" and row["open_amount"] > 0 and row["due_on"] < as_of
        ]  # fmt: skip
        figures: Row = {
            "overdue": sum((row["open_amount"] for row in late), Decimal(0)),
            "unapplied": unapplied,
            "pending": None,
        }
        buyers = children(dataset["dealer"], erp, "account_key", [account])
        keys = [row["key"] for row in buyers]
        orders = children(dataset["sales_order"], erp, "dealer_key", keys)
        waiting = [row for row in orders if row["open_gross"]]
        figures["pending"] = sum((row["open_gross"] for row in waiting), Decimal(0))
        figures["pending_refs"] = [row["portal_ref"] for row in waiting if row["portal_ref"]]
        change: Row = {name: value for name, value in figures.items() if old[name] is not None}
        if old["overdue"] is not None:
            change["oldest_due_on"] = min((row["due_on"] for row in late), default=None)
        if old["last_paid_on"] is not None and paid:
            last = max(paid, key=lambda row: (row["booked_on"], row["key"]))
            change |= {"last_paid_on": last["booked_on"], "last_paid_amount": last["amount"]}
        opened = sum((row["open_amount"] for row in items), Decimal(0))
        changes[position] = {
            **change, "open_balance": opened - unapplied, "calculated_at": calculated_at,
            "modified_at": calculated_at,
        }  # fmt: skip
    return dataset.replace(credit=patched(credit, changes)) if changes else dataset
