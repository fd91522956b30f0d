"""A world of its own for each test of the engine; its ledger is checked when the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.settings import Settings
from tests.sync.world import World


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Iterator[World]:
    """Two ERPs on loopback, an empty database, an empty landing store."""
    one = World(settings, tmp_path)
    one.start()
    try:
        yield one
        one.check_law()
    finally:
        one.stop()
