"""Generated customers: dealers, their groups, addresses and contacts. Knows no prices or orders."""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sandbox.generator import names
from sandbox.generator.columns import (
    Bools,
    Ints,
    Texts,
    build,
    business_seconds,
    days,
    money,
    pct,
    pick,
    some,
    texts,
)

KEY_FORMS = {"anvil": "%010d", "birch": "D%05d"}
FIRST_NUMBER = {"anvil": 100_001, "birch": 20_001}
CURRENCIES = {"anvil": ("EUR", "CHF"), "birch": ("EUR", "USD")}
TERMS = ((30, 0, 0), (30, 10, 200), (14, 0, 0), (60, 14, 300), (0, 0, 0))
WAREHOUSES = {
    "anvil": ("0001", "0002", "0003"),
    "birch": ("HAM", "IST", "VIE"),
    "cedar": ("01", "02", "03"),
}
CONTRACTS = 6
FEWEST_DEALERS = 5


@dataclass(frozen=True)
class Dealers:
    """What the other parts need to know of an ERP's dealers; equally long columns."""

    erp: str
    keys: Texts
    account: Ints  # position of the paying dealer
    currency: Texts
    payment_days: Ints
    discount_days: Ints
    discount_pct: Ints  # hundredths of a percent
    tier: Ints
    contract: Ints  # -1: none
    closed: Bools
    sales_rep_keys: Texts


def make_dealers(
    rng: np.random.Generator, erp: str, n: int, today: int, categories: list[str]
) -> tuple[Dealers, dict[str, pa.Table]]:
    """`n` dealers of one ERP; `today` in days since 1970, `categories` keys a tier may be for."""
    number = FIRST_NUMBER[erp] + np.arange(n)
    keys = texts(KEY_FORMS[erp], number)
    # Every seventh dealer is a branch that the dealer before its block's start pays for.
    position = np.arange(n)
    branch = (position % 7 >= 5) & (n > 6)
    head = np.where(branch, position - position % 7, position)
    term = rng.integers(0, len(TERMS), n)
    net_days, discount_days, discount_pct = np.array(TERMS, dtype=np.int64)[term].T
    second_currency = (head % 12 == 1) if n > 12 else (head == 1)
    # The first few see to it that every tier and some contracts have a member.
    tier = np.where(position < len(names.TIERS), position, np.minimum(rng.integers(0, 5, n), 3))
    contract = np.where(rng.random(n) < 0.3, rng.integers(0, CONTRACTS, n), -1)
    contract = np.where(position < FEWEST_DEALERS, position, contract)
    status = np.where(rng.random(n) < 0.04, "blocked", "active").astype(object)
    closed = (rng.random(n) < 0.03) & (head == position) & (position % 7 != 0)
    status[closed] = "closed"
    blocked = status == "blocked"
    reps = rng.integers(0, 9, n)
    rep_names = np.array(names.FIRST_NAMES, dtype=object)[reps]
    opened = np.minimum(today - 20 - (rng.random(n) ** 2 * 5000).astype(np.int64), today - 20)
    surnames = names.WIDER_SURNAMES if erp == "birch" else names.SURNAMES
    own = pick(rng, surnames, n)
    forms = pick(rng, names.COMPANY_FORMS, n)
    company = np.array(
        [f % ((w,) * f.count("%s")) for f, w in zip(forms, own, strict=True)], dtype=object
    )
    city = rng.integers(0, len(names.CITIES), n)
    country = np.array([c[2] for c in names.CITIES], dtype=object)[city]
    modified = business_seconds(rng, today - 1 - rng.integers(0, 300, n))
    unused = rng.random(n)
    dealers = Dealers(
        erp=erp,
        keys=keys,
        account=head,
        currency=np.where(second_currency, CURRENCIES[erp][1], CURRENCIES[erp][0]),
        payment_days=net_days,
        discount_days=discount_days,
        discount_pct=discount_pct,
        tier=tier,
        contract=contract,
        closed=closed,
        sales_rep_keys=texts("R%02d", reps),
    )
    credit_elsewhere = (position % 50 == 3) & (n > 8)
    table = build(
        "dealer", erp, n, modified,
        key=keys, name=company, status=status,
        parent_key=some(keys[head], branch), account_key=keys[head],
        credit_account_key=some(np.full(n, keys[0]), credit_elsewhere),
        order_block=blocked,
        order_block_reason=some(np.full(n, "Mahnsperre; bitte anrufen"), blocked),
        dealer_type=pick(rng, ("distributor", "wholesaler", "retailer"), n),
        region=np.array([c[3] for c in names.CITIES], dtype=object)[city], country=country,
        contract_type=some(pick(rng, ("standard", "special agreement", "tender"), n), unused < 0.9),
        currency=dealers.currency,
        language=some(
            np.where(country == "TR", "tr", np.where(country == "FR", "fr", "de")), unused > 0.1
        ),
        tax_no=some(texts("%s%09d", country, number * 37 % 10**9), unused < 0.95),
        tax_zone=np.where(country == "DE", "DOMESTIC", "EXPORT"),
        terms_code=texts("Z%03d", term + 1),
        terms_text=texts("%d Tage netto", net_days),
        payment_days=net_days,
        discount_days=some(discount_days, discount_days > 0),
        discount_pct=pct(discount_pct, discount_days > 0),
        standard_discount_pct=pct(np.where(unused < 0.2, 250, 0), unused < 0.6),
        min_order_amount=money(rng.integers(1, 10, n) * 2500, unused < 0.4),
        partial_delivery=some(unused < 0.7, unused < 0.85),
        warehouse_key=some(np.array(WAREHOUSES[erp], dtype=object)[city % 3], unused < 0.9),
        delivery_method=some(pick(rng, ("truck", "parcel", "pickup"), n), unused < 0.8),
        sales_rep_key=dealers.sales_rep_keys, sales_rep_name=rep_names,
        sales_rep_email=texts("rep%02d@example.com", reps),
        opened_on=days(opened, unused > 0.02),
        attributes=some(texts('{"fleet": %d, "note": "Öffnet 7:30"}', number % 40), unused < 0.3),
    )  # fmt: skip
    children = {
        "dealer_group": _groups(rng, dealers, modified, today, categories),
        "dealer_address": _addresses(rng, dealers, company, city, modified),
        "dealer_contact": _contacts(rng, dealers, modified, own),
    }
    return dealers, {"dealer": table, **children}


def _groups(
    rng: np.random.Generator, dealers: Dealers, modified: Ints, today: int, categories: list[str]
) -> pa.Table:
    """Rows (dealer, kind, key, name, category, priority, valid_from, valid_to)."""
    rows: list[tuple[int, str, str, str, str | None, int | None, int | None, int | None]] = []
    start, end = today - 300, today + 65
    for i, tier in enumerate(dealers.tier):
        code, name = names.TIERS[tier]
        rows.append((i, "tier", code, name, None, None, None, None))
        if i % 5 == 0 and categories:
            better = names.TIERS[max(tier - 1, 0)]
            category = categories[i % len(categories)]
            rows.append((i, "tier", *better, category, None, start, None))
        if i % 3 == 0:
            rows.append((i, "price_list", "PL1", "Preisliste Süd", None, 10, None, None))
        if i % 9 == 0:
            rows.append((i, "price_list", "PL2", "Preisliste Export", None, 5, start, end))
        if i % 4 == 1:
            rows.append(
                (i, "buying_group", "EK1", "Einkaufsring Weiß & Co", None, None, None, None)
            )
        if i % 6 == 2:
            rows.append((i, "customer_group", "H", "Handwerk", None, None, None, None))
        if dealers.contract[i] >= 0:
            contract = f"C{dealers.contract[i] + 1}"
            rows.append((i, "contract", contract, f"Rahmenvertrag {contract}", None, 1, start, end))
        if i % 8 == 3:
            rows.append(
                (i, "campaign", "HERBST", "Herbstaktion", None, None, today - 30, today + 30)
            )
        if i % 11 == 4:
            rows.append((i, "catalogue", "CHEM", "Chemie-Freigabe", None, None, None, None))
    owner, kind, key, name, category, priority, since, until = zip(*rows, strict=True)
    positions = np.array(owner)
    late = rng.integers(0, 3600, len(rows))
    return build(
        "dealer_group", dealers.erp, len(rows), modified[positions] + late,
        dealer_key=dealers.keys[positions], kind=kind, group_key=key, group_name=name,
        category_key=category, priority=priority,
        valid_from=pa.array(since, pa.int32()).cast(pa.date32()),
        valid_to=pa.array(until, pa.int32()).cast(pa.date32()),
    )  # fmt: skip


def _addresses(
    rng: np.random.Generator, dealers: Dealers, company: Texts, city: Ints, modified: Ints
) -> pa.Table:
    """One main or bill_to address each, and up to two places to ship to."""
    n = len(dealers.keys)
    owner = np.repeat(np.arange(n), 1 + np.arange(n) % 3)
    place = np.concatenate([np.arange(1 + i % 3) for i in range(n)])
    m = len(owner)
    where = np.where(place == 0, city[owner], rng.integers(0, len(names.CITIES), m))
    column = [np.array([c[i] for c in names.CITIES], dtype=object)[where] for i in range(4)]
    odd = rng.random(m)
    kind = np.where(place == 0, np.where(owner % 2 == 0, "main", "bill_to"), "ship_to")
    kind = np.where((place == 2) & (odd < 0.3), "postal", kind)
    return build(
        "dealer_address", dealers.erp, m, modified[owner],
        dealer_key=dealers.keys[owner], key=texts("%02d", place + 1), kind=kind,
        name=some(company[owner], odd < 0.7),
        line1=texts("%s %d", pick(rng, names.STREETS, m), rng.integers(1, 200, m)),
        line2=some(np.full(m, "Hof 2; Tor B"), odd < 0.25),
        line3=some(np.full(m, "c/o Lager"), odd < 0.05),
        postcode=some(column[1], odd < 0.97), city=column[0],
        region=some(column[3], odd > 0.3), country=column[2],
        phone=some(texts("+49 40 %06d", rng.integers(0, 10**6, m)), odd < 0.6),
        instructions=some(np.full(m, 'Bitte "hinten" anliefern, 7-12 Uhr'), odd < 0.2),
        is_default=some(place <= 1, odd < 0.9),
    )  # fmt: skip


def _contacts(
    rng: np.random.Generator, dealers: Dealers, modified: Ints, surnames: Texts
) -> pa.Table:
    """One or two people each; every tenth second contact also works for the dealer before."""
    n = len(dealers.keys)
    owner = np.repeat(np.arange(n), 1 + np.arange(n) % 2)
    place = np.concatenate([np.arange(1 + i % 2) for i in range(n)])
    m = len(owner)
    person = np.where((place == 1) & (owner % 10 == 1) & (owner > 0), owner - 1, owner) * 2 + place
    first = np.array(names.FIRST_NAMES, dtype=object)[person % len(names.FIRST_NAMES)]
    odd = rng.random(m)
    return build(
        "dealer_contact", dealers.erp, m, modified[owner],
        dealer_key=dealers.keys[owner], key=texts("P%05d", person),
        name=texts("%s %s", first, surnames[person // 2]),
        email=some(texts("contact%05d@example.com", person), odd < 0.9),
        phone=some(texts("+49 171 %07d", person * 7919 % 10**7), odd < 0.5),
        language=some(pick(rng, ("de", "en", "tr"), m), odd < 0.8),
        role=some(pick(rng, ("purchasing", "accounts", "management"), m), odd < 0.85),
        is_primary=place == 0,
    )  # fmt: skip
