"""Wide World Importers behind three practice servers, synced into a bench's database.

Must not look into a step: it drives the product's own verbs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from mappings.private_files import change_connections
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import load
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sync.context import Context
from sync.feed import sync_feed
from sync.order import in_order

NAMES = ("wwi_soap", "wwi_rest", "wwi_sftp")
_PASSWORD = "practice"  # noqa: S105 - of a server on loopback for one run


class WideWorld:
    """The servers and an engine that knows their mappings; use as a context manager."""

    def __init__(self, settings: Settings, files: Path) -> None:
        self.settings = replace(settings, mappings=(REPOSITORY / "mappings" / "wwi",))
        soap, odata, sftp = (load(files).of(name) for name in NAMES)
        self._servers = {
            NAMES[0]: SoapErp(soap, user="waybill", password=_PASSWORD),
            NAMES[1]: ODataErp(odata, client_id="waybill", client_secret=_PASSWORD),
            NAMES[2]: SftpErp(
                sftp, user="waybill", password=_PASSWORD, folder=settings.home / "files"
            ),
        }

    def __enter__(self) -> Self:
        for server in self._servers.values():
            server.start()
        change_connections(
            self.settings, {name: one.connection() for name, one in self._servers.items()}
        )
        self.ctx = Context.open(self.settings)
        return self

    def __exit__(self, *_error: object) -> None:
        self.ctx.close()
        for server in self._servers.values():
            server.stop()

    def sync_all(self) -> None:
        """Every feed of every ERP, required ones first."""
        for erp, feed in in_order(self.ctx, list(NAMES)):
            sync_feed(self.ctx, erp, feed)
