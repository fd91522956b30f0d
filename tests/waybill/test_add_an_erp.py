"""Every command of docs/add-an-erp.md, in order, against the practice ERPs."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mappings.private_files import change_connections
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import load
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from tests.waybill.new_erp_servers import Documents
from tests.waybill.test_cli import Run, waybill

__all__ = ["waybill"]

PAGE = REPOSITORY / "docs" / "add-an-erp.md"
REJECTS = {"waybill check acme products", "waybill check shop customers --records 1"}
"""Commands that the page itself says find something to correct."""


def commands() -> list[str]:
    """The lines after `$` of every console block."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


@pytest.fixture
def addresses(anvil: Any, settings: Settings, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the page's addresses stand for; the ERPs serve and their connections are written."""
    (settings.mappings[0] / "anvil.yaml").unlink()
    data = load("tiny")
    birch = ODataErp(data.of("birch"), client_id="w", client_secret="s")
    cedar = SftpErp(data.of("cedar"), user="w", password="s", folder=tmp_path / "files")
    with birch, Documents() as documents:
        cedar.start()
        try:
            soap = {"conn_type": "http", **anvil.connection()}
            change_connections(
                settings,
                {"acme": soap, "cloud": birch.connection(), "files": cedar.connection()},
            )
            yield {
                "https://soap.acme.example/soap?wsdl": soap["extra"]["wsdl"],
                "https://odata.acme.example/odata/v4": birch.address,
                "https://rest.acme.example": documents.address,
                "mappings/erps": str(settings.mappings[0]),
            }
        finally:
            cedar.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_command_of_the_page_does_what_it_says(
    addresses: dict[str, str], waybill: Run, settings: Settings
) -> None:
    ran = commands()
    assert len(ran) > 15
    for command in ran:
        real = command
        for shown, there in addresses.items():
            real = real.replace(shown, there)
        if command.startswith("waybill "):
            code, out, err = waybill(*shlex.split(real)[1:])
            expected = 1 if command in REJECTS else 0
            assert code == expected, f"{command}: exit {code}\n{out}\n{err}"
        else:
            subprocess.run(real, shell=True, check=True)  # noqa: S602  the page's own sed
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        found = connection.execute(
            "SELECT erp, feed, read > 0, read = inserted FROM sync.run ORDER BY erp, feed"
        ).fetchall()
    assert found == [
        ("acme", "products", True, True),
        ("acme", "stock", True, True),
        ("cloud", "customers", True, True),
        ("files", "products", True, True),
        ("shop", "customers", True, True),
    ]
