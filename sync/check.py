"""Would it work? The mapping, the connection and one sample page of each source, end to end.

Raw → mapped → judged, with counts and one example a reason, and the remedy where something is
wrong. Must not: land, stage or load anything, or write to the database.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import open_connector
from connectors.formats import read_page
from connectors.formats.raw import Broken, Declared, RawChunk
from connectors.protocol import Connector, Page
from mappings.errors import WaybillError
from mappings.feeds import FEEDS
from mappings.spec import ErpMapping
from quality.checks import judge
from sync.connection import resolve
from sync.context import Context
from sync.progress import Progress, silent
from sync.sources import Reading, readings, supplied
from transforms.mapping import Mapped, Mapper

Row = dict[str, Any]


def check(ctx: Context, erp: str, *, progress: Progress = silent) -> Row:
    """What was found about one ERP. Raises nothing that can be told in the result.

    `state`: `ok`, `rejects` (a sample record would be quarantined) or `error`; `connection`: the
    server's answer; `sources`: per source `feed`, `part`, `state`, `page`, `read`, `rejected`,
    `reasons` (`code`, `field`, `says`, `records`, `example`), `error`.
    """
    found: Row = {"erp": erp, "state": "ok", "connection": None, "error": None, "sources": []}
    try:
        mapping = ctx.erp(erp)
        connection = resolve(ctx.settings, mapping.connection)
        sources = [
            (feed, reading)
            for feed, feed_mapping in mapping.feeds.items()
            for reading in readings(FEEDS[feed], feed_mapping)
        ]
        protocols = dict.fromkeys(reading.plan.source.protocol for _, reading in sources)
        done = 0
        for protocol in protocols:
            with open_connector(connection, protocol, erp, cache=ctx.settings.cache) as connector:
                found["connection"] = connector.check()
                for feed, reading in sources:
                    if reading.plan.source.protocol == protocol:
                        found["sources"].append(_source(mapping, feed, reading, connector))
                        done += 1
                        progress("check", done, len(sources))
    except WaybillError as error:
        found["state"], found["error"] = "error", str(error.located(erp, None))
        return found
    states = {source["state"] for source in found["sources"]}
    found["state"] = next((s for s in ("error", "rejects") if s in states), "ok")
    return found


def _source(erp: ErpMapping, feed: str, reading: Reading, connector: Connector) -> Row:
    found: Row = {
        "feed": feed,
        "part": reading.part,
        "state": "ok",
        "page": None,
        "read": 0,
        "rejected": 0,
        "reasons": [],
        "error": None,
    }
    try:
        pages = connector.read(reading.plan.source, None)
        try:
            page = next(pages, None)
            if page is not None:
                _sample(erp, feed, reading, page, found)
        finally:
            pages.close()
    except WaybillError as error:
        found["state"], found["error"] = "error", str(error.located(erp.erp, feed))
    return found


def _sample(erp: ErpMapping, feed: str, reading: Reading, page: Page, found: Row) -> None:
    content = io.BytesIO(b"".join(page.content))
    found["page"] = page.name
    mappers = {
        name: Mapper(FEEDS[feed].part(name), supply, erp)
        for name, supply in supplied(FEEDS[feed], erp.feeds[feed]).items()
    }
    first = dict.fromkeys((reading.part, *(child.part for child in reading.plan.children)), 1)
    for piece in read_page(content, reading.plan, 1, first):
        if isinstance(piece, Broken):
            found["read"] += 1
            found["rejected"] += 1
            _reason(found, piece.code, "", piece.says, 1, piece.raw)
        elif isinstance(piece, RawChunk):
            mapper = mappers[piece.part]
            _judge(mapper, piece, mapper.map(piece), found)
        elif isinstance(piece, Declared):
            continue
    found["state"] = "rejects" if found["rejected"] else "ok"


def _judge(mapper: Mapper, chunk: RawChunk, mapped: Mapped, found: Row) -> None:
    """Count what a load would reject for the record's own sake (references are not looked up)."""
    part, table = mapper.part, mapped.table
    bad = pa.repeat(pa.scalar(False), table.num_rows)
    unreadable: dict[str, pa.BooleanArray] = {}
    for problem in mapped.problems:
        mask = _plain(problem.mask)
        unreadable[problem.field] = mask
        bad = pc.or_(bad, mask)
        raw = _first(problem.raw, mask)
        _reason(found, problem.code, problem.field, problem.says, mask.true_count, raw)
    skip = _plain(table["deleted"].combine_chunks()) if "deleted" in table.column_names else None
    for verdict in judge(part, table, skip):
        mask = verdict.failed
        for name in verdict.reads & unreadable.keys():  # said already, by its true name
            mask = pc.and_not(mask, unreadable[name])
        if mask.true_count:
            bad = pc.or_(bad, mask)
            raw = mapper.raw_json(chunk, pc.index(mask, pa.scalar(True)).as_py())
            _reason(found, verdict.check_id, verdict.field, verdict.says, mask.true_count, raw)
    found["read"] += table.num_rows
    found["rejected"] += bad.true_count


def _reason(found: Row, code: str, field: str, says: str, records: int, example: object) -> None:
    if not records:
        return
    for known in found["reasons"]:
        if (known["code"], known["field"]) == (code, field):
            known["records"] += records
            return
    found["reasons"].append(
        {"code": code, "field": field, "says": says, "records": records, "example": example}
    )


def _plain(mask: pa.Array | pa.ChunkedArray | Iterable[bool]) -> pa.BooleanArray:
    return pc.fill_null(mask, False)


def _first(values: pa.Array, mask: pa.BooleanArray) -> object:
    at = pc.index(mask, pa.scalar(True)).as_py()
    return values[at].as_py() if at is not None and at >= 0 and len(values) == len(mask) else None
