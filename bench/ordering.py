"""A portal to order from, for the order benches: its own database, one practice ERP, short waits.

Waits are compressed by the mapping's own words (`settle_seconds`, `retry`, `timeout_seconds`): the
code that runs is the product's. Must not patch anything.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pyarrow as pa
import yaml

from mappings.lines import read_lines
from mappings.private_files import change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from portal_db import server
from portal_db.migrate import migrate
from portal_db.orders import NewLine, NewOrder, PlacedOrder, as_dealer, place_order
from sandbox.dataset import Dataset, load
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sync.context import Context
from sync.routes import publish_routes

ERPS = ("anvil", "birch", "cedar")
DEALERS = 40
_T = TypeVar("_T")

QUICK: dict[str, Any] = {
    "settle_seconds": "0.5",
    "acknowledge_minutes": "0.02",
    "retry": {"tries": "12", "hours": "0.02", "probe_seconds": "0.5"},
}


@dataclass(slots=True)
class Ordering:
    """One ERP and the portal in front of it. `erp_server` runs in this process."""

    settings: Settings
    erp: str
    erp_server: Any
    dealers: list[str]
    products: list[tuple[str, str]]

    @property
    def url(self) -> str:
        """Of the portal's database."""
        running = server.running(self.settings.home)
        if running is None:
            raise ConnectionError
        return running.url()

    def one_order(self, number: int) -> tuple[int, NewOrder]:
        """(portal dealer, order) number `number`: always the same, so it can be placed again."""
        dealer = number % len(self.dealers)
        lines = tuple(
            NewLine(*self._line(number + n), unit_price=Decimal("9.50"))
            for n in range(1 + number % 3)
        )
        order = NewOrder(self.erp, self.dealers[dealer], f"chaos-{number}", "EUR", lines)
        return 1000 + dealer, order

    def _line(self, number: int) -> tuple[str, Decimal, str]:
        key, unit = self.products[number % len(self.products)]
        return key, Decimal(1 + number % 4), unit

    def place(self, connection: psycopg.Connection[Any], number: int) -> PlacedOrder:
        """Place it as its dealer."""
        dealer, order = self.one_order(number)
        with as_dealer(connection, dealer):
            return place_order(connection, order)

    def books(self) -> dict[str, int]:
        """Our reference → how many orders the ERP has of it."""
        found: dict[str, int] = {}
        for order in self.erp_server.book.orders:
            found[order.reference] = found.get(order.reference, 0) + 1
        return found


def open_shop(erp: str, folder: Path, **words: Any) -> Ordering:  # noqa: ANN401  words of a mapping
    """Everything for one ERP, in an empty folder; the ERP listens. `words` go over `QUICK`."""
    tiny = load("tiny")
    home = folder / "home"
    mappings = folder / "erps"
    mappings.mkdir(parents=True)
    settings = Settings.read({}, home=home, mappings=(mappings,))
    make_home(settings)
    migrate(server.start(home))
    rows = tiny.of(erp) if erp == "cedar" else _with_dealers(tiny.of(erp))
    known = ("waybill", secrets.token_urlsafe(9))
    book = folder / "orders.jsonl"
    erp_server = erp_at(erp, rows, known, folder, book)
    erp_server.start()
    change_connections(settings, {erp: erp_server.connection()})
    write_mapping(erp, mappings, words)
    stocked = rows["product"].to_pylist()
    active = [(p["key"], p["base_uom"]) for p in stocked if p["status"] == "active"][:20]
    erp_server.book._stock = {}  # noqa: SLF001  an ERP that never runs out
    dealers = _free(rows if erp != "cedar" else _with_dealers(tiny.of("birch")))
    shop = Ordering(settings, erp, erp_server, dealers, active)
    with psycopg.connect(shop.url, autocommit=True) as admin:
        _fill(admin, shop, "birch" if erp == "cedar" else erp)
    with Context.open(settings) as ctx:
        publish_routes(ctx)
    return shop


def _free(rows: Dataset) -> list[str]:
    """Customer numbers that may order."""
    return [d["key"] for d in rows["dealer"].to_pylist() if not d["order_block"]][:DEALERS]


def _with_dealers(rows: Dataset) -> Dataset:
    """As many dealers as a bench orders for: those of the data set, and more of their kind."""
    known = rows["dealer"].to_pylist()
    model = next(one for one in known if not one["order_block"])
    more = [{**model, "key": f"{model['key']}{n:03}"} for n in range(DEALERS)]
    return rows.replace(dealer=pa.Table.from_pylist(known + more, schema=rows["dealer"].schema))


def erp_at(
    erp: str,
    rows: Dataset,
    known: tuple[str, str],
    folder: Path,
    book: Path,
    port: int = 0,
    **keys: str,
) -> Any:  # noqa: ANN401  one of three servers
    """The practice ERP, not yet listening. `keys`: the SSH keys that one which comes back keeps."""
    user, password = known
    if erp == "anvil":
        return SoapErp(rows, user=user, password=password, orders=book, port=port)
    if erp == "birch":
        return ODataErp(rows, client_id=user, client_secret=password, orders=book, port=port)
    empty, files = Dataset({}, rows.as_of), folder / "files"
    return SftpErp(
        empty, user=user, password=password, folder=files, orders=book, port=port, **keys
    )


def write_mapping(erp: str, folder: Path, words: dict[str, Any]) -> None:
    """The ERP's own mapping with short waits, its orders and stock alone."""
    source = REPOSITORY / "mappings" / "erps"
    tree: Any = read_lines((source / f"{erp}.yaml").read_text(encoding="utf-8")).tree
    tree = {name: one for name, one in tree.items() if name not in ("webhooks", "live")}
    tree["feeds"] = {"stock": tree["feeds"]["stock"]}
    target = {"timeout_seconds": "2", **words.pop("target", {})}
    for word in ("orders", "order_cancels", "customer_updates", "requests"):
        if word in tree:
            tree[word] = {**tree[word], **QUICK, **words}
            tree[word]["target"] = {**tree[word]["target"], **target}
    (folder / f"{erp}.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    if erp == "cedar":
        birch: Any = read_lines((source / "birch.yaml").read_text(encoding="utf-8")).tree
        kept = {k: v for k, v in birch.items() if k not in ("orders", "order_cancels",
                "customer_updates", "requests", "webhooks", "live")}  # fmt: skip
        kept["feeds"] = {"stock": kept["feeds"]["stock"]}
        text = yaml.safe_dump(kept, allow_unicode=True)
        (folder / "birch.yaml").write_text(text, encoding="utf-8")


def patiently(work: Callable[[], _T], *, until: float, now: Callable[[], float]) -> _T:
    """Do it again while the database is away."""
    while True:
        try:
            return work()
        except (psycopg.OperationalError, psycopg.InterfaceError, ConnectionError):
            if now() > until:
                raise
            time.sleep(0.05)


def _fill(admin: psycopg.Connection[Any], shop: Ordering, dealers_of: str) -> None:
    rows: Iterable[tuple[str, int]] = ((key, 1000 + n) for n, key in enumerate(shop.dealers))
    for key, portal_id in rows:
        admin.execute(
            "INSERT INTO portal.dealer_account (erp, dealer_key, portal_dealer_id) "
            "VALUES (%s, %s, %s)",
            (dealers_of, key, portal_id),
        )
        admin.execute(
            "INSERT INTO portal.dealer (erp, key, name, status, account_key, currency, batch_id, "
            "record_no, row_hash, as_of) VALUES (%s, %s, %s, 'active', %s, 'EUR', 1, 1, 1, now())",
            (dealers_of, key, key, key),
        )
    for key, unit in shop.products:
        admin.execute(
            "INSERT INTO portal.product (erp, key, name, status, base_uom, batch_id, record_no, "
            "row_hash, as_of) VALUES (%s, %s, %s, 'active', %s, 1, 1, 1, now())",
            (shop.erp, key, key, unit),
        )
        admin.execute(
            "INSERT INTO portal.stock (erp, product_key, warehouse_key, on_hand, product_erp, "
            "batch_id, record_no, row_hash, as_of) VALUES (%s, %s, 'W1', 1000000000, %s, 1, 1, 1, "
            "now())",
            (shop.erp, key, shop.erp),
        )
