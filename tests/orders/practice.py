"""A portal database with the practice ERPs behind it, quick enough to fail often and come back.

Mappings are the real ones of the practice ERPs with short waits. Dealers, products and stock are
rows that name what the ERP really has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import yaml

from mappings.lines import read_lines
from mappings.private_files import change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from portal_db.orders import NewLine, NewOrder, PlacedOrder
from sandbox.dataset import Dataset
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sandbox.soap.habits import Habits
from sync.context import Context
from sync.deliver import DeliveryReport, deliver_due
from tests.orders import shop

WORDS = ("orders", "order_cancels", "customer_updates", "requests")
PROTOCOLS = {"anvil": "soap", "birch": "odata", "cedar": "sftp"}


class Practice:
    """One practice ERP, mapped, and a portal that orders from it."""

    def __init__(
        self,
        settings: Settings,
        erp: str,
        tiny: Dataset,
        folder: Path,
        habits: Habits | None = None,
    ) -> None:
        self.settings = settings
        self.erp = erp
        self.dealers_of = "birch" if erp == "cedar" else erp
        rows = tiny.of(erp)
        self.orders_file = folder / f"{erp}.jsonl"
        if erp == "anvil":
            self.server: Any = SoapErp(
                rows, user="waybill", password="practice", orders=self.orders_file, habits=habits
            )
        elif erp == "birch":
            self.server = ODataErp(
                rows, client_id="waybill", client_secret="practice", orders=self.orders_file
            )
        else:
            self.server = SftpErp(
                Dataset({}, rows.as_of), user="waybill", password="practice",
                folder=folder / "cedar", orders=self.orders_file,
            )  # fmt: skip
        dealer_rows = tiny.of(self.dealers_of)["dealer"].to_pylist()
        self.dealers = [one["key"] for one in dealer_rows if not one["order_block"]][:4]
        in_stock = {one["product_key"] for one in rows["stock"].to_pylist() if one["on_hand"] >= 10}
        self.products = [
            one for one in rows["product"].to_pylist()
            if one["status"] == "active" and one["key"] in in_stock
        ][:5]  # fmt: skip
        self._ctx: Context | None = None
        assert settings.database_url is not None
        self.admin = psycopg.connect(settings.database_url, autocommit=True)

    def start(self, **how: Any) -> None:
        """Let it serve, map it with the words of `how` over its own, and fill the portal."""
        self.server.start()
        make_home(self.settings)
        change_connections(self.settings, {self.erp: {**self.server.connection()}})
        self.map(**how)
        dealers = [(key, 101 + n) for n, key in enumerate(self.dealers)]
        shop.stock_up(self.admin, self.dealers_of, dealers=dealers, products=(), kinds=())
        for product in self.products:
            known = {"erp": self.erp, "status": "active", "base_uom": product["base_uom"]}
            shop.put(self.admin, "product", key=product["key"], **known)
            shop.put(self.admin, "stock", erp=self.erp, product_key=product["key"],
                     warehouse_key="W1", on_hand=1_000_000)  # fmt: skip
        assert not self.ctx.mappings.broken, self.ctx.mappings.broken
        deliver_due(self.ctx)  # publishes the routes

    def map(self, **how: Any) -> None:
        """The ERP's own mapping with short waits; `how` is put over each kind of message."""
        text = (REPOSITORY / "mappings" / "erps" / f"{self.erp}.yaml").read_text(encoding="utf-8")
        tree: Any = read_lines(text).tree
        for other in ("webhooks", "live"):
            tree.pop(other, None)
        wanted = ("stock", "order_status")
        tree["feeds"] = {name: one for name, one in tree["feeds"].items() if name in wanted}
        quick = {
            "settle_seconds": "0.05", "acknowledge_minutes": "0.002",
            "retry": {"tries": "12", "hours": "0.01", "probe_seconds": "0.2"},
        }  # fmt: skip
        target = {"timeout_seconds": "8", **how.pop("target", {})}
        for word in WORDS:
            if word in tree:
                tree[word] = {**tree[word], **quick, **how}
                tree[word]["target"] = {**tree[word]["target"], **target}
        tree["refers"] = {}
        if self.erp == "cedar":  # whose dealers are another ERP's: that is what this tries
            tree["refers"] = {"dealer": "birch"}
            source = (REPOSITORY / "mappings" / "erps" / "birch.yaml").read_text(encoding="utf-8")
            birch: Any = read_lines(source).tree
            for other in ("webhooks", "live", *WORDS):
                birch.pop(other, None)
            neighbour = yaml.safe_dump(birch, allow_unicode=True)
            (self.settings.mappings[0] / "birch.yaml").write_text(neighbour, encoding="utf-8")
        file = self.settings.mappings[0] / f"{self.erp}.yaml"
        file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        self.forget()

    def stop(self) -> None:
        self.forget()
        self.admin.close()
        self.server.stop()

    def forget(self) -> None:
        """As a new process."""
        if self._ctx is not None:
            self._ctx.close()
            self._ctx = None

    @property
    def ctx(self) -> Context:
        if self._ctx is None:
            self._ctx = Context.open(self.settings)
        return self._ctx

    # what dealers and workers do

    def order(self, key: str, *, dealer: int = 0, lines: int = 1, **more: Any) -> NewOrder:
        """Some pieces of the first products."""
        made = tuple(
            NewLine(p["key"], Decimal(2), p["base_uom"], unit_price=Decimal("9.5"))
            for p in self.products[:lines]
        )
        return NewOrder(self.erp, self.dealers[dealer], key, "EUR", made, **more)

    def place(self, key: str, *, dealer: int = 0, **more: Any) -> PlacedOrder:
        order = more.pop("order", None) or self.order(key, dealer=dealer, **more)
        return shop.place(self.admin, 101 + dealer, order)

    def deliver(self, **more: Any) -> DeliveryReport:
        return deliver_due(self.ctx, **{"erp": self.erp, **more})

    def settle(self, seconds: float = 20.0, **more: Any) -> DeliveryReport:
        """Deliver until nothing is open any more."""
        until = time.monotonic() + seconds
        while True:
            report = self.deliver(**more)
            if self.one(
                "SELECT count(*) FROM sync.outbox WHERE awaits_answer OR state NOT IN "
                "('delivered','dead','cancelled')"
            ) == 0:  # fmt: skip
                return report
            assert time.monotonic() < until, self.sql("SELECT * FROM sync.outbox")
            time.sleep(0.02)

    # looking

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = self.admin.execute(query, parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *parameters: object) -> Any:
        ((value,),) = self.sql(query, *parameters)
        return value

    def state(self, placed: PlacedOrder) -> str:
        """Of its message."""
        return self.one("SELECT state FROM sync.outbox WHERE reference = %s", placed.reference)

    def order_state(self, placed: PlacedOrder) -> str:
        query = "SELECT state FROM portal.order_request WHERE reference = %s"
        return self.one(query, placed.reference)

    def says(self, placed: PlacedOrder) -> str:
        """What the dealer reads."""
        query = "SELECT says FROM portal.dealer_order WHERE reference = %s"
        return self.one(query, placed.reference)

    def in_erp(self, placed: PlacedOrder) -> int:
        """How often the ERP has it."""
        return len(self.server.book.found(placed.reference))

    def attempts(self, placed: PlacedOrder) -> list[tuple[str, str]]:
        """(what, outcome) of every ended attempt."""
        return self.sql(
            "SELECT a.what, a.outcome FROM sync.delivery_attempt a JOIN sync.outbox o "
            "ON o.id = a.message_id WHERE o.reference = %s AND a.event = 'ended' ORDER BY a.id",
            placed.reference,
        )


@contextmanager
def practising(
    settings: Settings,
    erp: str,
    tiny: Dataset,
    folder: Path,
    *,
    habits: Habits | None = None,
    **how: Any,
) -> Iterator[Practice]:
    """A practice ERP for a block; `habits` of the SOAP ERP."""
    practice = Practice(settings, erp, tiny, folder, habits)
    try:
        practice.start(**how)
        yield practice
    finally:
        practice.stop()
