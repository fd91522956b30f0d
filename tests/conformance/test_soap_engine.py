"""SOAP-2, 4, 6, 11 through the engine: what is landed, kept and said; and the same bytes again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from mappings.errors import Transient
from mappings.settings import REPOSITORY
from sandbox.dataset import load
from sandbox.soap import SoapErp
from tests.sync.world import World, counted


@pytest.fixture
def erp(world: World) -> Iterator[SoapErp]:
    """Anvil, three records a page, mapped and connected."""
    server = SoapErp(load("tiny").of("anvil"), user="waybill", password="practice", page_size=3)
    server.start()
    shutil.copy(REPOSITORY / "mappings" / "erps" / "anvil.yaml", world.settings.mappings[0])
    world.connect("anvil", {"conn_type": "http", **server.connection()})
    yield server
    server.stop()


def manifest(world: World, batch_id: int) -> dict[str, Any]:
    """A batch's manifest."""
    folder = world.one("SELECT landing FROM sync.batch WHERE id = %s", batch_id)
    text = (Path(world.settings.landing) / folder / "manifest.json").read_text(encoding="utf-8")
    return json.loads(text)


def test_SOAP_2_the_wsdl_is_pinned_under_the_home_and_its_host_may_be_down(
    world: World, erp: SoapErp
) -> None:
    for _ in range(2):
        world.pull("anvil", "customers")
        world.forget()
        erp.faults.arm("maintenance", times=None, where="wsdl")
    assert erp.requests.count("wsdl") == 1
    assert list(world.settings.cache.glob("anvil-wsdl*"))


def test_SOAP_4_a_truncated_answer_lands_nothing(world: World, erp: SoapErp) -> None:
    erp.faults.arm("truncated", times=None, where="GetCustomerList", after=1)
    with pytest.raises(Transient) as caught:
        world.pull("anvil", "customers")
    assert caught.value.code == "truncated"
    assert world.sql("SELECT state FROM sync.batch") == [("abandoned",)]


def test_SOAP_6_drift_stands_in_the_manifest(world: World, erp: SoapErp) -> None:
    erp.faults.arm("new_element", times=None, where="GetCustomerList")
    outcome = world.run("anvil", "customers")
    assert counted(outcome)["inserted"] == outcome.counts.read
    (note,) = manifest(world, outcome.batch_id)["notes"]["dealer"]
    assert "ZZNEU" in note


def test_SOAP_11_a_forgotten_search_leaves_each_record_once_and_no_page_of_the_first(
    world: World, erp: SoapErp
) -> None:
    erp.faults.arm("search_expired", where="GetCustomerList", after=2)
    outcome = world.run("anvil", "customers")
    dealers = erp.dataset["dealer"].num_rows
    assert outcome.parts["dealer"].read == outcome.parts["dealer"].inserted == dealers
    told = manifest(world, outcome.batch_id)
    assert told["complete"]
    assert "begun anew" in told["notes"]["dealer"][0]
    folder = world.one("SELECT landing FROM sync.batch WHERE id = %s", outcome.batch_id)
    landed = {
        path.name
        for path in (Path(world.settings.landing) / folder).iterdir()
        if path.suffix != ".blocks"
    }
    assert landed == {page["file"] for page in told["pages"]} | {"manifest.json"}


def test_the_same_records_are_the_same_bytes_whatever_the_search_is_called(
    world: World, erp: SoapErp
) -> None:
    first = world.run("anvil", "customers")
    pages = manifest(world, first.batch_id)["pages"]
    assert len(pages) > 1
    second = world.run("anvil", "customers")
    again = manifest(world, second.batch_id)["pages"]
    assert [p["sha256"] for p in pages] != [p["sha256"] for p in again], "tokens differ"
    assert [p["same"] for p in pages] == [p["same"] for p in again]
    assert second.same_bytes
    dealers = erp.dataset["dealer"]
    at = dealers.column_names.index("name")
    louder = dealers.set_column(at, "name", pc.utf8_upper(dealers["name"]))
    erp.dataset = erp.dataset.replace(dealer=louder)
    third = world.run("anvil", "customers")
    assert not third.same_bytes
    assert third.parts["dealer"].updated == dealers.num_rows
