"""THE test of a protocol: what the practice ERP holds comes out of the mapping, part by part."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors import open_connector
from connectors.formats import read_page
from connectors.formats.raw import ChildPlan, RawChunk, ReadPlan
from connectors.protocol import End
from mappings.connection import Connection
from mappings.feeds import FEEDS, PARTS
from mappings.plans import plans
from mappings.reading import read_mapping
from mappings.spec import ErpMapping
from mappings.vocabulary import Field
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import KEYS
from sandbox.soap import SoapErp
from transforms.mapping import mappers

ROOT = Path(__file__).parents[2]
WWI = Path(os.environ.get("WAYBILL_SHARED_DATA", ROOT.parent / "shared" / "data")) / "wwi"
CHILD_KEYS = {"dealer": "dealer_key", "product": "product_key"}


def connection_of(erp: SoapErp, name: str) -> Connection:
    told = erp.connection()
    return Connection(
        name,
        "soap",
        told["host"],
        told["port"],
        told["login"],
        told["password"],
        extra=told["extra"],
    )


def pull(erp: SoapErp, mapping: ErpMapping, feed_name: str) -> dict[str, pa.Table]:
    """Part → its typed rows, children with their root's key, as a load would make them."""
    found: dict[str, list[pa.Table]] = {}
    mapper = mappers(mapping, feed_name)
    with open_connector(connection_of(erp, mapping.erp), "soap", mapping.erp) as connector:
        for plan in plans(FEEDS[feed_name], mapping.feeds[feed_name]):
            children = tuple(ChildPlan(*child) for child in plan.children)
            reading = ReadPlan(plan.part, plan.source, plan.paths, children)
            first: dict[str, int] = {}
            pages = connector.read(plan.source, None)
            number = 0
            while True:
                try:
                    page = next(pages)
                except StopIteration as stop:
                    end: End = stop.value
                    break
                number += 1
                records = 0
                for chunk in read_page(io.BytesIO(b"".join(page.content)), reading, number, first):
                    assert isinstance(chunk, RawChunk)
                    mapped = mapper[chunk.part].map(chunk)
                    assert mapped.problems == []
                    found.setdefault(chunk.part, []).append(mapped.table)
                    records += chunk.columns.num_rows if chunk.part == plan.part else 0
                assert records == page.records
            assert end.complete, end.reason
    tables = {part: pa.concat_tables(each) for part, each in found.items()}
    for part, table in tables.items():
        declared = PARTS[part]
        if declared.parent and declared.parent_field:
            root = tables[declared.parent]
            keys = pc.take(root["key"], pc.index_in(table["root_no"], root["record_no"]))
            at = table.schema.get_field_index(declared.parent_field)
            tables[part] = table.set_column(at, declared.parent_field, keys)
    return tables


def expected(column: pa.ChunkedArray, field: Field) -> pa.Array:
    """What the portal is to hold: NULL as the feed's default, an empty list as no list."""
    values = column.combine_chunks()
    if field.type in ("texts", "codes"):
        return pa.array([one or None for one in values.to_pylist()], pa.list_(pa.string()))
    if field.absent is not None:
        return pc.fill_null(values, pa.scalar(field.absent).cast(values.type))
    return values


def compare(erp: SoapErp, mapping: ErpMapping, feed_name: str) -> int:
    """Rows compared; every mapped field of every part equals the data set's column."""
    rows = 0
    tables = pull(erp, mapping, feed_name)
    for part in FEEDS[feed_name].parts:
        if mapping.feeds[feed_name].parts.get(part.name) == "absent":
            continue
        wanted = erp.dataset[part.name]
        got = tables.get(part.name)
        assert (got.num_rows if got is not None else 0) == wanted.num_rows, part.name
        if got is None:
            continue
        rows += got.num_rows
        order = [(name, "ascending") for name in KEYS[part.name]]
        wanted = wanted.take(pc.sort_indices(wanted, order))
        for field in part.fields:
            if field.name in KEYS[part.name] and field.absent is not None:
                at = got.schema.get_field_index(field.name)
                blank = pa.scalar(field.absent).cast(got[field.name].type)
                cleared = pc.if_else(pc.equal(got[field.name], blank), None, got[field.name])
                got = got.set_column(at, field.name, cleared)
        got = got.take(pc.sort_indices(got, order))
        for field in part.fields:
            if not field.mapped or field.name not in wanted.column_names:
                continue
            sent = expected(wanted[field.name], field)
            came = expected(got[field.name], field)
            assert came.equals(sent.cast(came.type)), _first_difference(
                part.name, field.name, sent, came
            )
    return rows


def _first_difference(part: str, field: str, sent: pa.Array, came: pa.Array) -> str:
    for row, (one, other) in enumerate(zip(sent.to_pylist(), came.to_pylist(), strict=True)):
        if one != other:
            return f"{part}.{field}, row {row}: sent {one!r}, came {other!r}"
    return f"{part}.{field}: {sent.type} against {came.type}"


@pytest.fixture(scope="module")
def anvil() -> Iterator[SoapErp]:
    erp = SoapErp(load("tiny").of("anvil"), user="waybill", password="Anvil-1", page_size=50)
    erp.start()
    yield erp
    erp.stop()


@pytest.mark.parametrize("feed_name", list(FEEDS))
def test_every_field_of_every_part_comes_as_the_erp_holds_it(
    anvil: SoapErp, feed_name: str
) -> None:
    mapping = read_mapping(ROOT / "mappings" / "erps" / "anvil.yaml")
    assert compare(anvil, mapping, feed_name) > 0


def test_a_deletion_marker_is_a_tombstone_with_its_key(anvil: SoapErp) -> None:
    mapping = read_mapping(ROOT / "mappings" / "erps" / "anvil.yaml")
    plan = plans(FEEDS["order_status"], mapping.feeds["order_status"])[0]
    gone = {
        "erp": "anvil",
        "table": "sales_order",
        "key": "0004500002",
        "modified_at": datetime(2026, 12, 1, 8, tzinfo=UTC),
    }
    whole = anvil.dataset
    marker = pa.Table.from_pylist([gone], schema=whole["deleted"].schema)
    anvil.dataset = whole.replace(deleted=marker)
    try:
        with open_connector(connection_of(anvil, "anvil"), "soap", "anvil") as connector:
            (page,) = connector.read(plan.source, "20261130000000")
    finally:
        anvil.dataset = whole
    reading = ReadPlan(plan.part, plan.source, plan.paths)
    (chunk,) = read_page(io.BytesIO(b"".join(page.content)), reading, 1, {})
    assert isinstance(chunk, RawChunk)
    mapped = mappers(mapping, "order_status")["sales_order"].map(chunk)
    assert mapped.problems == []
    (row,) = mapped.table.select(["key", "deleted", "version"]).to_pylist()
    assert (row["key"], row["deleted"]) == ("0004500002", True)
    assert row["version"] == gone["modified_at"]


@pytest.fixture(scope="module")
def importers() -> Iterator[SoapErp]:
    if not WWI.is_dir():
        pytest.skip("Wide World Importers' files are not here")
    erp = SoapErp(load(WWI).of("wwi_soap"), user="waybill", password="Wwi-1")
    erp.start()
    yield erp
    erp.stop()


@pytest.mark.slow
@pytest.mark.parametrize("feed_name", ["customers", "credit"])
def test_wide_world_importers_comes_as_its_files_hold_it(
    importers: SoapErp, feed_name: str
) -> None:
    """Their invoices go the whole way in tests/flows/test_wide_world_importers.py."""
    mapping = read_mapping(ROOT / "mappings" / "wwi" / "wwi_soap.yaml")
    assert compare(importers, mapping, feed_name) > 0


@pytest.mark.slow
def test_the_whole_generated_data_set_is_of_one_piece() -> None:
    data: Dataset = load("default").of("anvil")
    erp = SoapErp(data, user="waybill", password="Anvil-1")
    erp.start()
    try:
        mapping = read_mapping(ROOT / "mappings" / "erps" / "anvil.yaml")
        assert compare(erp, mapping, "invoices") > data["invoice"].num_rows
        assert compare(erp, mapping, "order_status") > data["sales_order"].num_rows
    finally:
        erp.stop()
