"""A value's way back: portal row → batch → run → page → record → the ERP's very bytes.

Reads the database, the landing store and nothing else. The bytes are read under the mapping of
then; its text is kept by SHA-256. Must not: change anything, or ask an ERP.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from connectors.formats import locate, plain, read_page
from connectors.formats.raw import LIST_SEPARATOR, RawChunk, ReadPlan
from mappings.errors import Misconfigured, WaybillError
from mappings.feeds import FEEDS, PARTS
from mappings.reading import parse_mapping
from mappings.spec import ErpMapping, FieldMapping
from mappings.vocabulary import Part
from portal_db.keys import key_text
from portal_db.ledger import PageRow, read_pages
from sync.context import Context
from sync.history import closest
from sync.mapping_text import mapping_text
from sync.sources import readings, supplied

_MOST_BYTES = 20_000
_MOST_CHANGES = 20
Row = dict[str, Any]


def explain(ctx: Context, table: str, key: list[str]) -> Row:
    """Where one row of `portal.<table>` comes from. `key` begins with the ERP's name.

    Keys: `row` (its fields), `as_of`, `stale_since`, `deleted_at`, `batch`, `runs`, `checks`,
    `changes`, `corrections` (people's, which count while the ERP sends the same bytes), `mapping`
    (SHA-256, and per field what it was made of), `evidence` (`state` is `present`, `gone` or
    `altered`; then page, place and text of the record).
    Raises Misconfigured (codes `unknown_table`, `unknown_row`, `ambiguous_key`).
    """
    if table not in PARTS:
        raise Misconfigured(
            f"there is no synced table {table!r}",
            code="unknown_table",
            remedy=closest(table, PARTS, "Tables"),
        )
    part = PARTS[table]
    row = _find(ctx, part, key)
    with ctx.connection() as connection:
        batch = _one(connection, "SELECT * FROM sync.batch WHERE id = %s", (row["batch_id"],))
        runs = _all(
            connection,
            "SELECT id, kind, state, started_at, mapping_sha256, fingerprint, actor, reason "
            "FROM sync.run WHERE batch_id = %s AND state = 'done' ORDER BY id",
            (row["batch_id"],),
        )
        last_run = runs[-1] if runs else None
        checks = _all(
            connection,
            "SELECT check_id, judge, success, evaluated, failed, population, says "
            "FROM sync.check_result WHERE run_id = %s AND part = %s ORDER BY check_id, judge",
            (last_run["id"] if last_run else None, part.name),
        )
        key_words = row.pop("_key_json")
        corrections = _all(
            connection,
            "SELECT id, at, actor, reason, changes, was FROM sync.correction WHERE erp = %s "
            "AND part = %s AND (key = %s OR (batch_id = %s AND record_no = %s)) "
            "ORDER BY id DESC LIMIT 5",
            (row["erp"], part.name, key_words, row["batch_id"], row["record_no"]),
        )
        changes = _all(
            connection,
            "SELECT run_id, batch_id, op, old, new, at FROM sync.change "
            "WHERE erp = %s AND part = %s AND key = %s ORDER BY id DESC LIMIT %s",
            (row["erp"], part.name, key_words, _MOST_CHANGES),
        )
        pages = read_pages(connection, row["batch_id"])
    found: Row = {
        "table": f"portal.{table}",
        "erp": row["erp"],
        "key": [row[name] for name in part.key],
        "row": {f.name: row[f.name] for f in part.fields},
        **{name: row[name] for name in ("as_of", "stale_since", "deleted_at", "record_no")},
        "batch": batch,
        "runs": runs,
        "checks": checks,
        "changes": changes,
        "corrections": corrections,
    }
    mapping_sha256 = (last_run or batch or {}).get("mapping_sha256")
    erp = _mapping_of_then(ctx, row["erp"], mapping_sha256)
    record = _Record(None, None)
    evidence: Row = {"state": "gone", "says": "the batch is not recorded"}
    if batch is not None and erp is not None and part.feed in erp.feeds:
        record, evidence = _evidence(ctx, erp, part, batch, pages, int(row["record_no"]))
    found["evidence"] = evidence
    found["mapping"] = {
        "sha256": mapping_sha256,
        "is_todays": _is_todays(ctx, row["erp"], mapping_sha256),
        "fields": _fields(erp, part, row, record) if erp is not None else [],
    }
    return found


@dataclass(frozen=True, slots=True)
class _Record:
    """One record's raw columns: the chunk that holds it, and its row there."""

    chunk: RawChunk | None
    row: int | None

    def raw(self, path: str) -> str | None:
        """The ERP's text at a path; None where there was none, or the bytes are gone."""
        if self.chunk is None or self.row is None:
            return None
        names = self.chunk.columns.column_names
        return self.chunk.columns[path][self.row].as_py() if path in names else None


def record_bytes(ctx: Context, batch_id: int, part_name: str, record_no: int) -> Row:
    """One landed record's bytes, under the mapping that pulled it: as `evidence` of `explain`."""
    with ctx.connection() as connection:
        batch = _one(connection, "SELECT * FROM sync.batch WHERE id = %s", (batch_id,))
        pages = read_pages(connection, batch_id)
    erp = None if batch is None else _mapping_of_then(ctx, batch["erp"], batch["mapping_sha256"])
    if batch is None or erp is None or batch["feed"] not in erp.feeds:
        return {"state": "gone", "says": "the batch, or its mapping, is not recorded"}
    return _evidence(ctx, erp, PARTS[part_name], batch, pages, record_no)[1]


def _find(ctx: Context, part: Part, key: list[str]) -> Row:
    names = ["erp", *part.key]
    given = dict(zip(names, key, strict=False))
    usage = f"waybill explain {part.name} {' '.join(name.upper() for name in names)}"
    if not key or len(key) > len(names):
        raise Misconfigured(
            f"a row of {part.name} is named by {len(names)} words, not {len(key)}",
            code="ambiguous_key",
            remedy=f"Write it as `{usage}`.",
        )
    where = sql.SQL(" AND ").join(
        sql.SQL("t.{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given
    )
    statement = sql.SQL("SELECT t.*, {} AS _key_json FROM portal.{} t WHERE {} LIMIT 11").format(
        sql.SQL(key_text(part, "t")),
        sql.Identifier(part.name),
        where,
    )
    with ctx.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        try:
            rows = cursor.execute(statement, given).fetchall()
        except psycopg.errors.DataError as error:
            raise Misconfigured(
                f"{' '.join(key)} cannot be a key of {part.name}: {error.diag.message_primary}",
                code="unknown_row",
                remedy=f"Write it as `{usage}`.",
            ) from None
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise Misconfigured(
            f"portal.{part.name} has no row {' '.join(key)}",
            code="unknown_row",
            remedy=f"Write it as `{usage}`; `waybill quarantine {key[0]} {part.feed}` shows what "
            "came and was not let in.",
        )
    shown = "; ".join(" ".join(str(row[name]) for name in names) for row in rows[:10])
    raise Misconfigured(
        f"{'more than 10' if len(rows) > 10 else len(rows)} rows of {part.name} begin with "  # noqa: PLR2004 - said right here
        f"{' '.join(key)}",
        code="ambiguous_key",
        remedy=f"Name one: {shown}.",
    )


def _evidence(
    ctx: Context, erp: ErpMapping, part: Part, batch: Row, pages: list[PageRow], record_no: int
) -> tuple[_Record, Row]:
    """The record in its page, its bytes, and whether they still have the hash they landed with."""
    plan = next(
        (
            reading.plan
            for reading in readings(FEEDS[part.feed], erp.feeds[part.feed])
            if part.name in (reading.part, *(child.part for child in reading.plan.children))
        ),
        None,
    )
    if plan is None:
        return _Record(None, None), {
            "state": "gone",
            "says": f"the mapping of then does not supply {part.name}",
        }
    mine = [page for page in pages if page.part == plan.part]
    folder = batch["landing"]
    try:
        found = _search(ctx, plan, part.name, folder, mine, record_no)
        if found is None:
            return _Record(None, None), {
                "state": "gone",
                "says": f"record {record_no} is in no page of batch {batch['id']}",
            }
        page, record, number = found
        place: Row = {
            "page": page.page,
            "name": page.name,
            "path": ctx.landing.location(folder, page.file),
            "sha256": page.sha256,
            "record_in_page": number,
        }
        if not ctx.landing.verify(folder, page.file, page.sha256):
            return record, {"state": "altered", "says": "the page's hash has changed", **place}
        with ctx.landing.open_page(folder, page.file) as content:
            start, end = locate(content, plan, part.name, number)
        with ctx.landing.open_page(folder, page.file) as content:
            text = plain(content, plan)
            text.read(start)
            data = text.read(min(end - start, _MOST_BYTES))
    except WaybillError as error:
        hashes = [{"page": p.page, "name": p.name, "sha256": p.sha256} for p in mine]
        gone = batch.get("evidence_deleted_at")
        says = f"its time as evidence was over on {gone:%Y-%m-%d}" if gone else str(error)
        return _Record(None, None), {"state": "gone", "says": says, "hashes": hashes}
    return record, {
        "state": "present",
        **place,
        "first_byte": start,
        "end_byte": end,
        "text": data.decode(_encoding(plan), errors="backslashreplace"),
    }


def _search(
    ctx: Context, plan: ReadPlan, part: str, folder: str, pages: list[PageRow], record_no: int
) -> tuple[PageRow, _Record, int] | None:
    """(page, record, its number in that page), reading no more pages than needed."""
    first = dict.fromkeys((plan.part, *(child.part for child in plan.children)), 1)
    for page in pages:
        known = page.first_record_no is not None and page.records is not None
        if part == plan.part and known and page.first_record_no is not None:
            first[part] = page.first_record_no
            if not 0 <= record_no - first[part] < (page.records or 0):
                continue
        before = first[part]
        with ctx.landing.open_page(folder, page.file) as content:
            for piece in read_page(content, plan, page.page, first):
                if isinstance(piece, RawChunk) and piece.part == part:
                    row = _index(piece.record_no, record_no)
                    if row is not None:
                        return page, _Record(piece, row), record_no - before + 1
    return None


def _index(numbers: pa.Int64Array, wanted: int) -> int | None:
    found = numbers.index(pa.scalar(wanted, pa.int64())).as_py()
    return None if found is None or found < 0 else found


def _fields(erp: ErpMapping, part: Part, row: Row, record: _Record) -> list[Row]:
    """Per field: its value, what the mapping made it of, and the ERP's text."""
    supply = supplied(FEEDS[part.feed], erp.feeds[part.feed]).get(part.name)
    found: list[Row] = []
    for field in part.fields:
        given = supply.fields.get(field.name) if supply is not None else None
        line: Row = {"field": field.name, "value": row[field.name]}
        if isinstance(given, FieldMapping):
            raw = {path: record.raw(path) for path in given.paths}
            line |= {
                "from": list(given.paths),
                "const": given.const,
                "through": list(given.through),
                "lookup": given.lookup,
                "raw": {k: v.replace(LIST_SEPARATOR, " | ") if v else v for k, v in raw.items()},
            }
        elif field.copied_from is not None:
            line["says"] = f"copied from {field.copied_from[0]}.{field.copied_from[1]}"
        elif field.derived_from is not None:
            line["says"] = f"{field.derived_from}, with nothing as ''"
        elif field.name == part.parent_field:
            line["says"] = f"the key of its {part.parent}"
        else:
            line["says"] = "absent: this ERP does not supply it"
        found.append(line)
    return found


def _mapping_of_then(ctx: Context, erp: str, sha256: str | None) -> ErpMapping | None:
    with ctx.connection() as connection:
        kept = _one(connection, "SELECT text FROM sync.mapping WHERE sha256 = %s", (sha256,))
    if kept is None:
        return None
    try:
        return parse_mapping(kept["text"], Path(f"{erp}.yaml"))
    except Misconfigured:
        return None  # a word of then that today's language no longer has


def _is_todays(ctx: Context, erp: str, sha256: str | None) -> bool:
    try:
        return mapping_text(ctx, erp)[1] == sha256
    except Misconfigured:
        return False


def _encoding(plan: ReadPlan) -> str:
    form = getattr(plan.source, "format", None)
    return getattr(form, "encoding", None) or "utf-8"


def _all(
    connection: psycopg.Connection[Any], text: LiteralString, values: tuple[object, ...]
) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text, values).fetchall()


def _one(
    connection: psycopg.Connection[Any], text: LiteralString, values: tuple[object, ...]
) -> Row | None:
    rows = _all(connection, text, values)
    return rows[0] if rows else None


def field_line(line: Row) -> str:
    """How one field came to be, in the words of the mapping."""
    if "says" in line:
        return str(line["says"])
    if line["const"] is not None:
        return f"const: {line['const']}"
    words = f"from: {', '.join(line['from'])}"
    if line["through"]:
        words += f" through: {', '.join(line['through'])}"
    return f"{words} lookup: {line['lookup']}" if line["lookup"] else words


def as_text(value: object) -> str:
    """One value as people read it."""
    if value is None:
        return "–"
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(value)
