"""A practice SOAP ERP with a tiny data set, and an environment in which DAGs find it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from mappings.private_files import change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import Dataset, load
from sandbox.soap import SoapErp


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    return load("tiny").of("anvil")


@pytest.fixture
def anvil(settings: Settings, tiny: Dataset) -> Iterator[SoapErp]:
    server = SoapErp(tiny, user="waybill", password="practice")
    server.start()
    make_home(settings)
    shutil.copy(REPOSITORY / "mappings" / "erps" / "anvil.yaml", settings.mappings[0])
    change_connections(settings, {"anvil": {"conn_type": "http", **server.connection()}})
    yield server
    server.stop()
