"""`GET /credit/{dealer}`, `/price`, `/stock`: the ERP's word of now, or ours with its age.

Waiting costs no thread: an ask runs on its ERP's own few, and only the queries are ours. Must not
judge an order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import anyio.to_thread
from starlette.requests import Request

from gateway.answers import Plain
from gateway.metrics import Metrics
from mappings.errors import Misconfigured, Refused, Transient, WaybillError
from mappings.live import What
from sync import credit
from sync.ask import Asker, LiveAnswer
from sync.available import available
from sync.context import Context
from sync.credit import Standing
from sync.pricing import PriceWish, portal_prices

_T = TypeVar("_T")
_LONGEST = 200
_GRACE = 1.0
"""Seconds beyond an ask's time for our own queries; a caller who waits longer is sent away."""


class Live:
    """What can be asked. `within`: the whole time of one ask."""

    def __init__(self, ctx: Context, asker: Asker, metrics: Metrics, within: timedelta) -> None:
        self._ctx = ctx
        self._asker = asker
        self._metrics = metrics
        self._within = within

    async def credit(self, request: Request) -> Plain:
        """Figures of a dealer's account, one entry a currency."""
        return await self._in_time(self._credit(request))

    async def price(self, request: Request) -> Plain:
        """What one quantity of a product costs a dealer, by the ERP itself or by the portal."""
        return await self._in_time(self._price(request))

    async def stock(self, request: Request) -> Plain:
        """What of a product can be ordered, by warehouse: less what is on its way to the ERP."""
        return await self._in_time(self._stock(request))

    async def _in_time(self, answer: Coroutine[Any, Any, Plain]) -> Plain:
        """The answer; Transient (`overloaded`) where not even our own is there in time."""
        try:
            async with asyncio.timeout(self._within.total_seconds() + _GRACE):
                return await answer
        except TimeoutError:
            says = "more is asked than this machine answers in time"
            raise Transient(says, code="overloaded", remedy="Ask again in a moment.") from None

    async def _credit(self, request: Request) -> Plain:
        erp = _needed(request, "erp")
        dealer = str(request.path_params["dealer"])
        buyer = await _aside(credit.buyer_of, self._ctx, erp, dealer)
        source = credit.credit_source(self._ctx, erp)
        answer = await self.ask(source.erp, "credit", {"account_key": buyer.account_key})
        currencies = [row["currency"] for row in answer.rows] or [buyer.currency]

        def look() -> list[Standing]:
            now = datetime.now(UTC)
            with self._ctx.connection() as connection, connection.transaction():
                return [
                    credit.standing(connection, source, buyer, currency, answer, now=now)
                    for currency in currencies
                ]

        found = await _aside(look)
        return Plain({"known": bool(answer.rows), "accounts": [credit.shown(one) for one in found]})

    async def _price(self, request: Request) -> Plain:
        erp = _needed(request, "erp")
        keys = {
            "dealer_key": _needed(request, "dealer"),
            "product_key": _needed(request, "product"),
            "qty": _qty(request),
        }
        answer = await self.ask(erp, "price", keys)
        body = _freshness(answer)
        if answer.live:
            row = answer.rows[0] if answer.rows else None
            return Plain({**body, "price": row, "by": "erp"})
        price = await _aside(self._own_price, request, erp, keys)
        return Plain({**body, "price": price, "by": "portal"})

    async def _stock(self, request: Request) -> Plain:
        erp = _needed(request, "erp")
        keys = {"product_key": _needed(request, "product")}
        if request.query_params.get("warehouse"):
            keys["warehouse_key"] = request.query_params["warehouse"]
        answer = await self.ask(erp, "stock", keys)

        def less_held() -> list[dict[str, Any]]:
            with self._ctx.connection() as connection:
                return available(connection, erp, answer)

        return Plain({**_freshness(answer), "stock": await _aside(less_held)})

    async def ask(self, erp: str, what: What, keys: Mapping[str, str]) -> LiveAnswer:
        """The ERP's answer, or what was synced. Raises Misconfigured for an unknown ERP."""
        answer = await self._asked(erp, what, keys)
        how = "live" if answer.live else (answer.why or "synced")
        self._metrics.asks.labels(erp, what, how).inc()
        self._metrics.ask_seconds.labels(erp, what).observe(answer.seconds)
        return answer

    async def _asked(self, erp: str, what: What, keys: Mapping[str, str]) -> LiveAnswer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            pending = self._asker.begin(erp, what, keys, self._within)
            try:
                rows = await asyncio.wait_for(asyncio.wrap_future(pending.future), pending.left)
            except TimeoutError:
                pending.give_up()
                raise Transient("no answer in time", code="timeout") from None
            return self._asker.answered(pending, rows)
        except WaybillError as error:
            if isinstance(error, Misconfigured) and error.code in {"mapping", "keys"}:
                raise
            seconds = loop.time() - began
            return await _aside(self._asker.instead, erp, what, keys, error, seconds)

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


async def _aside(work: Callable[..., _T], *arguments: object) -> _T:
    """In a thread that nobody waits for beyond the caller's time."""
    return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


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
