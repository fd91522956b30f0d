"""`POST /orders`, `GET /orders/{reference}`, `POST /orders/{reference}/approve`.

Reads what the caller wants and says what became of it; `sync/ordering.py` does it. Must not judge,
price or write anything itself.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from gateway.answers import Plain
from gateway.metrics import Metrics
from gateway.reserve import Reserve
from mappings.errors import Refused
from portal_db.ordering import readable_order
from sync.ask import Asker
from sync.context import Context
from sync.ordering import LineWish, OrderWish, Placed, approve, place
from sync.pricing import PriceOf

M = TypeVar("M", bound=BaseModel)
_LARGEST = 2_000_000
_AT_ONCE = 12
_Key = Annotated[str, Field(min_length=1, max_length=100)]
_Qty = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6)]
_Amount = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=6)]


class _Exact(BaseModel):
    """Unknown words are refused. Numbers stay as they were written: none is ever a float."""

    model_config = ConfigDict(extra="forbid")


class LineIn(_Exact):
    """One line; `unit_price` of one `per` is the price that the dealer was shown."""

    product: _Key
    qty: _Qty
    uom: _Key
    unit_price: _Amount
    per: Annotated[int, Field(gt=0, le=1_000_000)] = 1
    discount_pct: Annotated[Decimal, Field(ge=0, le=100, decimal_places=6)] = Decimal(0)
    warehouse: _Key | None = None
    note: Annotated[str, Field(max_length=1000)] | None = None


class OrderIn(_Exact):
    """What is posted. See `sync.ordering.OrderWish`."""

    erp: _Key
    dealer: _Key
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=5000)]
    customer_ref: Annotated[str, Field(max_length=200)] | None = None
    requested_on: date | None = None
    address: _Key | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    entered_by: Annotated[str, Field(max_length=200)] | None = None
    backorder: bool = False
    acknowledged: bool = False
    accept_split: bool = False

    def wish(self, key: str) -> OrderWish:
        """In the engine's words."""
        lines = tuple(
            LineWish(
                one.product, one.qty, one.uom, one.unit_price, one.per, one.discount_pct,
                one.warehouse, one.note,
            )
            for one in self.lines
        )  # fmt: skip
        return OrderWish(
            self.erp,
            self.dealer,
            key,
            self.currency,
            lines,
            customer_ref=self.customer_ref,
            requested_on=self.requested_on,
            address_key=self.address,
            note=self.note,
            entered_by=self.entered_by,
            backorder=self.backorder,
            acknowledged=self.acknowledged,
            accept_split=self.accept_split,
        )


class ApprovalIn(_Exact):
    """Who approves; `finance`: with the right to decide what the rules route to finance."""

    actor: Annotated[str, Field(min_length=1, max_length=200)]
    finance: bool = False


class Orders:
    """The orders API of one process."""

    def __init__(
        self,
        ctx: Context,
        own: Reserve,
        asker: Asker,
        metrics: Metrics,
        within: timedelta,
        prices: PriceOf | None,
    ) -> None:
        self._ctx = ctx
        self._own = own
        self._asker = asker
        self._metrics = metrics
        self._within = within
        self._prices = prices
        # each may wait for an ERP: they must not take every thread from everybody else
        self._seats = anyio.CapacityLimiter(_AT_ONCE)

    async def post(self, request: Request) -> Plain:
        """Place an order. 201 placed; 202 placed, waits; 402 pay first; 409 agree; 422 no."""
        key = request.headers.get("idempotency-key", "").strip()
        if not key or len(key) > 200:  # noqa: PLR2004 - said right here
            raise Refused(
                "an order needs the header Idempotency-Key, of at most 200 characters",
                code="incomplete",
                remedy="Make one key an order, and send it again with every repetition.",
            )
        wish = (await _read(request, OrderIn)).wish(key)
        job = functools.partial(place, self._ctx, self._asker, wish, prices=self._prices)
        placed = await self._seated(request, job)
        self._metrics.orders.labels(wish.erp, "again" if placed.again else placed.outcome).inc()
        return Plain(_told(placed), status_code=_status(placed))

    async def get(self, request: Request) -> Plain:
        """One order: how far it is, in words."""
        reference = str(request.path_params["reference"])

        def look() -> dict[str, object] | None:
            with self._own.ctx.connection() as connection:
                return readable_order(connection, reference)

        found = await self._own.run(look)
        if found is None:
            raise Refused(f"there is no order {reference}", code="not_found")
        return Plain(found)

    async def approve(self, request: Request) -> Plain:
        """Judge a waiting order's credit again; approve it where it may go."""
        wish = await _read(request, ApprovalIn)
        job = functools.partial(
            approve,
            self._ctx,
            self._asker,
            str(request.path_params["reference"]),
            actor=wish.actor,
            finance=wish.finance,
        )
        placed = await self._seated(request, job)
        return Plain(_told(placed), status_code=200 if placed.state == "approved" else 409)

    async def _seated(self, request: Request, job: Callable[..., Placed]) -> Placed:
        """Do it once a seat is free; the ERP has what is left of the time since the arrival."""
        until = float(request.state.arrived) + self._within.total_seconds()

        def seated() -> Placed:
            return job(within=timedelta(seconds=max(0.0, until - time.monotonic())))

        return await anyio.to_thread.run_sync(seated, limiter=self._seats)


async def _read(request: Request, model: type[M]) -> M:
    """The body as the model has it. Raises Refused (`incomplete`) with every fault."""
    body = await request.body()
    if len(body) > _LARGEST:
        raise Refused(f"a body of more than {_LARGEST} bytes", code="incomplete")
    try:
        found = json.loads(body, parse_float=Decimal)
        return model.model_validate(found)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)[:20]
        )
        raise Refused(faults, code="incomplete") from None
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON", code="incomplete") from None


def _status(placed: Placed) -> int:
    if placed.again:
        return 200
    if placed.needs is not None:
        return 409
    if placed.reference is None:
        return 422
    if placed.outcome == "payment_required":
        return 402
    return 201 if placed.state == "approved" else 202


def _told(placed: Placed) -> dict[str, object]:
    told: dict[str, object] = {
        "reference": placed.reference,
        "state": placed.state,
        "again": placed.again,
        "outcome": placed.outcome,
        "reason": placed.reason,
        "gross": placed.gross,
        "prices_checked": placed.prices_checked,
    }
    if placed.needs is not None:
        told["needs"] = placed.needs
    if placed.shortage > 0:
        told["shortage"] = placed.shortage
    if placed.pay_now > 0:
        told["pay_now"] = placed.pay_now
    if placed.accepted:
        told["accepted"] = {str(no): qty for no, qty in placed.accepted.items()}
    if placed.rest is not None:
        told["rest"] = placed.rest
    if placed.credit:
        told["credit"] = dict(placed.credit)
    return told
