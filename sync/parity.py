"""Parity: what the ERP invoiced, held against what its synced conditions say it should have.

Every item line of every invoice, by the same resolver that prices the portal. A live answer of an
ERP would be held against the same `Judge`. Must not change a price, an invoice or a mapping, and
does not excuse a line: unexplained is what the conditions do not give to the last digit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import psycopg

from mappings.errors import Misconfigured
from mappings.pricing import Pricing
from portal_db import parity as store
from portal_db.parity import Line, Side
from portal_db.pricing import Candidate, Item, Membership, Price, Product, choose
from portal_db.resolver import standard_discount
from sync.context import Context
from sync.mapping_text import mapping_text
from sync.parity_reasons import Evidence, reason_of
from sync.progress import Progress, silent

_CHUNK = 10_000


@dataclass(frozen=True, slots=True)
class Parity:
    """One comparison. `items`: the unexplained lines; every line where that was asked for."""

    id: int
    erp: str
    price_erp: str
    lines: int
    explained: int
    unexplained: int
    reasons: dict[str, int]
    difference: dict[str, Decimal]
    """Currency → what was invoiced less what the conditions give, over the unexplained lines."""
    items: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def share(self) -> Decimal | None:
        """Explained lines of all, in percent, cut (never rounded up) to two decimals."""
        if not self.lines:
            return None
        return Decimal(self.explained * 10_000 // self.lines).scaleb(-2)


def supplying(ctx: Context) -> list[str]:
    """The ERPs that map invoices."""
    return sorted(erp for erp, one in ctx.mappings.mappings.items() if "invoices" in one.feeds)


def side_of(ctx: Context, erp: str) -> Side:
    """Whose conditions price this ERP's invoices.

    Raises Misconfigured where it maps no invoices, or where no ERP, or more than one, maps prices
    for the same dealers and products.
    """
    ctx.feed(erp, "invoices")
    refers = ctx.refers(erp, "invoices")
    spaces = (refers.get("dealer", erp), refers.get("product", erp))
    found = [
        name
        for name, mapping in sorted(ctx.mappings.mappings.items())
        if "prices" in mapping.feeds and _spaces(ctx, name) == spaces
    ]
    chosen = [erp] if erp in found else found
    if len(chosen) != 1:
        which = f"{' and '.join(found)} do" if found else "no ERP does"
        raise Misconfigured(
            f"{erp}'s invoices name dealers of {spaces[0]} and products of {spaces[1]}; "
            f"{which} map prices for them",
            code="mapping",
            remedy="One ERP must supply the prices of these dealers and products.",
        )
    order_erp = refers.get("sales_order", erp)
    zone = ctx.erp(order_erp).time_zone
    return Side(erp, chosen[0], *spaces, order_erp, zone)


def _spaces(ctx: Context, erp: str) -> tuple[str, str]:
    refers = ctx.refers(erp, "prices")
    return refers.get("dealer", erp), refers.get("product", erp)


def parity(
    ctx: Context, erp: str, *, every_line: bool = False, progress: Progress = silent
) -> Parity:
    """Compare all of one ERP's invoice lines; the outcome is kept in `sync.parity`."""
    side = side_of(ctx, erp)
    pricing = ctx.erp(side.price_erp).pricing
    _, sha256 = mapping_text(ctx, side.price_erp)
    with ctx.connection() as connection, connection.transaction():
        parity_id = store.begin(connection, side, sha256)
        total = store.gather(connection, side)
        progress("lines", 0, total)
        judge = Judge(connection, side, pricing)
        reasons: Counter[str] = Counter()
        difference: dict[str, Decimal] = defaultdict(Decimal)
        items: list[dict[str, Any]] = []
        chunk: list[store.Item] = []
        done = 0
        for item in judge.items():
            done += 1
            chunk.append(item)
            if item.reason is not None:
                reasons[item.reason] += 1
                apart = item.invoiced_net - (item.resolved_net or Decimal(0))
                difference[item.currency] += apart
            if item.reason is not None or every_line:
                items.append(asdict(item))
            if len(chunk) == _CHUNK:
                store.keep(connection, parity_id, chunk)
                chunk.clear()
                progress("lines", done, total)
        store.keep(connection, parity_id, chunk)
        progress("lines", done, total)
        unexplained = reasons.total()
        store.finish(connection, parity_id, done - unexplained, unexplained)
    return Parity(
        id=parity_id,
        erp=erp,
        price_erp=side.price_erp,
        lines=done,
        explained=done - unexplained,
        unexplained=unexplained,
        reasons=dict(reasons.most_common()),
        difference=dict(sorted(difference.items())),
        items=items,
    )


class Judge:
    """Prices and judges the gathered lines. Lines that are asked alike are priced once."""

    def __init__(self, connection: psycopg.Connection[Any], side: Side, pricing: Pricing) -> None:
        self._connection = connection
        self._side = side
        self._pricing = pricing
        self._conditions = store.conditions(connection, side)
        self._buyers = store.buyers(connection, side)
        self._products = _products(connection, side)
        self._known: dict[tuple[object, ...], Price] = {}

    def items(self) -> Iterator[store.Item]:
        """Every line, judged."""
        for line in store.lines(self._connection):
            yield self._judge(line)

    def _judge(self, line: Line) -> store.Item:
        price = self._price(line)
        invoiced = invoiced_unit(line)
        reason = says = None
        resolved_net = None
        if price is not None and price.line_net is not None:
            resolved_net = price.line_net.copy_sign(line.net) if line.net < 0 else price.line_net
        if price is None or price.unit != invoiced or resolved_net != line.net:
            reason, says = reason_of(self._evidence(line, price, invoiced))
        won = price.won if price is not None else None
        return store.Item(
            line.invoice_key,
            line.line_no,
            self._side.dealer_erp,
            line.dealer_key,
            self._side.product_erp,
            line.product_key,
            line.qty,
            line.uom,
            line.currency,
            line.priced_on,
            kept(invoiced),
            line.net,
            None if price is None or price.unit is None else kept(price.unit),
            resolved_net,
            won.level if won else None,
            won.header_key if won else None,
            won.min_qty if won else None,
            reason,
            says,
        )

    def _price(self, line: Line) -> Price | None:
        """The price by the conditions; None where dealer, product or quantity are not known."""
        product = self._products.get(line.product_key)
        buyer = self._buyers.get(line.dealer_key or "")
        if product is None or buyer is None or line.qty == 0:
            return None
        members = self._members(line)
        asked = (product.key, abs(line.qty), line.uom, line.currency)
        key = (*line.ids, members, buyer.standard_discount_pct, *asked)
        if key not in self._known:
            self._known[key] = self._choose(line, [self._conditions[n] for n in line.ids])
        return self._known[key]

    def _members(self, line: Line) -> tuple[Membership, ...]:
        buyer = self._buyers[line.dealer_key or ""]
        return tuple(
            one
            for one, since, until in buyer.memberships
            if since <= line.priced_on and (line.priced_on < until or until == store.OPEN_END)
        )

    def _choose(
        self, line: Line, candidates: list[Candidate], pricing: Pricing | None = None
    ) -> Price:
        buyer = self._buyers[line.dealer_key or ""]
        item = Item(self._products[line.product_key], abs(line.qty), line.uom, line.currency)
        offered = [*candidates, *standard_discount(buyer.standard_discount_pct)]
        return choose(item, offered, pricing or self._pricing, self._members(line))

    def _evidence(self, line: Line, price: Price | None, invoiced: Fraction) -> Evidence:
        def ask(candidates: list[Candidate], pricing: Pricing | None = None) -> Price:
            return self._choose(line, candidates, pricing)

        def on_other_days() -> list[tuple[Candidate, date, date | None, bool]]:
            return [
                (self._conditions[number], since, until, gone)
                for number, since, until, gone in store.any_day(self._connection, line)
                if number not in line.ids
            ]

        return Evidence(
            line=line,
            price=price,
            invoiced=invoiced,
            held=[self._conditions[number] for number in line.ids],
            pricing=self._pricing,
            ask=ask,
            on_other_days=on_other_days,
        )


def invoiced_unit(line: Line) -> Fraction:
    """What one unit was invoiced at, exactly: price per, less the line's discount."""
    return _unit(line.unit_price, line.per, line.discount_pct)


@lru_cache(maxsize=100_000)
def _unit(unit_price: Decimal, per: int, discount_pct: Decimal | None) -> Fraction:
    return Fraction(unit_price) / per * (1 - Fraction(discount_pct or 0) / 100)


@lru_cache(maxsize=100_000)
def kept(value: Fraction) -> Decimal:
    """A unit price as it is stored and shown: exact where it can be, else twelve decimals."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal("1e-12")).normalize() + 0


def _products(connection: psycopg.Connection[Any], side: Side) -> dict[str, Product]:
    base, units, places = store.products(connection, side)
    factors: dict[str, dict[str, Fraction]] = {}
    for key, uom, numerator, denominator in units:
        factors.setdefault(key, {})[uom] = Fraction(numerator, denominator)
    categories: dict[str, set[str]] = {}
    for key, category in places:
        categories.setdefault(key, set()).add(category)
    return {
        key: Product(key, uom, factors.get(key, {}), frozenset(categories.get(key, ())))
        for key, uom in base
    }
