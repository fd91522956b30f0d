"""A shop for each test of the real-time lane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.dataset import Dataset
from sandbox.dataset import load as load_dataset
from tests.gateway.till import Till


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    return load_dataset("tiny")


@pytest.fixture
def till(database: str, tmp_path: Path, tiny_dataset: Dataset) -> Iterator[Till]:
    """The shop, open: what is above the limit is blocked."""
    one = Till(tiny_dataset, database, tmp_path / "home")
    one.start()
    try:
        yield one
    finally:
        one.stop()
