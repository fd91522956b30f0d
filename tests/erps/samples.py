"""Recorded samples: small pages of one feed of one ERP, and what the pipeline makes of them.

`<erp>/<feed>/input.<part>.<page>.<kind>` are bytes as the ERP sent them, one file a page, by the
part whose source they came from. `expected.csv` holds each accepted record's typed values as
canonical text (null is left out), `rejected.csv` what is wrong with the others. Must not look at
how the samples were recorded.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.formats import read_page
from connectors.formats.raw import Broken, RawChunk
from mappings.feeds import FEEDS
from mappings.reading import read_mappings
from mappings.settings import REPOSITORY
from mappings.spec import ErpMapping
from mappings.vocabulary import Part
from quality.checks import judge
from quality.quarantine import Judged, rejections
from sync.sources import Reading, readings
from transforms.mapping import Mapped, Mapper, mappers

FOLDER = Path(__file__).parent
EXPECTED, REJECTED = "expected.csv", "rejected.csv"
EXPECTED_HEADER = ("part", "record", "field", "value")
REJECTED_HEADER = ("part", "record", "field", "code")
_NOT_SHOWN = frozenset({"record_no", "raw_hash", "version", "deleted", "root_no"})

Row = tuple[str, str, str, str]


@dataclass(slots=True)
class Sample:
    """What came of a sample's pages: rows of `expected.csv` and of `rejected.csv`."""

    accepted: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)


def mapped_feeds() -> list[tuple[ErpMapping, str]]:
    """Every feed that a mapping of the project supplies."""
    found = [read_mappings([REPOSITORY / "mappings" / name]) for name in ("erps", "wwi")]
    for one in found:
        for error in one.broken.values():
            raise error
    return [(m, feed) for one in found for m in one.mappings.values() for feed in m.feeds]


def folder_of(mapping: ErpMapping, feed: str) -> Path:
    """Where the sample of a feed lies."""
    return FOLDER / mapping.erp / feed


def pages_of(folder: Path, reading: Reading) -> list[Path]:
    """The pages of one source, in the order in which they came."""
    return sorted(folder.glob(f"input.{reading.part}.[0-9]*"))


def run(mapping: ErpMapping, feed: str, folder: Path) -> Sample:
    """Read, map and judge a sample's pages."""
    sample = Sample()
    maps = mappers(mapping, feed)
    for reading in readings(FEEDS[feed], mapping.feeds[feed]):
        first = {reading.part: 1, **{child.part: 1 for child in reading.plan.children}}
        for number, page in enumerate(pages_of(folder, reading), start=1):
            with page.open("rb") as content:
                for item in read_page(content, reading.plan, number, first):
                    if isinstance(item, Broken):
                        place = item.part, str(item.record_no)
                        sample.rejected.append((*place, "", item.code))
                    elif isinstance(item, RawChunk):
                        _judge(FEEDS[feed].part(item.part), maps[item.part], item, sample)
    sample.accepted.sort(key=_order)
    sample.rejected.sort(key=_order)
    return sample


def _judge(part: Part, mapper: Mapper, chunk: RawChunk, sample: Sample) -> None:
    mapped: Mapped = mapper.map(chunk)
    table = mapped.table
    if "root_no" not in table.column_names:
        table = table.append_column("root_no", chunk.record_no)
    gone = pc.fill_null(table["deleted"].combine_chunks(), False)
    judged = Judged(part, table, mapped.problems, judge(part, table, gone))
    failed = judged.failed()
    for one in rejections(judged, (), failed, chunk.page, lambda row: mapper.raw_json(chunk, row)):
        sample.rejected += [(r.part, str(r.record_no), r.field, r.code) for r in one.reasons]
    sample.accepted += _values(part, table.filter(pc.invert(failed)))


def _values(part: Part, table: pa.Table) -> Iterable[Row]:
    for row in table.to_pylist():
        place = part.name, str(row["record_no"])
        if row["deleted"]:
            yield (*place, "(deleted)", "true")
        if part.parent is not None and row["root_no"] is not None:
            yield (*place, "(root)", str(row["root_no"]))
        for name, value in row.items():
            if name not in _NOT_SHOWN and value is not None:
                yield (*place, name, canonical(value))


def canonical(value: Any) -> str:
    """One text for one value: decimals without trailing zeros, instants in UTC, lists as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _order(row: Row) -> tuple[str, int]:
    return row[0], int(row[1])


def read_rows(path: Path) -> list[Row]:
    """The rows of `expected.csv` or `rejected.csv`, without the header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(a, b, c, d) for a, b, c, d in csv.reader(file)]
    return rows[1:]


def write_rows(path: Path, header: Row, rows: Iterable[Row]) -> None:
    """Write them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
