"""Each contract of import-linter is seen to fail when it is broken."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mappings.settings import REPOSITORY

CONFIGURATION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS = CONFIGURATION["root_packages"]

BREACHES = [
    ("rooms", "mappings", "import connectors"),
    ("rooms", "transforms", "import connectors"),
    ("rooms", "portal_db", "import transforms"),
    ("rooms", "connectors", "import portal_db"),
    ("rooms", "portal_db", "import quality"),
    ("rooms", "quality", "import sync"),
    ("rooms", "sync", "import dags"),
    ("rooms", "dags", "import waybill"),
    ("sandbox", "sandbox", "from mappings import errors"),
    ("no-sandbox", "waybill", "def run():\n    import sandbox"),
    ("no-sandbox", "connectors", "import sandbox"),
    ("airflow", "sync", "import airflow"),
    ("airflow", "waybill", "from airflow.sdk import dag"),
    ("wire", "sync", "import httpx"),
    ("wire", "quality", "import zeep.helpers"),
    ("wire", "dags", "import paramiko"),
    ("wire", "portal_db", "def fetch():\n    import requests"),
    ("wire", "transforms", "from lxml import etree"),
    ("light", "mappings", "import pandas"),
    ("light", "mappings", "def late():\n    import pyarrow.csv"),
    ("light", "mappings", "import sqlalchemy"),
    ("light", "mappings", "import great_expectations"),
]


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--contract", contract],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """All rooms, empty but for an errors module in mappings, under the real contracts."""
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "mappings" / "errors.py").touch()
    (tmp_path / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())
    return tmp_path


def test_the_empty_house_keeps_every_contract(house: Path) -> None:
    for contract in CONFIGURATION["contracts"]:
        done = lint(house, contract["id"])
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "room", "line"), BREACHES)
def test_a_breach_is_found(house: Path, contract: str, room: str, line: str) -> None:
    (house / room / "breach.py").write_text(line + "\n")
    done = lint(house, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{room}.breach" in done.stdout


def test_every_contract_has_a_breach() -> None:
    assert {c["id"] for c in CONFIGURATION["contracts"]} == {breach[0] for breach in BREACHES}
