"""Wide World Importers' customers with groups, addresses, contacts and credit: `wwi_soap`."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from sandbox.generator.columns import build, instants, money, pct, some
from sandbox.wwi.source import (
    SOAP,
    Source,
    cents_of,
    days_of,
    keys_of,
    seconds_of,
    texts_of,
    whole_of,
)


def make_customers(source: Source) -> dict[str, pa.Table]:
    """dealer, dealer_group, dealer_address, dealer_contact and credit."""
    c = source["customers"]
    n = len(c)
    modified = seconds_of(c["ValidFrom"])
    key, account = keys_of(c["CustomerID"]), keys_of(c["BillToCustomerID"])
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
        "dealer", SOAP, n, modified, key=key, name=texts_of(c["CustomerName"]), status="active",
        parent_key=some(account.to_numpy(zero_copy_only=False), branch), account_key=account,
        region=texts_of(c["DeliveryCityID"].map(city["StateProvinceCode"])), country="US",
        currency="USD", payment_days=whole_of(c["PaymentDays"]),
        standard_discount_pct=pct(whole_of(c["StandardDiscountPercentage"]) * 100),
        delivery_method=texts_of(c["DeliveryMethodID"].map(method)),
        opened_on=days_of(c["AccountOpenedDate"]), attributes=extra,
    )  # fmt: skip
    addresses = [
        build(
            "dealer_address", SOAP, n, modified, dealer_key=key, key=f"{where[0]}", kind=kind,
            line1=texts_of(c[f"{where}AddressLine1"]), line2=texts_of(c[f"{where}AddressLine2"]),
            postcode=keys_of(c[f"{where}PostalCode"]),
            city=texts_of(c[f"{where}CityID"].map(city["CityName"])),
            region=texts_of(c[f"{where}CityID"].map(city["StateProvinceCode"])), country="US",
            phone=texts_of(c["PhoneNumber"]), is_default=True,
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


def _group(source: Source, kind: str, column: str, table: str, name: str) -> pa.Table:
    c = source["customers"].dropna(subset=[column])
    return build(
        "dealer_group", SOAP, len(c), seconds_of(c["ValidFrom"]),
        dealer_key=keys_of(c["CustomerID"]), kind=kind, group_key=keys_of(c[column]),
        group_name=texts_of(c[column].map(source.names(table, column, name))),
    )  # fmt: skip


def _contacts(source: Source) -> pa.Table:
    """The primary and, where there is one, the alternate contact of each customer."""
    c = source["customers"]
    people = source["people"].set_index("PersonID")
    parts = []
    for column, primary in (("PrimaryContactPersonID", True), ("AlternateContactPersonID", False)):
        own = c.dropna(subset=[column])
        person = {name: texts_of(own[column].map(people[name])) for name in people.columns}
        parts.append(
            build(
                "dealer_contact", SOAP, len(own), seconds_of(own["ValidFrom"]),
                dealer_key=keys_of(own["CustomerID"]), key=keys_of(own[column]),
                name=person["FullName"], email=person["EmailAddress"],
                phone=person["PhoneNumber"], is_primary=primary,
            )
        )  # fmt: skip
    return pa.concat_tables(parts)


def _credit(source: Source) -> pa.Table:
    """One row for each customer that pays; a limit that is absent stays unknown."""
    c, ledger = source["customers"], source["customer_transactions"]
    paying = c[c["CustomerID"].isin(c["BillToCustomerID"])]
    cents = pd.Series(cents_of(ledger["OutstandingBalance"]))
    balance = cents.groupby(ledger["CustomerID"].to_numpy()).sum()
    n = len(paying)
    at = np.full(n, seconds_of(ledger["LastEditedWhen"]).max())
    return build(
        "credit", SOAP, n, at, account_key=keys_of(paying["CustomerID"]), currency="USD",
        limit_amount=money(
            cents_of(paying["CreditLimit"]), paying["CreditLimit"].notna().to_numpy()
        ),
        unlimited=False,
        open_balance=money(whole_of(paying["CustomerID"].map(balance).fillna(0))),
        on_hold=paying["IsOnCreditHold"].to_numpy(), calculated_at=instants(at),
    )  # fmt: skip
