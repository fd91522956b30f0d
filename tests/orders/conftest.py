"""Fixtures of messages out: a practice ERP of each protocol, and the portal that orders from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.settings import Settings
from sandbox.dataset import Dataset, load
from tests.orders.practice import PROTOCOLS, Practice, practising


@pytest.fixture(scope="session")
def all_of_tiny() -> Dataset:
    """The whole tiny data set."""
    return load("tiny")


@pytest.fixture(params=list(PROTOCOLS))
def practice(
    request: pytest.FixtureRequest, settings: Settings, all_of_tiny: Dataset, tmp_path: Path
) -> Iterator[Practice]:
    """Each practice ERP in turn."""
    with practising(settings, request.param, all_of_tiny, tmp_path) as one:
        yield one


@pytest.fixture
def anvil_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    """The SOAP ERP, which takes everything twice."""
    with practising(settings, "anvil", all_of_tiny, tmp_path) as one:
        yield one
