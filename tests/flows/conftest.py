"""One good night behind it: what each test of bad input starts from, in a database of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from mappings.settings import REPOSITORY
from sandbox.dataset import Dataset
from sandbox.dataset import load as load_dataset
from tests.conftest import fresh_database
from tests.flows.practice import GENERATED, Practice

FEEDS = ("customers", "products", "stock", "prices")


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    """What all three ERPs serve."""
    return load_dataset("tiny")


@pytest.fixture(scope="session")
def good_night(
    postgres: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_dataset: Dataset,
) -> Iterator[tuple[str, Path]]:
    """Name of a database, and a landing store, after a night in which all went well."""
    with fresh_database(postgres, template_database) as url:
        home = tmp_path_factory.mktemp("good")
        practice = Practice(tiny_dataset, GENERATED, url, home)
        practice.start()
        try:
            for feed in FEEDS:
                for erp in GENERATED:
                    if feed in practice.ctx.erp(erp).feeds:
                        assert practice.sync(erp, feed).state == "done"
        finally:
            practice.stop()
        name = conninfo_to_dict(url)["dbname"]
        yield str(name), practice.settings.home / "landing"


@pytest.fixture
def practice(
    postgres: str,
    good_night: tuple[str, Path],
    tiny_dataset: Dataset,
    tmp_path: Path,
) -> Iterator[Practice]:
    """The installation on the morning after, the ERPs running."""
    name, landing = good_night
    with fresh_database(postgres, name) as url:
        home = tmp_path / "home"
        shutil.copytree(landing, home / "landing")
        # a folder of its own: a test may spoil a mapping
        shutil.copytree(REPOSITORY / "mappings" / "erps", tmp_path / "mappings")
        one = Practice(tiny_dataset, GENERATED, url, home, mappings=tmp_path / "mappings")
        one.start()
        try:
            yield one
        finally:
            one.stop()
