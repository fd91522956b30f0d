"""One record as it came, as it was mapped and as it was judged, field by field, for people.

Plain data from what the check has at hand. Must not read, map or judge anything itself.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.formats.raw import Broken, RawChunk
from mappings.spec import FieldMapping
from quality.verdicts import Verdict
from transforms.mapping import Mapped, Mapper

Row = dict[str, Any]


def records(
    mapper: Mapper,
    chunk: RawChunk,
    mapped: Mapped,
    verdicts: list[Verdict],
    bad: pa.BooleanArray,
    most: int,
) -> list[Row]:
    """Up to `most` records of a chunk, those that would be rejected first.

    `part`, `record` (its number), `state` (`ok`, `rejected`, `deleted`), `fields`: a row per
    field with `field`, `theirs`, `raw`, `value`, `reasons`.
    """
    rejected = pc.indices_nonzero(bad).to_pylist()
    good = [row for row in range(min(mapped.table.num_rows, most)) if row not in set(rejected)]
    return [
        _record(mapper, chunk, mapped, verdicts, row) for row in (*rejected[:most], *good)[:most]
    ]


def unreadable(record: Broken) -> Row:
    """A record whose structure could not be read: its text, and why."""
    reason = {"code": record.code, "says": record.says}
    return {
        "part": record.part,
        "record": record.record_no,
        "state": "rejected",
        "fields": [
            {"field": "", "theirs": "", "raw": record.raw, "value": None, "reasons": [reason]}
        ],
    }


def _record(
    mapper: Mapper, chunk: RawChunk, mapped: Mapped, verdicts: list[Verdict], row: int
) -> Row:
    reasons: dict[str, list[Row]] = {}
    for problem in mapped.problems:
        if problem.mask[row].as_py():
            told = {"code": problem.code, "says": problem.says}
            reasons.setdefault(problem.field, []).append(told)
    unread = set(reasons)
    for verdict in verdicts:
        if verdict.failed[row].as_py() and not verdict.reads & unread:
            told = {"code": verdict.check_id, "says": verdict.says}
            reasons.setdefault(verdict.field, []).append(told)
    fields = [
        _field(mapper, chunk, mapped, name, reasons.pop(name, []), row)
        for name in (field.name for field in mapper.part.mapped_fields)
    ]
    fields += [  # said about a field that Waybill fills itself, or about the version
        {"field": name, "theirs": "", "raw": None, "value": None, "reasons": told}
        for name, told in reasons.items()
    ]
    refused = any(one["reasons"] for one in fields)
    deleted = bool(mapped.table["deleted"][row].as_py())
    return {
        "part": mapper.part.name,
        "record": chunk.record_no[row].as_py(),
        "state": "rejected" if refused else "deleted" if deleted else "ok",
        "fields": fields,
    }


def _field(
    mapper: Mapper, chunk: RawChunk, mapped: Mapped, name: str, reasons: list[Row], row: int
) -> Row:
    given = mapper.supply.fields.get(name, "absent")
    if name == mapper.part.parent_field and mapper.supply.parent is not None:
        given = mapper.supply.parent
    return {
        "field": name,
        "theirs": _theirs(given),
        "raw": None if isinstance(given, str) else _raw(chunk, given, row),
        "value": mapped.table[name][row].as_py(),
        "reasons": reasons,
    }


def _theirs(given: FieldMapping | str) -> str:
    """`KBETR → trailing_minus → decimal_point`, `const list`, `absent`."""
    if isinstance(given, str):
        return given
    if given.const is not None:
        return f"const {given.const}"
    steps = [*given.through, *([f"lookup {given.lookup}"] if given.lookup else [])]
    return " → ".join([" + ".join(given.paths), *steps])


def _raw(chunk: RawChunk, given: FieldMapping, row: int) -> str | None:
    texts = [
        chunk.columns.column(path)[row].as_py()
        for path in given.paths
        if path in chunk.columns.column_names
    ]
    if not texts or all(text is None for text in texts):
        return None
    return " | ".join("" if text is None else text for text in texts)
