"""Generated price conditions, to the exact number of rows asked for. Knows no ERP's dialect.

Headers are made in blocks, one per level, as columns; then each header is unfolded into its breaks.
Customer prices fill what the other levels leave. Headers of one level never overlap in time for the
same dealer and product.
"""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from datetime import date

import numpy as np
import pyarrow as pa

from sandbox.generator import names
from sandbox.generator.columns import (
    ABSENT,
    build,
    business_seconds,
    day_number,
    days,
    money,
    pct,
    price,
    qty,
    some,
    texts,
)
from sandbox.generator.dealers import Dealers
from sandbox.generator.price_headers import AMOUNT, NOTHING, OFF, PERCENT, Headers, headers
from sandbox.generator.products import Products

HEADER_FORMS = {"anvil": "%010d", "birch": "PC-%08d", "cedar": "F%07d"}
BREAKS = np.array([1, 10, 50, 100])
# Share of the value at each break, in thousandths: falling for an amount, rising for a percentage.
AMOUNT_LADDER = np.array([1000, 970, 940, 900])
PERCENT_LADDER = np.array([500, 1000, 1500, 2000])
SHARE_OF_OTHERS = 0.8
FIRST_YEAR = 1971  # days since 1970 below zero mean open


def make_prices(
    rng: np.random.Generator,
    erp: str,
    n: int,
    as_of: date,
    products: Products,
    dealers: Dealers,
) -> pa.Table:
    """Exactly `n` price rows of one ERP for the given dealers (which may be another ERP's)."""
    today = day_number(as_of)
    others = Headers.concat(
        [block(rng, as_of, products, dealers) for block in (_list, _groups, _deals, _rules)]
    )
    room = int(n * SHARE_OF_OTHERS)
    if int(others.breaks.sum()) > room:
        # The list prices that hold now come first, then as many others as fit.
        is_list = (others.level == "list") & (others.start <= today) & (others.start > 0)
        order = np.lexsort((rng.random(len(is_list)), ~is_list))
        others = others.take(order)
        others = others.take(np.flatnonzero(np.cumsum(others.breaks) <= room))
    left = n - int(others.breaks.sum())
    customer = _customer(rng, as_of, products, dealers, left)
    return _unfold(rng, erp, Headers.concat([others, customer]), today)


def _year(as_of: date, back: int = 0) -> int:
    return day_number(date(as_of.year - back, 1, 1))


def _list(rng: np.random.Generator, as_of: date, products: Products, dealers: Dealers) -> Headers:
    """List prices: now, last year's, next year's; the second currency; scales in percent."""
    n = len(products.keys)
    every = np.arange(n)
    odd = rng.random(n)
    second = dealers.currency[dealers.currency != "EUR"]
    this, last, following = _year(as_of), _year(as_of, 1), _year(as_of, -1)
    raised = odd < 0.2
    past, future = every[odd > 0.5], every[raised]
    blocks = [
        headers(products, n, at=every, start=this, end=np.where(raised, following, -1)),
        headers(products, len(past), at=past, start=last, end=this,
                base=products.list_price[past] * 96 // 100 + 100),
        headers(products, len(future), at=future, start=following,
                base=products.list_price[future] * 104 // 100),
        headers(products, len(every[::3]), at=every[::3], level="scale", kind=PERCENT, base=50_000,
                breaks=1 + every[::3] % 4, start=this, uom=None),
        headers(products, len(every[::6]), at=every[::6], dealer_scope="group",
                group_kind="price_list", dealer="PL1", start=this,
                base=products.list_price[::6] * 95 // 100 + 100),
    ]  # fmt: skip
    if len(second):
        factor = 108
        blocks.append(
            headers(products, n, at=every, currency=str(second[0]), start=this,
                    base=products.list_price * factor // 100 + 100)
        )  # fmt: skip
    if products.erp == "cedar":
        few = every[::8]
        blocks.append(
            headers(products, len(few), at=few, currency="TRY", start=this,
                    base=products.list_price[few] * 49)
        )  # fmt: skip
    return Headers.concat(blocks)


def _groups(rng: np.random.Generator, as_of: date, products: Products, dealers: Dealers) -> Headers:
    """A price of every tier for every product, most with breaks; none for one product in ten."""
    del dealers
    n = len(products.keys)
    at = np.tile(np.arange(n), len(names.TIERS))
    tier = np.repeat(np.arange(len(names.TIERS)), n)
    at, tier = at[at % 10 != 9], tier[at % 10 != 9]
    codes = np.array([code for code, _ in names.TIERS], dtype=object)
    return headers(
        products, len(at), level="group", dealer_scope="group", group_kind="tier",
        dealer=codes[tier], at=at, base=products.list_price[at] * (80 + 5 * tier) // 100 + 100,
        start=_year(as_of), breaks=rng.integers(1, 4, len(at)),
    )  # fmt: skip


def _deals(rng: np.random.Generator, as_of: date, products: Products, dealers: Dealers) -> Headers:
    """Promotions (past, running, to come), contracts with quota, accepted quotes."""
    n = len(products.keys)
    today = day_number(as_of)
    promo = np.flatnonzero(rng.random(n) < 0.06) if n > 20 else np.arange(3)
    start = today + rng.integers(-90, 30, len(promo))
    kind = np.array([AMOUNT, PERCENT, OFF])[np.arange(len(promo)) % 3]
    value = np.select(
        [kind == AMOUNT, kind == PERCENT],
        [products.list_price[promo] * 85 // 100 + 100, 150_000],
        products.list_price[promo] // 10 + 100,
    )  # fmt: skip
    campaign = np.arange(len(promo)) % 2 == 0
    framed = np.flatnonzero(rng.random(n) < 0.1) if n > 20 else np.arange(2)
    contracts = np.unique(dealers.contract[dealers.contract >= 0])
    contract = texts("C%d", 1 + contracts[framed % len(contracts)])
    quoted = rng.integers(0, n, max(len(dealers.keys) // 5, 1))
    buyer = np.arange(len(quoted)) % len(dealers.keys)
    return Headers.concat([
        headers(products, len(promo), level="promo", at=promo, kind=kind, base=value, start=start,
                end=start + 30, dealer_scope=np.where(campaign, "group", "all").astype(object),
                group_kind=np.where(campaign, "campaign", ABSENT),
                dealer=np.where(campaign, "HERBST", ABSENT),
                uom=np.where(kind == PERCENT, ABSENT, products.base_uom[promo]),
                breaks=1 + (np.arange(len(promo)) % 3 == 0), ref="AKT-2026/11",
                title='Herbstaktion: "alles muss raus"; solange Vorrat'),
        headers(products, len(framed), level="contract", dealer_scope="group",
                group_kind="contract",
                dealer=contract, at=framed, base=products.list_price[framed] * 76 // 100 + 100,
                start=today - 300, end=today + 65, breaks=2, ref=contract, title="Rahmenvertrag",
                quota=np.where(framed % 2 == 0, framed * 10 % 5000, -1)),
        headers(products, len(quoted), level="quote", dealer_scope="dealer",
                dealer=dealers.keys[buyer],
                currency=dealers.currency[buyer], at=quoted, ref=texts("ANG-%05d", buyer),
                base=products.list_price[quoted] * 70 // 100 + 100, start=today - 10 - buyer % 40,
                end=today + 5 + buyer % 30, title="Angebot"),
    ])  # fmt: skip


def _rules(rng: np.random.Generator, as_of: date, products: Products, dealers: Dealers) -> Headers:
    """The few conditions on a category, on everything, or on the whole cart; all percentages."""
    del rng, dealers
    tree = np.array(products.category_keys, dtype=object)
    some_leaves = tree[[1, 8, 15]]
    common = {
        "kind": PERCENT,
        "uom": None,
        "per": 1,
        "start": _year(as_of),
        "dealer_scope": "group",
    }
    return Headers.concat([
        headers(products, 3, **common, level="group", group_kind="customer_group", dealer="H",
                product_scope="category", product=some_leaves, base=30_000,
                title="Handwerkerrabatt"),
        headers(products, 1, **common, level="promo", group_kind="buying_group", dealer="EK1",
                product_scope="category", product=str(tree[20]), base=100_000, ref="EK1-Q4"),
        headers(products, 1, **common, level="group", group_kind="buying_group", dealer="EK1",
                product_scope="all", product=None, base=20_000, title="Verbandsrabatt"),
        headers(products, 1, **{**common, "dealer_scope": "all"}, level="promo",
                product_scope="cart", product=None, base=10_000, min_amount=500_000,
                title="1 % ab 5.000 Warenwert"),
    ])  # fmt: skip


def _customer(
    rng: np.random.Generator, as_of: date, products: Products, dealers: Dealers, rows: int
) -> Headers:
    """Customer prices that unfold into exactly `rows` rows.

    Each dealer has one header per product that holds now; when that is not enough, one for each
    year before.
    """
    breaks = rng.choice(np.array([1, 2, 3, 4]), rows, p=[0.25, 0.25, 0.3, 0.2])
    total = np.cumsum(breaks)
    n = int(np.searchsorted(total, rows)) + 1 if rows else 0
    breaks = breaks[:n]
    if n:
        breaks[-1] -= int(total[n - 1]) - rows
    pairs = len(products.keys) * len(dealers.keys)
    pair = np.resize(rng.permutation(pairs), n)
    year = np.arange(n) // pairs
    if n and year[-1] > as_of.year - FIRST_YEAR:
        message = (
            f"{products.erp}: {rows} customer prices do not fit {pairs} pairs of dealer and "
            f"product since {FIRST_YEAR}: give it more dealers or products"
        )
        raise ValueError(message)
    at, buyer = pair % len(products.keys), pair // len(products.keys)
    starts = np.array([_year(as_of, back) for back in range(int(year.max(initial=0)) + 2)])
    start, end = starts[year], np.where(year == 0, -1, starts[np.maximum(year - 1, 0)])
    odd = rng.random(n)
    ends = _year(as_of, -1)
    end = np.where((year == 0) & (odd < 0.3), ends, end)
    kind = np.where(odd > 0.97, PERCENT, np.where(odd > 0.955, OFF, AMOUNT))
    kind = np.where((odd > 0.5) & (odd < 0.501), NOTHING, kind)
    boxed = (kind == AMOUNT) & (products.pack[at] > 0) & (odd > 0.35) & (odd < 0.4)
    factor = np.where(boxed, products.pack[at], 1) * rng.integers(70, 95, n)
    base = products.list_price[at] * factor // 100 + 100
    base = np.where(boxed, base // products.per[at] + 100, base)
    base = np.select(
        [kind == PERCENT, kind == OFF], [80_000, products.list_price[at] // 20 + 100], base
    )
    base = np.where((kind == AMOUNT) & (odd > 0.6) & (odd < 0.601), 0, base)
    account = (dealers.account[buyer] == buyer) & (odd < 0.1)
    return headers(
        products, n, level="customer", at=at, breaks=breaks, start=start, end=end, kind=kind,
        base=base,
        dealer_scope=np.where(account, "account", "dealer").astype(object),
        dealer=dealers.keys[buyer],
        currency=dealers.currency[buyer].astype(object),
        uom=np.where(boxed, "BOX", np.where(kind == PERCENT, ABSENT, products.base_uom[at])),
        per=np.where(boxed, 1, products.per[at]),
        ref=np.where(odd > 0.9, texts("SV-%06d", pair % 10**6), ABSENT),
    )  # fmt: skip


def _unfold(rng: np.random.Generator, erp: str, h: Headers, today: int) -> pa.Table:
    """One row per break of each header, headers numbered in their order."""
    n = len(h.level)
    number = 1_000_001 + np.arange(n) * 3
    changed = np.minimum(np.maximum(h.start - 20, today - 700), today - 1)
    seconds = business_seconds(rng, changed)
    row = np.repeat(np.arange(n), h.breaks)
    step = np.arange(len(row)) - np.repeat(np.cumsum(h.breaks) - h.breaks, h.breaks)
    kind = h.kind[row]
    ladder = np.where(kind == OFF, PERCENT_LADDER[step] * 2, AMOUNT_LADDER[step])
    amount = np.maximum(h.base[row] * ladder // 1000, np.where(h.base[row] > 0, 100, 0))
    # Amounts have two decimals, or four where the price is for one piece and very small.
    amount = np.where(amount >= 10_000, amount // 100 * 100, amount)
    percent = h.base[row] * PERCENT_LADDER[step] // 500 // 100
    zero = (kind == AMOUNT) & (h.base[row] == 0)
    title, level = h.title[row], h.level[row]
    tax_included = h.currency[row] == "TRY"
    return build(
        "price", erp, len(row), seconds[row],
        header_key=texts(HEADER_FORMS[erp], number)[row], level=level,
        dealer_scope=h.dealer_scope[row], dealer_group_kind=h.group_kind[row],
        dealer_key=h.dealer[row], product_scope=h.product_scope[row],
        product_key=h.product[row], currency=h.currency[row], uom=h.uom[row], per=h.per[row],
        min_qty=qty(BREAKS[step]), min_amount=money(h.min_amount[row], h.min_amount[row] >= 0),
        unit_price=price(amount, kind == AMOUNT), pct_off_list=pct(percent, kind == PERCENT),
        amount_off_list=price(amount, kind == OFF),
        allow_zero=some(zero, zero | (level == "quote")),
        combine=some(
            np.where(h.product_scope[row] == "product", "compete", "cumulate"), kind == PERCENT
        ),
        tax_included=some(tax_included, tax_included | (erp == "birch")),
        valid_from=days(h.start[row], h.start[row] >= 0),
        valid_to=days(h.end[row], h.end[row] >= 0),
        seq=some(h.per[row] % 7 + 1, np.isin(level, ("contract", "promo"))),
        quota_left=qty(np.maximum(h.quota[row], 0), h.quota[row] >= 0), ref=h.ref[row], title=title,
    )  # fmt: skip
