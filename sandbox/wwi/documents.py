"""Wide World Importers' invoices and payments (`wwi_soap`), and orders (`wwi_rest`)."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from sandbox.generator.columns import build, instants, money, pct, price, qty
from sandbox.wwi.source import (
    REST,
    SOAP,
    Source,
    cents_of,
    days_of,
    keys_of,
    seconds_of,
    texts_of,
    whole_of,
)

INVOICE, PAYMENT = 1, 3


def make_receivables(source: Source) -> dict[str, pa.Table]:
    """Invoices with their lines, and payments, out of the ledger."""
    ledger, moves = source["customer_transactions"], source["stock_item_transactions"]
    header = source["invoice_headers_may_2016"].set_index("InvoiceID")
    bills = ledger[ledger["TransactionTypeID"] == INVOICE]
    paid = ledger[ledger["TransactionTypeID"] == PAYMENT]
    buyer = moves.dropna(subset=["InvoiceID"]).drop_duplicates("InvoiceID").set_index("InvoiceID")
    term = bills["CustomerID"].map(source["customers"].set_index("CustomerID")["PaymentDays"])
    number = bills["InvoiceID"]
    key = keys_of(number)
    header_date = number.map(header["InvoiceDate"])
    odd_date = [
        json.dumps({"header_invoice_date": day.date().isoformat()}) if day is not pd.NaT else None
        for day in header_date
    ]
    invoice = build(
        "invoice", SOAP, len(bills), seconds_of(bills["LastEditedWhen"]), key=key, number=key,
        kind="invoice", account_key=keys_of(bills["CustomerID"]),
        dealer_key=keys_of(number.map(buyer["CustomerID"])),
        order_key=keys_of(number.map(header["OrderID"])),
        customer_ref=keys_of(number.map(header["CustomerPurchaseOrderNumber"])),
        issued_on=days_of(bills["TransactionDate"]),
        due_on=days_of(bills["TransactionDate"] + pd.to_timedelta(term, unit="D")),
        due_on_computed=True, currency="USD", net=money(cents_of(bills["AmountExcludingTax"])),
        tax=money(cents_of(bills["TaxAmount"])), gross=money(cents_of(bills["TransactionAmount"])),
        open_amount=money(cents_of(bills["OutstandingBalance"])),
        settled_on=days_of(bills["FinalizationDate"]), attributes=pa.array(odd_date, pa.string()),
    )  # fmt: skip
    methods = source.names("payment_methods", "PaymentMethodID", "PaymentMethodName")
    payment = build(
        "payment", SOAP, len(paid), seconds_of(paid["LastEditedWhen"]),
        key=keys_of(paid["CustomerTransactionID"]), account_key=keys_of(paid["CustomerID"]),
        kind="payment", booked_on=days_of(paid["TransactionDate"]), currency="USD",
        amount=money(-cents_of(paid["TransactionAmount"])),
        unapplied=money(-cents_of(paid["OutstandingBalance"])),
        method=texts_of(paid["PaymentMethodID"].map(methods)),
    )  # fmt: skip
    lines = source["invoice_lines"]
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    gross, tax = cents_of(lines["ExtendedPrice"]), cents_of(lines["TaxAmount"])
    line = build(
        "invoice_line", SOAP, len(lines), seconds_of(lines["LastEditedWhen"]),
        invoice_key=keys_of(lines["InvoiceID"]), line_no=keys_of(lines["InvoiceLineID"]),
        kind="item",
        product_key=keys_of(lines["StockItemID"]), description=texts_of(lines["Description"]),
        qty=qty(whole_of(lines["Quantity"])), uom=texts_of(lines["PackageTypeID"].map(packages)),
        unit_price=price(cents_of(lines["UnitPrice"]) * 100), per=1, net=money(gross - tax),
        tax_pct=pct(whole_of(lines["TaxRate"]) * 100), tax=money(tax), gross=money(gross),
    )  # fmt: skip
    return {"invoice": invoice, "invoice_line": line, "payment": payment}


def make_orders(source: Source) -> dict[str, pa.Table]:
    """Orders with their lines. Picked counts as shipped; delivered is known for May 2016 only."""
    o, lines = source["orders"], source["order_lines"]
    header = source["invoice_headers_may_2016"].dropna(subset=["ConfirmedDeliveryTime"])
    delivered = o["OrderID"].map(header.set_index("OrderID")["ConfirmedDeliveryTime"])
    picked = o["PickingCompletedWhen"]
    # BackorderOrderID names the later order, which fills the rest of this one.
    later = o.dropna(subset=["BackorderOrderID"]).set_index("BackorderOrderID")["OrderID"]
    picked_there, there = picked.notna().to_numpy(), delivered.notna().to_numpy()
    cents = cents_of(lines["UnitPrice"]) * whole_of(lines["Quantity"])
    net = pd.Series(cents).groupby(lines["OrderID"].to_numpy()).sum()
    edited = seconds_of(o["LastEditedWhen"])
    order = build(
        "sales_order", REST, len(o), np.maximum(edited, seconds_of(delivered)),
        key=keys_of(o["OrderID"]), number=keys_of(o["OrderID"]),
        dealer_key=keys_of(o["CustomerID"]),
        customer_ref=keys_of(o["CustomerPurchaseOrderNumber"]),
        contact_key=keys_of(o["ContactPersonID"]),
        sales_rep_key=keys_of(o["SalespersonPersonID"]),
        ordered_at=instants(seconds_of(o["OrderDate"])),
        ordered_at_exact=False, expected_on=days_of(o["ExpectedDeliveryDate"]), currency="USD",
        net=money(whole_of(o["OrderID"].map(net))),
        status=np.select([there, picked_there], ["delivered", "shipped"], "processing"),
        status_raw=np.select([there, picked_there], ["DELIVERED", "PICKED"], "OPEN"),
        first_shipped_at=instants(seconds_of(picked), picked_there),
        delivered_at=instants(seconds_of(delivered), there), changed_at=instants(edited),
        backorder_of=keys_of(o["OrderID"].map(later)),
    )  # fmt: skip
    packages = source.names("package_types", "PackageTypeID", "PackageTypeName")
    line = build(
        "sales_order_line", REST, len(lines), seconds_of(lines["LastEditedWhen"]),
        order_key=keys_of(lines["OrderID"]), line_no=keys_of(lines["OrderLineID"]),
        product_key=keys_of(lines["StockItemID"]), qty=qty(whole_of(lines["Quantity"])),
        uom=texts_of(lines["PackageTypeID"].map(packages)),
        qty_shipped=qty(whole_of(lines["PickedQuantity"])),
        unit_price=price(cents_of(lines["UnitPrice"]) * 100), per=1, net=money(cents),
        tax_pct=pct(whole_of(lines["TaxRate"]) * 100),
    )  # fmt: skip
    return {"sales_order": order, "sales_order_line": line}
