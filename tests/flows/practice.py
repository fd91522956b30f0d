"""The three practice ERPs and an installation that reads them, for tests of the whole way.

Drives the product through its own front doors; must not reach into a step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from mappings.private_files import change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import Dataset
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sync.context import Context
from sync.feed import sync_feed
from sync.load import Outcome
from sync.order import in_order

PASSWORD = "pr4ctice-s3cret"
GENERATED = ("anvil", "birch", "cedar")
WIDE_WORLD = ("wwi_soap", "wwi_rest", "wwi_sftp")


class Practice:
    """Three servers on loopback and what reads them. `names`: SOAP, OData, SFTP."""

    def __init__(
        self,
        dataset: Dataset,
        names: tuple[str, str, str],
        url: str,
        home: Path,
        *,
        mappings: Path | None = None,
    ) -> None:
        self.names = names
        home.mkdir(parents=True, exist_ok=True)
        folder = REPOSITORY / "mappings" / ("wwi" if names == WIDE_WORLD else "erps")
        self.settings = Settings.read(
            {}, home=home, database_url=url, mappings=(mappings or folder,)
        )
        soap, odata, sftp = (dataset.of(name) for name in names)
        self.soap = SoapErp(soap, user="waybill", password=PASSWORD)
        self.odata = ODataErp(odata, client_id="waybill", client_secret=PASSWORD)
        self.sftp = SftpErp(sftp, user="waybill", password=PASSWORD, folder=home / "files")
        self.db = psycopg.connect(url, autocommit=True)
        self._ctx: Context | None = None

    @property
    def servers(self) -> dict[str, SoapErp | ODataErp | SftpErp]:
        """ERP → its server."""
        return dict(zip(self.names, (self.soap, self.odata, self.sftp), strict=True))

    @property
    def ctx(self) -> Context:
        """The engine's context, opened when first needed."""
        if self._ctx is None:
            self._ctx = Context.open(self.settings)
        return self._ctx

    def start(self) -> None:
        """Let all three listen, and write down how to reach them."""
        for server in self.servers.values():
            server.start()
        make_home(self.settings)
        change_connections(self.settings, {n: s.connection() for n, s in self.servers.items()})

    def stop(self) -> None:
        """Give everything back."""
        self.forget()
        self.db.close()
        for server in self.servers.values():
            server.stop()

    def connect(self, erp: str, **changes: Any) -> None:
        """Change an ERP's connection; without a change, back to how it is reached."""
        changed = {**self.servers[erp].connection(), **changes}
        change_connections(self.settings, {erp: changed})

    def forget(self) -> None:
        """As a new process: open everything again when it is next needed."""
        if self._ctx is not None:
            self._ctx.close()
            self._ctx = None

    def serve(self, dataset: Dataset) -> None:
        """The next night: every server serves this from now on."""
        for name, server in self.servers.items():
            server.dataset = dataset.of(name)

    def sync(self, erp: str, feed: str) -> Outcome:
        """What `waybill sync ERP FEED` does."""
        outcome = sync_feed(self.ctx, erp, feed)
        assert outcome is not None
        return outcome

    def sync_all(self) -> list[Outcome]:
        """What `waybill sync` does: every feed of every ERP, required ones first."""
        return [self.sync(erp, feed) for erp, feed in in_order(self.ctx, list(self.names))]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a query, as superuser."""
        return self.db.execute(query, parameters or None).fetchall()  # type: ignore[arg-type]

    def one(self, query: str, *parameters: object) -> Any:
        """The single value of a query."""
        ((value,),) = self.rows(query, *parameters)
        return value
