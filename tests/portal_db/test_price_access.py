"""Who may ask for a price, and what else the choice depends on: grants, groups, units, age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from mappings.pricing import Pricing
from portal_db.pricing import Price
from portal_db.resolver import Ask, Market, freshness, resolve, resolve_for
from tests.portal_db.price_world import ERP, dealer, insert, price, product, worked_cases

DAY = date(2026, 5, 4)
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def admin(module_database: str) -> Iterator[Connection]:
    """The world of the worked cases and more of it, as superuser."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        worked_cases(connection)
        for number, key in enumerate(("gold", "bronze", "K1", "K12", "K5"), start=1):
            connection.execute(
                "INSERT INTO portal.dealer_account (erp, dealer_key, portal_dealer_id) "
                "VALUES (%s, %s, %s)",
                (ERP, key, number),
            )
        yield connection


@pytest.fixture
def portal(admin: Connection, module_database: str) -> Iterator[Connection]:
    """A connection as the portal has it, signed in as gold."""
    del admin
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("SET ROLE waybill_portal_app")
        connection.execute("SET app.dealer = '1'")
        yield connection


def market(key: str, pricing: Pricing | None = None, *, closed: bool = False) -> Market:
    return Market(ERP, ERP, key, ERP, "EUR", DAY, pricing or Pricing(), closed)


def one(found: list[Price]) -> Price:
    (price_,) = found
    return price_


def test_the_portal_gets_the_same_price_as_the_engine(
    portal: Connection, admin: Connection
) -> None:
    asks = [Ask(key, Decimal(12)) for key in ("P1", "P2", "P3", "P4")]
    assert resolve(portal, market("gold"), asks) == resolve_for(admin, market("gold"), asks)
    assert one(resolve(portal, market("gold"), [Ask("P1")])).unit == Fraction("8.80")


def test_without_detail_the_price_is_the_same(admin: Connection) -> None:
    dealers = ("gold", "bronze", "platinum", "platinum_c7", "K1", "K1_c7", "K5", "K6", "K7", "K8",
               "K9", "bronze_c9")  # fmt: skip
    for pricing in (Pricing(), Pricing(policy="first_match"), Pricing(policy="lowest")):
        for key in dealers:
            for qty, uom in ((1, "PCE"), (10, "PCE"), (60, "PCE"), (250, "PCE"), (3, "BOX")):
                asks = [Ask("P1", Decimal(qty), uom), Ask("P4", Decimal(2))]
                whole = resolve_for(admin, market(key, pricing), asks)
                short = resolve_for(admin, market(key, pricing), asks, detail=False)
                assert [(p.status, p.unit, p.won) for p in short] == [
                    (p.status, p.unit, p.won) for p in whole
                ]


def test_no_price_of_a_product_that_the_dealer_may_not_see(portal: Connection) -> None:
    portal.execute("SET app.dealer = '4'")
    denied, unknown = resolve(portal, market("K12"), [Ask("P1"), Ask("NO-SUCH")])
    assert denied == unknown == Price("not_authorised")
    rows = portal.execute(
        "SELECT * FROM portal.resolve_prices(%s, %s, 'K12', %s, '{P1}', '{PCE}', '{1}', 'EUR', "
        "%s, NULL, true, false)",
        (ERP, ERP, ERP, DAY),
    ).fetchall()
    assert rows == []


def test_a_closed_catalogue_shows_what_is_granted(portal: Connection, admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        insert(admin, "catalogue_grant", key="G", dealer_scope="group", dealer_group_kind="tier",
               dealer_key="GOLD", product_scope="product", product_key="P2", effect="allow",
               valid_from=date.min, dealer_erp=ERP)  # fmt: skip
        found = resolve_for(admin, market("gold", closed=True), [Ask("P1"), Ask("P2")])
        assert [p.status for p in found] == ["not_authorised", "priced"]
    found = resolve(portal, market("gold", closed=True), [Ask("P1"), Ask("P2")])
    assert [p.status for p in found] == ["not_authorised"] * 2


def test_another_dealers_prices_are_out_of_reach(portal: Connection) -> None:
    assert resolve(portal, market("K1"), [Ask("P1")]) == [Price("not_authorised")]
    call = (
        "SELECT * FROM portal.resolve_prices('mill', 'mill', 'K1', 'mill', '{P1}', '{PCE}', '{1}', "
        "'EUR', '2026-05-04', NULL, true, false)"
    )
    with pytest.raises(InsufficientPrivilege):
        portal.execute(call)
    portal.execute("RESET app.dealer")
    with pytest.raises(InsufficientPrivilege):
        portal.execute(call.replace("'K1'", "'gold'"))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM portal.price",
        "SELECT portal.dealer_scopes('mill', 'K1', '2026-05-04')",
        "SELECT portal.authorised_products('mill', 'K1', '{}', 'mill', '{P1}', '2026-05-04', true)",
        (
            "SELECT * FROM portal.price_candidates('mill', 'mill', 'K1', 'K1', '{all}', 'mill', "
            "'{P1}', '{PCE}', '{1}', 'EUR', '2026-05-04', NULL, true)"
        ),
    ],
)
def test_the_portal_has_no_other_way_to_a_price(portal: Connection, text: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        portal.execute(text)  # type: ignore[call-overload]


def test_a_quantity_that_is_no_multiple_of_the_step_is_refused(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE portal.product SET order_step = 6 WHERE key = 'P1'")
        six, seven = resolve_for(
            admin, market("gold"), [Ask("P1", Decimal(6)), Ask("P1", Decimal(7))]
        )
    assert (six.status, seven.status) == ("priced", "invalid_quantity")
    assert seven.notes[0].text == "P1 is sold in steps of 6 PCE"


def test_a_unit_that_the_product_does_not_come_in_is_refused(admin: Connection) -> None:
    assert one(resolve_for(admin, market("gold"), [Ask("P2", uom="BOX")])).status == (
        "invalid_quantity"
    )


def test_the_standard_discount_competes_as_a_group_price(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        dealer(admin, "S", {"tier": "BRONZE"}, standard_discount_pct=Decimal(30))
        found = one(resolve_for(admin, market("S"), [Ask("P1")]))
    assert (found.unit, found.level) == (Fraction(7), "group")
    assert found.won is not None
    assert found.won.header_key == "standard_discount"


def test_a_tier_for_the_category_beats_the_general_one(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        insert(admin, "category", key="TOOLS", name="Tools")
        insert(admin, "category", key="DRILLS", name="Drills", parent_key="TOOLS")
        insert(admin, "product_category", product_key="P1", category_key="DRILLS")
        dealer(admin, "T", {"tier": "BRONZE"})
        insert(admin, "dealer_group", dealer_key="T", account_key="T", kind="tier",
               group_key="PLATINUM", category_key="TOOLS", category_slot="TOOLS",
               valid_from=date.min)  # fmt: skip
        found = one(resolve_for(admin, market("T"), [Ask("P1")]))
    assert (found.unit, found.level) == (Fraction(8), "group")


def test_two_tiers_without_a_priority_are_said_and_not_drawn_lots_for(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        dealer(admin, "TT", {"tier": "BRONZE"})
        insert(admin, "dealer_group", dealer_key="TT", account_key="TT", kind="tier",
               group_key="GOLD", category_slot="", valid_from=date.min)  # fmt: skip
        found = one(resolve_for(admin, market("TT"), [Ask("P1")]))
        admin.execute("UPDATE portal.dealer_group SET priority = 1 WHERE dealer_key = 'TT' "
                      "AND group_key = 'BRONZE'")  # fmt: skip
        ranked = one(resolve_for(admin, market("TT"), [Ask("P1")]))
    assert (found.unit, {n.kind for n in found.notes}) == (Fraction("8.80"), {"tie"})
    assert (ranked.unit, ranked.notes) == (Fraction("9.80"), ())


def test_conditions_of_a_category_of_all_products_and_on_top(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        insert(admin, "category", key="TOOLS", name="Tools")
        insert(admin, "product_category", product_key="P4", category_key="TOOLS")
        dealer(admin, "C", {"customer_group": "H"})
        price(admin, "RC", "group", "TOOLS", to="customer_group|H", product_scope="category",
              pct_off_list=Decimal(20))  # fmt: skip
        by_category = one(resolve_for(admin, market("C"), [Ask("P4")]))
        price(admin, "RX", "promo", None, product_scope="all", pct_off_list=Decimal(10),
              combine="cumulate")  # fmt: skip
        on_top = one(resolve_for(admin, market("C"), [Ask("P4")]))
        own = one(resolve_for(admin, market("K8"), [Ask("P4")]))
    assert (by_category.unit, by_category.level) == (Fraction(20), "group")
    assert (on_top.unit, {n.kind for n in on_top.notes}) == (Fraction(18), {"cumulated"})
    assert (own.unit, own.level) == (Fraction(0), "customer")


def test_an_account_price_and_amounts_off_the_list(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        dealer(admin, "B1", account_key="HEAD")
        price(admin, "A", "customer", "P4", "19.00", to="account|HEAD")
        account = one(resolve_for(admin, market("B1"), [Ask("P4")]))
        price(admin, "O", "customer", "P4", to="B1", amount_off_list=Decimal("7.50"))
        own = one(resolve_for(admin, market("B1"), [Ask("P4")], detail=False))
    assert (account.unit, account.level) == (Fraction(19), "customer")
    assert own.unit == Fraction("17.50")
    assert own.list_unit == Fraction(25)


def test_a_percentage_without_a_list_price_prices_nothing(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        product(admin, "P9", "PCE")
        price(admin, "S9", "scale", "P9", pct_off_list=Decimal(10))
        found = one(resolve_for(admin, market("gold"), [Ask("P9")]))
    assert (found.status, {n.kind for n in found.notes}) == ("price_on_request", {"no_list"})


def test_a_deleted_condition_prices_nothing(admin: Connection) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute("UPDATE portal.price SET deleted_at = now() WHERE header_key = 'K1'")
        found = one(resolve_for(admin, market("K1"), [Ask("P1")]))
    assert (found.unit, found.level) == (Fraction("8.80"), "group")


@pytest.mark.parametrize(
    ("hours", "state"), [(1, "fresh"), (30, "late"), (79, "to_confirm"), (None, "never")]
)
def test_old_prices_say_so(admin: Connection, hours: int | None, state: str) -> None:
    with admin.transaction(force_rollback=True):
        if hours is not None:
            admin.execute(
                "INSERT INTO sync.cursor (erp, feed, confirmed_at) "
                "VALUES (%s, 'prices', now() - make_interval(hours => %s))",
                (ERP, hours),
            )
        assert freshness(admin, ERP).state == state
