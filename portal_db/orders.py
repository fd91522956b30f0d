"""Placing, approving and cancelling orders, and changes that a dealer asks for.

Thin callers of the SQL functions of `v0006_orders_out`: those commit an order, its lines, its holds
and its message together, whoever calls. Runs as `waybill_portal_app` or `waybill_sync`, inside the
caller's transaction or its own. Must not reach an ERP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg

from mappings.errors import WaybillError

_CODES = {
    "WB001": "stock",
    "WB002": "idempotency",
    "WB003": "not_found",
    "WB004": "no_route",
    "WB005": "incomplete",
    "WB006": "isolation",
    "WB007": "blocked",
    "WB008": "product",
    "WB009": "state",
}


class NotPlaced(WaybillError):
    """The portal's own no to an order: nothing was written. `code` says which no:

    `stock` (detail: line_no, product_key, wanted, available), `idempotency` (the key was used for
    another order; detail: its reference), `not_found` (no such dealer or order, or not the
    caller's), `no_route` (the ERP takes no such message), `incomplete`, `blocked` (the dealer may
    not order), `product`, `state` (an approved or sent order), `isolation`.
    """

    def __init__(self, what: str, *, detail: Mapping[str, str] | None = None, **where: Any) -> None:  # noqa: ANN401 - as the base class
        super().__init__(what, **where)
        self.detail = dict(detail or {})


@dataclass(frozen=True, slots=True)
class NewLine:
    """One line. `qty` in `uom`; `unit_price` of one `per`, as the dealer was shown it.

    Without `warehouse_key` it is the dealer's own where that has the product, else the fullest.
    """

    product_key: str
    qty: Decimal
    uom: str
    line_no: int | None = None
    warehouse_key: str | None = None
    unit_price: Decimal | None = None
    per: int = 1
    discount_pct: Decimal | None = None
    net: Decimal | None = None
    tax_pct: Decimal | None = None
    gross: Decimal | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as the portal has judged it: prices, credit and approvals are the caller's part.

    `dealer_key` is the customer number that `erp` uses. `idempotency_key`: the caller's own; the
    same key with the same order gives the first order again. `backorder`: what stock does not
    cover is ordered all the same. `needs_approval`: no message before `approve_order`, unless the
    ERP's mapping says `release: pending`.
    """

    erp: str
    dealer_key: str
    idempotency_key: str
    currency: str
    lines: tuple[NewLine, ...]
    net: Decimal | None = None
    tax: Decimal | None = None
    gross: Decimal | None = None
    customer_ref: str | None = None
    requested_on: date | None = None
    address_key: str | None = None
    ship_to: Mapping[str, str] | None = None
    contact_key: str | None = None
    note: str | None = None
    entered_by: str | None = None
    backorder: bool = False
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """`message_id` is None while approval is waited for; `again`: it had been placed before."""

    reference: str
    state: str
    placed_at: datetime
    message_id: int | None
    again: bool


@dataclass(frozen=True, slots=True)
class PlacedChange:
    """A customer update or a request that is owed to the ERP now."""

    reference: str
    placed_at: datetime
    message_id: int
    again: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    """`state` is `cancelled` where the ERP never saw it; else a message asks the ERP to cancel."""

    state: str
    message_id: int | None


def place_order(connection: psycopg.Connection[Any], order: NewOrder) -> PlacedOrder:
    """Write an order, its holds and its message, or nothing. The dealer must be set (`as_dealer`).

    Needs READ COMMITTED. Raises NotPlaced.
    """
    with _refusals(order.erp):
        row = connection.execute(
            "SELECT reference, state, placed_at, message_id, again FROM portal.place_order(%s)",
            (_json(asdict(order)),),
        ).fetchone()
    assert row is not None  # noqa: S101  the function returns one row or raises
    return PlacedOrder(*row)


def approve_order(connection: psycopg.Connection[Any], reference: str, *, actor: str) -> int:
    """Approve it and write its message, once; returns the message's id. Raises NotPlaced."""
    with _refusals(None):
        row = connection.execute(
            "SELECT portal.approve_order(%s, %s)", (reference, actor)
        ).fetchone()
    assert row is not None  # noqa: S101  as above
    return int(row[0])


def cancel_order(
    connection: psycopg.Connection[Any], reference: str, *, reason: str, actor: str | None = None
) -> Cancelled:
    """Cancel an order: at once where it was never sent, else by a message that follows it.

    With an `actor` for staff (roles sync and review), without one for the dealer that is set.
    Raises NotPlaced (`state`) where the ERP may have it and takes no cancellations.
    """
    with _refusals(None):
        if actor is None:
            row = connection.execute(
                "SELECT state, message_id FROM portal.cancel_order(%s, %s)", (reference, reason)
            ).fetchone()
        else:
            row = connection.execute(
                "SELECT state, message_id FROM portal.cancel_order_for(%s, %s, %s)",
                (reference, reason, actor),
            ).fetchone()
    assert row is not None  # noqa: S101  as above
    return Cancelled(*row)


def request_change(
    connection: psycopg.Connection[Any],
    kind: str,
    *,
    erp: str,
    dealer_key: str,
    body: Mapping[str, str],
    idempotency_key: str,
    entered_by: str | None = None,
) -> PlacedChange:
    """Owe an ERP a `customer_update` or a `request` of the dealer that is set. Raises NotPlaced."""
    wish = {
        "kind": kind,
        "erp": erp,
        "dealer_key": dealer_key,
        "body": dict(body),
        "idempotency_key": idempotency_key,
        "entered_by": entered_by,
    }
    with _refusals(erp):
        row = connection.execute(
            "SELECT reference, placed_at, message_id, again FROM portal.request_change(%s)",
            (_json(wish),),
        ).fetchone()
    assert row is not None  # noqa: S101  as above
    return PlacedChange(*row)


@contextmanager
def as_dealer(connection: psycopg.Connection[Any], dealer: int) -> Iterator[None]:
    """A transaction in which the connection speaks for one portal dealer, and none after it."""
    with connection.transaction():
        connection.execute("SELECT set_config('app.dealer', %s, true)", (str(dealer),))
        yield


def portal_dealer(connection: psycopg.Connection[Any], erp: str, dealer_key: str) -> int | None:
    """The portal dealer that owns a customer number of an ERP; None where nobody does."""
    row = connection.execute(
        "SELECT portal_dealer_id FROM portal.dealer_account WHERE erp = %s AND dealer_key = %s",
        (erp, dealer_key),
    ).fetchone()
    return None if row is None else int(row[0])


@contextmanager
def _refusals(erp: str | None) -> Iterator[None]:
    """The functions' own errors as NotPlaced; every other error of the database as it is."""
    try:
        yield
    except psycopg.Error as error:
        code = _CODES.get(error.sqlstate or "")
        if code is None:
            raise
        found = error.diag.message_detail or ""
        detail = json.loads(found) if found.startswith("{") else {"detail": found} if found else {}
        raise NotPlaced(
            error.diag.message_primary or str(error), erp=erp, code=code, detail=detail
        ) from None


def _json(value: object) -> str:
    """Decimals as text: jsonb would keep them, a reader of JSON might not."""

    def plain(one: object) -> object:
        if isinstance(one, Decimal):
            return format(one, "f")
        if isinstance(one, date):
            return one.isoformat()
        raise TypeError(type(one).__name__)

    return json.dumps(value, default=plain)
