"""What a practice ERP does with orders: takes, looks up, cancels, and shows them as its own.

It takes the same order twice without a word, unless a native key is given: that is the danger of
most real ones. A customer number that it does not know becomes a new customer. Kept in a file, so
that a restarted ERP still has what it took. Knows no dialect and no wire.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import SCHEMAS

FIRST_NUMBER = 900_001


class RefusedError(Exception):
    """The ERP's no: a code, and what it says."""

    def __init__(self, code: str, says: str) -> None:
        super().__init__(says)
        self.code = code
        self.says = says


@dataclass
class Line:
    """One line as ordered, and what became of it. Numbers are texts, exact."""

    line_no: str
    product_key: str
    qty: str
    uom: str
    unit_price: str | None = None
    per: str = "1"
    warehouse_key: str | None = None
    confirmed: str = "0"
    price: str | None = None
    reason: str | None = None
    shipped: str | None = None

    @property
    def status(self) -> str:
        """`approved`, or `rejected` where nothing was confirmed."""
        return "approved" if Decimal(self.confirmed) > 0 else "rejected"


@dataclass
class Order:
    """One order as the ERP has it."""

    key: str
    reference: str
    dealer_key: str
    taken_at: str
    customer_ref: str | None = None
    requested_on: str | None = None
    currency: str = "EUR"
    note: str | None = None
    status: str = "approved"
    native_key: str | None = None
    lines: list[Line] = field(default_factory=list)

    @property
    def number(self) -> str:
        """As it is written on paper."""
        return f"SO-{self.key}"


class OrderBook:
    """All orders that one ERP has taken. Thread-safe. `file`: where they are kept."""

    def __init__(self, dataset: Dataset, file: Path | None = None) -> None:
        self.dataset = dataset
        self.orders: list[Order] = []
        self.customers: list[str] = []
        """Customer numbers that were made because an order named them."""
        self.notices: list[tuple[str, str, dict[str, str]]] = []
        """Whatever came that is no order, as it came: (kind, our reference, texts)."""
        self.prices: dict[str, Decimal] = {}
        """Product → the price that this ERP insists on."""
        self._file = file
        self._by_reference: dict[str, list[Order]] = {}
        self._keys: dict[str, Order] = {}
        self._lock = threading.RLock()
        if file is not None and file.exists():
            for text in file.read_text(encoding="utf-8").splitlines():
                known = json.loads(text)
                lines = [Line(**line) for line in known.pop("lines")]
                self._put(Order(**known, lines=lines))

    @property
    def dataset(self) -> Dataset:
        """What it knows of products and dealers."""
        return self._dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        self._dataset = dataset
        products = dataset["product"]
        self._products = dict(
            zip(products["key"].to_pylist(), products["status"].to_pylist(), strict=True)
        )
        dealers = dataset["dealer"]
        self._blocked = dict(
            zip(dealers["key"].to_pylist(), dealers["order_block"].to_pylist(), strict=True)
        )
        stock = dataset["stock"].group_by("product_key").aggregate([("on_hand", "sum")])
        self._stock = dict(
            zip(stock["product_key"].to_pylist(), stock["on_hand_sum"].to_pylist(), strict=True)
        )

    def take(self, wish: Mapping[str, Any], *, native_key: str | None = None) -> Order:
        """Make an order. RefusedError (`EXISTS` for a native key that was used before)."""
        with self._lock:
            if native_key is not None and native_key in self._keys:
                raise RefusedError("EXISTS", f"{native_key} exists already")
            dealer = str(wish["dealer_key"])
            if self._blocked.get(dealer):
                raise RefusedError("CREDIT_BLOCK", f"customer {dealer} is blocked for new orders")
            lines = [self._line(one) for one in wish["lines"]]
            if all(Decimal(line.confirmed) <= 0 for line in lines):
                raise RefusedError(
                    "NO_LINE", "; ".join(dict.fromkeys(str(x.reason) for x in lines))
                )
            if self._blocked and dealer not in self._blocked and dealer not in self.customers:
                self.customers.append(dealer)
            order = Order(
                key=str(FIRST_NUMBER + len(self.orders)),
                reference=str(wish["reference"]),
                dealer_key=dealer,
                taken_at=datetime.now(UTC).isoformat(),
                customer_ref=wish.get("customer_ref"),
                requested_on=wish.get("requested_on"),
                currency=wish.get("currency") or "EUR",
                note=wish.get("note"),
                status="pending" if wish.get("status") == "pending" else "approved",
                native_key=native_key,
                lines=lines,
            )
            self._put(order)
            self._keep(order)
            return order

    def found(self, reference: str) -> list[Order]:
        """Every order of a reference: more than one is what must never happen."""
        with self._lock:
            return list(self._by_reference.get(reference, ()))

    def cancel(self, reference: str) -> Order:
        """Cancel it. RefusedError where there is none or it is on its way."""
        with self._lock:
            found = self._by_reference.get(reference)
            if not found:
                raise RefusedError("UNKNOWN", f"there is no order {reference}")
            order = found[0]
            if order.status in ("shipped", "delivered"):
                raise RefusedError("SHIPPED", f"order {order.number} has left the warehouse")
            order.status = "cancelled"
            self._keep(order)
            return order

    def advance(self, reference: str, status: str) -> Order:
        """Somebody in the warehouse works on it: `processing`, `shipped`, `delivered`."""
        with self._lock:
            order = self._by_reference[reference][0]
            order.status = status
            for line in order.lines:
                if status in ("shipped", "delivered"):
                    line.shipped = line.confirmed
            self._keep(order)
            return order

    def note(self, kind: str, reference: str, texts: Mapping[str, str]) -> str:
        """Keep a cancellation, a customer update or a request; its number here."""
        with self._lock:
            self.notices.append((kind, reference, dict(texts)))
            return f"N{len(self.notices)}"

    def noted(self, reference: str) -> list[str]:
        """Numbers of what was noted under a reference."""
        with self._lock:
            return [f"N{n}" for n, (_, own, _) in enumerate(self.notices, 1) if own == reference]

    def merged(self, dataset: Dataset) -> Dataset:
        """The data set with these orders among its own, as the order-status feed shows them."""
        with self._lock:
            orders = list({order.key: order for order in self.orders}.values())
        if not orders:
            return dataset
        erp = dataset.erps[0]
        heads = [_head(erp, order) for order in orders]
        lines = [_row(erp, order, line) for order in orders for line in order.lines]
        tables = {}
        for name, rows in (("sales_order", heads), ("sales_order_line", lines)):
            schema = SCHEMAS[name]
            blank = dict.fromkeys(schema.names)
            made = pa.Table.from_pylist([{**blank, **row} for row in rows], schema=schema)
            keys = pa.array([row.get("key") for row in rows])
            kept = dataset[name]
            if name == "sales_order":
                kept = kept.filter(pc.invert(pc.is_in(kept["key"], value_set=keys)))
            tables[name] = pa.concat_tables([kept, made])
        return dataset.replace(**tables)

    @property
    def version(self) -> int:
        """Grows with everything that happens to an order."""
        return self._version

    _version = 0

    def _line(self, one: Mapping[str, Any]) -> Line:
        line = Line(**{name: one[name] for name in one if name in Line.__dataclass_fields__})
        status = self._products.get(line.product_key)
        wanted = Decimal(line.qty)
        if status is None and self._products:
            line.reason = f"item {line.product_key} is not known"
            return line
        if status == "blocked":
            line.reason = f"item {line.product_key} is not for sale"
            return line
        there = self._stock.get(line.product_key)
        line.confirmed = str(wanted if there is None else min(wanted, max(there, Decimal(0))))
        if Decimal(line.confirmed) < wanted:
            line.reason = f"only {Decimal(line.confirmed).normalize():f} available"
        price = self.prices.get(line.product_key)
        line.price = line.unit_price if price is None else str(price)
        return line

    def _put(self, order: Order) -> None:
        if order.native_key is not None:
            self._keys[order.native_key] = order
        known = self._by_reference.setdefault(order.reference, [])
        for place, other in enumerate(known):
            if other.key == order.key:  # a later state of the same order
                known[place] = order
                self.orders[int(order.key) - FIRST_NUMBER] = order
                return
        known.append(order)
        self.orders.append(order)

    def _keep(self, order: Order) -> None:
        self._version += 1
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(order)) + "\n")


def _head(erp: str, order: Order) -> dict[str, Any]:
    at = datetime.fromisoformat(order.taken_at)
    net = sum((_net(line) for line in order.lines), Decimal(0))
    cancelled = order.status == "cancelled"
    return {
        "erp": erp, "key": order.key, "number": order.number, "portal_ref": order.reference,
        "channel": "portal", "dealer_key": order.dealer_key, "customer_ref": order.customer_ref,
        "ordered_at": at, "ordered_at_exact": True, "currency": order.currency,
        "requested_on": date.fromisoformat(order.requested_on) if order.requested_on else None,
        "net": net, "tax": Decimal(0), "gross": net, "status": order.status, "approved_at": at,
        "open_gross": Decimal(0) if cancelled else net, "changed_at": at,
        "modified_at": datetime.now(UTC),
    }  # fmt: skip


def _row(erp: str, order: Order, line: Line) -> dict[str, Any]:
    price = None if line.price is None else Decimal(line.price)
    return {
        "erp": erp, "order_key": order.key, "line_no": line.line_no, "portal_line": line.line_no,
        "product_key": line.product_key, "qty": Decimal(line.qty), "uom": line.uom,
        "qty_confirmed": Decimal(line.confirmed), "unit_price": price, "per": int(line.per),
        "qty_shipped": None if line.shipped is None else Decimal(line.shipped),
        "net": _net(line), "gross": _net(line), "warehouse_key": line.warehouse_key,
        "status": order.status if line.status == "approved" else line.status,
        "reason": line.reason, "modified_at": datetime.now(UTC),
    }  # fmt: skip


def _net(line: Line) -> Decimal:
    if line.price is None:
        return Decimal(0)
    whole = Decimal(line.confirmed) * Decimal(line.price) / Decimal(line.per)
    return whole.quantize(Decimal("0.01"))
