"""Old and new values of updated rows side by side, for change checks and held batches.

Reads the delta and the portal; writes nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString

import pyarrow as pa
import pyarrow.csv as pa_csv

from mappings.vocabulary import DECIMALS, ChangeCheck, Part
from portal_db import delta
from portal_db.identifiers import digits
from portal_db.keys import key_text
from portal_db.staging import Staging


@dataclass(frozen=True, slots=True)
class Changed:
    """The updated rows of a part, for one change check."""

    rows: int
    """How many there are."""
    both: int
    """Of how many the field has a value on both sides."""
    notable: pa.Table
    """record_no, and `old_<f>`, `new_<f>` for each field: every row that the check may name."""


def changed_values(staging: Staging, part: Part, check: ChangeCheck, share: Decimal) -> Changed:
    """The updated rows of a part beside what they were, as far as a change check asks for them.

    A row that moved by no more than `share` of its old value, and by none of the check's factors,
    is counted and not brought: of a large delta nearly all are so. The others are judged where all
    checks are, in Arrow.
    """
    old: LiteralString = f"d.was_{check.field}"
    new: LiteralString = f"d.{check.field}"
    row = staging.connection.execute(
        f"SELECT count({old} + {new}) FROM {staging.table(part.name, '_delta')} d WHERE d.op = 'U'"
    ).fetchone()
    both = int(row[0]) if row else 0
    times: LiteralString = " OR ".join(f"{new} = {old} * %s" for _ in check.factors) or "false"
    notable = f"abs({new} - {old}) > %s * abs({old}) OR {times}"
    fields = tuple(dict.fromkeys((check.field, *check.same)))
    found = _pairs(staging, part, fields, notable, (share, *check.factors))
    return Changed(delta.counts(staging, part)["U"], both, found)


def _pairs(
    staging: Staging,
    part: Part,
    fields: tuple[LiteralString, ...],
    condition: LiteralString,
    parameters: tuple[object, ...],
) -> pa.Table:
    """A row per updated row that meets the condition (of alias d), old and new side by side."""
    schema: list[tuple[str, pa.DataType]] = [("record_no", pa.int64())]
    cells: list[LiteralString] = ["d.record_no::text"]
    for name in fields:
        kind = part.field(name).type
        schema += [(f"old_{name}", _arrow(kind)), (f"new_{name}", _arrow(kind))]
        cells.extend((_cell_of(f"d.was_{name}", kind), _cell_of(f"d.{name}", kind)))
    line = " || ',' || ".join(cells)
    return _fetched(
        staging,
        f"SELECT {line} AS line, d.record_no / {digits(_LINES)} AS piece "
        f"FROM {staging.table(part.name, '_delta')} d WHERE d.op = 'U' AND ({condition})",
        parameters,
        pa.schema(schema),
    )


_LINES = 5_000
"""Lines that come as one: a row of the protocol costs Python more than the server's work on it."""


def _cell_of(value: LiteralString, kind: str) -> LiteralString:
    """A value as a cell of CSV, in SQL: NULL is empty, an empty text is quoted."""
    text: LiteralString = f"{value}::text"
    if _arrow(kind) == pa.string():
        text = f"""'"' || replace({text}, '"', '""') || '"'"""
    return f"coalesce({text}, '')"


def _fetched(
    staging: Staging, query: LiteralString, parameters: tuple[object, ...], schema: pa.Schema
) -> pa.Table:
    """Lines of CSV (`line`, in pieces) as Arrow, no Python object a cell; decimals stay exact."""
    pieces = staging.connection.execute(
        f"SELECT string_agg(line, E'\\n') FROM ({query}) lines GROUP BY piece", parameters
    )
    options = pa_csv.ConvertOptions(
        column_types=schema,
        null_values=[""],
        true_values=["true"],
        false_values=["false"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    tables = [
        pa_csv.open_csv(
            io.BytesIO(text.encode()),
            pa_csv.ReadOptions(column_names=schema.names),
            pa_csv.ParseOptions(newlines_in_values=True),
            options,
        ).read_all()
        for (text,) in pieces
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


_ARROW: dict[str, pa.DataType] = {"int": pa.int64(), "date": pa.date32(), "bool": pa.bool_()}


def biggest_movements(staging: Staging, part: Part, limit: int = 20) -> list[dict[str, Any]]:
    """The rows of a delta that move most, for whoever must release or refuse it.

    Of a part without amounts: what goes first, then what comes, then what changes, with its name.
    """
    table = staging.table(part.name, "_delta")
    if part.amount is not None:
        field: LiteralString = part.amount
        old: LiteralString = f"d.was_{field}"
        found: LiteralString = f"{table} d"
        order: LiteralString = f"abs(coalesce(d.{field}, 0) - coalesce(d.was_{field}, 0)) DESC"
    else:
        named: LiteralString = "name"
        field = named if any(one.name == "name" for one in part.fields) else part.key[0]
        old = f"t.{field}"
        on = " AND ".join(f"t.{k} = d.{k}" for k in part.key)
        found = (
            f"{table} d LEFT JOIN portal.{part.name} t ON t.erp = '{staging.erp}' AND {on} "
            "AND d.existed"
        )
        order = "array_position(ARRAY['D', 'I', 'U'], d.op)"
    rows = staging.connection.execute(
        f"SELECT {key_text(part, 'd')}, d.op, {old}::text, "
        f"CASE WHEN d.op <> 'D' THEN d.{field} END::text FROM {found} ORDER BY {order}, 1 LIMIT %s",
        (limit,),
    ).fetchall()
    return [
        {"part": part.name, "key": key, "op": op, "field": field, "old": old, "new": new}
        for key, op, old, new in rows
    ]


def delta_rows(staging: Staging, part: Part, limit: int) -> tuple[pa.Table, int]:
    """(accepted inserted and updated rows as the portal will hold them, how many there are).

    At most `limit` rows, scattered over all record numbers; every column of the part as typed text
    or number, in Arrow.
    """
    if staging.first and part.name == staging.feed.main:
        return _first_rows(staging, part, limit)
    counted = delta.counts(staging, part)
    total = counted["I"] + counted["U"]
    columns = ", ".join(f"d.{f.name}" for f in part.fields)
    # scattered by a hash, not every n-th: no sort, and no period of the file is followed
    rows = staging.connection.execute(
        f"SELECT {columns} FROM {staging.table(part.name, '_delta')} d WHERE d.op <> 'D' "
        f"AND hashint8extended(d.record_no, 0) & {digits(_SCATTERED - 1)} < %s LIMIT %s",
        (-(-limit * _SCATTERED // max(total, 1)), limit),
    ).fetchall()
    return _table(part, rows), total


_SCATTERED = 1 << 30


def _first_rows(staging: Staging, part: Part, limit: int) -> tuple[pa.Table, int]:
    """As `delta_rows` where every staged row is new.

    Rows lie in the order in which they came: places are as good as numbers, and only the pages
    that are asked for are read.
    """
    total = staging.count(part)
    table = staging.table(part.name)
    query: LiteralString = f"SELECT {', '.join(f's.{f.name}' for f in part.fields)} FROM {table} s"
    if total <= limit:
        return _table(part, staging.connection.execute(query).fetchall()), total
    row = staging.connection.execute(
        "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint", (table,)
    ).fetchone()
    pages = int(row[0]) if row else 1
    on_page = max(1, total // pages)  # of all but a few pages; places that are empty bring no row
    spread = (n * pages * on_page // limit for n in range(limit))
    places = [f"({at // on_page},{at % on_page + 1})" for at in spread]
    rows = staging.connection.execute(f"{query} WHERE s.ctid = ANY(%s::tid[])", (places,))
    return _table(part, rows.fetchall()), total


def _table(part: Part, rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table(
        {
            f.name: pa.array([_cell(r[i], f.type) for r in rows], _arrow(f.type))
            for i, f in enumerate(part.fields)
        }
    )


def _arrow(kind: str) -> pa.DataType:
    if kind in DECIMALS:
        return pa.decimal128(*DECIMALS[kind])
    if kind in {"texts", "codes"}:
        return pa.list_(pa.string())
    if kind == "instant":
        return pa.timestamp("us", "UTC")
    return _ARROW.get(kind, pa.string())


def _cell(value: object, kind: str) -> object:
    return str(value) if kind == "json" and value is not None else value
