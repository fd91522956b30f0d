"""Wide World Importers as a data set: its Parquet files, read as three ERPs would export them.

`wwi_soap` serves customers, credit, invoices and payments; `wwi_rest` orders; `wwi_sftp` products,
prices and stock. Values are the source's own: money becomes exact at its two decimals, garbled
names stay as they are. Tables are joined as an ERP's export view would; nothing is repaired.

Times carry no zone in the source and are taken as UTC. What the source lacks is null: no gross of
an order, no validity of a list price, no allocation of a payment, no limit where it has none.
"""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.dataset import Dataset
from sandbox.generator.columns import (
    SECONDS_A_DAY,
    Ints,
    Texts,
    build,
    days,
    fine_qty,
    instants,
    money,
    pct,
    price,
    qty,
    some,
)

AS_OF = date(2016, 6, 1)
MARKS = ("customer_transactions.parquet", "stock_items.parquet", "customers.parquet")
SOAP, REST, SFTP = "wwi_soap", "wwi_rest", "wwi_sftp"
WAREHOUSE = "WWI"
INVOICE, PAYMENT = 1, 3


def is_wwi(folder: Path) -> bool:
    """True for a folder that holds Wide World Importers' Parquet files."""
    return all((folder / name).is_file() for name in MARKS)


def read_wwi(folder: Path) -> Dataset:
    """All three ERPs' data. FileNotFoundError when one of the files is absent."""
    source = _Source(folder)
    tables = {**_customers(source), **_products(source), **_prices(source), **_stock(source)}
    tables |= {**_receivables(source), **_orders(source)}
    return Dataset(tables, AS_OF)


class _Source:
    """The source's tables as pandas frames, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """One table."""
        if name not in self._frames:
            self._frames[name] = pq.read_table(self._folder / f"{name}.parquet").to_pandas()
        return self._frames[name]

    def names(self, table: str, key: str, name: str) -> pd.Series:
        """A code list: key -> name."""
        return self[table].set_index(key)[name]


def _keys(column: pd.Series) -> pa.Array:
    """Whole numbers (perhaps held as floats) as text, null where absent."""
    whole = column.fillna(0).to_numpy().astype(np.int64)
    return pa.array(whole, mask=column.isna().to_numpy()).cast(pa.string())


def _texts(column: pd.Series) -> Texts:
    """Text with None where absent."""
    values = column.astype(object)
    return values.where(column.notna(), None).to_numpy(dtype=object)


def _cents(column: pd.Series) -> Ints:
    """Exact cents of a float column that holds two decimals; absent is 0."""
    return np.rint(column.fillna(0).to_numpy(dtype=np.float64) * 100).astype(np.int64)


def _seconds(column: pd.Series) -> Ints:
    """Seconds since 1970; absent is 0."""
    return column.fillna(pd.Timestamp(0)).to_numpy().astype("datetime64[s]").astype(np.int64)


def _days(column: pd.Series) -> pa.Array:
    """Dates, null where absent."""
    return days(_seconds(column) // SECONDS_A_DAY, column.notna().to_numpy())


def _whole(column: pd.Series) -> Ints:
    return column.to_numpy().astype(np.int64)


def _customers(source: _Source) -> dict[str, pa.Table]:
    """dealer, dealer_group, dealer_address, dealer_contact and credit."""
    c = source["customers"]
    n = len(c)
    modified = _seconds(c["ValidFrom"])
    key, account = _keys(c["CustomerID"]), _keys(c["BillToCustomerID"])
    branch = (c["CustomerID"] != c["BillToCustomerID"]).to_numpy()
    city = source["cities"].set_index("CityID")
    method = source.names("delivery_methods", "DeliveryMethodID", "DeliveryMethodName")
    extra = [
        json.dumps({"website": site, "fax": fax, "statement_sent": bool(sent)})
        for site, fax, sent in zip(
            c["WebsiteURL"], c["FaxNumber"], c["IsStatementSent"], strict=True
        )
    ]
    dealer = build(
        "dealer", SOAP, n, modified, key=key, name=_texts(c["CustomerName"]), status="active",
        parent_key=some(account.to_numpy(zero_copy_only=False), branch), account_key=account,
        region=_texts(c["DeliveryCityID"].map(city["StateProvinceCode"])), country="US",
        currency="USD", payment_days=_whole(c["PaymentDays"]),
        standard_discount_pct=pct(_whole(c["StandardDiscountPercentage"]) * 100),
        delivery_method=_texts(c["DeliveryMethodID"].map(method)),
        opened_on=_days(c["AccountOpenedDate"]), attributes=extra,
    )  # fmt: skip
    addresses = [
        build(
            "dealer_address", SOAP, n, modified, dealer_key=key, key=f"{where[0]}", kind=kind,
            line1=_texts(c[f"{where}AddressLine1"]), line2=_texts(c[f"{where}AddressLine2"]),
            postcode=_keys(c[f"{where}PostalCode"]),
            city=_texts(c[f"{where}CityID"].map(city["CityName"])),
            region=_texts(c[f"{where}CityID"].map(city["StateProvinceCode"])), country="US",
            phone=_texts(c["PhoneNumber"]), is_default=True,
        )
        for where, kind in (("Delivery", "ship_to"), ("Postal", "postal"))
    ]  # fmt: skip
    groups = [
        _group(source, kind, column, table, name)
        for kind, column, table, name in (
            ("buying_group", "BuyingGroupID", "buying_groups", "BuyingGroupName"),
            ("customer_group", "CustomerCategoryID", "customer_categories", "CustomerCategoryName"),
        )
    ]
    return {
        "dealer": dealer,
        "dealer_group": pa.concat_tables(groups),
        "dealer_address": pa.concat_tables(addresses),
        "dealer_contact": _contacts(source),
        "credit": _credit(source),
    }


def _group(source: _Source, kind: str, column: str, table: str, name: str) -> pa.Table:
    c = source["customers"].dropna(subset=[column])
    return build(
        "dealer_group", SOAP, len(c), _seconds(c["ValidFrom"]), dealer_key=_keys(c["CustomerID"]),
        kind=kind, group_key=_keys(c[column]),
        group_name=_texts(c[column].map(source.names(table, column, name))),
    )  # fmt: skip


def _contacts(source: _Source) -> pa.Table:
    """The primary and, where there is one, the alternate contact of each customer."""
    c = source["customers"]
    people = source["people"].set_index("PersonID")
    parts = []
    for column, primary in (("PrimaryContactPersonID", True), ("AlternateContactPersonID", False)):
        own = c.dropna(subset=[column])
        person = {name: _texts(own[column].map(people[name])) for name in people.columns}
        parts.append(
            build(
                "dealer_contact", SOAP, len(own), _seconds(own["ValidFrom"]),
                dealer_key=_keys(own["CustomerID"]), key=_keys(own[column]),
                name=person["FullName"], email=person["EmailAddress"],
                phone=person["PhoneNumber"], is_primary=primary,
            )
        )  # fmt: skip
    return pa.concat_tables(parts)


def _credit(source: _Source) -> pa.Table:
    """One row for each customer that pays; a limit that is absent stays unknown."""
    c, ledger = source["customers"], source["customer_transactions"]
    paying = c[c["CustomerID"].isin(c["BillToCustomerID"])]
    cents = pd.Series(_cents(ledger["OutstandingBalance"]))
    balance = cents.groupby(ledger["CustomerID"].to_numpy()).sum()
    n = len(paying)
    at = np.full(n, _seconds(ledger["LastEditedWhen"]).max())
    return build(
        "credit", SOAP, n, at, account_key=_keys(paying["CustomerID"]), currency="USD",
        limit_amount=money(_cents(paying["CreditLimit"]), paying["CreditLimit"].notna().to_numpy()),
        unlimited=False,
        open_balance=money(_whole(paying["CustomerID"].map(balance).fillna(0))),
        on_hold=paying["IsOnCreditHold"].to_numpy(), calculated_at=instants(at),
    )  # fmt: skip


def _products(source: _Source) -> dict[str, pa.Table]:
    """Products with units and categories."""
    s, packages = source["stock_items"], source.names("package_types", "PackageTypeID", "PackageTypeName")
    groups, members = source["stock_groups"], source["stock_item_stock_groups"]
    n = len(s)
    modified = _seconds(s["ValidFrom"])
    key = _keys(s["StockItemID"])
    colour = _texts(s["ColorID"].map(source.names("colors", "ColorID", "ColorName")))
    unit, outer = _texts(s["UnitPackageID"].map(packages)), _texts(s["OuterPackageID"].map(packages))
    inside = _whole(s["QuantityPerOuter"])
    custom = [json.loads(text) for text in s["CustomFields"]]
    retail = _cents(s["RecommendedRetailPrice"])
    attributes = [
        json.dumps({
            name: value
            for name, value in (
                ("color", colour[i]), ("size", size),
                ("recommended_retail_price", f"{retail[i] // 100}.{retail[i] % 100:02d}"),
                *((k, v) for k, v in custom[i].items() if k not in ("CountryOfManufacture", "Tags")),
            )
            if value is not None
        })
        for i, size in enumerate(_texts(s["Size"]))
    ]  # fmt: skip
    # Several in an outer package of the same name is a step to order in, not a second unit.
    same = (s["UnitPackageID"] == s["OuterPackageID"]).to_numpy()
    product = build(
        "product", SFTP, n, modified, key=key, name=_texts(s["StockItemName"]),
        description=_texts(s["MarketingComments"]), status="active", brand=_texts(s["Brand"]),
        base_uom=unit, order_step=qty(inside, same & (inside > 1)),
        lead_time_days=_whole(s["LeadTimeDays"]), tax_pct=pct(_whole(s["TaxRate"]) * 100),
        stocked=True, origin=[fields.get("CountryOfManufacture") for fields in custom],
        weight_kg=_thousandths(s["TypicalWeightPerUnit"]),
        search_terms=pa.array([json.loads(tags) or None for tags in s["Tags"]], pa.list_(pa.string())),
        attributes=attributes,
    )  # fmt: skip
    barcodes = [[code] if code else None for code in _keys(s["Barcode"]).to_pylist()]
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
            "category", SFTP, len(groups), _seconds(groups["ValidFrom"]),
            key=_keys(groups["StockGroupID"]), name=_texts(groups["StockGroupName"]),
        ),
        "product_category": build(
            "product_category", SFTP, len(members), _seconds(members["LastEditedWhen"]),
            product_key=_keys(members["StockItemID"]), category_key=_keys(members["StockGroupID"]),
            is_primary=False,
        ),
    }  # fmt: skip


def _thousandths(column: pd.Series) -> pa.Array:
    """Quantities out of floats with up to three decimals."""
    return fine_qty(np.rint(column.to_numpy(dtype=np.float64) * 1000).astype(np.int64))


def _prices(source: _Source) -> dict[str, pa.Table]:
    """The list price of every item, and the special deals as the conditions they are."""
    s, deals = source["stock_items"], source["special_deals"]
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    n, m = len(s), len(deals)
    listed = build(
        "price", SFTP, n, _seconds(s["ValidFrom"]),
        header_key=[f"L{number}" for number in s["StockItemID"]], level="list", dealer_scope="all",
        product_scope="product", product_key=_keys(s["StockItemID"]), currency="USD",
        uom=_texts(s["UnitPackageID"].map(packages)), per=1, min_qty=qty(np.ones(n, dtype=np.int64)),
        unit_price=price(_cents(s["UnitPrice"]) * 100),
    )  # fmt: skip
    # A deal may name an item or a group of them, a customer, a buying group or a category of them.
    item, customer = deals["StockItemID"].notna(), deals["CustomerID"].notna()
    group, category = deals["BuyingGroupID"].notna(), deals["CustomerCategoryID"].notna()
    amount, off = deals["UnitPrice"].notna(), deals["DiscountAmount"].notna()
    stock_group = deals["StockGroupID"].notna()
    who = deals["CustomerID"].fillna(deals["BuyingGroupID"]).fillna(deals["CustomerCategoryID"])
    uoms = _texts(deals["StockItemID"].map(s.set_index("StockItemID")["UnitPackageID"]).map(packages))
    agreed = build(
        "price", SFTP, m, _seconds(deals["LastEditedWhen"]),
        header_key=[f"S{number}" for number in deals["SpecialDealID"]], level="promo",
        dealer_scope=np.select([customer, group | category], ["dealer", "group"], "all"),
        dealer_group_kind=some(np.where(group, "buying_group", "customer_group"),
                               (~customer & (group | category)).to_numpy()),
        dealer_key=_keys(who), product_scope=np.select([item, stock_group], ["product", "category"], "all"),
        product_key=_keys(deals["StockItemID"].fillna(deals["StockGroupID"])), currency="USD",
        uom=uoms, per=1, min_qty=qty(np.ones(m, dtype=np.int64)),
        unit_price=price(_cents(deals["UnitPrice"]) * 100, amount.to_numpy()),
        amount_off_list=price(_cents(deals["DiscountAmount"]) * 100, off.to_numpy()),
        pct_off_list=pct(_cents(deals["DiscountPercentage"]), deals["DiscountPercentage"].notna().to_numpy()),
        valid_from=_days(deals["StartDate"]), valid_to=_days(deals["EndDate"] + pd.Timedelta(days=1)),
        title=_texts(deals["DealDescription"]),
    )  # fmt: skip
    return {"price": pa.concat_tables([listed, agreed])}


def _stock(source: _Source) -> dict[str, pa.Table]:
    """One warehouse and what lies in it; movements do not add up to it and are left out."""
    h = source["stock_item_holdings"]
    edited = _seconds(h["LastEditedWhen"])
    return {
        "warehouse": build(
            "warehouse", SFTP, 1, edited.max(keepdims=True), key=[WAREHOUSE],
            name=["Wide World Importers"], country=["US"],
        ),
        "stock": build(
            "stock", SFTP, len(h), edited, product_key=_keys(h["StockItemID"]),
            warehouse_key=WAREHOUSE, on_hand=qty(_whole(h["QuantityOnHand"])),
            low_level=qty(_whole(h["ReorderLevel"])), changed_at=instants(edited),
        ),
    }  # fmt: skip


def _receivables(source: _Source) -> dict[str, pa.Table]:
    """Invoices with their lines, and payments, out of the ledger."""
    ledger, moves = source["customer_transactions"], source["stock_item_transactions"]
    header = source["invoice_headers_may_2016"].set_index("InvoiceID")
    bills = ledger[ledger["TransactionTypeID"] == INVOICE]
    paid = ledger[ledger["TransactionTypeID"] == PAYMENT]
    buyer = moves.dropna(subset=["InvoiceID"]).drop_duplicates("InvoiceID").set_index("InvoiceID")
    term = bills["CustomerID"].map(source["customers"].set_index("CustomerID")["PaymentDays"])
    number = bills["InvoiceID"]
    key = _keys(number)
    header_date = number.map(header["InvoiceDate"])
    odd_date = [
        json.dumps({"header_invoice_date": day.date().isoformat()}) if day is not pd.NaT else None
        for day in header_date
    ]
    invoice = build(
        "invoice", SOAP, len(bills), _seconds(bills["LastEditedWhen"]), key=key, number=key,
        kind="invoice", account_key=_keys(bills["CustomerID"]),
        dealer_key=_keys(number.map(buyer["CustomerID"])),
        order_key=_keys(number.map(header["OrderID"])),
        customer_ref=_keys(number.map(header["CustomerPurchaseOrderNumber"])),
        issued_on=_days(bills["TransactionDate"]),
        due_on=_days(bills["TransactionDate"] + pd.to_timedelta(term, unit="D")),
        due_on_computed=True, currency="USD", net=money(_cents(bills["AmountExcludingTax"])),
        tax=money(_cents(bills["TaxAmount"])), gross=money(_cents(bills["TransactionAmount"])),
        open_amount=money(_cents(bills["OutstandingBalance"])),
        settled_on=_days(bills["FinalizationDate"]), attributes=pa.array(odd_date, pa.string()),
    )  # fmt: skip
    methods = source.names("payment_methods", "PaymentMethodID", "PaymentMethodName")
    payment = build(
        "payment", SOAP, len(paid), _seconds(paid["LastEditedWhen"]),
        key=_keys(paid["CustomerTransactionID"]), account_key=_keys(paid["CustomerID"]),
        kind="payment", booked_on=_days(paid["TransactionDate"]), currency="USD",
        amount=money(-_cents(paid["TransactionAmount"])),
        unapplied=money(-_cents(paid["OutstandingBalance"])),
        method=_texts(paid["PaymentMethodID"].map(methods)),
    )  # fmt: skip
    lines = source["invoice_lines"]
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    gross, tax = _cents(lines["ExtendedPrice"]), _cents(lines["TaxAmount"])
    line = build(
        "invoice_line", SOAP, len(lines), _seconds(lines["LastEditedWhen"]),
        invoice_key=_keys(lines["InvoiceID"]), line_no=_keys(lines["InvoiceLineID"]), kind="item",
        product_key=_keys(lines["StockItemID"]), description=_texts(lines["Description"]),
        qty=qty(_whole(lines["Quantity"])), uom=_texts(lines["PackageTypeID"].map(packages)),
        unit_price=price(_cents(lines["UnitPrice"]) * 100), per=1, net=money(gross - tax),
        tax_pct=pct(_whole(lines["TaxRate"]) * 100), tax=money(tax), gross=money(gross),
    )  # fmt: skip
    return {"invoice": invoice, "invoice_line": line, "payment": payment}


def _orders(source: _Source) -> dict[str, pa.Table]:
    """Orders with their lines. Picked counts as shipped; delivered is known for May 2016 only."""
    o, lines = source["orders"], source["order_lines"]
    header = source["invoice_headers_may_2016"].dropna(subset=["ConfirmedDeliveryTime"])
    delivered = o["OrderID"].map(header.set_index("OrderID")["ConfirmedDeliveryTime"])
    picked = o["PickingCompletedWhen"]
    # BackorderOrderID names the later order, which fills the rest of this one.
    later = o.dropna(subset=["BackorderOrderID"]).set_index("BackorderOrderID")["OrderID"]
    picked_there, there = picked.notna().to_numpy(), delivered.notna().to_numpy()
    cents = _cents(lines["UnitPrice"]) * _whole(lines["Quantity"])
    net = pd.Series(cents).groupby(lines["OrderID"].to_numpy()).sum()
    edited = _seconds(o["LastEditedWhen"])
    order = build(
        "sales_order", REST, len(o), np.maximum(edited, _seconds(delivered)),
        key=_keys(o["OrderID"]), number=_keys(o["OrderID"]), dealer_key=_keys(o["CustomerID"]),
        customer_ref=_keys(o["CustomerPurchaseOrderNumber"]), contact_key=_keys(o["ContactPersonID"]),
        sales_rep_key=_keys(o["SalespersonPersonID"]), ordered_at=instants(_seconds(o["OrderDate"])),
        ordered_at_exact=False, expected_on=_days(o["ExpectedDeliveryDate"]), currency="USD",
        net=money(_whole(o["OrderID"].map(net))),
        status=np.select([there, picked_there], ["delivered", "shipped"], "processing"),
        status_raw=np.select([there, picked_there], ["DELIVERED", "PICKED"], "OPEN"),
        first_shipped_at=instants(_seconds(picked), picked_there),
        delivered_at=instants(_seconds(delivered), there), changed_at=instants(edited),
        backorder_of=_keys(o["OrderID"].map(later)),
    )  # fmt: skip
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    line = build(
        "sales_order_line", REST, len(lines), _seconds(lines["LastEditedWhen"]),
        order_key=_keys(lines["OrderID"]), line_no=_keys(lines["OrderLineID"]),
        product_key=_keys(lines["StockItemID"]), qty=qty(_whole(lines["Quantity"])),
        uom=_texts(lines["PackageTypeID"].map(packages)), qty_shipped=qty(_whole(lines["PickedQuantity"])),
        unit_price=price(_cents(lines["UnitPrice"]) * 100), per=1, net=money(cents),
        tax_pct=pct(_whole(lines["TaxRate"]) * 100),
    )  # fmt: skip
    return {"sales_order": order, "sales_order_line": line}
