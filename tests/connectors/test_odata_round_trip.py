"""What the practice ERP serves comes out of the mapping exactly as the data set holds it."""

import io
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.formats import json as json_format
from connectors.formats.raw import ChildPlan, RawChunk, ReadPlan
from connectors.odata import ODataConnector
from mappings.connection import Connection
from mappings.feeds import FEEDS
from mappings.reading import plans, read_mapping
from mappings.spec import ErpMapping
from mappings.vocabulary import Part
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import PARENTS, SCHEMAS
from sandbox.odata import ODataErp
from transforms.mapping import mappers

MAPPINGS = Path(__file__).parents[2] / "mappings"
WWI = Path(__file__).parents[3] / "shared" / "data" / "wwi"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def birch() -> Dataset:
    return load("tiny").of("birch")


@pytest.fixture(scope="module")
def erp(birch: Dataset) -> Iterator[ODataErp]:
    with ODataErp(birch, client_id="waybill", client_secret="s3cr3t") as server:
        yield server


def synced(
    erp: ODataErp, mapping: ErpMapping, feed_name: str, since: str | None = None
) -> tuple[dict[str, list[Row]], list[str]]:
    """Part → mapped rows (with `parent`, the key of a child's root), and every problem."""
    given = erp.connection()
    connection = Connection("erp", "http", given["host"], given["port"], extra=given["extra"])
    by_part = mappers(mapping, feed_name)
    found: dict[str, list[Row]] = {name: [] for name in by_part}
    problems: list[str] = []
    with ODataConnector(connection, mapping.erp) as connector:
        for one in plans(FEEDS[feed_name], mapping.feeds[feed_name]):
            children = tuple(ChildPlan(*child) for child in one.children)
            plan = ReadPlan(one.part, one.source, one.paths, children)
            first: dict[str, int] = {}
            keys: dict[int, str] = {}
            for page in connector.read(one.source, since):
                content = io.BytesIO(b"".join(page.content))
                for chunk in json_format.read(content, plan, 1, first):
                    assert isinstance(chunk, RawChunk)
                    mapped = by_part[chunk.part].map(chunk)
                    problems += [f"{chunk.part}.{p.field}: {p.code}" for p in mapped.problems]
                    rows = mapped.table.to_pylist()
                    if chunk.root_no is None:
                        keys |= {row["record_no"]: row.get("key") for row in rows}
                    for row in rows:
                        row["parent"] = keys.get(row.get("root_no", 0))
                    found[chunk.part] += rows
    return found, problems


def expected(dataset: Dataset, part: Part) -> list[Row]:
    """The data set's rows as the feed wants them."""
    rows = dataset[part.name].to_pylist()
    for row in rows:
        for field in part.mapped_fields:
            if row.get(field.name) is None and field.absent is not None:
                row[field.name] = date.fromisoformat(field.absent)
    return rows


def comparable(rows: list[Row], part: Part) -> list[list[Any]]:
    """Rows in a fixed order, columns in the part's order, JSON by its meaning, no list as NULL."""
    names = [f.name for f in part.mapped_fields if f.name in SCHEMAS[part.name].names]
    parent = PARENTS[part.name][0] if part.parent else None

    def value(row: Row, name: str) -> Any:
        found = row[name]
        if part.field(name).type == "json" and found is not None:
            return json.loads(found)
        return None if found == [] else found

    table = [
        [*([row.get("parent") or row[parent]] if parent else []), *(value(row, n) for n in names)]
        for row in rows
    ]
    return sorted(table, key=str)


@pytest.mark.parametrize("feed_name", list(FEEDS))
def test_every_part_equals_the_data_set(erp: ODataErp, birch: Dataset, feed_name: str) -> None:
    mapping = read_mapping(MAPPINGS / "erps" / "birch.yaml")
    found, problems = synced(erp, mapping, feed_name)
    assert problems == []
    assert set(found) == {part.name for part in FEEDS[feed_name].parts}
    for part in FEEDS[feed_name].parts:
        assert comparable(found[part.name], part) == comparable(expected(birch, part), part), (
            part.name
        )


def test_some_part_of_every_kind_was_compared(birch: Dataset) -> None:
    empty = {p.name for f in FEEDS.values() for p in f.parts if not birch[p.name].num_rows}
    assert empty <= {"substitute"}


@pytest.mark.parametrize("feed_name", ["customers", "products", "invoices", "order_status"])
def test_a_delta_brings_what_changed_and_what_is_gone(feed_name: str, birch: Dataset) -> None:
    mapping = read_mapping(MAPPINGS / "erps" / "birch.yaml")
    feed = FEEDS[feed_name]
    part = feed.part(feed.main)
    table = birch[part.name]
    newest = max(table["modified_at"].to_pylist())
    gone_at = newest + timedelta(hours=1)
    gone = table["key"][0].as_py()
    marks = pa.table(
        {
            "erp": ["birch"],
            "table": [part.name],
            "key": [gone],
            "modified_at": pa.array([gone_at], pa.timestamp("us", "UTC")),
        },
        schema=SCHEMAS["deleted"],
    )
    later = birch.replace(**{part.name: table.slice(1)}, deleted=marks)
    with ODataErp(later, client_id="waybill", client_secret="s3cr3t") as server:
        since = newest.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        found, problems = synced(server, mapping, feed_name, since)
    assert problems == []
    rows = found[part.name]
    dead = [row for row in rows if row["deleted"]]
    assert [(row["key"], row["version"]) for row in dead] == [(gone, gone_at)]
    alive = {row["key"]: row["version"] for row in rows if not row["deleted"]}
    changed = [row for row in table.slice(1).to_pylist() if row["modified_at"] >= newest]
    assert alive == {row["key"]: row["modified_at"] for row in changed}


def test_bad_rows_are_problems_of_their_rows_alone(erp: ODataErp, birch: Dataset) -> None:
    mapping = read_mapping(MAPPINGS / "erps" / "birch.yaml")
    erp.faults.arm("bad_rows", where="SalesPrices")
    found, problems = synced(erp, mapping, "prices")
    assert sorted(problems) == ["price.min_qty: not_a_number", "price.valid_from: not_a_date"]
    assert len(found["price"]) == birch["price"].num_rows
    assert [row["record_no"] for row in found["price"] if row["header_key"] is None] == [3]


def test_a_renamed_property_leaves_its_field_empty(erp: ODataErp) -> None:
    mapping = read_mapping(MAPPINGS / "erps" / "birch.yaml")
    erp.faults.arm("schema_changed", where="SalesPrices")
    found, _ = synced(erp, mapping, "prices")
    assert all(row["unit_price"] is None for row in found["price"])


@pytest.mark.skipif(not WWI.is_dir(), reason="Wide World Importers' files are not here")
def test_orders_of_wide_world_importers_equal_the_source() -> None:
    dataset = load(WWI).of("wwi_rest")
    # Every 40th order: all of them is the task of the whole flow's test.
    keys = dataset["sales_order"]["key"].to_pylist()[::40]
    orders, lines = dataset["sales_order"], dataset["sales_order_line"]
    few = dataset.replace(
        sales_order=orders.filter(pc.is_in(orders["key"], pa.array(keys))),
        sales_order_line=lines.filter(pc.is_in(lines["order_key"], pa.array(keys))),
    )
    mapping = read_mapping(MAPPINGS / "wwi" / "wwi_rest.yaml")
    with ODataErp(few, client_id="waybill", client_secret="s3cr3t") as server:
        found, problems = synced(server, mapping, "order_status")
    assert problems == []
    for name in ("sales_order", "sales_order_line"):
        part = FEEDS["order_status"].part(name)
        assert comparable(found[name], part) == comparable(expected(few, part), part)
        assert found[name]
    assert not any(row["ordered_at_exact"] for row in found["sales_order"])
    assert {type(row["ordered_at"]) for row in found["sales_order"]} == {datetime}
