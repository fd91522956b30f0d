"""`GET /credit/{dealer}`, `/price`, `/stock`: the ERP's word of now, or ours with its age.

Every request has its time, counted from its arrival: what is left of it when our own part is done
and kept back is the ERP's. Waiting costs no thread: an ask runs on its ERP's own few, and our
queries on those of the reserve. Must not judge an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request

from gateway.answers import Plain
from gateway.metrics import Metrics
from gateway.reserve import Reserve, time_to_ask
from mappings.errors import Misconfigured, Refused, Transient, WaybillError
from mappings.live import What
from sync import credit
from sync.ask import Asker, LiveAnswer
from sync.available import available
from sync.credit import Standing
from sync.pricing import PriceWish, portal_prices

_LONGEST = 200
_GRACE = 1.0
"""Seconds beyond a request's time for our own queries; a caller who waits longer is sent away."""


class Live:
    """What can be asked. `within`: the whole time of one request; `own`: for our queries."""

    def __init__(self, own: Reserve, asker: Asker, metrics: Metrics, within: timedelta) -> None:
        self._own = own
        self._ctx = own.ctx
        self._asker = asker
        self._metrics = metrics
        self._within = within.total_seconds()

    async def credit(self, request: Request) -> Plain:
        """Figures of a dealer's account, one entry a currency."""
        until = self._until(request)
        return await self._in_time(until, self._credit(request, until))

    async def price(self, request: Request) -> Plain:
        """What one quantity of a product costs a dealer, by the ERP itself or by the portal."""
        until = self._until(request)
        return await self._in_time(until, self._price(request, until))

    async def stock(self, request: Request) -> Plain:
        """What of a product can be ordered, by warehouse: less what is on its way to the ERP."""
        until = self._until(request)
        return await self._in_time(until, self._stock(request, until))

    def _until(self, request: Request) -> float:
        """When the request's time is over, on the clock of `time.monotonic` (and of the loop)."""
        return float(request.state.arrived) + self._within

    async def _in_time(self, until: float, answer: Coroutine[Any, Any, Plain]) -> Plain:
        """The answer; Transient (`overloaded`) where not even our own is there in time."""
        try:
            async with asyncio.timeout_at(until + _GRACE):
                return await answer
        except TimeoutError:
            says = "more is asked than this machine answers in time"
            raise Transient(says, code="overloaded", remedy="Ask again in a moment.") from None

    async def _credit(self, request: Request, until: float) -> Plain:
        erp = _needed(request, "erp")
        dealer = str(request.path_params["dealer"])
        buyer = await self._own.run(credit.buyer_of, self._ctx, erp, dealer)
        source = credit.credit_source(self._ctx, erp)
        keys = {"account_key": buyer.account_key}
        answer = await self._ask(source.erp, "credit", keys, until)
        currencies = [row["currency"] for row in answer.rows] or [buyer.currency]

        def look() -> list[Standing]:
            now = datetime.now(UTC)
            with self._ctx.connection() as connection, connection.transaction():
                return [
                    credit.standing(connection, source, buyer, currency, answer, now=now)
                    for currency in currencies
                ]

        found = await self._own.run(look)
        return Plain({"known": bool(answer.rows), "accounts": [credit.shown(one) for one in found]})

    async def _price(self, request: Request, until: float) -> Plain:
        erp = _needed(request, "erp")
        keys = {
            "dealer_key": _needed(request, "dealer"),
            "product_key": _needed(request, "product"),
            "qty": _qty(request),
        }
        answer = await self._ask(erp, "price", keys, until)
        body = _freshness(answer)
        if answer.live:
            row = answer.rows[0] if answer.rows else None
            return Plain({**body, "price": row, "by": "erp"})
        price = await self._own.run(self._own_price, request, erp, keys)
        return Plain({**body, "price": price, "by": "portal"})

    async def _stock(self, request: Request, until: float) -> Plain:
        erp = _needed(request, "erp")
        keys = {"product_key": _needed(request, "product")}
        if request.query_params.get("warehouse"):
            keys["warehouse_key"] = request.query_params["warehouse"]
        answer = await self._ask(erp, "stock", keys, until)

        def less_held() -> list[dict[str, Any]]:
            with self._ctx.connection() as connection:
                return available(connection, erp, answer)

        return Plain({**_freshness(answer), "stock": await self._own.run(less_held)})

    async def _ask(self, erp: str, what: What, keys: Mapping[str, str], until: float) -> LiveAnswer:
        """The ERP's answer, or what was synced. Raises Misconfigured for an unknown ERP."""
        answer = await self._asked(erp, what, keys, until)
        how = "live" if answer.live else (answer.why or "synced")
        self._metrics.asks.labels(erp, what, how).inc()
        self._metrics.ask_seconds.labels(erp, what).observe(answer.seconds)
        return answer

    async def _asked(
        self, erp: str, what: What, keys: Mapping[str, str], until: float
    ) -> LiveAnswer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seconds = time_to_ask(until - began, self._within, self._own.behind)
        try:
            pending = self._asker.begin(erp, what, keys, timedelta(seconds=seconds))
            try:
                rows = await asyncio.wait_for(asyncio.wrap_future(pending.future), pending.left)
            except TimeoutError:
                pending.give_up()
                raise Transient("no answer in time", code="timeout") from None
            return self._asker.answered(pending, rows)
        except WaybillError as error:
            if isinstance(error, Misconfigured) and error.code in {"mapping", "keys"}:
                raise
            took = loop.time() - began
            return await self._own.run(self._asker.instead, erp, what, keys, error, took, self._ctx)

    def _own_price(
        self, request: Request, erp: str, keys: Mapping[str, str]
    ) -> dict[str, object] | None:
        """The portal's price of the synced conditions, where the ERP does not answer."""
        uom, currency = request.query_params.get("uom"), request.query_params.get("currency")
        buyer = credit.buyer_of(self._ctx, erp, keys["dealer_key"])
        qty = Decimal(keys["qty"])
        wish = PriceWish(keys["product_key"], qty, uom)
        currency = currency or buyer.currency
        with self._ctx.connection() as connection:
            (found,) = portal_prices(self._ctx)(
                connection, erp, keys["dealer_key"], currency, [wish]
            )
        if found is None:
            return None
        return {"qty": qty, "uom": uom, "currency": currency, "net": found.line_net}


def _freshness(answer: LiveAnswer) -> dict[str, object]:
    age = answer.age(datetime.now(UTC))
    return {
        "live": answer.live,
        "not_live_because": answer.why,
        "as_of": answer.as_of,
        "age_seconds": None if age is None else round(age.total_seconds()),
    }


def _needed(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value or len(value) > _LONGEST:
        raise Refused(f"`{name}` is needed", code="keys", remedy=f"Add ?{name}=… to the address.")
    return value


def _qty(request: Request) -> str:
    text = request.query_params.get("qty", "1")
    try:
        if len(text) <= _LONGEST and Decimal(text).is_finite() and Decimal(text) > 0:
            return format(Decimal(text), "f")
    except InvalidOperation:
        pass
    raise Refused("`qty` must be a number above 0", code="keys")
