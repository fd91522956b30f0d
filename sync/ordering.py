"""An order from the portal: validated, priced, judged on credit, placed; all of it or nothing.

The ERP is asked for its credit before the transaction; then, with the account's row locked, what is
in flight is counted, the order judged, and the decision, the order and its message are written
together. Must not send anything to an ERP.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from mappings.errors import Refused
from mappings.spec import ErpMapping
from portal_db import credit as stored
from portal_db.credit import Buyer
from portal_db.ordering import Product, products, readable_order
from portal_db.orders import NewLine, NewOrder, PlacedOrder, approve_order, place_order
from quality.credit import HARD_BLOCK, NOTICE, OK, PARTIAL, WARN, Decision, Item, decide
from sync import credit
from sync.ask import WITHIN, Asker, LiveAnswer
from sync.context import Context
from sync.echo import Shown, cents, hold_to, line_net
from sync.pricing import PriceOf, PriceWish


@dataclass(frozen=True, slots=True)
class LineWish:
    """One line as the dealer saw it: `unit_price` of one `per` is the echo of the price shown."""

    product_key: str
    qty: Decimal
    uom: str
    unit_price: Decimal
    per: int = 1
    discount_pct: Decimal = Decimal(0)
    warehouse_key: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class OrderWish:
    """What the portal wants placed. `idempotency_key`: the same key places one order.

    `acknowledged`: the buyer has seen the credit warning. `accept_split`: the buyer agrees that
    what the limit covers goes now and the rest waits.
    """

    erp: str
    dealer_key: str
    idempotency_key: str
    currency: str
    lines: tuple[LineWish, ...]
    customer_ref: str | None = None
    requested_on: date | None = None
    address_key: str | None = None
    note: str | None = None
    entered_by: str | None = None
    backorder: bool = False
    acknowledged: bool = False
    accept_split: bool = False

    @property
    def sha256(self) -> str:
        """Of what is wanted, without the key and without what the buyer agrees to."""
        kept = asdict(replace(self, idempotency_key="", acknowledged=False, accept_split=False))
        text = json.dumps(kept, default=str, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an order. Without `reference` nothing was written but the decision.

    `needs`: what the buyer has to agree to before it is placed (`acknowledged`, `accept_split`).
    `rest`: the reference of the part that waits, where the order was split.
    """

    outcome: str
    reason: str | None
    reference: str | None = None
    state: str | None = None
    again: bool = False
    needs: str | None = None
    rest: str | None = None
    gross: Decimal | None = None
    shortage: Decimal = Decimal(0)
    pay_now: Decimal = Decimal(0)
    accepted: Mapping[int, Decimal] = field(default_factory=dict)
    prices_checked: bool = False
    credit: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Line:
    wish: LineWish
    no: int
    product: Product
    net: Decimal
    gross: Decimal


def place(
    ctx: Context,
    asker: Asker,
    wish: OrderWish,
    *,
    prices: PriceOf | None = None,
    within: timedelta = WITHIN,
) -> Placed:
    """Place an order, or say why not and what would help.

    `prices`: the portal's own price of each line; without it the echo is taken as it is, and the
    answer says so. Raises Refused (`not_found`, `incomplete`, `product`, `price_changed`,
    `idempotency`) and NotPlaced (`stock` and the database's other reasons).
    """
    buyer = credit.buyer_of(ctx, wish.erp, wish.dealer_key)
    if buyer.portal_dealer_id is None:
        raise Refused(f"dealer {wish.dealer_key} has no portal account", code="not_found")
    with ctx.connection() as connection:
        known = _before(connection, buyer, wish)
        if known is not None:
            return known
        lines = _priced(connection, ctx.erp(wish.erp), wish, prices)
    source = credit.credit_source(ctx, wish.erp)
    answer = asker.ask(source.erp, "credit", {"account_key": buyer.account_key}, within)
    with ctx.connection() as connection, connection.transaction():
        _speak_for(connection, buyer)
        stored.lock_account(connection, buyer.dealer_erp, buyer.account_key)
        known = _before(connection, buyer, wish)
        if known is not None:
            return known
        placed = _judge(connection, source, buyer, wish, lines, answer)
    return replace(placed, prices_checked=prices is not None)


def approve(
    ctx: Context,
    asker: Asker,
    reference: str,
    *,
    actor: str,
    finance: bool = False,
    within: timedelta = WITHIN,
) -> Placed:
    """Judge a waiting order's credit again and approve it, or say what it needs now.

    `finance`: whoever approves may decide what the rules route to finance; a block stays a block.
    Raises Refused (`not_found`) and NotPlaced (`state`).
    """
    with ctx.connection() as connection:
        order = readable_order(connection, reference)
    if order is None:
        raise Refused(f"there is no order {reference}", code="not_found")
    buyer = credit.buyer_of(ctx, order["erp"], order["dealer_key"])
    source = credit.credit_source(ctx, order["erp"])
    answer = asker.ask(source.erp, "credit", {"account_key": buyer.account_key}, within)
    with ctx.connection() as connection, connection.transaction():
        _speak_for(connection, buyer)
        stored.lock_account(connection, buyer.dealer_erp, buyer.account_key)
        now = datetime.now(UTC)
        found = credit.standing(
            connection, source, buyer, order["currency"], answer, now=now, without=reference
        )
        gross: Decimal | None = order["gross"] if found.comparable else None
        decision = decide(found.figures, gross, source.credit)
        credit.record(
            connection,
            found,
            decision,
            source.credit,
            occasion="approval",
            order_gross=gross,
            reference=reference,
        )
        goes = decision.outcome in (OK, NOTICE, WARN) or (
            finance and decision.outcome != HARD_BLOCK
        )
        if goes:
            approve_order(connection, reference, actor=actor)
    return Placed(
        decision.outcome,
        decision.reason,
        reference,
        "approved" if goes else order["state"],
        needs=None if goes or decision.outcome == HARD_BLOCK else "finance",
        gross=gross,
        shortage=decision.shortage,
        pay_now=decision.pay_now,
        credit=credit.shown(found, now),
    )


def _speak_for(connection: psycopg.Connection[Any], buyer: Buyer) -> None:
    connection.execute("SELECT set_config('app.dealer', %s, true)", (str(buyer.portal_dealer_id),))


def _before(connection: psycopg.Connection[Any], buyer: Buyer, wish: OrderWish) -> Placed | None:
    """The order that this key placed already."""
    found = stored.placed_before(connection, buyer, wish.idempotency_key)
    if found is None:
        return None
    reference, sha256 = found
    if sha256 != wish.sha256:
        raise Refused(
            f"the idempotency key was used for another order ({reference})",
            code="idempotency",
            remedy="Send another key with another order.",
        )
    order = readable_order(connection, reference)
    return Placed("ok", None, reference, order["state"] if order else None, again=True)


def _priced(
    connection: psycopg.Connection[Any],
    mapping: ErpMapping,
    wish: OrderWish,
    prices: PriceOf | None,
) -> list[_Line]:
    """The lines with their amounts, once products are known and prices are the portal's own."""
    space = mapping.refers.get("product", mapping.erp)
    known = products(connection, space, [line.product_key for line in wish.lines])
    lines = []
    for number, line in enumerate(wish.lines, 1):
        product = known.get(line.product_key)
        if product is None:
            raise Refused(f"line {number}: there is no product {line.product_key}", code="product")
        if product.tax_pct is None:
            raise Refused(
                f"line {number}: the tax of {line.product_key} is not known, so neither is what "
                "the order costs",
                code="product",
                remedy="Map tax_pct of the products feed.",
            )
        net = line_net(line.qty, line.unit_price, line.per, line.discount_pct)
        gross = cents(net * (1 + product.tax_pct / 100))
        lines.append(_Line(line, number, product, net, gross))
    if prices is not None:
        shown = [
            Shown(f"line {one.no}", PriceWish(given.product_key, given.qty, given.uom), one.net)
            for one, given in zip(lines, wish.lines, strict=True)
        ]
        hold_to(prices, connection, wish.erp, wish.dealer_key, wish.currency, shown)
    return lines


def _judge(
    connection: psycopg.Connection[Any],
    source: ErpMapping,
    buyer: Buyer,
    wish: OrderWish,
    lines: Sequence[_Line],
    answer: LiveAnswer,
) -> Placed:
    now = datetime.now(UTC)
    found = credit.standing(connection, source, buyer, wish.currency, answer, now=now)
    total = sum((line.gross for line in lines), Decimal(0))
    gross = total if found.comparable else None
    decision = decide(found.figures, gross, source.credit, [_item(line) for line in lines])
    needs = None
    if decision.outcome == WARN and not wish.acknowledged:
        needs = "acknowledged"
    if decision.outcome == PARTIAL and not wish.accept_split:
        needs = "accept_split"
    order = rest = None
    if needs is None and decision.outcome != HARD_BLOCK:
        order, rest = _place(connection, wish, lines, decision)
    credit.record(
        connection,
        found,
        decision,
        source.credit,
        occasion="order",
        order_gross=gross,
        reference=None if order is None else order.reference,
        idempotency_key=wish.idempotency_key,
        request_sha256=wish.sha256,
    )
    return Placed(
        decision.outcome,
        decision.reason,
        reference=None if order is None else order.reference,
        state=None if order is None else order.state,
        needs=needs,
        rest=None if rest is None else rest.reference,
        gross=total,
        shortage=decision.shortage,
        pay_now=decision.pay_now,
        accepted=decision.accepted,
        credit=credit.shown(found, now),
    )


def _item(line: _Line) -> Item:
    packed = line.product.order_step if line.wish.uom == line.product.order_uom else None
    return Item(line.no, line.wish.qty, line.gross / line.wish.qty, pack=packed or Decimal(1))


def _place(
    connection: psycopg.Connection[Any],
    wish: OrderWish,
    lines: Sequence[_Line],
    decision: Decision,
) -> tuple[PlacedOrder, PlacedOrder | None]:
    """One order, or the part that the limit covers and the rest, which waits for approval."""
    if decision.outcome != PARTIAL:
        whole = {line.no: line.wish.qty for line in lines}
        waits = not decision.passes
        return place_order(connection, _order(wish, lines, whole, waits=waits)), None
    taken = dict(decision.accepted)
    left = {line.no: line.wish.qty - taken.get(line.no, Decimal(0)) for line in lines}
    first = place_order(connection, _order(wish, lines, taken, waits=False))
    rest = _order(wish, lines, left, waits=True)
    key = f"{wish.idempotency_key}/rest"
    return first, place_order(connection, replace(rest, idempotency_key=key))


def _order(
    wish: OrderWish, lines: Sequence[_Line], qty_of: Mapping[int, Decimal], *, waits: bool
) -> NewOrder:
    made = []
    for line in lines:
        qty = qty_of.get(line.no, Decimal(0))
        if qty <= 0:
            continue
        share = qty / line.wish.qty  # the price stays that of the original quantity
        made.append(
            NewLine(
                line.wish.product_key,
                qty,
                line.wish.uom,
                line_no=line.no,
                warehouse_key=line.wish.warehouse_key,
                unit_price=line.wish.unit_price,
                per=line.wish.per,
                discount_pct=line.wish.discount_pct or None,
                net=cents(line.net * share),
                tax_pct=line.product.tax_pct,
                gross=cents(line.gross * share),
                note=line.wish.note,
            )
        )
    net = sum((one.net or Decimal(0) for one in made), Decimal(0))
    gross = sum((one.gross or Decimal(0) for one in made), Decimal(0))
    return NewOrder(
        wish.erp,
        wish.dealer_key,
        wish.idempotency_key,
        wish.currency,
        tuple(made),
        net=net,
        tax=gross - net,
        gross=gross,
        customer_ref=wish.customer_ref,
        requested_on=wish.requested_on,
        address_key=wish.address_key,
        note=wish.note,
        entered_by=wish.entered_by,
        backorder=wish.backorder,
        needs_approval=waits,
    )
