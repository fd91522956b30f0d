"""Parity with the ERP of now: a sample of prices and stock, asked live and held beside ours.

A price agrees if a unit costs the same to the last digit. Stock moves while we look, so a
difference is a finding to read with its age, not a fault. Each answer is kept. Must not change a
price or a stock, and must not ask more often than the ERP's account allows (`sync/ask.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg

from mappings.errors import WaybillError
from portal_db.audit import record
from portal_db.resolver import Ask, resolve_for
from portal_db.synced import synced
from sync.ask import Asker, LiveAnswer
from sync.context import Context
from sync.parity import kept
from sync.pricing import market_of

_WITHIN = timedelta(seconds=10)
_QTY = Decimal(1)


@dataclass(frozen=True, slots=True)
class Compared:
    """One question, both answers. `agrees` None: the ERP gave none, `says` why."""

    question: str
    dealer_key: str | None
    product_key: str
    warehouse_key: str | None
    qty: Decimal | None
    uom: str | None
    portal_value: Decimal | None
    erp_value: Decimal | None
    agrees: bool | None
    says: str


def offering(ctx: Context) -> list[str]:
    """The ERPs that can be asked for a price or for stock."""
    return sorted(
        erp
        for erp, one in ctx.mappings.mappings.items()
        if one.live.ask("price") is not None or one.live.ask("stock") is not None
    )


def compare_live(
    ctx: Context, asker: Asker, erp: str, count: int, *, actor: str, within: timedelta = _WITHIN
) -> list[Compared]:
    """Ask for `count` random prices and the stock of `count` random products; keep the answers."""
    mapping = ctx.erp(erp)
    found: list[Compared] = []
    for dealer, product in _sample(ctx, erp, count):
        if mapping.live.ask("price") is not None:
            keys = {"dealer_key": dealer, "product_key": product, "qty": str(_QTY)}
            found.append(_price(ctx, erp, keys, asker.ask(erp, "price", keys, within)))
        if mapping.live.ask("stock") is not None:
            answer = asker.ask(erp, "stock", {"product_key": product}, within)
            found += _stock(ctx, erp, product, answer)
    with ctx.connection() as connection, connection.transaction():
        _keep(connection, erp, found, actor)
        agreed = sum(one.agrees is True for one in found)
        differ = sum(one.agrees is False for one in found)
        detail = {"asked": len(found), "agree": agreed, "differ": differ}
        record(connection, actor, "ask live", f"parity {erp}", detail)
    return found


def _sample(ctx: Context, erp: str, count: int) -> list[tuple[str, str]]:
    """Pairs of a dealer and a product that both are live; as many as there are, at the most."""
    refers = ctx.erp(erp).refers
    with ctx.connection() as connection:
        dealers = connection.execute(
            "SELECT key FROM portal.dealer WHERE erp = %s AND deleted_at IS NULL "
            "AND status = 'active' ORDER BY random() LIMIT %s",
            (refers.get("dealer", erp), count),
        ).fetchall()
        products = connection.execute(
            "SELECT key FROM portal.product WHERE erp = %s AND deleted_at IS NULL "
            "ORDER BY random() LIMIT %s",
            (refers.get("product", erp), count),
        ).fetchall()
    if not dealers:
        return []
    return [
        (str(dealers[n % len(dealers)][0]), str(product)) for n, (product,) in enumerate(products)
    ]


def _price(ctx: Context, erp: str, keys: dict[str, str], answer: LiveAnswer) -> Compared:
    dealer, product = keys["dealer_key"], keys["product_key"]
    row = answer.rows[0] if answer.live and answer.rows else None
    uom = row.get("uom") if row else None
    ours: Fraction | None = None
    fault = None
    if row is not None:
        try:
            with ctx.connection() as connection:
                market = market_of(ctx, erp, dealer, row["currency"])
                (price,) = resolve_for(connection, market, [Ask(product, _QTY, uom)], detail=False)
                ours = price.unit
        except WaybillError as error:
            fault = str(error)
    theirs = Fraction(row["unit_price"]) / int(row.get("per") or 1) if row else None
    agrees: bool | None = ours == theirs
    says = "the same" if agrees else "the portal shows another price"
    if not answer.live:
        agrees, says = None, f"not asked: {answer.says or answer.why}"
    elif row is None:
        agrees, says = None, "the ERP has no price for it"
    elif fault is not None:
        agrees, says = None, fault
    elif ours is None:
        says = "the portal has no price for it"
    return Compared(
        "price",
        dealer,
        product,
        None,
        _QTY,
        uom,
        None if ours is None else kept(ours),
        None if theirs is None else kept(theirs),
        agrees,
        says,
    )


def _stock(ctx: Context, erp: str, product: str, answer: LiveAnswer) -> list[Compared]:
    with ctx.connection() as connection:
        ours = synced(connection, erp, "stock", {"product_key": product})
    if not answer.live:
        says = f"not asked: {answer.says or answer.why}"
        return [Compared("stock", None, product, None, None, None, None, None, None, says)]
    mine = {str(row["warehouse_key"]): row["on_hand"] for row in ours.rows}
    theirs = {str(row["warehouse_key"]): row["on_hand"] for row in answer.rows}
    age = "it was never synced"
    if ours.as_of is not None:
        minutes = int((datetime.now(UTC) - ours.as_of).total_seconds()) // 60
        age = f"what was synced is {minutes} min old"
    return [
        Compared(
            "stock",
            None,
            product,
            place,
            None,
            None,
            mine.get(place),
            theirs.get(place),
            mine.get(place) == theirs.get(place),
            "the same" if mine.get(place) == theirs.get(place) else age,
        )
        for place in sorted({*mine, *theirs})
    ]


def _keep(connection: psycopg.Connection[Any], erp: str, found: list[Compared], actor: str) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.live_comparison (erp, question, dealer_key, product_key, "
            "warehouse_key, qty, uom, portal_value, erp_value, agrees, says, actor) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    erp,
                    one.question,
                    one.dealer_key,
                    one.product_key,
                    one.warehouse_key,
                    one.qty,
                    one.uom,
                    one.portal_value,
                    one.erp_value,
                    one.agrees,
                    one.says,
                    actor,
                )
                for one in found
            ],
        )
