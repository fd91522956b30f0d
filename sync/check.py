"""Would it work? The mapping, the connection and one sample page of each source, end to end.

Raw → mapped → judged, with counts and one example a reason, on request record by record, and the
remedy where something is wrong; and whether a delta's cursor can be trusted. Must not: land, stage
or load anything, or write to the database (its requests count in the account's budget).
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
from mappings.trust import unseen_deletions
from quality.checks import judge
from sync import side_by_side
from sync.budget import erp_budget, look
from sync.connection import resolve
from sync.context import Context
from sync.progress import Progress, silent
from sync.sources import Reading, readings, supplied
from transforms.mapping import Mapped, Mapper

Row = dict[str, Any]


def check(
    ctx: Context,
    erp: str,
    feed: str | None = None,
    *,
    records: int = 0,
    progress: Progress = silent,
) -> Row:
    """What was found about one ERP, or one feed of it. Raises nothing that can be told.

    `limits`: the account's budget as it is now (`sync.budget.look`).
    `state`: `ok`, `rejects` (a sample record would be quarantined) or `error`; `connection`: the
    server's answer; `trust`: faults of what the mapping says about its cursors; `sources`: per
    source `feed`, `part`, `state`, `page`, `read`, `rejected`, `reasons` (`code`, `field`, `says`,
    `records`, `example`), `error`, and `records`: that many of each part, field by field
    (`sync/side_by_side.py`).
    """
    found: Row = {
        "erp": erp,
        "state": "ok",
        "connection": None,
        "error": None,
        "limits": None,
        "trust": [],
        "sources": [],
    }
    try:
        mapping = ctx.erp(erp)
        if feed is not None:
            ctx.feed(erp, feed)
        feeds = [name for name in mapping.feeds if feed in (None, name)]
        found["trust"] = [fault for name in feeds for fault in _distrust(mapping, name)]
        connection = resolve(ctx.settings, mapping.connection)
        sources = [
            (name, reading)
            for name in feeds
            for reading in readings(FEEDS[name], mapping.feeds[name])
        ]
        protocols = dict.fromkeys(reading.plan.source.protocol for _, reading in sources)
        done = 0
        for protocol in protocols:
            budget = erp_budget(ctx, erp, "bulk", patience=10.0)
            with open_connector(
                connection, protocol, erp, cache=ctx.settings.cache, budget=budget
            ) as connector:
                found["connection"] = connector.check()
                for name, reading in sources:
                    if reading.plan.source.protocol == protocol:
                        found["sources"].append(_source(mapping, name, reading, connector, records))
                        done += 1
                        progress("check", done, len(sources))
        found["limits"] = look(ctx, erp)
    except WaybillError as error:
        found["state"], found["error"] = "error", str(error.located(erp, feed))
        return found
    states = {source["state"] for source in found["sources"]}
    states |= {"error"} if found["trust"] else set()
    found["state"] = next((s for s in ("error", "rejects") if s in states), "ok")
    return found


def _distrust(erp: ErpMapping, feed: str) -> list[str]:
    """What is wrong with how far a delta trusts its cursor, each with its remedy."""
    parts = unseen_deletions(erp, feed)
    if not parts:
        return []
    names = ", ".join(parts)
    says = (
        f"{erp.erp}/{feed}: what the ERP deletes would stay in the portal for ever: the delta of "
        f"{names} has no deletion marker and no sweep. Name the marker with `deleted`, or write "
        "`misses: [deletions]`: then a full read compares every night. If the ERP cannot be read "
        "as a whole, use `mode: snapshot` with a `scope` that it can send."
    )
    return [says]


def _source(
    erp: ErpMapping, feed: str, reading: Reading, connector: Connector, records: int
) -> Row:
    found: Row = {
        "feed": feed,
        "part": reading.part,
        "state": "ok",
        "page": None,
        "read": 0,
        "rejected": 0,
        "reasons": [],
        "error": None,
        "records": [],
    }
    try:
        pages = connector.read(reading.plan.source, None)
        try:
            page = next(pages, None)
            if page is not None:
                _sample(erp, feed, reading, page, found, records)
        finally:
            pages.close()
    except WaybillError as error:
        found["state"], found["error"] = "error", str(error.located(erp.erp, feed))
    return found


def _sample(
    erp: ErpMapping, feed: str, reading: Reading, page: Page, found: Row, records: int
) -> None:
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
            if _shown(found, piece.part) < records:
                found["records"].append(side_by_side.unreadable(piece))
        elif isinstance(piece, RawChunk):
            mapper = mappers[piece.part]
            _judge(mapper, piece, mapper.map(piece), found, records)
        elif isinstance(piece, Declared):
            continue
    found["state"] = "rejects" if found["rejected"] else "ok"


def _judge(mapper: Mapper, chunk: RawChunk, mapped: Mapped, found: Row, records: int) -> None:
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
    verdicts = judge(part, table, skip)
    for verdict in verdicts:
        mask = verdict.failed
        for name in verdict.reads & unreadable.keys():  # said already, by its true name
            mask = pc.and_not(mask, unreadable[name])
        if mask.true_count:
            bad = pc.or_(bad, mask)
            raw = mapper.raw_json(chunk, pc.index(mask, pa.scalar(True)).as_py())
            _reason(found, verdict.check_id, verdict.field, verdict.says, mask.true_count, raw)
    found["read"] += table.num_rows
    found["rejected"] += bad.true_count
    most = records - _shown(found, part.name)
    if most > 0:
        found["records"] += side_by_side.records(mapper, chunk, mapped, verdicts, bad, most)


def _shown(found: Row, part: str) -> int:
    return sum(one["part"] == part for one in found["records"])


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
