"""Old and new values of updated rows side by side, for change checks and held batches.

Reads the delta and the portal; writes nothing.
"""

from __future__ import annotations

import io
from typing import Any, LiteralString

import pyarrow as pa
import pyarrow.csv as pa_csv

from mappings.vocabulary import DECIMALS, Part
from portal_db.identifiers import digits
from portal_db.keys import key_text
from portal_db.staging import Staging


def changed_values(staging: Staging, part: Part, fields: tuple[LiteralString, ...]) -> pa.Table:
    """A row per updated row: record_no, and `old_<f>`, `new_<f>` for each field, as Arrow."""
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
        f"FROM {staging.table(part.name, '_delta')} d WHERE d.op = 'U'",
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


def _fetched(staging: Staging, query: LiteralString, schema: pa.Schema) -> pa.Table:
    """Lines of CSV (`line`, in pieces) as Arrow, no Python object a cell; decimals stay exact."""
    pieces = staging.connection.execute(
        f"SELECT string_agg(line, E'\\n') FROM ({query}) lines GROUP BY piece"
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
    delta = staging.table(part.name, "_delta")
    if part.amount is not None:
        field: LiteralString = part.amount
        old: LiteralString = f"d.was_{field}"
        found: LiteralString = f"{delta} d"
        order: LiteralString = f"abs(coalesce(d.{field}, 0) - coalesce(d.was_{field}, 0)) DESC"
    else:
        named: LiteralString = "name"
        field = named if any(one.name == "name" for one in part.fields) else part.key[0]
        old = f"t.{field}"
        on = " AND ".join(f"t.{k} = d.{k}" for k in part.key)
        found = (
            f"{delta} d LEFT JOIN portal.{part.name} t ON t.erp = '{staging.erp}' AND {on} "
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

    At most `limit` rows, spread evenly by record number; every column of the part as typed text
    or number, in Arrow.
    """
    delta = staging.table(part.name, "_delta")
    if staging.first and part.name == staging.feed.main:
        return _first_rows(staging, part, limit)
    row = staging.connection.execute(f"SELECT count(*) FROM {delta} WHERE op <> 'D'").fetchone()
    total = int(row[0]) if row else 0
    every = max(1, -(-total // limit))
    names: list[LiteralString] = [f.name for f in part.fields]
    columns = ", ".join(f"d.{n}" for n in names)
    rows = staging.connection.execute(
        f"SELECT {columns} FROM (SELECT record_no, row_number() OVER (ORDER BY record_no) AS n "
        f"FROM {delta} WHERE op <> 'D') c JOIN {delta} d ON d.record_no = c.record_no "
        f"AND d.op <> 'D' WHERE c.n %% %s = 0 OR %s = 1",
        (every, every),
    ).fetchall()
    return _table(part, rows), total


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
