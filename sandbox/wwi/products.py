"""Wide World Importers' products, prices and stock: `wwi_sftp`."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from sandbox.generator.columns import build, instants, pct, price, qty, some
from sandbox.wwi.source import (
    SFTP,
    Source,
    cents_of,
    days_of,
    keys_of,
    seconds_of,
    texts_of,
    thousandths_of,
    whole_of,
)

WAREHOUSE = "WWI"
# Fields of the free part that have a column of their own.
TAKEN = ("CountryOfManufacture", "Tags")


def make_products(source: Source) -> dict[str, pa.Table]:
    """Products with units and categories."""
    s = source["stock_items"]
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    groups, members = source["stock_groups"], source["stock_item_stock_groups"]
    n = len(s)
    modified = seconds_of(s["ValidFrom"])
    key = keys_of(s["StockItemID"])
    colour = texts_of(s["ColorID"].map(source.names("colors", "ColorID", "ColorName")))
    unit = texts_of(s["UnitPackageID"].map(packages))
    outer = texts_of(s["OuterPackageID"].map(packages))
    inside = whole_of(s["QuantityPerOuter"])
    custom = [json.loads(text) for text in s["CustomFields"]]
    retail = cents_of(s["RecommendedRetailPrice"])
    attributes = [
        json.dumps({
            name: value
            for name, value in (
                ("color", colour[i]), ("size", size),
                ("recommended_retail_price", f"{retail[i] // 100}.{retail[i] % 100:02d}"),
                *((k, v) for k, v in custom[i].items() if k not in TAKEN),
            )
            if value is not None
        })
        for i, size in enumerate(texts_of(s["Size"]))
    ]  # fmt: skip
    # Several in an outer package of the same name is a step to order in, not a second unit.
    same = (s["UnitPackageID"] == s["OuterPackageID"]).to_numpy()
    product = build(
        "product", SFTP, n, modified, key=key, name=texts_of(s["StockItemName"]),
        description=texts_of(s["MarketingComments"]), status="active", brand=texts_of(s["Brand"]),
        base_uom=unit, order_step=qty(inside, same & (inside > 1)),
        lead_time_days=whole_of(s["LeadTimeDays"]), tax_pct=pct(whole_of(s["TaxRate"]) * 100),
        stocked=True, origin=[fields.get("CountryOfManufacture") for fields in custom],
        weight_kg=thousandths_of(s["TypicalWeightPerUnit"]),
        search_terms=pa.array(
            [json.loads(tags) or None for tags in s["Tags"]], pa.list_(pa.string())
        ),
        attributes=attributes,
    )  # fmt: skip
    barcodes = [[code] if code else None for code in keys_of(s["Barcode"]).to_pylist()]
    base = build(
        "product_uom", SFTP, n, modified, product_key=key, uom=unit, numerator=1, denominator=1,
        barcodes=pa.array(barcodes, pa.list_(pa.string())), orderable=True,
    )  # fmt: skip
    packed = np.flatnonzero(~same)
    outers = build(
        "product_uom", SFTP, len(packed), modified[packed], product_key=key.take(pa.array(packed)),
        uom=outer[packed], numerator=inside[packed], denominator=1, orderable=True,
    )  # fmt: skip
    return {
        "product": product,
        "product_uom": pa.concat_tables([base, outers]),
        "category": build(
            "category", SFTP, len(groups), seconds_of(groups["ValidFrom"]),
            key=keys_of(groups["StockGroupID"]), name=texts_of(groups["StockGroupName"]),
        ),
        "product_category": build(
            "product_category", SFTP, len(members), seconds_of(members["LastEditedWhen"]),
            product_key=keys_of(members["StockItemID"]),
            category_key=keys_of(members["StockGroupID"]),
            is_primary=False,
        ),
    }  # fmt: skip


def make_prices(source: Source) -> dict[str, pa.Table]:
    """The list price of every item, and the special deals as the conditions they are."""
    s, deals = source["stock_items"], source["special_deals"]
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    n, m = len(s), len(deals)
    listed = build(
        "price", SFTP, n, seconds_of(s["ValidFrom"]),
        header_key=[f"L{number}" for number in s["StockItemID"]], level="list", dealer_scope="all",
        product_scope="product", product_key=keys_of(s["StockItemID"]), currency="USD",
        uom=texts_of(s["UnitPackageID"].map(packages)), per=1,
        min_qty=qty(np.ones(n, dtype=np.int64)),
        unit_price=price(cents_of(s["UnitPrice"]) * 100),
    )  # fmt: skip
    # A deal may name an item or a group of them, a customer, a buying group or a category of them.
    item, customer = deals["StockItemID"].notna(), deals["CustomerID"].notna()
    group, category = deals["BuyingGroupID"].notna(), deals["CustomerCategoryID"].notna()
    amount, off = deals["UnitPrice"].notna(), deals["DiscountAmount"].notna()
    stock_group = deals["StockGroupID"].notna()
    who = deals["CustomerID"].fillna(deals["BuyingGroupID"]).fillna(deals["CustomerCategoryID"])
    uoms = texts_of(
        deals["StockItemID"].map(s.set_index("StockItemID")["UnitPackageID"]).map(packages)
    )
    agreed = build(
        "price", SFTP, m, seconds_of(deals["LastEditedWhen"]),
        header_key=[f"S{number}" for number in deals["SpecialDealID"]], level="promo",
        dealer_scope=np.select([customer, group | category], ["dealer", "group"], "all"),
        dealer_group_kind=some(np.where(group, "buying_group", "customer_group"),
                               (~customer & (group | category)).to_numpy()),
        dealer_key=keys_of(who),
        product_scope=np.select([item, stock_group], ["product", "category"], "all"),
        product_key=keys_of(deals["StockItemID"].fillna(deals["StockGroupID"])), currency="USD",
        uom=uoms, per=1, min_qty=qty(np.ones(m, dtype=np.int64)),
        unit_price=price(cents_of(deals["UnitPrice"]) * 100, amount.to_numpy()),
        amount_off_list=price(cents_of(deals["DiscountAmount"]) * 100, off.to_numpy()),
        pct_off_list=pct(
            cents_of(deals["DiscountPercentage"]), deals["DiscountPercentage"].notna().to_numpy()
        ),
        valid_from=days_of(deals["StartDate"]),
        valid_to=days_of(deals["EndDate"] + pd.Timedelta(days=1)),
        title=texts_of(deals["DealDescription"]),
    )  # fmt: skip
    return {"price": pa.concat_tables([listed, agreed])}


def make_stock(source: Source) -> dict[str, pa.Table]:
    """One warehouse and what lies in it; movements do not add up to it and are left out."""
    h = source["stock_item_holdings"]
    edited = seconds_of(h["LastEditedWhen"])
    return {
        "warehouse": build(
            "warehouse", SFTP, 1, edited.max(keepdims=True), key=[WAREHOUSE],
            name=["Wide World Importers"], country=["US"],
        ),
        "stock": build(
            "stock", SFTP, len(h), edited, product_key=keys_of(h["StockItemID"]),
            warehouse_key=WAREHOUSE, on_hand=qty(whole_of(h["QuantityOnHand"])),
            low_level=qty(whole_of(h["ReorderLevel"])), changed_at=instants(edited),
        ),
    }  # fmt: skip
