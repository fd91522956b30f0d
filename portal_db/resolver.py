"""What a product costs a dealer: candidates from the database, the choice by `portal_db.pricing`.

`resolve` is for the dealers' front: as role portal_app, for the signed-in dealer, seeing what that
dealer may see and no more. `resolve_for` is for the engine, which may ask for any dealer. Must not
know a mapping file, and must not write.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, Literal, LiteralString
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from mappings.pricing import Pricing
from portal_db.pricing import Candidate, Item, Membership, Note, Price, Product, choose

Connection = psycopg.Connection[Any]
_SIX = Decimal("0.000001")
_CANDIDATES: LiteralString = ", ".join(Candidate.__dataclass_fields__)  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Ask:
    """One line of a page or cart. `uom` None: the unit in which the product is sold."""

    product_key: str
    qty: Decimal = Decimal(1)
    uom: str | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """Whose conditions, for whom, in what, when.

    `day` is a day of the ERP company's time zone (`pricing_day`). `closed`: the mapping's word
    `catalogue` of the ERP that owns the products.
    """

    price_erp: str
    dealer_erp: str
    dealer_key: str
    product_erp: str
    currency: str
    day: date
    pricing: Pricing
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far an ERP's prices can be relied on: past thrice its promise an order at these prices
    is taken "to be confirmed" only.
    """

    state: Literal["fresh", "late", "to_confirm", "never"]
    confirmed_at: datetime | None
    age: timedelta | None


@dataclass(frozen=True, slots=True)
class _Dealer:
    account_key: str
    standard_discount_pct: Decimal | None
    memberships: tuple[Membership, ...]

    @property
    def scopes(self) -> list[str]:
        return ["all", *sorted({one.scope for one in self.memberships})]


def pricing_day(at: datetime, time_zone: str) -> date:
    """The day whose prices hold at an instant: the ERP company's, not the dealer's or UTC's."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def resolve(
    connection: Connection, market: Market, asks: Sequence[Ask], *, detail: bool = True
) -> list[Price]:
    """The price of each line, in order, for a dealer of the portal dealer in `app.dealer`.

    Without `detail` an own price ends the search: the same price, sooner, but without its list
    price and without notes on what else there was. For long lists.

    Status `not_authorised` for what the dealer may not see, whether it exists or not, and for
    everything where the dealer is somebody else's.
    """
    return _resolve(connection, market, asks, detail=detail, portal=True)


def resolve_for(
    connection: Connection, market: Market, asks: Sequence[Ask], *, detail: bool = True
) -> list[Price]:
    """The same for any dealer, as role sync."""
    return _resolve(connection, market, asks, detail=detail, portal=False)


def freshness(connection: Connection, price_erp: str) -> Freshness:
    """How old an ERP's prices are, against the promise of the feed."""
    row = connection.execute(
        "SELECT min(confirmed_at), max(age), max(promise) FROM portal.feed_status "
        "WHERE erp = %s AND feed = 'prices'",
        (price_erp,),
    ).fetchone()
    if row is None or row[0] is None:
        return Freshness("never", None, None)
    confirmed_at, age, promise = row
    if age > 3 * promise:
        return Freshness("to_confirm", confirmed_at, age)
    return Freshness("late" if age > promise else "fresh", confirmed_at, age)


def standard_discount(percent: Decimal | None) -> list[Candidate]:
    """A dealer's discount off list on everything, as the group condition it competes as."""
    if not percent:
        return []
    return [
        Candidate(
            product_key=None,
            level="group",
            header_key="standard_discount",
            min_qty=Decimal(0),
            uom=None,
            per=1,
            unit_price=None,
            pct_off_list=percent,
            amount_off_list=None,
            valid_from=date.min,
            product_scope="all",
            scope="dealer",
        )
    ]


def _resolve(
    connection: Connection, market: Market, asks: Sequence[Ask], *, detail: bool, portal: bool
) -> list[Price]:
    products = _products(connection, market, {ask.product_key for ask in asks})
    known = [ask for ask in asks if ask.product_key in products]
    dealer = _dealer(connection, market)
    if dealer is None or not known:
        return [Price("not_authorised") for _ in asks]
    items = {id(ask): _item(market, products[ask.product_key], ask) for ask in known}
    scales = _scales(market.pricing, items.values())
    found, authorised = _candidates(
        connection, market, dealer, list(items.values()), scales, detail=detail, portal=portal
    )
    _place(connection, market, products, found, dealer)
    by_product: dict[str, list[Candidate]] = defaultdict(list)
    shared = [one for one in found if one.product_scope != "product"]
    shared += standard_discount(dealer.standard_discount_pct)
    for one in found:
        if one.product_scope == "product" and one.product_key is not None:
            by_product[one.product_key].append(one)
    answers: list[Price] = []
    for ask in asks:
        product = products.get(ask.product_key)
        if product is None or ask.product_key not in authorised:
            answers.append(Price("not_authorised"))
            continue
        item = items[id(ask)]
        step = product.step_fault(item)
        if step:
            answers.append(Price("invalid_quantity", notes=(Note("unit", step),)))
            continue
        scaled = Item(
            product.priced, item.qty, item.uom, item.currency, scales.get(ask.product_key)
        )
        mine = [*by_product[ask.product_key], *shared]
        answers.append(choose(scaled, mine, market.pricing, dealer.memberships))
    return answers


@dataclass(slots=True)
class _Sold:
    """A product with what ordering it needs beside its price."""

    priced: Product
    sales_uom: str
    step: Decimal | None

    def step_fault(self, item: Item) -> str | None:
        """What is wrong with a quantity, in words; None where it may be ordered."""
        factor = self.priced.factor(item.uom)
        sales = self.priced.factor(self.sales_uom)
        if self.step is None or factor is None or sales is None:
            return None
        steps = Fraction(item.qty) * factor / sales / Fraction(self.step)
        if steps.denominator == 1:
            return None
        return f"{self.priced.key} is sold in steps of {self.step.normalize():f} {self.sales_uom}"


def _item(market: Market, product: _Sold, ask: Ask) -> Item:
    return Item(product.priced, ask.qty, ask.uom or product.sales_uom, market.currency)


def _scales(pricing: Pricing, items: Iterable[Item]) -> dict[str, Fraction]:
    """Product → what its breaks are reached by, in base units; empty where each line is alone."""
    if pricing.scale_quantity == "line":
        return {}
    total: dict[str, Fraction] = defaultdict(Fraction)
    for item in items:
        factor = item.product.factor(item.uom)
        if factor is not None and item.qty > 0:
            total[item.product.key] += Fraction(item.qty) * factor
    return dict(total)


def _products(connection: Connection, market: Market, keys: set[str]) -> dict[str, _Sold]:
    rows = connection.execute(
        "SELECT key, base_uom, coalesce(sales_uom, base_uom), order_step FROM portal.product "
        "WHERE erp = %s AND key = ANY(%s) AND deleted_at IS NULL",
        (market.product_erp, sorted(keys)),
    ).fetchall()
    factors: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for key, uom, numerator, denominator in connection.execute(
        "SELECT product_key, uom, numerator, denominator FROM portal.product_uom "
        "WHERE erp = %s AND product_key = ANY(%s) AND deleted_at IS NULL",
        (market.product_erp, sorted(keys)),
    ).fetchall():
        factors[key][uom] = Fraction(numerator, denominator)
    return {
        key: _Sold(Product(key, base, factors[key]), sales, step) for key, base, sales, step in rows
    }


def _dealer(connection: Connection, market: Market) -> _Dealer | None:
    """The dealer as its conditions see it; None where this connection may not see it."""
    row = connection.execute(
        "SELECT account_key, standard_discount_pct FROM portal.dealer "
        "WHERE erp = %s AND key = %s AND deleted_at IS NULL",
        (market.dealer_erp, market.dealer_key),
    ).fetchone()
    if row is None:
        return None
    groups = connection.execute(
        "SELECT kind, group_key, category_key, priority FROM portal.dealer_group "
        "WHERE erp = %s AND dealer_key = %s AND deleted_at IS NULL AND valid_from <= %s "
        "AND (valid_to IS NULL OR valid_to > %s)",
        (market.dealer_erp, market.dealer_key, market.day, market.day),
    ).fetchall()
    return _Dealer(row[0], row[1], tuple(Membership(*group) for group in groups))


def _candidates(
    connection: Connection,
    market: Market,
    dealer: _Dealer,
    items: list[Item],
    scales: dict[str, Fraction],
    *,
    detail: bool,
    portal: bool,
) -> tuple[list[Candidate], set[str]]:
    """The conditions found, and the products that the dealer may see."""
    lines: dict[str, tuple[str, Decimal]] = {}
    upto, every = 1, detail or market.pricing.needs_every_level
    for item in items:
        product = item.product
        factor = product.factor(item.uom) or Fraction(1)
        base = scales.get(product.key, Fraction(item.qty) * factor)
        smallest = min([Fraction(1), factor, *product.factors.values()])
        upto = max(upto, math.ceil(base / smallest))
        whole = Decimal(math.floor(base / factor * 10**6)).scaleb(-6).quantize(_SIX, ROUND_FLOOR)
        uom, least = lines.get(product.key, (item.uom, whole))
        every = every or uom != item.uom
        lines[product.key] = (item.uom, min(least, whole))
    keys = list(lines)
    asked = (keys, [uom for uom, _ in lines.values()], [qty for _, qty in lines.values()])
    with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        if portal:
            rows = cursor.execute(
                f"SELECT {_CANDIDATES} FROM portal.resolve_prices("
                "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    *(market.price_erp, market.dealer_erp, market.dealer_key, market.product_erp),
                    *(*asked, market.currency, market.day, Decimal(upto), every, market.closed),
                ),
            ).fetchall()
            seen = {row["product_key"] for row in rows if row["level"] is None}
        else:
            allowed = connection.execute(
                "SELECT portal.authorised_products(%s, %s, %s, %s, %s, %s, %s)",
                (
                    *(market.dealer_erp, market.dealer_key, dealer.scopes, market.product_erp),
                    *(keys, market.day, market.closed),
                ),
            ).fetchall()
            seen = {key for (key,) in allowed}
            rows = cursor.execute(
                f"SELECT {_CANDIDATES} FROM portal.price_candidates("
                "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    *(market.price_erp, market.dealer_erp, market.dealer_key, dealer.account_key),
                    *(dealer.scopes, market.product_erp, *asked, market.currency, market.day),
                    *(Decimal(upto), every),
                ),
            ).fetchall()
    return [Candidate(**row) for row in rows if row["level"] is not None], seen


def _place(
    connection: Connection,
    market: Market,
    products: dict[str, _Sold],
    found: list[Candidate],
    dealer: _Dealer,
) -> None:
    """Say which categories the products stand in, where a condition or membership asks for it."""
    asked = any(one.product_scope == "category" for one in found)
    if not asked and all(one.category_key is None for one in dealer.memberships):
        return
    rows = connection.execute(
        "WITH RECURSIVE place AS (SELECT c.product_key, c.category_key "
        "FROM portal.product_category c WHERE c.erp = %s AND c.product_key = ANY(%s) "
        "AND c.deleted_at IS NULL UNION SELECT pl.product_key, up.parent_key FROM place pl "
        "JOIN portal.category up ON up.erp = %s AND up.key = pl.category_key "
        "WHERE up.parent_key IS NOT NULL AND up.deleted_at IS NULL) SELECT * FROM place",
        (market.product_erp, list(products), market.product_erp),
    ).fetchall()
    places: dict[str, set[str]] = defaultdict(set)
    for product_key, category_key in rows:
        places[product_key].add(category_key)
    for key, sold in products.items():
        plain = sold.priced
        sold.priced = Product(key, plain.base_uom, plain.factors, frozenset(places[key]))
