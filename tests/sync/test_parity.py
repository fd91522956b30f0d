"""Parity: what was invoiced against what the conditions give, each class of reason by a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from mappings.errors import Misconfigured
from mappings.pricing import Pricing
from mappings.settings import Settings
from portal_db.resolver import Ask, Market, resolve_for
from sync.context import Context
from sync.parity import parity, side_of, supplying
from sync.parity_reasons import CLASSES
from tests.portal_db.price_world import ERP, dealer, insert, price, worked_cases
from tests.sync import far_side
from waybill.cli import cli

DAY = date(2026, 5, 4)


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection[Any]]:
    """The conditions of the worked cases, as superuser."""
    with psycopg.connect(database, autocommit=True) as connection:
        worked_cases(connection)
        yield connection


@pytest.fixture
def ctx(admin: psycopg.Connection[Any], settings: Settings) -> Iterator[Context]:
    """An engine that knows mill's mapping."""
    del admin
    feeds = {
        "prices": far_side.csv_feed("prices", []),
        "invoices": far_side.csv_feed("invoices", ["invoice_line"]),
    }
    mapped = far_side.mapping(ERP, feeds, time_zone="Europe/Berlin")
    far_side.write_mapping(settings.mappings[0], mapped)
    with Context.open(settings) as context:
        yield context


def invoice(
    admin: psycopg.Connection[Any],
    number: str,
    buyer: str,
    qty: str,
    unit: str,
    net: str,
    **more: Any,
) -> None:
    """An invoice of one line, of P1 on the fourth of May unless said."""
    day = more.pop("day", DAY)
    insert(
        admin, "invoice", key=number, number=number, kind="invoice", account_key=buyer,
        dealer_key=more.pop("dealer_key", buyer), dealer_erp=ERP, issued_on=day, due_on=day,
        currency=more.pop("currency", "EUR"), gross=Decimal(net), open_amount=Decimal(0),
    )  # fmt: skip
    line = {"product_key": "P1", "uom": "PCE", "per": 1, "kind": "item", **more}
    insert(
        admin, "invoice_line", invoice_key=number, line_no="1", account_key=buyer,
        dealer_key=buyer, dealer_erp=ERP, product_erp=ERP, qty=Decimal(qty),
        unit_price=Decimal(unit), net=Decimal(net), **line,
    )  # fmt: skip


def test_lines_at_the_right_price_are_explained(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    invoice(admin, "1", "bronze", "10", "9.50", "95.00")
    invoice(admin, "2", "K1", "29", "8.45", "245.05")
    invoice(admin, "3", "bronze", "250", "3.266", "8.17", product_key="P2", per=100)
    invoice(admin, "4", "gold", "-2", "8.80", "-17.60")
    invoice(admin, "5", "gold", "10", "11.00", "88.00", discount_pct=Decimal(20))
    invoice(admin, "6", "bronze", "5", "8.99", "44.95", day=date(2026, 5, 20),
            priced_on=date(2026, 3, 31))  # fmt: skip
    insert(admin, "invoice_line", invoice_key="6", line_no="2", account_key="bronze",
           dealer_key="bronze", dealer_erp=ERP, product_erp=ERP, kind="freight", net=5)  # fmt: skip
    found = parity(ctx, ERP, every_line=True)
    assert (found.lines, found.explained, found.unexplained, found.share) == (6, 6, 0, Decimal(100))
    assert [(i["level"], i["header_key"]) for i in found.items] == [
        ("scale", "SEUR"), ("customer", "K1"), ("list", "L2"), ("group", "GGOLD"),
        ("group", "GGOLD"), ("promo", "PR"),
    ]  # fmt: skip


def test_every_unexplained_line_has_its_class(ctx: Context, admin: psycopg.Connection[Any]) -> None:
    price(admin, "GONE", "customer", "P1", "6.66", to="bronze", deleted_at="2026-06-01T00:00:00Z")
    price(admin, "L3C", "contract", "P3", to="gold", pct_off_list=Decimal(10))
    price(admin, "THIRD", "customer", "P4", "10.00", to="K6", per=3)
    expected = {
        "not_known": ("nobody", "1", "9.80", "9.80", {}),
        "no_conversion": ("bronze", "1", "9.80", "9.80", {"uom": "PAL"}),
        "net_differs": ("bronze", "1", "9.80", "9.90", {}),
        "unit_rounded": ("K6", "6", "3.33", "19.98", {"product_key": "P4"}),
        "rounding": ("gold", "3", "8.805", "26.41", {}),
        "policy": ("platinum_c7", "100", "8.50", "850.00", {}),
        "pack_converted": ("K5", "10", "7.90", "79.00", {}),
        "other_condition": ("platinum_c7", "3", "7.40", "22.20", {}),
        "percent_charged": ("gold", "1", "0.999", "1.00", {"product_key": "P3"}),
        "other_day": ("bronze", "1", "8.99", "8.99", {}),
        "since_deleted": ("bronze", "1", "6.66", "6.66", {}),
        "no_price": ("gold", "1", "5.00", "5.00", {"currency": "GBP"}),
        "dearer": ("bronze", "1", "12.34", "12.34", {}),
        "cheaper": ("bronze", "1", "1.23", "1.23", {}),
    }
    assert set(expected) == set(CLASSES)
    for number, (buyer, qty, unit, net, more) in expected.items():
        invoice(admin, number, buyer, qty, unit, net, **more)
    found = parity(ctx, ERP)
    assert {i["invoice_key"]: i["reason"] for i in found.items} == {one: one for one in expected}
    assert (found.explained, found.unexplained) == (0, len(expected))


def test_lines_priced_by_the_day_of_the_order_in_the_companys_zone(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    insert(admin, "sales_order", key="O", number="O", dealer_key="bronze", account_key="bronze",
           dealer_erp=ERP, currency="EUR", status="shipped",
           ordered_at="2026-03-31T21:30:00Z")  # fmt: skip
    invoice(admin, "1", "bronze", "5", "8.99", "44.95", order_key="O")
    assert parity(ctx, ERP).unexplained == 0  # 23:30 of the promotion's last day
    admin.execute("UPDATE portal.sales_order SET ordered_at = '2026-03-31T22:30:00Z'")
    assert parity(ctx, ERP).reasons == {"other_day": 1}


def test_runs_are_kept_and_every_line_of_the_newest(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    invoice(admin, "1", "bronze", "10", "9.50", "95.00")
    invoice(admin, "2", "bronze", "1", "1.23", "1.23")
    first, second = parity(ctx, ERP), parity(ctx, ERP)
    kept = admin.execute(
        "SELECT parity_id, invoice_key, reason, header_key FROM sync.parity_item ORDER BY 1, 2"
    ).fetchall()
    assert kept == [
        (first.id, "2", "cheaper", "GBRONZE"),
        (second.id, "1", None, "SEUR"),
        (second.id, "2", "cheaper", "GBRONZE"),
    ]
    runs = admin.execute("SELECT lines, explained, unexplained FROM sync.parity").fetchall()
    assert runs == [(2, 1, 1), (2, 1, 1)]


def test_the_same_rules_as_the_portals_resolver(
    ctx: Context, admin: psycopg.Connection[Any]
) -> None:
    """Every worked dealer, several quantities: the set-based way gives the resolver's price."""
    dealer(admin, "S", {"tier": "BRONZE", "buying_group": "EK"}, standard_discount_pct=Decimal(3))
    price(admin, "X", "promo", None, to="buying_group|EK", product_scope="all",
          pct_off_list=Decimal(7))  # fmt: skip
    market = Market(ERP, ERP, "", ERP, "EUR", DAY, Pricing())
    expected: dict[str, tuple[object, ...]] = {}
    for buyer in ("gold", "bronze", "platinum_c7", "K1", "K1_c7", "K5", "K6", "K7", "K8", "K9", "S",
                  "bronze_c9"):  # fmt: skip
        for sku in ("P1", "P2", "P4"):
            for qty in ("1", "40", "200"):
                number = f"{buyer}-{sku}-{qty}"
                invoice(admin, number, buyer, qty, "1.00", "1.00", product_key=sku)
                (told,) = resolve_for(
                    admin, replace(market, dealer_key=buyer), [Ask(sku, Decimal(qty), "PCE")]
                )
                won = told.won.header_key if told.won else None
                expected[number] = (told.line_net, told.level, won)
    found = parity(ctx, ERP, every_line=True)
    assert {
        i["invoice_key"]: (i["resolved_net"], i["level"], i["header_key"]) for i in found.items
    } == expected


def test_whose_prices_is_never_guessed(ctx: Context) -> None:
    assert supplying(ctx) == [ERP]
    assert side_of(ctx, ERP).price_erp == ERP
    with pytest.raises(Misconfigured, match="there is no ERP"):
        side_of(ctx, "nowhere")
    ctx.mappings.mappings[ERP] = ctx.erp(ERP).model_copy(
        update={"feeds": {"invoices": ctx.feed(ERP, "invoices")}}
    )
    with pytest.raises(Misconfigured, match="no ERP does map prices"):
        side_of(ctx, ERP)


def test_the_command_writes_what_it_found(
    ctx: Context, admin: psycopg.Connection[Any], tmp_path: Path
) -> None:
    invoice(admin, "1", "bronze", "10", "9.50", "95.00")
    invoice(admin, "2", "platinum_c7", "100", "8.50", "850.00")
    file = tmp_path / "parity.json"
    flags = ["--home", str(ctx.settings.home), "--mappings", str(ctx.settings.mappings[0])]
    environment = {"WAYBILL_DATABASE_URL": ctx.settings.database_url}
    done = CliRunner().invoke(
        cli, [*flags, "parity", ERP, "--json", str(file)], env=environment, catch_exceptions=False
    )
    assert done.exit_code == 0
    found = json.loads(file.read_text())
    assert (found["lines"], found["explained"], found["unexplained"]) == (2, 1, 1)
    assert found["items"] == [
        {
            "invoice": "2", "line": "1", "dealer": "platinum_c7", "product": "P1",
            "qty": "100.000000", "uom": "PCE", "day": "2026-05-04", "currency": "EUR",
            "invoiced": "8.5", "invoiced_net": "850.0000", "resolved": "8",
            "resolved_net": "800.00", "level": "group", "record": "GPLATINUM", "reason": "policy",
            "says": "policy first_match gives it (scale)",
        }
    ]  # fmt: skip
