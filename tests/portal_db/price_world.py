"""The products, dealers and conditions of the worked cases, as rows of a real database.

Owner of everything is the ERP `mill`. Helper of tests; must not judge anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

ERP = "mill"
STAMP = {"batch_id": 7, "record_no": 1, "row_hash": 1, "as_of": "2026-05-01T00:00:00Z"}


def insert(connection: psycopg.Connection[Any], table: str, **values: object) -> None:
    """One synced row of mill."""
    row = {"erp": ERP, **STAMP, **values}
    connection.execute(
        sql.SQL("INSERT INTO portal.{} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join([sql.Placeholder()] * len(row)),
        ),
        list(row.values()),
    )


def dealer(
    connection: psycopg.Connection[Any],
    key: str,
    groups: Mapping[str, str] | None = None,
    **more: object,
) -> None:
    """A dealer that pays for itself. `groups`: kind → key."""
    values = {"name": key, "status": "active", "account_key": key, "currency": "EUR", **more}
    insert(connection, "dealer", key=key, **values)
    for kind, group in (groups or {}).items():
        insert(
            connection, "dealer_group", dealer_key=key, account_key=key, kind=kind,
            group_key=group, category_slot="", valid_from=date.min,
        )  # fmt: skip


def product(
    connection: psycopg.Connection[Any], key: str, base: str, **units: tuple[int, int]
) -> None:
    """A product with its units beside the base one: unit → numerator, denominator."""
    insert(connection, "product", key=key, name=key, status="active", base_uom=base)
    for uom, (numerator, denominator) in units.items():
        insert(
            connection, "product_uom", product_key=key, uom=uom, numerator=numerator,
            denominator=denominator,
        )  # fmt: skip


def price(
    connection: psycopg.Connection[Any],
    header_key: str,
    level: str,
    product_key: str | None,
    amount: str | None = None,
    **more: object,
) -> None:
    """One break. `to`: group as kind|key, account|key, a dealer's key; nothing: all."""
    to = str(more.pop("to", "all"))
    kind, _, group = to.partition("|")
    scope = {"account": "account", "all": "all"}.get(kind, "group" if group else "dealer")
    values: dict[str, object] = {
        "product_scope": "product",
        "product_key": product_key,
        "dealer_scope": scope,
        "dealer_group_kind": kind if scope == "group" else None,
        "dealer_key": None if scope == "all" else group or kind,
        "currency": "EUR",
        "uom": None if amount is None else "PCE",
        "per": 1,
        "min_qty": Decimal(1),
        "unit_price": None if amount is None else Decimal(amount),
        "valid_from": date.min,
        "dealer_erp": ERP,
        "product_erp": ERP,
    }
    insert(connection, "price", header_key=header_key, level=level, **{**values, **more})


def worked_cases(connection: psycopg.Connection[Any]) -> None:
    """Everything that the twenty cases speak of."""
    connection.execute("SELECT portal.ensure_price_partition(%s)", (ERP,))
    _products_and_dealers(connection)
    p = connection
    price(p, "L1", "list", "P1", "10.00")
    price(p, "L1U", "list", "P1", "11.20", currency="USD")
    for currency in ("EUR", "USD"):
        for qty, percent in (("10", "5"), ("50", "10"), ("100", "15")):
            price(p, f"S{currency}", "scale", "P1", currency=currency, min_qty=Decimal(qty),
                  pct_off_list=Decimal(percent))  # fmt: skip
    for tier, amount in (("PLATINUM", "8.00"), ("GOLD", "8.80"), ("BRONZE", "9.80")):
        price(p, f"G{tier}", "group", "P1", amount, to=f"tier|{tier}")
    price(p, "K1", "customer", "P1", "8.45", to="K1", valid_from=date(2026, 3, 1),
          valid_to=date(2027, 1, 1))  # fmt: skip
    price(p, "C7", "contract", "P1", "7.90", to="contract|C7", min_qty=Decimal(200))
    price(p, "C7", "contract", "P1", "7.40", to="contract|C7", min_qty=Decimal(500))
    price(p, "C9", "contract", "P1", "7.70", to="contract|C9", quota_left=Decimal(40), ref="C9")
    price(p, "PR", "promo", "P1", "8.99", valid_from=date(2026, 3, 15), valid_to=date(2026, 4, 1))
    price(p, "K5", "customer", "P1", "79.00", to="K5", uom="BOX")
    price(p, "K6old", "customer", "P1", "8.60", to="K6", valid_from=date(2026, 1, 1))
    price(p, "K6new", "customer", "P1", "8.90", to="K6", valid_from=date(2026, 6, 1))
    price(p, "K7A", "customer", "P1", "9.00", to="K7", valid_from=date(2026, 1, 1))
    price(p, "K7A", "customer", "P1", "8.00", to="K7", valid_from=date(2026, 1, 1),
          min_qty=Decimal(50))  # fmt: skip
    price(p, "K7B", "customer", "P1", "8.70", to="K7", valid_from=date(2026, 9, 1))
    price(p, "Q55", "quote", "P1", "7.15", to="K1", min_qty=Decimal(30),
          valid_from=date(2026, 5, 1), valid_to=date(2026, 6, 1))  # fmt: skip
    price(p, "L2", "list", "P2", "3.266", per=100)
    price(p, "L3", "list", "P3", "9.99")
    price(p, "S3", "scale", "P3", pct_off_list=Decimal(15))
    price(p, "L4", "list", "P4", "25.00")
    price(p, "K8", "customer", "P4", "0.00", to="K8", allow_zero=True)
    price(p, "K9", "customer", "P4", to="K9")
    price(p, "L5", "list", "P5", "4.17", uom="KG")


def _products_and_dealers(connection: psycopg.Connection[Any]) -> None:
    product(connection, "P1", "PCE", BOX=(10, 1))
    for key in ("P2", "P3", "P4"):
        product(connection, key, "PCE")
    product(connection, "P5", "KG", ROL=(25, 2))
    tiers = {
        "platinum": "PLATINUM", "gold": "GOLD", "bronze": "BRONZE", "K1": "GOLD", "K5": "BRONZE",
        "K6": "GOLD", "K7": "GOLD", "K8": "BRONZE", "K9": "BRONZE", "K12": "GOLD",
    }  # fmt: skip
    for key, tier in tiers.items():
        dealer(connection, key, {"tier": tier})
    dealer(connection, "platinum_c7", {"tier": "PLATINUM", "contract": "C7"})
    dealer(connection, "K1_c7", {"tier": "GOLD", "contract": "C7"})
    price_of_own = {"to": "K1_c7", "valid_from": date(2026, 3, 1)}
    price(connection, "K1c", "customer", "P1", "8.45", **price_of_own)
    dealer(connection, "bronze_c9", {"tier": "BRONZE", "contract": "C9"})
    insert(
        connection, "catalogue_grant", key="X", dealer_scope="dealer", dealer_key="K12",
        product_scope="product", product_key="P1", effect="deny", valid_from=date.min,
        dealer_erp=ERP,
    )  # fmt: skip
