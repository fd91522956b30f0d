"""Generated invoices with lines and documents. Heads are exact sums of their lines.

Payments and what stays open are decided in `payments`.
"""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from sandbox.generator.columns import (
    Bools,
    Ints,
    Texts,
    build,
    business_seconds,
    day_number,
    days,
    decimals,
    fine_qty,
    half_up,
    money,
    pct,
    price,
    some,
    texts,
)
from sandbox.generator.dealers import Dealers
from sandbox.generator.orders import order_keys
from sandbox.generator.payments import Settled
from sandbox.generator.products import Products
from sandbox.generator.sales import Sales

KEY_FORMS = {"anvil": "%010d", "birch": "IV-%06d", "cedar": "FTR2026%09d"}
FIRST_INVOICE = {"anvil": 90_000_001, "birch": 30_001, "cedar": 1}
NUMBER_FORMS = {"anvil": "RE-%08d", "birch": "2026/%06d", "cedar": "FTR2026%09d"}
KINDS = ("invoice", "credit_note", "debit_note", "adjustment", "carried_forward")
INVOICE, CREDIT_NOTE, DEBIT_NOTE = 0, 1, 2
WITHOUT_LINES = 3  # this kind and those after it
ITEM, FREIGHT, DISCOUNT, CHARGE, TEXT = range(5)
LINE_KINDS = np.array(("item", "freight", "discount", "charge", "text"), dtype=object)


@dataclass(frozen=True)
class BillLines:
    """Invoice lines, equally long columns; -1 where a line has no product or sale line."""

    head: Ints
    kind: Ints
    source: Ints  # position of the sale's line, -1
    sign: Ints
    net: Ints  # cents
    tax: Ints  # cents
    tax_pct: Ints  # hundredths of a percent


@dataclass(frozen=True)
class Bills:
    """Receivable items by rising day; equally long columns, amounts in cents."""

    erp: str
    keys: Texts
    kind: Ints
    buyer: Ints
    account: Ints
    sale: Ints  # -1: not from a sale
    cancels: Ints  # position of the bill a credit note cancels in full, -1
    issued_on: Ints
    due_on: Ints
    net: Ints
    tax: Ints
    gross: Ints
    lines: BillLines


def counts(invoices: int, *, cedar: bool) -> tuple[int, int, int]:
    """Of so many receivable items: invoices, credit notes, items of other kinds."""
    credit_notes = max(invoices // 20, 2)
    others = 0 if cedar else max(invoices // 150, 3)
    return invoices - credit_notes - others, credit_notes, others


def make_bills(
    rng: np.random.Generator, as_of: date, sales: Sales, dealers: Dealers, erp: str, total: int
) -> Bills:
    """`total` receivable items: one of each invoiced sale, the rest of other kinds."""
    today = day_number(as_of)
    plain, credit_notes, others = counts(total, cedar=erp == "cedar")
    billed = np.flatnonzero(sales.invoiced)[:plain]
    base = _invoice_lines(rng, sales, billed, erp)
    # Credit notes take back a whole invoice (even ones) or its first line (odd ones).
    taken = rng.choice(plain, credit_notes, replace=False)
    whole = np.arange(credit_notes) % 2 == 0
    blocks = [base]
    for i, bill in enumerate(taken):
        rows = np.flatnonzero(base.head == bill)
        rows = rows if whole[i] else rows[:1]
        head = np.full(len(rows), plain + i)
        blocks.append(
            BillLines(head, base.kind[rows], base.source[rows], np.full(len(rows), -1),
                      -base.net[rows], -base.tax[rows], base.tax_pct[rows])
        )  # fmt: skip
    other_kind = DEBIT_NOTE + np.arange(others) % 3
    charged = plain + credit_notes + np.flatnonzero(other_kind == DEBIT_NOTE)
    charge = np.full(len(charged), 2500)
    blocks.append(
        BillLines(charged, np.full(len(charged), CHARGE), np.full(len(charged), -1),
                  np.ones(len(charged), dtype=np.int64), charge, half_up(charge * 1900, 10_000),
                  np.full(len(charged), 1900))
    )  # fmt: skip
    lines = BillLines(*(np.concatenate([vars(b)[k] for b in blocks]) for k in vars(base)))
    kind = np.concatenate([np.zeros(plain), np.ones(credit_notes), other_kind]).astype(np.int64)
    some_sales = billed[np.arange(others) * 5 % max(plain, 1)]
    sale = np.concatenate([billed, billed[taken], some_sales])
    issued = sales.shipped_on[sale]
    issued = np.where(kind == CREDIT_NOTE, np.minimum(issued + 9, today - 1), issued)
    n = len(kind)
    net, tax = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    np.add.at(net, lines.head, lines.net)
    np.add.at(tax, lines.head, lines.tax)
    gross = net + tax
    gross = np.where(kind == WITHOUT_LINES, -1999, np.where(kind > WITHOUT_LINES, 45_210, gross))
    order = np.lexsort((np.arange(n), issued))
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    cancels = np.full(n, -1)
    cancels[plain : plain + credit_notes] = np.where(whole, place[taken], -1)
    buyer = sales.buyer[sale]
    by_head = np.argsort(place[lines.head], kind="stable")
    sorted_lines = BillLines(*(vars(lines)[k][by_head] for k in vars(lines)))
    lines = BillLines(place[sorted_lines.head], *list(vars(sorted_lines).values())[1:])
    return Bills(
        erp=erp, keys=texts(KEY_FORMS[erp], FIRST_INVOICE[erp] + np.arange(n)), kind=kind[order],
        buyer=buyer[order], account=dealers.account[buyer][order],
        sale=np.where(kind == INVOICE, sale, -1)[order], cancels=cancels[order],
        issued_on=issued[order], due_on=(issued + dealers.payment_days[buyer])[order],
        net=net[order], tax=tax[order], gross=gross[order], lines=lines,
    )  # fmt: skip


def _invoice_lines(rng: np.random.Generator, sales: Sales, billed: Ints, erp: str) -> BillLines:
    """The sales' lines, then freight, and (not in UBL from cedar) discounts and texts."""
    lines = sales.lines
    head_of = np.full(len(sales.buyer), -1)
    head_of[billed] = np.arange(len(billed))
    source = np.flatnonzero(head_of[lines.sale] >= 0)
    head = head_of[lines.sale[source]]
    n = len(billed)
    item_net = np.zeros(n, dtype=np.int64)
    np.add.at(item_net, head, lines.net[source])
    rate = 1900 if erp == "anvil" else 2000
    odd = rng.random(n)
    extra = [(FREIGHT, np.flatnonzero(odd < 0.3), 1490 + np.zeros(n, dtype=np.int64))]
    if erp != "cedar":
        extra += [
            (DISCOUNT, np.flatnonzero((odd > 0.3) & (odd < 0.36)), -(item_net // 100)),
            (TEXT, np.flatnonzero(odd > 0.95), np.zeros(n, dtype=np.int64)),
        ]
    one = np.ones(len(source), dtype=np.int64)
    blocks = [
        BillLines(head, one * ITEM, source, one, lines.net[source], lines.tax[source],
                  lines.tax_pct[source])
    ]  # fmt: skip
    for kind, heads, amount in extra:
        net, full = amount[heads], np.ones(len(heads), dtype=np.int64)
        tax = half_up(net * rate, 10_000)
        blocks.append(BillLines(heads, full * kind, -full, full, net, tax, full * rate))
    joined = BillLines(*(np.concatenate([vars(b)[k] for b in blocks]) for k in vars(blocks[0])))
    order = np.argsort(joined.head, kind="stable")
    return BillLines(*(column[order] for column in vars(joined).values()))


def bill_tables(
    rng: np.random.Generator, as_of: date, bills: Bills, settled: Settled, sales: Sales,
    products: Products, dealers: Dealers,
) -> dict[str, pa.Table]:  # fmt: skip
    """invoice, invoice_line and document."""
    erp, n, today = bills.erp, len(bills.keys), day_number(as_of)
    odd = rng.random(n)
    opened = bills.gross - settled.paid
    is_invoice = bills.kind == INVOICE
    late = np.where(is_invoice & (opened > 0), np.maximum(today - bills.due_on, 0), 0)
    has_lines = bills.kind < WITHOUT_LINES
    with_order = (bills.sale >= 0) & (erp != "cedar")
    orders = order_keys(dealers.erp, len(sales.buyer))
    disputed = (late > 20) & (odd < 0.15)
    until = bills.issued_on + dealers.discount_days[bills.buyer]
    cut = half_up(bills.gross * dealers.discount_pct[bills.buyer], 10_000)
    discounted = is_invoice & (cut > 0)
    issued_at = business_seconds(rng, bills.issued_on)
    modified = np.maximum(issued_at, settled.at)
    number = FIRST_INVOICE[erp] + np.arange(n)
    numbers = texts(NUMBER_FORMS[erp], number % 10**8)
    kinds = np.array(KINDS, dtype=object)[bills.kind]
    head = build(
        "invoice", erp, n, modified,
        key=bills.keys, number=numbers, kind=kinds, account_key=dealers.keys[bills.account],
        dealer_key=some(dealers.keys[bills.buyer], has_lines),
        order_key=some(orders[bills.sale], with_order & (odd > 0.1)),
        customer_ref=some(
            texts("B%05d/%02d", np.maximum(bills.sale, 0), bills.buyer % 90),
            is_invoice & (odd < 0.7),
        ),
        issued_on=days(bills.issued_on), due_on=days(bills.due_on, is_invoice | (odd < 0.2)),
        due_on_computed=some(np.zeros(n, dtype=bool), is_invoice),
        currency=dealers.currency[bills.buyer], net=money(bills.net, has_lines),
        tax=money(bills.tax, has_lines),
        gross=money(bills.gross), open_amount=money(opened),
        settled_on=days(settled.on, opened == 0),
        disputed=some(disputed, is_invoice),
        dispute_reason=some(np.full(n, "Menge fehlt; 'Ware beschädigt'"), disputed),
        dunning_level=some(np.minimum(late // 20, 3), late > 0),
        discount_until=days(until, discounted), discount_amount=money(cut, discounted),
        cancels_key=some(bills.keys[bills.cancels], bills.cancels >= 0),
        attributes=some(np.full(n, '{"Kostenstelle": "4711"}'), odd < 0.1),
    )  # fmt: skip
    documented = np.flatnonzero(bills.kind <= CREDIT_NOTE)
    m = len(documented)
    document = build(
        "document", erp, m, issued_at[documented],
        key=texts("DOC%07d", 1 + documented), kind=kinds[documented], number=numbers[documented],
        account_key=dealers.keys[bills.account[documented]],
        dealer_key=some(dealers.keys[bills.buyer[documented]], odd[documented] < 0.9),
        subject="invoice", subject_key=bills.keys[documented],
        issued_on=days(bills.issued_on[documented]),
        format="pdf",
        language=some(np.full(m, "tr" if erp == "cedar" else "de"), odd[documented] < 0.8),
        location=texts("invoices/%s.pdf", bills.keys[documented]),
        retain_until=days(bills.issued_on[documented] + 3653, odd[documented] < 0.9),
    )  # fmt: skip
    lines = _line_table(bills, sales, products, orders, with_order, modified)
    return {"invoice": head, "invoice_line": lines, "document": document}


def _line_table(
    bills: Bills, sales: Sales, products: Products, orders: Texts, with_order: Bools, modified: Ints
) -> pa.Table:
    erp, lines, sold = bills.erp, bills.lines, sales.lines
    n = len(lines.head)
    item = lines.source >= 0
    source = np.maximum(lines.source, 0)
    position = np.arange(n) - np.searchsorted(lines.head, lines.head) + 1
    product = sold.product[source]
    other = LINE_KINDS[lines.kind]
    linked = item & with_order[lines.head]
    number_form = "%06d" if erp == "anvil" else "%d"
    return build(
        "invoice_line", erp, n, modified[lines.head],
        invoice_key=bills.keys[lines.head], line_no=texts(number_form, position * 10),
        kind=other, product_key=some(products.keys[product], item),
        description=np.where(item, products.names[product], other),
        qty=fine_qty(sold.qty[source] * lines.sign, item),
        uom=some(products.base_uom[product], item),
        unit_price=price(sold.unit_price[source], item), per=some(sold.per[source], item),
        discount_pct=pct(sold.discount[source], item & (sold.discount[source] > 0)),
        net=money(lines.net), tax_pct=decimals(lines.tax_pct * 10_000, pa.decimal128(9, 6)),
        tax=money(lines.tax),
        gross=money(lines.net + lines.tax),
        order_key=some(orders[sold.sale[source]], linked),
        order_line_no=some(texts(number_form, sold.number[source]), linked),
        delivery_key=some(texts("LS%06d", lines.head), linked & (position % 2 == 0)),
        priced_on=days(sales.ordered_on[sold.sale[source]], item & (position % 3 > 0)),
    )  # fmt: skip
