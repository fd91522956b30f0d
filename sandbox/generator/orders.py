"""Generated orders of every channel and status, with lines, shipments and their history."""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

import base64
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset_shape import TIME_ZONES
from sandbox.generator import names
from sandbox.generator.columns import (
    SECONDS_A_DAY,
    Bools,
    Ints,
    Texts,
    build,
    business_seconds,
    day_number,
    days,
    fine_qty,
    instants,
    money,
    pct,
    price,
    some,
    texts,
)
from sandbox.generator.dealers import WAREHOUSES, Dealers
from sandbox.generator.products import Products
from sandbox.generator.sales import Lines, Sales

ORDER_FORMS = {"anvil": "%010d", "birch": "SO-%06d"}
FIRST_ORDER = {"anvil": 4_500_001, "birch": 70_001}
CHANNELS = ("edi", "phone", "mail", "fax", "rep", "counter", "other", "portal")
RAW = {
    "pending": "A", "approved": "B", "processing": "C", "shipped": "D", "delivered": "E",
    "rejected": "X", "held": "H", "cancelled": "S",
}  # fmt: skip
SITE = '{"name": "Baustelle Süd", "line1": "Gerüstplatz 1", "city": "Köln", "country": "DE"}'
REACHED = ("approved", "processing", "shipped", "delivered")
REASONS = {
    "held": "Kreditlimit überschritten",
    "rejected": "Artikel nicht lieferbar",
    "cancelled": "Storno durch Kunden; tel.",
}


def order_keys(erp: str, n: int) -> Texts:
    """The ERP's order keys, in the order of the sales."""
    return texts(ORDER_FORMS[erp], FIRST_ORDER[erp] + np.arange(n))


def make_orders(
    rng: np.random.Generator, as_of: date, sales: Sales, products: Products, dealers: Dealers
) -> dict[str, pa.Table]:
    """All order tables of one ERP."""
    erp, n, lines = dealers.erp, len(sales.buyer), sales.lines
    keys = order_keys(erp, n)
    channel = np.array(CHANNELS, dtype=object)[
        rng.choice(8, n, p=[0.25, 0.2, 0.2, 0.08, 0.1, 0.05, 0.02, 0.1])
    ]
    ordered = business_seconds(rng, sales.ordered_on)
    exact = channel != "fax"
    ordered = np.where(exact, ordered, _midnight(erp, sales.ordered_on))
    step = {
        "approved": np.maximum(ordered, sales.ordered_on * SECONDS_A_DAY + 21_600) + 1800,
        "shipped": business_seconds(rng, sales.shipped_on),
    }
    step["shipped"] = np.maximum(step["shipped"], step["approved"] + 2400)
    step["processing"] = step["approved"] + 1200
    limit = day_number(as_of) * SECONDS_A_DAY - 3600
    step["delivered"] = np.minimum(step["shipped"] + 90_000, limit)
    split = (sales.status == "processing") & (np.arange(n) % 2 == 0)
    went_out = np.isin(sales.status, ("shipped", "delivered"))
    rank = np.array([REACHED.index(s) if s in REACHED else -1 for s in sales.status])
    last = np.select(
        [sales.status == s for s in ("delivered", "shipped", "processing", "approved")],
        [step[s] for s in ("delivered", "shipped", "processing", "approved")], ordered + 900,
    )  # fmt: skip
    last = np.where(split, np.maximum(last, step["shipped"]), last)
    net, tax = lines.total(lines.net, n), lines.total(lines.tax, n)
    open_gross = np.where(
        np.isin(sales.status, ("approved", "processing")) | (went_out & ~sales.invoiced),
        net + tax,
        0,
    )
    portal = channel == "portal"
    odd = rng.random(n)
    backorder = np.full(n, -1)
    followers = np.flatnonzero(sales.status == "approved")[1::4]
    earlier = {int(b): i for i, b in enumerate(sales.buyer) if went_out[i]}
    for i in followers:
        backorder[i] = earlier.get(int(sales.buyer[i]), -1)
    backorder = np.where(backorder < np.arange(n), backorder, -1)
    head = build(
        "sales_order", erp, n, last,
        key=keys, number=keys, portal_ref=some(_references(rng, n), portal),
        channel=some(channel, odd > 0.02),
        dealer_key=dealers.keys[sales.buyer], address_key=some(np.full(n, "01"), odd < 0.8),
        ship_to=some(np.full(n, SITE), odd > 0.93),
        customer_ref=some(texts("B%05d/%02d", np.arange(n), sales.buyer % 90), odd < 0.7),
        contact_key=some(texts("P%05d", sales.buyer * 2), odd < 0.5),
        entered_by=some(np.full(n, "GÜLŞEN"), ~portal & (odd < 0.6)),
        sales_rep_key=some(dealers.sales_rep_keys[sales.buyer], odd < 0.9),
        ordered_at=instants(ordered), ordered_at_exact=exact,
        requested_on=days(sales.ordered_on + 3, odd < 0.5),
        expected_on=days(sales.shipped_on + 2, odd < 0.8),
        currency=dealers.currency[sales.buyer], net=money(net), tax=money(tax),
        gross=money(net + tax),
        open_gross=money(open_gross, (odd < 0.9) | (erp == "anvil")), status=sales.status,
        status_raw=np.array([RAW[s] for s in sales.status], dtype=object),
        status_reason=pa.array([REASONS.get(s) for s in sales.status], pa.string()),
        approved_at=instants(step["approved"], rank >= 0),
        first_shipped_at=instants(step["shipped"], went_out | split),
        delivered_at=instants(step["delivered"], sales.status == "delivered"),
        cancelled_at=instants(last, sales.status == "cancelled"),
        changed_at=instants(last, odd > 0.05),
        backorder_of=some(keys[backorder], backorder >= 0),
        entry_error=some(np.full(n, "Falsche Menge erfasst"), odd < 0.03),
        attributes=some(np.full(n, '{"Lieferhinweis": "Rampe 2"}'), odd < 0.1),
    )  # fmt: skip
    shipped_part = went_out[lines.sale] | (split[lines.sale] & (lines.number <= 10))
    return {
        "sales_order": head,
        "sales_order_line": _lines(rng, sales, products, keys, last, shipped_part, portal, erp),
        **_shipments(erp, lines, keys, step["shipped"], step["delivered"], sales, shipped_part),
        "order_event": _events(erp, sales, keys, ordered, step, rank, last),
    }


def _midnight(erp: str, day_numbers: Ints) -> Ints:
    """Midnight of the days in the ERP's time zone, seconds since 1970 UTC."""
    local = pa.array(day_numbers * SECONDS_A_DAY, pa.int64()).cast(pa.timestamp("s"))
    return np.asarray(pc.assume_timezone(local, TIME_ZONES[erp]).cast(pa.int64()))


def _references(rng: np.random.Generator, n: int) -> Texts:
    """The portal's references: WB- and 26 base32 characters."""
    raw = rng.bytes(17 * n)
    return np.array(
        ["WB-" + base64.b32encode(raw[17 * i : 17 * i + 17])[:26].decode() for i in range(n)],
        dtype=object,
    )


def _lines(
    rng: np.random.Generator, sales: Sales, products: Products, keys: Texts, last: Ints,
    shipped: Bools, portal: Bools, erp: str,
) -> pa.Table:  # fmt: skip
    lines = sales.lines
    m = len(lines.sale)
    odd = rng.random(m)
    status = sales.status[lines.sale]
    cancelled, none = status == "cancelled", np.zeros(m, dtype=np.int64)
    replaced = (odd < 0.01) & (lines.product > 0)
    return build(
        "sales_order_line", erp, m, last[lines.sale],
        order_key=keys[lines.sale], line_no=texts("%06d" if erp == "anvil" else "%d", lines.number),
        portal_line=some(texts("%d", lines.number // 10), portal[lines.sale]),
        product_key=products.keys[lines.product], qty=fine_qty(lines.qty),
        uom=products.base_uom[lines.product],
        qty_confirmed=fine_qty(lines.qty, status != "pending"),
        qty_shipped=fine_qty(np.where(shipped, lines.qty, none), odd < 0.95),
        qty_invoiced=fine_qty(np.where(sales.invoiced[lines.sale], lines.qty, none), odd < 0.9),
        qty_cancelled=fine_qty(lines.qty, cancelled),
        unit_price=price(lines.unit_price), per=lines.per,
        discount_pct=pct(lines.discount, lines.discount > 0),
        net=money(lines.net), tax_pct=pct(lines.tax_pct), gross=money(lines.net + lines.tax),
        expected_on=days(sales.shipped_on[lines.sale] + 2, odd < 0.6),
        warehouse_key=some(np.array(WAREHOUSES[erp], dtype=object)[lines.product % 3], odd < 0.9),
        status=some(np.where(shipped & (status == "processing"), "shipped", status), odd > 0.1),
        reason=some(np.full(m, "Ersatz geliefert"), replaced),
        replaces_product_key=some(products.keys[lines.product - 1], replaced),
    )  # fmt: skip


def _shipments(
    erp: str, lines: Lines, keys: Texts, shipped_at: Ints, delivered_at: Ints, sales: Sales,
    shipped: Bools,
) -> dict[str, pa.Table]:  # fmt: skip
    """One shipment an order; every eighth order goes out in two."""
    second = (lines.sale % 8 == 3) & (lines.number % 20 == 0)
    code = (lines.sale * 2 + second)[shipped]
    parcels = np.unique(code)
    sale = parcels // 2
    n = len(parcels)
    moved = shipped_at[sale] + (parcels % 2) * 1200
    parcel_keys = texts("LF%07d", 800_001 + np.arange(n))
    done = sales.status[sale] == "delivered"
    tracked = texts("%012d", 340_000_000_000 + parcels * 97)
    line_of = np.searchsorted(parcels, code)
    position = np.flatnonzero(shipped)
    return {
        "shipment": build(
            "shipment", erp, n, np.where(done, np.maximum(delivered_at[sale], moved), moved),
            key=parcel_keys, order_key=keys[sale], shipped_at=instants(moved),
            delivered_at=instants(np.maximum(delivered_at[sale], moved), done),
            carrier=some(np.array(names.CARRIERS, dtype=object)[sale % 4], sale % 6 > 0),
            tracking_no=some(tracked, sale % 6 > 1),
            tracking_url=some(texts("https://track.example.com/%s", tracked), sale % 6 > 2),
        ),
        "shipment_line": build(
            "shipment_line", erp, len(position), moved[line_of],
            shipment_key=parcel_keys[line_of],
            order_line_no=texts("%06d" if erp == "anvil" else "%d", lines.number[position]),
            qty=fine_qty(lines.qty[position]),
            lot=some(texts("L%05d", lines.product[position]), position % 5 == 0),
        ),
    }  # fmt: skip


def _events(
    erp: str,
    sales: Sales,
    keys: Texts,
    ordered: Ints,
    step: dict[str, Ints],
    rank: Ints,
    last: Ints,
) -> pa.Table:
    """What happened to each order: received, then each status it reached, then the invoice."""
    n = len(keys)
    every = np.arange(n)
    parts: list[tuple[Ints, Ints, str, str | None, str | None]] = [
        (every, ordered, "received", None, "pending")
    ]
    for i, status in enumerate(REACHED):
        there = np.flatnonzero(rank >= i)
        kind = status if status in ("shipped", "delivered") else "status"
        before = ("pending", *REACHED)[i]
        parts.append((there, step[status][there], kind, before, status))
    for status in REASONS:
        there = np.flatnonzero(sales.status == status)
        kind = "refused" if status == "rejected" else "status"
        parts.append((there, last[there], kind, "pending", status))
    billed = np.flatnonzero(sales.invoiced)
    parts.append((billed, step["shipped"][billed] + 60, "invoiced", None, None))
    sale = np.concatenate([p[0] for p in parts])
    at = np.concatenate([p[1] for p in parts])
    kind = np.concatenate([np.full(len(p[0]), p[2], dtype=object) for p in parts])
    old = [f'{{"status": "{p[3]}"}}' if p[3] else None for p in parts for _ in p[0]]
    new = [f'{{"status": "{p[4]}"}}' if p[4] else None for p in parts for _ in p[0]]
    order = np.lexsort((at, sale))
    sale, at, kind = sale[order], at[order], kind[order]
    seq = np.arange(len(sale)) - np.searchsorted(sale, sale) + 1
    return build(
        "order_event", erp, len(sale), at, order_key=keys[sale], seq=seq, at=instants(at),
        kind=kind,
        old=np.array(old, dtype=object)[order], new=np.array(new, dtype=object)[order],
        source="erp",
        text=some(np.where(kind == "refused", "Bitte Artikel prüfen", "automatisch"), seq % 3 == 0),
        actor=some(np.full(len(sale), "BATCH"), seq % 2 == 0),
    )  # fmt: skip
