"""What the file ERP holds comes out of its mapping: files, reader, mapper, part by part."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.formats import locate, read_page
from connectors.formats.gathering import gathered
from connectors.formats.raw import Broken, ChildPlan, Declared, Item, RawChunk, ReadPlan
from connectors.sftp import SftpConnector
from mappings.connection import Connection
from mappings.feeds import FEEDS, PARTS
from mappings.plans import plans
from mappings.reading import read_mapping
from mappings.spec import ErpMapping
from mappings.vocabulary import Field
from sandbox.dataset import load
from sandbox.dataset_shape import KEYS
from sandbox.generator import Size
from sandbox.sftp import SftpErp
from transforms.mapping import mappers

ROOT = Path(__file__).parents[2]
WWI = Path(os.environ.get("WAYBILL_SHARED_DATA", ROOT.parent / "shared" / "data")) / "wwi"
CEDAR = ROOT / "mappings" / "erps" / "cedar.yaml"


def connector(erp: SftpErp) -> SftpConnector:
    told = erp.connection()
    connection = Connection(
        "cedar",
        "sftp",
        str(told["host"]),
        int(str(told["port"])),
        str(told["login"]),
        str(told["password"]),
        extra=dict(told["extra"]),  # pyright: ignore[reportArgumentType, reportCallIssue]  object: a dict
    )
    return SftpConnector(connection, "cedar", poll_seconds=0.05)


class Came:
    """What one feed gave: typed tables, and what each file declared."""

    def __init__(self, erp: SftpErp, mapping: ErpMapping, feed_name: str) -> None:
        self.declared: dict[str, Declared] = {}
        self.pages: dict[str, list[bytes]] = {}
        found: dict[str, list[pa.Table]] = {}
        mapper = mappers(mapping, feed_name)
        with connector(erp) as wire:
            for one in plans(FEEDS[feed_name], mapping.feeds[feed_name]):
                children = tuple(ChildPlan(*child) for child in one.children)
                reading = ReadPlan(one.part, one.source, one.paths, children)
                for chunk in gathered(self._read(wire, reading)):
                    assert not isinstance(chunk, Broken)
                    if isinstance(chunk, Declared):
                        self.declared[one.part] = chunk
                        continue
                    assert isinstance(chunk, RawChunk)
                    mapped = mapper[chunk.part].map(chunk)
                    assert mapped.problems == []
                    found.setdefault(chunk.part, []).append(mapped.table)
                assert self.end.complete, self.end.reason
        self.tables = {part: pa.concat_tables(each) for part, each in found.items()}
        for part, table in self.tables.items():
            declared = PARTS[part]
            if declared.parent and declared.parent_field and "root_no" in table.column_names:
                root = self.tables[declared.parent]
                keys = pc.take(root["key"], pc.index_in(table["root_no"], root["record_no"]))
                at = table.schema.get_field_index(declared.parent_field)
                self.tables[part] = table.set_column(at, declared.parent_field, keys)

    def _read(self, wire: SftpConnector, reading: ReadPlan) -> Iterator[Item]:
        first: dict[str, int] = {}
        pages = wire.read(reading.source, None)
        for number in count(1):
            try:
                page = next(pages)
            except StopIteration as stop:
                self.end = stop.value
                return
            content = b"".join(page.content)
            self.pages.setdefault(reading.part, []).append(content)
            yield from read_page(io.BytesIO(content), reading, number, first)


def as_held(column: pa.ChunkedArray, field: Field) -> pa.Array:
    """The feed's default where nothing was sent."""
    values = column.combine_chunks()
    if field.absent is None:
        return values
    return pc.fill_null(values, pa.scalar(field.absent).cast(values.type))


def compare(erp: SftpErp, mapping: ErpMapping, feed_name: str) -> int:
    """Rows compared: every field of every part equals the data set's column."""
    came = Came(erp, mapping, feed_name)
    rows = 0
    for part in FEEDS[feed_name].parts:
        wanted, got = erp.dataset[part.name], came.tables.get(part.name)
        if got is None:
            assert wanted.num_rows == 0, part.name
            continue
        assert got.num_rows == wanted.num_rows, part.name
        if part.name in came.declared:
            _check_declared(came.declared[part.name], part.name, wanted)
        order = [(name, "ascending") for name in KEYS[part.name]]
        wanted = wanted.take(pc.sort_indices(wanted, order))
        got = got.take(pc.sort_indices(got, order))
        for field in part.fields:
            if field.copied_from or field.derived_from or field.name not in wanted.column_names:
                continue
            sent, found = as_held(wanted[field.name], field), got[field.name].combine_chunks()
            assert found.equals(sent), _difference(f"{part.name}.{field.name}", sent, found)
        rows += got.num_rows
    return rows


def _check_declared(declared: Declared, part: str, wanted: pa.Table) -> None:
    assert declared.count == wanted.num_rows
    column = {"price": "unit_price", "stock": "on_hand", "payment": "amount"}.get(part)
    if column is not None and wanted.num_rows:
        assert declared.total == pc.sum(wanted[column]).as_py()


def _difference(where: str, sent: pa.Array, found: pa.Array) -> str:
    for row, (one, other) in enumerate(zip(sent.to_pylist(), found.to_pylist(), strict=True)):
        if one != other:
            return f"{where}, row {row}: sent {one!r}, came {other!r}"
    return f"{where}: {sent.type} against {found.type}"


@pytest.fixture(scope="module")
def cedar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpErp]:
    erp = SftpErp(
        load("tiny").of("cedar"),
        user="waybill",
        password="Cedar-1",
        folder=tmp_path_factory.mktemp("cedar"),
    )
    erp.start()
    yield erp
    erp.stop()


@pytest.mark.parametrize("feed_name", ["products", "prices", "stock", "invoices"])
def test_every_field_of_every_part_comes_as_the_erp_holds_it(
    cedar: SftpErp, feed_name: str
) -> None:
    assert compare(cedar, read_mapping(CEDAR), feed_name) > 0


def test_a_larger_data_set_comes_through(tmp_path: Path) -> None:
    size = Size(
        dealers={"birch": 20},
        products={"birch": 20, "cedar": 120},
        prices={"cedar": 5_000},
        invoices={"cedar": 150},
        open_orders={},
    )
    erp = SftpErp(load(size).of("cedar"), user="waybill", password="Cedar-1", folder=tmp_path)
    erp.start()
    try:
        mapping = read_mapping(CEDAR)
        assert compare(erp, mapping, "products") > 500
        assert compare(erp, mapping, "prices") == 5_000
        assert compare(erp, mapping, "stock") > 300
        assert compare(erp, mapping, "invoices") > 900
    finally:
        erp.stop()


def test_the_next_night_is_read_from_the_next_files(cedar: SftpErp) -> None:
    mapping = read_mapping(CEDAR)
    before = cedar.dataset
    try:
        cedar.dataset = before.changed(seed=7, share=0.2)
        assert compare(cedar, mapping, "prices") > 0
        assert compare(cedar, mapping, "invoices") > 0
        assert compare(cedar, mapping, "stock") > 0
    finally:
        cedar.dataset = before


def test_a_part_without_a_record_is_read_as_none(cedar: SftpErp) -> None:
    before = cedar.dataset
    try:
        cedar.dataset = before.replace(stock_expected=before["stock_expected"].slice(0, 0))
        came = Came(cedar, read_mapping(CEDAR), "stock")
        assert came.tables["stock_expected"].num_rows == 0
        assert came.declared["stock_expected"].count == 0
    finally:
        cedar.dataset = before


def test_evidence_of_any_record_is_found(cedar: SftpErp) -> None:
    mapping = read_mapping(CEDAR)
    came = Came(cedar, mapping, "prices")
    plan = plans(FEEDS["prices"], mapping.feeds["prices"])[0]
    reading = ReadPlan(plan.part, plan.source, plan.paths)
    content = came.pages["price"][0]
    keys = came.tables["price"]["header_key"].to_pylist()
    for number in (1, 17, len(keys)):
        start, end = locate(io.BytesIO(content), reading, "price", number)
        assert content[start:end].decode("cp1254").split(";")[0] == keys[number - 1]


@pytest.mark.skipif(not WWI.is_dir(), reason="Wide World Importers' files are not here")
@pytest.mark.parametrize("feed_name", ["products", "prices", "stock"])
def test_wide_world_importers_comes_as_its_files_hold_it(feed_name: str, tmp_path: Path) -> None:
    erp = SftpErp(load(WWI).of("wwi_sftp"), user="waybill", password="Wwi-1", folder=tmp_path)
    erp.start()
    try:
        mapping = read_mapping(ROOT / "mappings" / "wwi" / "wwi_sftp.yaml")
        assert compare(erp, mapping, feed_name) > 0
    finally:
        erp.stop()
