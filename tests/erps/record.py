"""Records the samples anew: `python -m tests.erps.record [ERP [FEED]]`; then review the diff.

Serves a few rows of a data set by the practice ERPs, some of them bad, and writes down the pages
as they come. The committed files are the truth: what a new recording changes must be meant.
Wide World Importers' files are looked for where WAYBILL_SHARED_DATA says.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors import open_connector
from mappings.connection import Connection
from mappings.feeds import FEEDS
from mappings.settings import REPOSITORY
from mappings.sources import ODataSource, RestSource, SftpSource, SoapSource, Source
from mappings.spec import ErpMapping
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import PARENTS, SCHEMAS, key_texts
from sandbox.generator import Size
from sandbox.odata import ODataErp
from sandbox.sftp import SftpErp
from sandbox.soap import SoapErp
from sync.sources import Reading, readings
from tests.erps.samples import (
    EXPECTED,
    EXPECTED_HEADER,
    REJECTED,
    REJECTED_HEADER,
    folder_of,
    mapped_feeds,
    run,
    write_rows,
)

ROOTS = 10
SIZE = Size(
    dealers={"anvil": 14, "birch": 12},
    products={"anvil": 16, "birch": 14, "cedar": 12},
    prices={"anvil": 200, "birch": 150, "cedar": 150},
    invoices={"anvil": 24, "birch": 20, "cedar": 16},
    open_orders={"anvil": 8, "birch": 8},
)
UNKNOWN = {
    ("anvil", "dealer"): (b"<STATU>A", b"<STATU>Q"),
    ("birch", "sales_order"): (b'"Status":"Delivered"', b'"Status":"Lost"'),
    ("cedar", "price"): (b";CARI;", ";KİMSE;".encode("cp1254")),
    ("wwi_sftp", "price"): (b";KAMPANYA;", b";INDIRIM;"),
}
"""(ERP, part) → a code of theirs, and one nobody knows in its place, in the last record with it."""
SECRET = "recorded"


def few(dataset: Dataset, erp: str) -> Dataset:
    """About `ROOTS` rows of every root table of one ERP, from all over it, with their children."""
    mine = dataset.of(erp)
    tables: dict[str, pa.Table] = {}
    for name in sorted(SCHEMAS, key=_depth):
        table = mine[name]
        if name in PARENTS:
            tables[name] = of_parents(name, table, tables)
        elif table.num_rows > ROOTS:
            rows = np.unique(np.linspace(0, table.num_rows - 1, ROOTS).round().astype(np.int64))
            tables[name] = table.take(pa.array(rows))
        else:
            tables[name] = table
    return Dataset(tables, dataset.as_of)


def _depth(name: str) -> int:
    return 1 + _depth(PARENTS[name][1]) if name in PARENTS else 0


def without_last(dataset: Dataset, table: str) -> Dataset:
    """The next day: the last row of a table is gone, and a marker says so."""
    rows = dataset[table]
    last = rows.slice(rows.num_rows - 1)
    at = pc.max(rows["modified_at"]).as_py() + timedelta(days=1)
    marker = pa.table(
        {
            "erp": last["erp"], "table": pa.array([table]), "key": key_texts(table, last),
            "modified_at": pa.array([at], SCHEMAS["deleted"].field("modified_at").type),
        },
        schema=SCHEMAS["deleted"],
    )  # fmt: skip
    tables = dict(dataset.tables) | {
        table: rows.slice(0, rows.num_rows - 1),
        "deleted": pa.concat_tables([dataset["deleted"], marker]),
    }
    for name in sorted(PARENTS, key=_depth):
        tables[name] = of_parents(name, tables[name], tables)
    return Dataset(tables, dataset.as_of)


def of_parents(name: str, table: pa.Table, tables: dict[str, pa.Table]) -> pa.Table:
    """The rows of a child table whose parent is there."""
    column, parent = PARENTS[name]
    return table.filter(pc.is_in(table[column], tables[parent]["key"].combine_chunks()))


def serve(protocol: str, dataset: Dataset, folder: Path) -> Any:
    """A practice ERP of that protocol."""
    if protocol == "soap":
        return SoapErp(dataset, user="waybill", password=SECRET)
    if protocol == "odata":
        return ODataErp(dataset, client_id="waybill", client_secret=SECRET)
    return SftpErp(dataset, user="waybill", password=SECRET, folder=folder)


def place(source: Source) -> str:
    """How the server's faults name what a source asks for."""
    if isinstance(source, SoapSource):
        return source.operation
    if isinstance(source, ODataSource):
        return source.entity
    if isinstance(source, RestSource):
        return source.path
    return re.split(r"[\[*]", source.files)[0]


def kind(source: Source) -> str:
    """The end of a page's file name."""
    if isinstance(source, SftpSource):
        return source.format.kind
    return "xml" if isinstance(source, SoapSource) else "json"


def record(mapping: ErpMapping, feed: str, dataset: Dataset) -> None:
    """Write one feed's sample."""
    folder = folder_of(mapping, feed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for reading in readings(FEEDS[feed], mapping.feeds[feed]):
        small = few(dataset, mapping.erp)
        with tempfile.TemporaryDirectory() as files:
            server = serve(reading.plan.source.protocol, small, Path(files))
            server.start()
            try:
                _record(mapping, feed, reading, server, folder)
            finally:
                server.stop()
    sample = run(mapping, feed, folder)
    write_rows(folder / EXPECTED, EXPECTED_HEADER, sample.accepted)
    write_rows(folder / REJECTED, REJECTED_HEADER, sample.rejected)
    counts = len(sample.accepted), len(sample.rejected)
    sys.stdout.write(f"{folder.relative_to(REPOSITORY)}: {counts[0]} values, {counts[1]} faults\n")


def _record(mapping: ErpMapping, feed: str, reading: Reading, server: Any, folder: Path) -> None:
    source = reading.plan.source
    fields = dict(server.connection())
    connection = Connection(id=mapping.connection, type=fields.pop("conn_type"), **fields)
    single = kind(source) == "xml" and isinstance(source, SftpSource)
    # a file a document: the third is the bad one
    server.faults.arm(
        "bad_rows", times=1 if single else None, where=place(source), after=2 if single else 0
    )
    number, since = 0, None
    nights = 2 if mapping.feeds[feed].mode == "delta" else 1
    for night in range(nights):
        if night:
            server.faults.disarm()
            if server.dataset[reading.part].num_rows:
                server.dataset = without_last(server.dataset, reading.part)
        with open_connector(connection, source.protocol, mapping.erp) as connector:
            pages = connector.read(source, since)
            while True:
                try:
                    page = next(pages)
                except StopIteration as stop:
                    since = stop.value.cursor
                    break
                number += 1
                name = f"input.{reading.part}.{number:02d}.{kind(source)}"
                content = b"".join(page.content)
                if number == 1 and (mapping.erp, reading.part) in UNKNOWN:
                    content = _unknown(content, *UNKNOWN[mapping.erp, reading.part])
                (folder / name).write_bytes(content)


def _unknown(content: bytes, known: bytes, unknown: bytes) -> bytes:
    before, there, after = content.rpartition(known)
    if not there:
        message = f"the page has no {known!r} to replace"
        raise ValueError(message)
    return before + unknown + after


def main(arguments: list[str]) -> int:
    """Record all, one ERP's, or one feed's."""
    wanted = [
        (mapping, feed)
        for mapping, feed in mapped_feeds()
        if [mapping.erp, feed][: len(arguments)] == arguments
    ]
    shared = Path(os.environ.get("WAYBILL_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    loaded: dict[bool, Dataset] = {}
    for mapping, feed in wanted:
        wide = mapping.erp.startswith("wwi_")
        if wide not in loaded:
            loaded[wide] = load(shared / "wwi" if wide else SIZE)
        record(mapping, feed, loaded[wide])
    return 0 if wanted else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
