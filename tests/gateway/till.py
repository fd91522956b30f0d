"""A shop over one ERP that answers live: a dealer, a product, and whatever credit a test wants.

The ERP is the practice OData server with a credit table of the test's own.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from mappings.private_files import change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from portal_db.orders import PlacedOrder
from sandbox.dataset import Dataset
from sandbox.dataset_shape import SCHEMAS
from sandbox.odata import ODataErp
from sync.ask import Asker
from sync.context import Context
from sync.ordering import LineWish, OrderWish, Placed, place
from tests.orders.shop import put, stock_up

ERP = "birch"
SECRET = "pr4ctice-s3cret"
PATIENT = timedelta(seconds=30)
"""A busy machine is no slow ERP: what is not about time waits as long as it takes."""
WORDS = """
credit: {{action: {action}}}
"""


class Till:
    """One installation with one ERP. `credit` sets what the ERP says of account D1."""

    def __init__(
        self, dataset: Dataset, url: str, home: Path, *, action: str = "hard_block"
    ) -> None:
        self.url = url
        home.mkdir(parents=True, exist_ok=True)
        folder = home / "mappings"
        folder.mkdir()
        text = (REPOSITORY / "mappings" / "erps" / f"{ERP}.yaml").read_text(encoding="utf-8")
        (folder / f"{ERP}.yaml").write_text(text + WORDS.format(action=action), encoding="utf-8")
        self.settings = Settings.read({}, home=home, database_url=url, mappings=(folder,))
        make_home(self.settings)
        self.base = dataset.of(ERP)
        self.erp = ODataErp(self.base, client_id="waybill", client_secret=SECRET)
        self.db = psycopg.connect(url, autocommit=True)
        self.keys = iter(range(1000))
        self._ctx: Context | None = None

    def start(self) -> None:
        """Let the ERP listen and stock the shop: D1 orders P1, untaxed, from plenty."""
        self.erp.start()
        change_connections(self.settings, {ERP: self.erp.connection()})
        stock_up(self.db, ERP, dealers=[("D1", 101), ("D2", 102)], products=[("P1", 1_000_000)])
        self.db.execute("UPDATE portal.product SET tax_pct = 0")
        self.db.execute("UPDATE portal.dealer SET currency = 'EUR'")
        self.credit()

    def stop(self) -> None:
        """Give everything back."""
        if self._ctx is not None:
            self._ctx.close()
        self.db.close()
        self.erp.stop()

    @property
    def ctx(self) -> Context:
        """The engine's context, opened when first needed."""
        if self._ctx is None:
            self._ctx = Context.open(self.settings)
        return self._ctx

    def asker(self, **more: Any) -> Asker:
        """Something to ask with."""
        return Asker(self.ctx, **more)

    def credit(self, limit: str | None = "50000", **more: Any) -> None:
        """What the ERP says from now on; open 32,000 and pending 10,000 unless said."""
        row = {
            **dict.fromkeys(SCHEMAS["credit"].names),
            "erp": ERP,
            "account_key": "D1",
            "currency": "EUR",
            "limit_amount": None if limit is None else Decimal(limit),
            "unlimited": False,
            "open_balance": Decimal(32000),
            "pending": Decimal(10000),
            "on_hold": False,
            "calculated_at": self.one("SELECT now()"),
            **more,
        }
        table = pa.Table.from_pylist([row], schema=SCHEMAS["credit"])
        tables = {name: self.base[name] for name in SCHEMAS if name in self.base.tables}
        # an ERP without products of its own takes an order of anything
        tables["product"] = tables["product"].slice(0, 0)
        self.erp.dataset = Dataset({**tables, "credit": table}, self.base.as_of)

    def wish(self, amount: str | Decimal, **more: Any) -> OrderWish:
        """An order of D1 that comes to this much."""
        line = LineWish("P1", Decimal(1), "PCE", Decimal(amount))
        given = {"idempotency_key": f"k{next(self.keys)}", "lines": (line,), **more}
        return OrderWish(ERP, "D1", currency="EUR", **given)

    def order(self, asker: Asker, amount: str | Decimal, **more: Any) -> Placed:
        """Place an order of so much."""
        return place(self.ctx, asker, self.wish(amount, **more), within=PATIENT)

    def one(self, query: str, *parameters: object) -> Any:
        """The single value of a query, as superuser."""
        row = self.db.execute(query, parameters or None).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


__all__ = ["ERP", "SECRET", "PlacedOrder", "Till", "put"]
