"""What a change is: the columns in which a row can differ, and the change log's fields, as SQL.

Must not run a statement.
"""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import Part
from portal_db.schema import spaces
from portal_db.staging import DOCUMENT_COLUMNS


def compared(part: Part) -> tuple[LiteralString, ...]:
    """The columns in which a row can differ: every field outside the key, and code spaces."""
    columns: list[LiteralString] = [f.name for f in part.fields if f.name not in part.key]
    columns.extend(f"{space}_erp" for space in spaces(part))
    if part.name == "document":
        columns.extend(DOCUMENT_COLUMNS)
    return tuple(columns)


def written(part: Part) -> tuple[LiteralString, ...]:
    """Every column of the portal row that comes from the source, key included, without erp."""
    return (*part.key, *compared(part))


def watched(part: Part) -> tuple[LiteralString, ...]:
    """The fields whose old value is held against the new one."""
    names: list[LiteralString] = []
    if part.amount is not None:
        names.append(part.amount)
    for check in part.changes:
        names.append(check.field)
        names.extend(check.same)
    return tuple(dict.fromkeys(names))


def log_values(
    part: Part, *, gone: LiteralString, new: LiteralString
) -> tuple[LiteralString, LiteralString]:
    """The log's old and new of a staged row (s) beside the portal's (t), as jsonb.

    An update holds only the fields that differ, a new row all of its fields, a deleted one all it
    had. `gone` and `new` say as SQL which it is.
    """
    old: LiteralString = (
        f"CASE WHEN {gone} THEN {_object(part, 't')} WHEN {new} THEN NULL "
        f"ELSE {_object(part, 't', 's')} END"
    )
    fresh: LiteralString = (
        f"CASE WHEN {gone} THEN NULL WHEN {new} THEN {_object(part, 's')} "
        f"ELSE {_object(part, 's', 't')} END"
    )
    return old, fresh


def _object(part: Part, alias: LiteralString, other: LiteralString | None = None) -> LiteralString:
    """jsonb of the compared columns (of those that differ from `other`) that are not null.

    Written as text: `jsonb_build_object` looks up the type of each of its arguments for every
    row, which took most of the time of a load of many changes, and `to_jsonb` makes what is then
    made text again. Numeric stays exact.
    """
    documents = {f.name for f in part.fields if f.type == "json"}
    pieces: list[LiteralString] = []
    for column in compared(part):
        value: LiteralString = f"to_json({alias}.{column})"
        if column in documents:
            value = f"nullif(jsonb_strip_nulls({alias}.{column}), 'null')"
        piece: LiteralString = f"""'"{column}":' || {value}::text"""
        if other is not None:
            differs = f"{alias}.{column} IS DISTINCT FROM {other}.{column}"
            piece = f"CASE WHEN {differs} THEN {piece} END"
        pieces.append(piece)
    return f"('{{' || concat_ws(',', {', '.join(pieces)}) || '}}')::jsonb"
