"""Generated payments and their allocations, and the credit rows that follow from them.

What is open of an invoice is its gross less its allocations; what an account owes is the sum of its
open amounts less its unapplied payments. Both hold to the cent.
"""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sandbox.generator.columns import (
    SECONDS_A_DAY,
    Ints,
    build,
    day_number,
    days,
    instants,
    money,
    pick,
    qty,
    some,
    texts,
)
from sandbox.generator.dealers import Dealers

if TYPE_CHECKING:
    from sandbox.generator.receivables import Bills

KEY_FORMS = {"anvil": "%010d", "birch": "PM-%06d", "cedar": "TH%07d"}
PAYMENT, REFUND, WRITE_OFF, ADJUSTMENT = range(4)
KINDS = np.array(("payment", "refund", "write_off", "adjustment"), dtype=object)


@dataclass(frozen=True)
class Settled:
    """What came of each bill: cents allocated, day of the last allocation, its instant, or 0."""

    paid: Ints
    on: Ints
    at: Ints


@dataclass(frozen=True)
class Payments:
    """Payments of one ERP; equally long columns."""

    account: Ints
    amount: Ints
    unapplied: Ints
    booked_on: Ints


def make_payments(
    rng: np.random.Generator, as_of: date, bills: "Bills", dealers: Dealers, waiting: dict[int, str]
) -> tuple[Payments, Settled, dict[str, pa.Table]]:
    """Payments for most bills that are due; `waiting` names an open order of some accounts."""
    today, n = day_number(as_of), len(bills.keys)
    bill, group_account, kind, on, amount = _allocations(rng, bills, today)
    # One payment for all bills of an account that are paid in the same week.
    week = np.where(kind == PAYMENT, on // 7, 10**6 + np.arange(len(bill)))
    pair = kind == ADJUSTMENT  # both sides of a clearing belong to one payment
    week[pair] = 10**7 + np.repeat(np.arange(pair.sum() // 2), 2)
    code = week * 10**6 + group_account
    groups, member = np.unique(code, return_inverse=True)
    m = len(groups)
    booked = np.zeros(m, dtype=np.int64)
    np.maximum.at(booked, member, on)
    total = np.zeros(m, dtype=np.int64)
    np.add.at(total, member, amount)
    kinds, account = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int64)
    kinds[member], account[member] = kind, group_account
    unapplied = np.where(
        (rng.random(m) < 0.04) & (kinds == PAYMENT), rng.integers(100, 90_000, m), 0
    )
    # Money on account that belongs to no bill yet, some of it for an order to come.
    extra = max(m // 60, 2)
    account = np.concatenate([account, dealers.account[rng.integers(0, len(dealers.keys), extra)]])
    on_account = rng.integers(5, 500, extra) * 1000
    unapplied = np.concatenate([unapplied, on_account])
    amount_all = np.concatenate([total, np.zeros(extra, dtype=np.int64)]) + unapplied
    booked = np.concatenate([booked, today - 1 - np.arange(extra) % 20])
    kinds = np.concatenate([kinds, np.zeros(extra, dtype=np.int64)])
    every = m + extra
    order = np.lexsort((np.arange(every), booked))
    place = np.empty(every, dtype=np.int64)
    place[order] = np.arange(every)
    booked, account, kinds = booked[order], account[order], kinds[order]
    unapplied, amount_all = unapplied[order], amount_all[order]
    keys = texts(KEY_FORMS[bills.erp], 14_000_001 + np.arange(every))
    at = booked * SECONDS_A_DAY + 50_000 + np.arange(every) % 3600
    down = {int(place[i]): waiting.get(int(account[place[i]])) for i in range(m, every)}
    payment = build(
        "payment", bills.erp, every, at,
        key=keys, account_key=dealers.keys[account], kind=KINDS[kinds], booked_on=days(booked),
        value_on=days(booked + 1, np.arange(every) % 3 > 0), currency=dealers.currency[account],
        amount=money(amount_all),
        unapplied=money(unapplied, (unapplied > 0) | (np.arange(every) % 2 == 0)),
        method=some(pick(rng, ("transfer", "direct_debit", "card"), every), kinds < WRITE_OFF),
        reference=some(texts("Überweisung %07d", np.arange(every)), np.arange(every) % 4 > 0),
        order_ref=pa.array([down.get(i) for i in range(every)], pa.string()),
    )  # fmt: skip
    rows = np.argsort(place[member], kind="stable")
    final = place[member][rows]
    allocation = build(
        "payment_allocation", bills.erp, len(rows), at[final],
        payment_key=keys[final], invoice_key=bills.keys[bill[rows]], amount=money(amount[rows]),
        allocated_on=days(booked[final], rows % 5 > 0),
    )  # fmt: skip
    paid, last, moment = (np.zeros(n, dtype=np.int64) for _ in range(3))
    np.add.at(paid, bill[rows], amount[rows])
    np.maximum.at(last, bill[rows], booked[final])
    np.maximum.at(moment, bill[rows], at[final])
    tables = {"payment": payment, "payment_allocation": allocation}
    return Payments(account, amount_all, unapplied, booked), Settled(paid, last, moment), tables


def _allocations(
    rng: np.random.Generator, bills: "Bills", today: int
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Columns bill, account, kind, day, cents: which part of which bill is met by what."""
    n = len(bills.keys)
    odd, more = rng.random(n), rng.random(n)
    age = today - bills.due_on
    likely = np.select([age > 45, age > 0], [0.94, 0.7], 0.2)
    cleared = np.zeros(n, dtype=bool)  # invoices that a credit note has taken back
    takers = np.flatnonzero(bills.cancels >= 0)[::2]
    cleared[bills.cancels[takers]] = True
    payable = (bills.kind == 0) & ~cleared & (bills.gross > 0)
    paid = np.flatnonzero(payable & (odd < likely))
    day = np.clip(bills.due_on + rng.integers(-12, 30, n), bills.issued_on + 1, today - 1)
    day = np.maximum(day, bills.issued_on)
    share = np.where((more < 0.08) & (age < 150), 40, 100)
    whole = bills.gross * share // 100
    small = paid[(more[paid] > 0.97) & (share[paid] == 100) & (whole[paid] > 1000)]
    met = whole.copy()
    met[small] -= 37
    notes = np.flatnonzero((bills.kind == 1) & (bills.cancels < 0))
    refunded = notes[::3]
    pairs = np.stack([bills.cancels[takers], takers], axis=1).reshape(-1)
    pair_day = np.repeat(bills.issued_on[takers], 2)
    bill = np.concatenate([paid, small, refunded, pairs])
    kind = np.repeat(
        [PAYMENT, WRITE_OFF, REFUND, ADJUSTMENT], [len(paid), len(small), len(refunded), len(pairs)]
    )
    refund_day = np.minimum(bills.issued_on[refunded] + 3, today - 1)
    on = np.concatenate([day[paid], day[small], refund_day, pair_day])
    amount = np.concatenate(
        [met[paid], np.full(len(small), 37), bills.gross[refunded], bills.gross[pairs]]
    )
    return bill, bills.account[bill], kind, on, amount


def make_credit(
    rng: np.random.Generator, as_of: date, bills: "Bills", settled: Settled, payments: Payments,
    dealers: Dealers, orders: pa.Table,
) -> pa.Table:  # fmt: skip
    """One row for each paying account, reconciled with its invoices, payments and orders."""
    today, erp = day_number(as_of), dealers.erp
    accounts = np.unique(dealers.account)
    n, all_dealers = len(accounts), len(dealers.keys)
    sums = {
        name: np.zeros(all_dealers, dtype=np.int64)
        for name in ("open", "unapplied", "overdue", "pending")
    }
    opened = bills.gross - settled.paid
    np.add.at(sums["open"], bills.account, opened)
    np.add.at(sums["unapplied"], payments.account, payments.unapplied)
    late = (bills.kind == 0) & (opened > 0) & (bills.due_on < today)
    np.add.at(sums["overdue"], bills.account[late], opened[late])
    oldest = np.full(all_dealers, 10**6)
    np.minimum.at(oldest, bills.account[late], bills.due_on[late])
    last_paid = np.full(all_dealers, -1)
    last_paid[payments.account] = np.arange(
        len(payments.account)
    )  # by rising day: the last one stays
    position = {key: i for i, key in enumerate(dealers.keys)}
    references: dict[int, list[str]] = {}
    chosen = orders.select(["dealer_key", "open_gross", "portal_ref"]).to_pylist()
    for row in chosen:
        if row["open_gross"]:
            account = int(dealers.account[position[row["dealer_key"]]])
            sums["pending"][account] += int(row["open_gross"] * 100)
            if row["portal_ref"]:
                references.setdefault(account, []).append(row["portal_ref"])
    which = np.arange(n) % 20
    unknown, prepay, unlimited = which < 2, which == 2, which == 3
    limit = np.where(prepay, 0, (1 + np.arange(n) * 7 % 40) * 500_000)
    told = (erp == "anvil") | (np.arange(n) % 2 == 0)
    held = which == 9
    balance = sums["open"] - sums["unapplied"]
    paid = last_paid[accounts]
    calculated = np.full(n, today * SECONDS_A_DAY + 4 * 3600)
    return build(
        "credit", erp, n, calculated,
        account_key=dealers.keys[accounts], currency=dealers.currency[accounts],
        limit_amount=money(limit, ~unknown & ~unlimited), unlimited=unlimited,
        soft_limit=money(limit * 9 // 10, (which > 10) & (which < 14)),
        limit_valid_to=days(today - 10 + accounts % 400, (which > 12) & (which < 17)),
        open_balance=money(balance[accounts]), pending=money(sums["pending"][accounts], told),
        pending_refs=pa.array(
            [references.get(int(a), []) if t else None
             for a, t in zip(accounts, told, strict=True)],
            pa.list_(pa.string()),
        ),
        overdue=money(sums["overdue"][accounts]),
        oldest_due_on=days(np.minimum(oldest[accounts], today), oldest[accounts] < 10**6),
        unapplied=money(sums["unapplied"][accounts], which > 0), on_hold=held,
        hold_reason=some(np.full(n, "Inkasso; Rücksprache"), held),
        risk_class=some(pick(rng, ("A", "B", "C"), n), which < 16),
        avg_days_late=qty(accounts % 23, which < 15),
        last_paid_on=days(payments.booked_on[paid], paid >= 0),
        last_paid_amount=money(payments.amount[paid], paid >= 0),
        calculated_at=instants(calculated),
    )  # fmt: skip
