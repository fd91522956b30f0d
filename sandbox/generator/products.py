"""Generated products with texts, units, categories, documents, substitutes, grants; and stock."""

# ruff: noqa: PLR2004  shares of made-up data are read where they stand

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sandbox.generator import names
from sandbox.generator.columns import (
    Ints,
    Texts,
    build,
    business_seconds,
    days,
    instants,
    pct,
    pick,
    qty,
    some,
    texts,
)
from sandbox.generator.dealers import FIRST_NUMBER as FIRST_DEALER
from sandbox.generator.dealers import KEY_FORMS as DEALER_KEY_FORMS
from sandbox.generator.dealers import WAREHOUSES

# anvil and cedar use the same numbers for different things, as unrelated ERPs do.
KEY_FORMS = {"anvil": "%08d", "birch": "B-%05d", "cedar": "%08d"}
FIRST_NUMBER = {"anvil": 40_001, "birch": 10_001, "cedar": 40_501}
LANGUAGE = {"anvil": 0, "birch": 1, "cedar": 2}
LANGUAGES = ("de", "en", "tr")
TAX = {"anvil": (1900, 700), "birch": (2000, 550), "cedar": (2000, 1000)}
WAREHOUSE_PLACES = (
    ("Zentrallager Hamburg", "DE", "NORTH", "Europe/Berlin"),
    ("İstanbul Depo", "TR", "TR", "Europe/Istanbul"),
    ("Lager Wien; Süd", "AT", "AT", "Europe/Vienna"),
)


@dataclass(frozen=True)
class Products:
    """What the other parts need to know of an ERP's products; equally long columns."""

    erp: str
    keys: Texts
    names: Texts
    base_uom: Texts
    pack: Ints  # pieces in a BOX, 0 where there is none
    list_price: Ints  # ten-thousandths, for `per` base units
    per: Ints
    tax: Ints  # hundredths of a percent
    category: Ints
    sellable: Ints  # positions of products that may be on an order
    category_keys: list[str]


def category_keys() -> list[str]:
    """Keys of the two-level category tree: tops `1`, `2` ..., below them `1.1`, `1.2` ..."""
    keys: list[str] = []
    for top in range(1, len(names.CATEGORY_TOPS) + 1):
        keys += [f"{top:02d}", *(f"{top:02d}.{s}" for s in range(1, len(names.CATEGORY_SUBS) + 1))]
    return keys


def make_products(
    rng: np.random.Generator, erp: str, n: int, today: int
) -> tuple[Products, dict[str, pa.Table]]:
    """`n` products of one ERP and everything that hangs on them; `today` in days since 1970."""
    number = FIRST_NUMBER[erp] + np.arange(n)
    keys = texts(KEY_FORMS[erp], number)
    item, finish = number % len(names.ITEMS), number // 12 % len(names.FINISHES)
    size = texts("M%d\N{MULTIPLICATION SIGN}%d", 3 + number % 14, 10 + number % 23 * 5)
    named = [_names(item, finish, size, language) for language in range(3)]
    tree = category_keys()
    leaves = [i for i, key in enumerate(tree) if "." in key]
    category = np.array(leaves)[item * 5 % len(leaves)]
    odd, more = rng.random(n), rng.random(n)
    status = np.full(n, "active", dtype=object)
    status[more < 0.06] = "phase_out"
    status[more < 0.03] = "discontinued"
    status[more < 0.01] = "blocked"
    stocked = (number % 60 != 59) | (n < 60)
    pack = np.where(number % 3 == 0, 10 * (1 + number % 5), 0)
    per = np.where(number % 7 == 3, 100, np.where(number % 50 == 7, 1000, 1))
    list_price = np.exp(rng.normal(3.2, 1.3, n)).clip(0.2, 4000)
    standard, reduced = TAX[erp]
    modified = business_seconds(rng, today - 1 - rng.integers(0, 300, n))
    products = Products(
        erp=erp, keys=keys, names=named[LANGUAGE[erp]],
        base_uom=np.where(number % 13 == 5, "KGM", "PCE").astype(object), pack=pack,
        list_price=np.rint(list_price * 100).astype(np.int64) * 100 * np.where(per > 1, 10, 1),
        per=per, tax=np.where(odd < 0.92, standard, reduced), category=category,
        sellable=np.flatnonzero((status == "active") | (status == "phase_out")),
        category_keys=tree,
    )  # fmt: skip
    succeeded = (status == "discontinued") & (np.arange(n) + 1 < n)
    table = build(
        "product", erp, n, modified,
        key=keys, name=products.names, status=status,
        description=some(texts('%s. Güte 8.8; DIN/ISO, "geprüft"', products.names), odd < 0.8),
        brand=some(pick(rng, names.BRANDS, n), odd < 0.9),
        base_uom=products.base_uom, sales_uom=some(np.full(n, "BOX"), (pack > 0) & (odd < 0.3)),
        min_order_qty=qty(1 + number % 4, odd < 0.4), order_step=qty(1 + number % 2, odd < 0.3),
        lead_time_days=some(number % 30, odd < 0.7),
        tax_class=some(np.where(products.tax == standard, "S", "R"), odd < 0.95),
        tax_pct=pct(products.tax), stocked=some(stocked, (odd < 0.8) | ~stocked),
        restrictions=_restrictions(number), launched_on=days(today - number % 3000, odd < 0.6),
        successor_key=some(np.roll(keys, -1), succeeded),
        manufacturer=some(pick(rng, names.BRANDS, n), odd < 0.5),
        manufacturer_no=some(texts("%06d/%02d", number, number % 90), odd < 0.5),
        origin=some(pick(rng, ("DE", "TR", "CN", "PL"), n), odd < 0.85),
        customs_no=some(texts("0%07d", 7_318_150 + number % 400), odd < 0.6),
        weight_kg=qty(number % 400, odd < 0.75),
        search_terms=pa.array(
            [[str(w), f"m{k % 14}"] if k % 4 else None for w, k in zip(size, number, strict=True)]
        ),
        attributes=some(
            texts('{"Gewinde": "%s", "Härte": "%d HRC"}', size, 20 + number % 40), odd < 0.7
        ),
    )  # fmt: skip
    return products, {
        "product": table,
        **_children(rng, products, named, modified, number),
        **_catalogue(erp, products, number, modified, today),
        **_stock(rng, products, stocked, today),
    }


def _names(item: Ints, finish: Ints, size: Texts, language: int) -> Texts:
    """Names in one language."""
    words = np.array(names.ITEMS, dtype=object)[item, language]
    ends = np.array(names.FINISHES, dtype=object)[finish, language]
    return texts("%s %s %s", words, size, ends)


def _restrictions(number: Ints) -> pa.Array:
    """Lists of restriction codes, mostly null."""
    sets = {3: ["hazardous"], 11: ["imported"], 17: ["regulated", "hazardous"], 29: ["quota"],
            33: ["contractual"]}  # fmt: skip
    return pa.array([sets.get(int(k) % 40) for k in number], pa.list_(pa.string()))


def _children(
    rng: np.random.Generator, products: Products, named: list[Texts], modified: Ints, number: Ints
) -> dict[str, pa.Table]:
    """Texts, units, categories of the products, and their documents."""
    erp, keys, n = products.erp, products.keys, len(products.keys)
    other = [x for x in range(3) if x != LANGUAGE[erp]]
    text_tables = [
        build(
            "product_text", erp, n, modified, product_key=keys, language=LANGUAGES[x],
            name=named[x], description=some(texts("%s.", named[x]), number % 2 == 0),
        )
        for x in other
    ]  # fmt: skip
    barcodes = [[f"4{k:012d}"] if k % 3 else None for k in number.tolist()]
    base = build(
        "product_uom", erp, n, modified, product_key=keys, uom=products.base_uom, numerator=1,
        denominator=1, barcodes=pa.array(barcodes, pa.list_(pa.string())), orderable=True,
    )  # fmt: skip
    packed = np.flatnonzero(products.pack)
    # Every ninth box states its content as a ratio that is not whole: 25 pieces weigh 2 kg.
    ratio = (packed % 9 == 4) & (products.base_uom[packed] == "KGM")
    boxes = build(
        "product_uom", erp, len(packed), modified[packed], product_key=keys[packed], uom="BOX",
        numerator=products.pack[packed], denominator=np.where(ratio, 3, 1),
        barcodes=pa.array([[f"5{k:012d}", f"6{k:012d}"] for k in number[packed].tolist()]),
        orderable=some(packed % 4 > 0, packed % 5 > 0),
    )  # fmt: skip
    second = np.flatnonzero(number % 4 == 0)
    tree = np.array(products.category_keys, dtype=object)
    tops = np.array([key.split(".")[0] for key in products.category_keys], dtype=object)
    documents = np.repeat(np.arange(n), number % 3)
    kinds = ("image", "data_sheet", "safety_sheet", "certificate", "cad", "manual")
    m = len(documents)
    kind = pick(rng, kinds, m)
    return {
        "product_text": pa.concat_tables(text_tables),
        "product_uom": pa.concat_tables([base, boxes]),
        "product_category": pa.concat_tables([
            build("product_category", erp, n, modified, product_key=keys,
                  category_key=tree[products.category], is_primary=True),
            build("product_category", erp, len(second), modified[second], product_key=keys[second],
                  category_key=tops[products.category[second]], is_primary=False),
        ]),
        "product_document": build(
            "product_document", erp, m, modified[documents],
            key=texts("MD%06d", np.arange(m) + 1), product_key=keys[documents], kind=kind,
            title=some(texts("%s %s", kind, keys[documents]), np.arange(m) % 5 > 0),
            language=some(pick(rng, LANGUAGES, m), kind != "image"), sort=np.arange(m) % 3,
            location=texts("https://media.example.com/%s/%d", erp_column(erp, m), np.arange(m)),
            mime=np.where(kind == "image", "image/jpeg", "application/pdf"),
            valid_to=days(np.full(m, 22_000), kind == "certificate"),
        ),
    }  # fmt: skip


def erp_column(erp: str, n: int) -> Texts:
    """The ERP's name, `n` times."""
    return np.full(n, erp, dtype=object)


def _catalogue(
    erp: str, products: Products, number: Ints, modified: Ints, today: int
) -> dict[str, pa.Table]:
    """The category tree, substitutes and (not from cedar, which knows no dealers) grants."""
    tree = products.category_keys
    language, n = LANGUAGE[erp], len(products.keys)
    labels = [
        names.CATEGORY_TOPS[int(key[:2]) - 1][language]
        if "." not in key
        else names.CATEGORY_SUBS[int(key[3:]) - 1][language]
        for key in tree
    ]
    old = np.full(len(tree), (today - 700) * 86_400 + 30_000)
    left = np.flatnonzero((number % 10 == 0) & (np.arange(n) + 2 < n))
    turn = np.arange(len(left))
    kinds = ("alternative", "successor", "accessory")
    tables = {
        "category": build(
            "category", erp, len(tree), old, key=tree, name=labels,
            parent_key=[key[:2] if "." in key else None for key in tree],
            sort=some(np.arange(len(tree)), np.arange(len(tree)) % 7 > 0),
        ),
        "substitute": build(
            "substitute", erp, len(left), modified[left], product_key=products.keys[left],
            substitute_key=products.keys[left + 2],
            kind=[kinds[i % 3] for i in turn], rank=some(1 + turn % 3, turn % 4 > 0),
            both_ways=some(turn % 2 == 0, turn % 3 > 0),
            valid_from=days(today - left, turn % 5 == 0),
            valid_to=days(today + 400 + left, turn % 7 == 0),
        ),
    }  # fmt: skip
    if erp != "cedar":
        regulated = products.keys[min(16, n - 1)]
        first_dealer = DEALER_KEY_FORMS[erp] % FIRST_DEALER[erp]
        rows = [
            # dealer scope, key, kind, product scope, key, effect, licence, from, to
            ("all", None, None, "all", None, "allow", None, None, None),
            ("group", "D", "tier", "category", "06.5", "deny", None, None, None),
            ("group", "CHEM", "catalogue", "category", "06.1", "allow", "GefStoffV §11",
             today - 90, None),
            ("group", "D", "tier", "product", products.keys[0], "deny", None, None, today + 90),
            ("dealer", first_dealer, None, "product", regulated, "allow", "LIZ-0042",
             today - 400, today + 330),
        ]  # fmt: skip
        columns = list(zip(*rows, strict=True))
        tables["catalogue_grant"] = build(
            "catalogue_grant", erp, len(rows), old[: len(rows)],
            key=[f"G{i:04d}" for i in range(1, len(rows) + 1)],
            dealer_scope=columns[0], dealer_key=columns[1], dealer_group_kind=columns[2],
            product_scope=columns[3], product_key=columns[4], effect=columns[5],
            licence=columns[6], valid_from=pa.array(columns[7], pa.int32()).cast(pa.date32()),
            valid_to=pa.array(columns[8], pa.int32()).cast(pa.date32()),
        )  # fmt: skip
    return tables


def _stock(
    rng: np.random.Generator, products: Products, stocked: np.ndarray, today: int
) -> dict[str, pa.Table]:
    """Three warehouses, every stocked product in each, and what is on its way."""
    erp = products.erp
    places = WAREHOUSES[erp]
    held = np.repeat(np.flatnonzero(stocked), 3)
    n = len(held)
    where = np.tile(np.arange(3), n // 3)
    on_hand = np.rint(np.exp(rng.normal(3.5, 1.6, n))).astype(np.int64)
    on_hand[rng.random(n) < 0.08] = 0
    on_hand[rng.random(n) < 0.004] = -3
    odd = rng.random(n)
    reserved = np.minimum(rng.integers(0, 20, n), np.maximum(on_hand, 0))
    changed = business_seconds(rng, today - 1 - (odd * 40).astype(np.int64))
    coming = np.flatnonzero(rng.random(n) < 0.12) if n > 60 else np.arange(0, n, 3)
    m = len(coming)
    names_, countries, regions, zones = zip(*WAREHOUSE_PLACES, strict=True)
    warehouse_keys = np.array(places, dtype=object)
    told = {"anvil": odd < 0.5, "birch": odd < 2, "cedar": odd < 0}[erp]
    return {
        "warehouse": build(
            "warehouse", erp, 3, np.full(3, (today - 900) * 86_400 + 30_000),
            key=places, name=names_, country=countries, region=[*regions[:2], None],
            time_zone=zones, sort=[1, 2, 3], visible=[True, True, None],
        ),
        "stock": build(
            "stock", erp, n, changed, product_key=products.keys[held],
            warehouse_key=warehouse_keys[where], on_hand=qty(on_hand),
            reserved=qty(reserved, odd < 0.9), available=qty(on_hand - reserved, told),
            low_level=qty(5 + held % 20, odd < 0.7), changed_at=instants(changed, odd > 0.05),
        ),
        "stock_expected": build(
            "stock_expected", erp, m, changed[coming], key=texts("PO%07d", np.arange(m) + 1),
            product_key=products.keys[held[coming]], warehouse_key=warehouse_keys[where[coming]],
            qty=qty(rng.integers(1, 30, m) * 10),
            # A few are late: their day has passed and they stay.
            expected_on=days(today + rng.integers(-5, 60, m)),
            kind=pick(rng, ("transit", "purchase", "production"), m),
            confirmed=some(coming % 2 == 0, coming % 5 > 0),
        ),
    }  # fmt: skip
