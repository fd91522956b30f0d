"""Wide World Importers, the whole way: what the Parquet files hold is what the portal holds.

The expectation is computed here, straight from the files, with pandas and exact decimals; it
shares no code with the servers that send them or with the pipeline.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mappings.settings import REPOSITORY
from sandbox.dataset import load as load_dataset
from sync.load import Outcome
from sync.parity import parity
from tests.flows.practice import WIDE_WORLD, Practice

_SHARED = Path(os.environ.get("WAYBILL_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
WWI = _SHARED / "wwi"

pytestmark = [
    pytest.mark.skipif(not WWI.is_dir(), reason=f"Wide World Importers is not at {WWI}"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """How each run ended; filled by `wwi`."""
    return []


@pytest.fixture(scope="module")
def wwi(
    module_database: str, tmp_path_factory: pytest.TempPathFactory, outcomes: list[Outcome]
) -> Iterator[Practice]:
    """The portal after one night of all feeds."""
    home = tmp_path_factory.mktemp("wwi")
    practice = Practice(load_dataset(WWI), WIDE_WORLD, module_database, home)
    practice.start()
    try:
        outcomes += practice.sync_all()
        yield practice
    finally:
        practice.stop()


class Files:
    """The Parquet files as lists of dicts: whole numbers as int, absent as None."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def __getitem__(self, name: str) -> list[dict[str, Any]]:
        if name not in self._rows:
            frame = pd.read_parquet(WWI / f"{name}.parquet")
            columns = {c: _plain(frame[c]) for c in frame.columns}
            names = list(columns)
            self._rows[name] = [
                dict(zip(names, values, strict=True))
                for values in zip(*columns.values(), strict=True)
            ]
        return self._rows[name]

    def by(self, name: str, key: str) -> dict[Any, dict[str, Any]]:
        """Rows by one column that identifies them."""
        return {row[key]: row for row in self[name]}

    def names(self, table: str, key: str, name: str) -> dict[int, str]:
        """A code list."""
        return {row[key]: row[name] for row in self[table]}


def _plain(column: Any) -> list[Any]:
    if column.dtype.kind == "M":
        there = column.notna().tolist()
        values = column.dt.to_pydatetime()
        return [v if known else None for v, known in zip(values, there, strict=True)]
    return [None if v is None or v != v else v for v in column.tolist()]  # noqa: PLR0124  NaN


@pytest.fixture(scope="module")
def files() -> Files:
    """The source."""
    return Files()


@cache
def dec(value: float | None) -> Any:
    """A float that holds at most three decimals, exactly."""
    return None if value is None else Decimal(repr(value)).quantize(Decimal("0.001"))


def text(value: float | None) -> str | None:
    """A key as text, whether it came as a float or not."""
    return None if value is None else str(int(value))


def day(value: datetime | None) -> date | None:
    """The day of a timestamp."""
    return None if value is None else value.date()


def at(value: datetime | None) -> datetime | None:
    """A timestamp without zone, taken as UTC."""
    return None if value is None else value.replace(tzinfo=UTC)


def same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """The same rows, whatever their order; tells the first few that differ, not all of them."""
    assert len(found) == len(expected)
    try:
        left, right = Counter(found), Counter(expected)
    except TypeError:  # lists and dicts in them
        left, right = Counter(map(_hashable, found)), Counter(map(_hashable, expected))
    if dict.__eq__(left, right):
        return
    extra, lacking = list((left - right).items())[:3], list((right - left).items())[:3]
    assert (extra, lacking) == ([], [])


def _hashable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(json.dumps(v, sort_keys=True) if isinstance(v, dict | list) else v for v in row)


def test_every_run_is_done_and_nothing_is_left_over(wwi: Practice, outcomes: list[Outcome]) -> None:
    assert [(o.erp, o.feed, o.state) for o in outcomes if o.state != "done"] == []
    assert wwi.rows("SELECT erp, part, key, code FROM sync.quarantine WHERE state = 'open'") == []
    for o in outcomes:
        assert o.counts.read == o.counts.inserted
    disagree = wwi.rows(
        "SELECT erp, feed, part, name, sides, says FROM sync.reconciliation c "
        "JOIN sync.run r ON r.id = c.run_id WHERE agrees IS FALSE"
    )
    assert disagree == []


def test_counts_are_those_of_the_files(wwi: Practice) -> None:
    counts = {
        "dealer": 663, "dealer_group": 402 + 663, "dealer_address": 2 * 663,
        "dealer_contact": 1065, "product": 227, "product_category": 442, "category": 10,
        "price": 229, "stock": 227, "warehouse": 1, "credit": 263, "invoice": 70_510,
        "invoice_line": 228_265, "payment": 26_637, "payment_allocation": 0, "document": 0,
        "sales_order": 73_595, "sales_order_line": 231_412, "order_event": 0, "shipment": 0,
    }  # fmt: skip
    found = {
        part: wwi.one(f"SELECT count(*) FROM portal.{part} WHERE deleted_at IS NULL")
        for part in counts
    }
    assert found == counts


def test_every_dealer_with_the_account_that_pays(wwi: Practice, files: Files) -> None:
    cities = files.by("cities", "CityID")
    methods = files.names("delivery_methods", "DeliveryMethodID", "DeliveryMethodName")
    expected = [
        (
            "wwi_soap", text(c["CustomerID"]), c["CustomerName"], "active",
            text(c["BillToCustomerID"]),
            text(c["BillToCustomerID"]) if c["BillToCustomerID"] != c["CustomerID"] else None,
            "US", "USD", cities[c["DeliveryCityID"]]["StateProvinceCode"], c["PaymentDays"],
            dec(c["StandardDiscountPercentage"]), methods[c["DeliveryMethodID"]],
            day(c["AccountOpenedDate"]),
        )
        for c in files["customers"]
    ]  # fmt: skip
    same(
        wwi.rows(
            "SELECT erp, key, name, status, account_key, parent_key, country, currency, region, "
            "payment_days, standard_discount_pct, delivery_method, opened_on FROM portal.dealer"
        ),
        expected,
    )
    paying = Counter(row[4] for row in expected)
    assert len(paying) == 263
    assert sorted(n for n in paying.values() if n > 1) == [201, 201]


def test_groups_addresses_and_contacts(wwi: Practice, files: Files) -> None:
    customers = files["customers"]
    groups = []
    for kind, column, table, name in (
        ("buying_group", "BuyingGroupID", "buying_groups", "BuyingGroupName"),
        ("customer_group", "CustomerCategoryID", "customer_categories", "CustomerCategoryName"),
    ):
        words = files.names(table, column, name)
        groups += [
            (text(c["CustomerID"]), kind, text(c[column]), words[c[column]])
            for c in customers
            if c[column] is not None
        ]
    same(
        wwi.rows("SELECT dealer_key, kind, group_key, group_name FROM portal.dealer_group"), groups
    )
    cities = files.by("cities", "CityID")
    addresses = [
        (
            text(c["CustomerID"]), kind, c[f"{where}AddressLine1"], c[f"{where}AddressLine2"],
            text(c[f"{where}PostalCode"]), cities[c[f"{where}CityID"]]["CityName"],
            cities[c[f"{where}CityID"]]["StateProvinceCode"], "US",
        )
        for c in customers
        for where, kind in (("Delivery", "ship_to"), ("Postal", "postal"))
    ]  # fmt: skip
    same(
        wwi.rows(
            "SELECT dealer_key, kind, line1, line2, postcode, city, region, country "
            "FROM portal.dealer_address"
        ),
        addresses,
    )
    people = files.by("people", "PersonID")
    contacts = [
        (
            text(c["CustomerID"]), text(c[column]), people[c[column]]["FullName"],
            people[c[column]]["EmailAddress"], people[c[column]]["PhoneNumber"], primary,
        )
        for c in customers
        for column, primary in (
            ("PrimaryContactPersonID", True), ("AlternateContactPersonID", False),
        )
        if c[column] is not None
    ]  # fmt: skip
    same(
        wwi.rows(
            "SELECT dealer_key, key, name, email, phone, is_primary FROM portal.dealer_contact"
        ),
        contacts,
    )


def test_limits_and_the_open_balance_of_each_account_to_the_cent(
    wwi: Practice, files: Files
) -> None:
    balance: dict[int, Decimal] = defaultdict(Decimal)
    for t in files["customer_transactions"]:
        balance[t["CustomerID"]] += dec(t["OutstandingBalance"]) or 0
    accounts = {c["BillToCustomerID"] for c in files["customers"]}
    expected = [
        (
            text(c["CustomerID"]), "USD", dec(c["CreditLimit"]), False,
            balance[c["CustomerID"]], None, c["IsOnCreditHold"],
        )
        for c in files["customers"]
        if c["CustomerID"] in accounts
    ]  # fmt: skip
    found = wwi.rows(
        "SELECT account_key, currency, limit_amount, coalesce(unlimited, false), open_balance, "
        "pending, on_hold FROM portal.credit"
    )
    same(found, expected)
    # unknown is NULL, not 0 and not unlimited: both head offices
    assert sorted(k for k, _, limit, *_ in found if limit is None) == ["1", "401"]
    # the ledger's balance is what the open invoices and unapplied payments of the account add up to
    sums = wwi.rows(
        "SELECT account_key, sum(x) FROM (SELECT account_key, open_amount x FROM portal.invoice "
        "UNION ALL SELECT account_key, -unapplied FROM portal.payment) t GROUP BY 1"
    )
    known = dict(sums)
    assert {k: known.get(k, Decimal(0)) for k, *_ in found} == {
        text(a): balance[a] for a in accounts
    }


def test_every_product_with_units_and_categories(wwi: Practice, files: Files) -> None:
    packages = files.names("package_types", "PackageTypeID", "PackageTypeName")
    products, uoms = [], []
    for s in files["stock_items"]:
        key, inside = text(s["StockItemID"]), s["QuantityPerOuter"]
        custom = json.loads(s["CustomFields"])
        alike = s["UnitPackageID"] == s["OuterPackageID"]
        unit, outer = packages[s["UnitPackageID"]], packages[s["OuterPackageID"]]
        products.append(
            (
                key, s["StockItemName"], "active", s["Brand"], unit,
                Decimal(inside) if alike and inside > 1 else None, s["LeadTimeDays"],
                dec(s["TaxRate"]), dec(s["TypicalWeightPerUnit"]),
                custom.get("CountryOfManufacture"), json.loads(s["Tags"]) or None,
            )
        )  # fmt: skip
        barcode = text(s["Barcode"])
        uoms.append((key, unit, 1, 1, [barcode] if barcode else None))
        if not alike:
            uoms.append((key, outer, inside, 1, None))
    same(
        wwi.rows(
            "SELECT key, name, status, brand, base_uom, order_step, lead_time_days, tax_pct, "
            "weight_kg, origin, search_terms FROM portal.product"
        ),
        products,
    )
    assert sum(row[5] is not None for row in products) == 61
    same(
        wwi.rows(
            "SELECT product_key, uom, numerator, denominator, barcodes FROM portal.product_uom"
        ),
        uoms,
    )
    same(
        wwi.rows("SELECT product_key, category_key FROM portal.product_category"),
        [
            (text(m["StockItemID"]), text(m["StockGroupID"]))
            for m in files["stock_item_stock_groups"]
        ],
    )
    same(
        wwi.rows("SELECT key, name, parent_key FROM portal.category"),
        [(text(g["StockGroupID"]), g["StockGroupName"], None) for g in files["stock_groups"]],
    )


def test_list_prices_and_the_two_deals_as_conditions(wwi: Practice, files: Files) -> None:
    packages = files.names("package_types", "PackageTypeID", "PackageTypeName")
    start = date.min
    expected = [
        (
            "list", "all", None, None, "product", text(s["StockItemID"]), "USD",
            packages[s["UnitPackageID"]], 1, Decimal(1), dec(s["UnitPrice"]), None, start, None,
        )
        for s in files["stock_items"]
    ] + [
        (
            "promo", "group", "buying_group", text(d["BuyingGroupID"]), "category",
            text(d["StockGroupID"]), "USD", None, 1, Decimal(1), None,
            dec(d["DiscountPercentage"]), day(d["StartDate"]), day(d["EndDate"] + DAY),
        )
        for d in files["special_deals"]
    ]  # fmt: skip
    found = wwi.rows(
        "SELECT level, dealer_scope, dealer_group_kind, dealer_key, product_scope, product_key, "
        "currency, uom, per, min_qty, unit_price, pct_off_list, valid_from, valid_to "
        "FROM portal.price"
    )
    same(found, expected)
    deals = sorted(row[10:] for row in found if row[0] == "promo")
    assert deals == [
        (None, Decimal(10), date(2016, 1, 1), date(2016, 4, 1)),
        (None, Decimal(15), date(2016, 4, 1), date(2016, 7, 1)),
    ]
    assert wwi.rows("SELECT DISTINCT dealer_erp, product_erp FROM portal.price") == [
        ("wwi_soap", "wwi_sftp")
    ]


def test_stock(wwi: Practice, files: Files) -> None:
    same(
        wwi.rows(
            "SELECT product_key, warehouse_key, on_hand, reserved, available, low_level "
            "FROM portal.stock"
        ),
        [
            (
                text(h["StockItemID"]), "WWI", Decimal(h["QuantityOnHand"]), None, None,
                Decimal(h["ReorderLevel"]),
            )
            for h in files["stock_item_holdings"]
        ],
    )  # fmt: skip


def test_every_invoice_with_buyer_payer_and_due_date(wwi: Practice, files: Files) -> None:
    buyers: dict[int, set[int]] = defaultdict(set)
    for move in files["stock_item_transactions"]:
        if move["InvoiceID"] is not None:
            buyers[int(move["InvoiceID"])].add(int(move["CustomerID"]))
    days = {c["CustomerID"]: c["PaymentDays"] for c in files["customers"]}
    headers = files.by("invoice_headers_may_2016", "InvoiceID")
    expected = []
    for t in files["customer_transactions"]:
        if t["TransactionTypeID"] != 1:
            continue
        number = int(t["InvoiceID"])
        (buyer,) = buyers[number]
        header = headers.get(number)
        expected.append(
            (
                str(number), "invoice", text(t["CustomerID"]), str(buyer),
                day(t["TransactionDate"]),
                day(t["TransactionDate"] + days[t["CustomerID"]] * DAY), True, "USD",
                dec(t["AmountExcludingTax"]), dec(t["TaxAmount"]), dec(t["TransactionAmount"]),
                dec(t["OutstandingBalance"]), day(t["FinalizationDate"]),
                text(header["OrderID"]) if header else None,
                {"header_invoice_date": header["InvoiceDate"].date().isoformat()}
                if header
                else None,
            )
        )  # fmt: skip
    found = wwi.rows(
        "SELECT key, kind, account_key, dealer_key, issued_on, due_on, due_on_computed, currency, "
        "net, tax, gross, open_amount, settled_on, order_key, attributes FROM portal.invoice"
    )
    same(found, expected)
    # the payer of an invoice is the account of its buyer
    astray = wwi.one(
        "SELECT count(*) FROM portal.invoice i LEFT JOIN portal.dealer d "
        "ON d.erp = i.dealer_erp AND d.key = i.dealer_key "
        "WHERE d.account_key IS DISTINCT FROM i.account_key"
    )
    assert astray == 0


def test_every_invoice_line(wwi: Practice, files: Files) -> None:
    packages = files.names("package_types", "PackageTypeID", "PackageTypeName")
    same(
        wwi.rows(
            "SELECT invoice_key, line_no, kind, product_key, description, qty, uom, unit_price, "
            "per, net, tax_pct, tax, gross FROM portal.invoice_line"
        ),
        [
            (
                text(x["InvoiceID"]), text(x["InvoiceLineID"]), "item", text(x["StockItemID"]),
                x["Description"], Decimal(x["Quantity"]), packages[x["PackageTypeID"]],
                dec(x["UnitPrice"]), 1, dec(x["ExtendedPrice"]) - dec(x["TaxAmount"]),
                dec(x["TaxRate"]), dec(x["TaxAmount"]), dec(x["ExtendedPrice"]),
            )
            for x in files["invoice_lines"]
        ],
    )  # fmt: skip
    owners = wwi.one(
        "SELECT count(*) FROM portal.invoice_line l JOIN portal.invoice i "
        "ON (i.erp, i.key) = (l.erp, l.invoice_key) "
        "WHERE (l.account_key, l.dealer_key) IS DISTINCT FROM (i.account_key, i.dealer_key)"
    )
    assert owners == 0


def test_every_payment(wwi: Practice, files: Files) -> None:
    methods = files.names("payment_methods", "PaymentMethodID", "PaymentMethodName")
    same(
        wwi.rows(
            "SELECT key, account_key, kind, booked_on, currency, amount, unapplied, method "
            "FROM portal.payment"
        ),
        [
            (
                text(t["CustomerTransactionID"]), text(t["CustomerID"]), "payment",
                day(t["TransactionDate"]), "USD", -dec(t["TransactionAmount"]),
                -dec(t["OutstandingBalance"]), methods[t["PaymentMethodID"]],
            )
            for t in files["customer_transactions"]
            if t["TransactionTypeID"] == 3
        ],
    )  # fmt: skip


def test_every_order_with_status_and_what_it_fills(wwi: Practice, files: Files) -> None:
    delivered = {
        h["OrderID"]: h["ConfirmedDeliveryTime"]
        for h in files["invoice_headers_may_2016"]
        if h["ConfirmedDeliveryTime"] is not None
    }
    fills = {
        int(o["BackorderOrderID"]): o["OrderID"]
        for o in files["orders"]
        if o["BackorderOrderID"] is not None
    }
    accounts = {c["CustomerID"]: c["BillToCustomerID"] for c in files["customers"]}
    net: dict[int, Decimal] = defaultdict(Decimal)
    for x in files["order_lines"]:
        net[x["OrderID"]] += x["Quantity"] * dec(x["UnitPrice"])
    expected = []
    for o in files["orders"]:
        number, picked = o["OrderID"], o["PickingCompletedWhen"]
        there = delivered.get(number)
        status = "delivered" if there else "shipped" if picked else "processing"
        expected.append(
            (
                text(number), text(o["CustomerID"]), text(accounts[o["CustomerID"]]), status,
                at(o["OrderDate"]), False, day(o["ExpectedDeliveryDate"]), "USD", net[number],
                None, None, at(picked), at(there), text(fills.get(number)),
            )
        )  # fmt: skip
    same(
        wwi.rows(
            "SELECT key, dealer_key, account_key, status, ordered_at, ordered_at_exact, "
            "expected_on, currency, net, tax, gross, first_shipped_at, delivered_at, backorder_of "
            "FROM portal.sales_order"
        ),
        expected,
    )
    assert Counter(row[3] for row in expected)["delivered"] == 1_864
    assert sum(row[11] is None for row in expected) == 3_085


def test_every_order_line(wwi: Practice, files: Files) -> None:
    packages = files.names("package_types", "PackageTypeID", "PackageTypeName")
    same(
        wwi.rows(
            "SELECT order_key, line_no, product_key, qty, uom, qty_shipped, unit_price, per, net, "
            "tax_pct, gross FROM portal.sales_order_line"
        ),
        [
            (
                text(x["OrderID"]), text(x["OrderLineID"]), text(x["StockItemID"]),
                Decimal(x["Quantity"]), packages[x["PackageTypeID"]], Decimal(x["PickedQuantity"]),
                dec(x["UnitPrice"]), 1, x["Quantity"] * dec(x["UnitPrice"]), dec(x["TaxRate"]),
                None,
            )
            for x in files["order_lines"]
        ],
    )  # fmt: skip


def test_parity_explains_every_line_but_those_of_the_special_deals(
    wwi: Practice, files: Files
) -> None:
    """The source charged a deal's percentage of the list price instead of taking it off.

    The expectation is worked out from the files: buyers of the deal's group, items of its stock
    group, days of the deal; nothing else was invoiced at another price than the list's.
    """
    listed = {s["StockItemID"]: dec(s["UnitPrice"]) for s in files["stock_items"]}
    groups = {c["CustomerID"]: c["BuyingGroupID"] for c in files["customers"]}
    buyers = {
        t["InvoiceID"]: groups[t["CustomerID"]]
        for t in files["stock_item_transactions"]
        if t["InvoiceID"] is not None
    }
    days = {
        t["InvoiceID"]: t["TransactionDate"]
        for t in files["customer_transactions"]
        if t["TransactionTypeID"] == 1
    }
    in_group = {(g["StockGroupID"], g["StockItemID"]) for g in files["stock_item_stock_groups"]}
    expected: dict[tuple[str | None, str | None], tuple[Decimal, Decimal]] = {}
    for x in files["invoice_lines"]:
        for deal in files["special_deals"]:
            if (
                buyers[x["InvoiceID"]] == deal["BuyingGroupID"]
                and (deal["StockGroupID"], x["StockItemID"]) in in_group
                and deal["StartDate"] <= days[x["InvoiceID"]] <= deal["EndDate"]
            ):
                price, off = listed[x["StockItemID"]], dec(deal["DiscountPercentage"]) / 100
                expected[text(x["InvoiceID"]), text(x["InvoiceLineID"])] = (
                    price * off,
                    price * (1 - off),
                )
    found = parity(wwi.ctx, "wwi_soap")
    assert (found.lines, found.explained, found.unexplained) == (228_265, 227_753, 512)
    assert found.reasons == {"percent_charged": 512}
    assert found.difference == {"USD": Decimal("-139028.10")}
    assert {
        (i["invoice_key"], i["line_no"]): (i["invoiced"], i["resolved"]) for i in found.items
    } == expected
