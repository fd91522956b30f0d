"""The twenty worked cases of price resolution, each by its number, through the real statement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest

from mappings.pricing import Pricing
from portal_db.pricing import Price
from portal_db.resolver import Ask, Market, pricing_day, resolve_for
from tests.portal_db.price_world import ERP, worked_cases

MAY_4 = date(2026, 5, 4)
FIRST = Pricing(policy="first_match")
LOWEST = Pricing(policy="lowest")


@pytest.fixture(scope="module")
def db(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    """The world of the cases, as role sync."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        worked_cases(connection)
        connection.execute("SET ROLE waybill_sync")
        yield connection


class Shop:
    """Asks as one dealer on one day."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db

    def cart(
        self,
        dealer: str,
        *lines: tuple[str, str, str | None],
        day: date = MAY_4,
        currency: str = "EUR",
        pricing: Pricing | None = None,
    ) -> list[Price]:
        market = Market(ERP, ERP, dealer, ERP, currency, day, pricing or Pricing())
        asks = [Ask(product, Decimal(qty), uom) for product, qty, uom in lines]
        return resolve_for(self._db, market, asks)

    def one(
        self, dealer: str, qty: str = "1", product: str = "P1", uom: str | None = None, **more: Any
    ) -> Price:
        return self.cart(dealer, (product, qty, uom), **more)[0]


@pytest.fixture
def shop(db: psycopg.Connection[Any]) -> Shop:
    """Who asks."""
    return Shop(db)


def says(price: Price) -> tuple[str, str, str | None]:
    """Unit, line and level, as the cases are written."""
    assert price.unit is not None
    unit = Decimal(price.unit.numerator) / Decimal(price.unit.denominator)
    assert Fraction(unit) == price.unit
    return f"{unit.normalize():f}", f"{price.line_net:f}", price.level


def kinds(price: Price) -> set[str]:
    return {note.kind for note in price.notes}


def test_case_1_group_beats_list(shop: Shop) -> None:
    assert says(shop.one("bronze")) == ("9.8", "9.80", "group")


def test_case_2_a_break_begins_at_its_quantity_and_not_before(shop: Shop) -> None:
    assert says(shop.one("bronze", "9")) == ("9.8", "88.20", "group")
    assert says(shop.one("bronze", "10")) == ("9.5", "95.00", "scale")
    assert says(shop.one("bronze", "49.999")) == ("9.5", "474.99", "scale")


def test_case_3_buying_more_never_costs_platinum_more(shop: Shop) -> None:
    assert says(shop.one("platinum_c7", "100")) == ("8", "800.00", "group")
    assert says(shop.one("platinum_c7", "100", pricing=FIRST)) == ("8.5", "850.00", "scale")


def test_case_4_the_contract_is_exclusive(shop: Shop) -> None:
    assert says(shop.one("platinum_c7", "200")) == ("7.9", "1580.00", "contract")


def test_case_5_an_own_price_dearer_than_the_contract_holds_and_says_so(shop: Shop) -> None:
    price = shop.one("K1_c7", "200")
    assert says(price) == ("8.45", "1690.00", "customer")
    assert [note.text for note in price.notes if note.kind == "cheaper"] == ["contract 7.90"]
    assert says(shop.one("K1_c7", "200", pricing=LOWEST)) == ("7.9", "1580.00", "contract")


def test_case_6_the_day_is_the_companys(shop: Shop) -> None:
    before = pricing_day(datetime(2026, 12, 31, 22, 30, tzinfo=UTC), "Europe/Berlin")
    after = pricing_day(datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/Berlin")
    assert says(shop.one("K1", day=before)) == ("8.45", "8.45", "customer")
    assert says(shop.one("K1", day=after)) == ("8.8", "8.80", "group")


def test_case_7_the_last_day_of_a_promotion_counts_and_it_never_raises_a_price(shop: Shop) -> None:
    assert says(shop.one("bronze", "5", day=date(2026, 3, 31))) == ("8.99", "44.95", "promo")
    assert says(shop.one("bronze", "5", day=date(2026, 4, 1))) == ("9.8", "49.00", "group")
    on = date(2026, 3, 20)
    assert says(shop.one("platinum", "5", day=on)) == ("8", "40.00", "group")
    assert says(shop.one("platinum", "5", day=on, pricing=FIRST)) == ("8.99", "44.95", "promo")


def test_case_8_no_price_leaks_into_another_currency(shop: Shop) -> None:
    assert says(shop.one("gold", "10", currency="USD")) == ("10.64", "106.40", "scale")
    nothing = shop.one("gold", "10", currency="GBP")
    assert (nothing.status, nothing.unit, nothing.line_net) == ("price_on_request", None, None)


def test_case_9_a_box_is_its_pieces(shop: Shop) -> None:
    assert says(shop.one("bronze", "2", uom="BOX")) == ("95", "190.00", "scale")
    assert says(shop.one("K1", "1", uom="BOX")) == ("84.5", "84.50", "customer")


def test_case_10_a_price_for_the_pack_is_for_the_pack(shop: Shop) -> None:
    assert says(shop.one("K5", "1", uom="BOX")) == ("79", "79.00", "customer")
    pieces = shop.one("K5", "10")
    assert says(pieces) == ("9.5", "95.00", "scale")
    assert [note.text for note in pieces.notes if note.kind == "pack"] == ["79.0000 per BOX"]
    converted = shop.one("K5", "10", pricing=Pricing(uom_rule="convert_all"))
    assert says(converted) == ("7.9", "79.00", "customer")


def test_case_11_the_exact_value_is_rounded_once(shop: Shop) -> None:
    assert says(shop.one("bronze", "250", product="P2")) == ("0.03266", "8.17", "list")
    even = Pricing(rounding="half_even")
    assert says(shop.one("bronze", "250", product="P2", pricing=even))[1] == "8.16"
    unit_first = Pricing(unit_round_places=2)
    assert says(shop.one("bronze", "250", product="P2", pricing=unit_first))[1] == "7.50"


def test_case_12_a_price_increase_wins_over_the_older_record(shop: Shop) -> None:
    price = shop.one("K6", day=date(2026, 6, 15))
    assert says(price)[::2] == ("8.9", "customer")
    assert "overlap" in kinds(price)
    lowest = shop.one("K6", day=date(2026, 6, 15), pricing=LOWEST)
    assert says(lowest)[::2] == ("8.8", "group")


def test_case_13_breaks_of_two_headers_never_mix(shop: Shop) -> None:
    price = shop.one("K7", "50", day=date(2026, 9, 10))
    assert says(price) == ("8.7", "435.00", "customer")
    assert "overlap" in kinds(price)


def test_case_14_splitting_a_line_neither_loses_nor_gains(shop: Shop) -> None:
    six, four = shop.cart("bronze", ("P1", "6", None), ("P1", "4", None))
    assert [says(six), says(four)] == [("9.5", "57.00", "scale"), ("9.5", "38.00", "scale")]
    alone = shop.cart("bronze", ("P1", "6", None), ("P1", "4", None),
                      pricing=Pricing(scale_quantity="line"))  # fmt: skip
    assert [price.level for price in alone] == ["group", "group"]


def test_case_15_zero_is_a_price_and_null_is_not(shop: Shop) -> None:
    assert says(shop.one("K8", "3", product="P4")) == ("0", "0.00", "customer")
    assert says(shop.one("K9", "3", product="P4")) == ("25", "75.00", "list")


def test_case_16_the_unit_stays_exact(shop: Shop) -> None:
    assert says(shop.one("bronze", "7", product="P3")) == ("8.4915", "59.44", "scale")
    unit_first = Pricing(unit_round_places=2)
    assert says(shop.one("bronze", "7", product="P3", pricing=unit_first))[1] == "59.43"


def test_case_17_a_factor_need_not_be_whole(shop: Shop) -> None:
    price = shop.one("bronze", "3", product="P5", uom="ROL")
    assert says(price) == ("52.125", "156.38", "list")


def test_case_18_a_contract_past_its_quota_is_explained(shop: Shop) -> None:
    assert says(shop.one("bronze_c9", "40")) == ("7.7", "308.00", "contract")
    past = shop.one("bronze_c9", "41")
    assert says(past) == ("9.5", "389.50", "scale")
    assert [n.text for n in past.notes if n.kind == "quota"] == ["contract C9 has 40.000000 left"]


def test_case_19_a_quote_has_its_quantity_and_its_last_day(shop: Shop) -> None:
    last = date(2026, 5, 31)
    assert says(shop.one("K1", "30", day=last)) == ("7.15", "214.50", "quote")
    assert says(shop.one("K1", "29", day=last)) == ("8.45", "245.05", "customer")
    assert says(shop.one("K1", "30", day=date(2026, 6, 1))) == ("8.45", "253.50", "customer")


def test_case_20_no_price_oracle(shop: Shop) -> None:
    unknown, denied = shop.cart("K12", ("NO-SUCH", "1", None), ("P1", "1", None))
    assert denied == unknown == Price("not_authorised")
