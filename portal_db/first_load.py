"""An ERP's first price list: its partition is built aside, and attached in the run's transaction.

Rows are written once, its keys are sorted once, and no reader notices. What the ordinary way finds
by comparing with the portal holds by itself: every row is new. Must not judge, and must not be
used where the portal holds a row of that ERP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable, UniqueViolation

from mappings.vocabulary import Part
from portal_db.identifiers import digits
from portal_db.schema import spaces
from portal_db.staging import Staging

PART = "price"
"""The one table that has a partition for each ERP."""

_LOCK_TRIES = 5
_SORT_MEMORY: LiteralString = "16MB"
"""Measured with 2,000,000 keys: 1.0 s, with 64 MB 1.2 s, with 256 MB and more 1.5 s."""


def is_first(connection: psycopg.Connection[Any], erp: LiteralString) -> bool:
    """Has this ERP no partition of prices yet?"""
    row = connection.execute("SELECT to_regclass(%s) IS NULL", (f"portal.{PART}_{erp}",)).fetchone()
    return bool(row and row[0])


def complete_columns(staging: Staging, part: Part, *, batch_id: int, observed_at: datetime) -> None:
    """Give the staged table the columns that no record brings, while nobody can see it.

    Constants become defaults that are not stored in each row (`erp`, which is of the key, is).
    """
    table = staging.table(part.name)
    columns: list[tuple[LiteralString, LiteralString, object]] = [
        (f"{space}_erp", "text", staging.refers.get(space, staging.erp)) for space in spaces(part)
    ]
    columns += [("batch_id", "bigint", batch_id), ("as_of", "timestamptz", observed_at)]
    changes: list[sql.Composed | sql.SQL] = [
        sql.SQL("ADD COLUMN {} {} NOT NULL DEFAULT {}").format(
            sql.Identifier(name), sql.SQL(kind), sql.Literal(value)
        )  # pyright: ignore[reportArgumentType]
        for name, kind, value in columns
    ]
    staging.connection.execute(sql.SQL("ALTER TABLE {} {}").format(sql.SQL(table), _list(changes)))


def add_key(staging: Staging, part: Part) -> bool:
    """Sort it once for its primary key; False where a key comes twice.

    As a unique index, beside which others can be built; `name_key` makes it the primary key.
    """
    keys = sql.SQL(", ").join(sql.Identifier(name) for name in (*part.key, "erp"))
    statement = sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
        _key_name(staging, part), sql.SQL(staging.table(part.name)), keys
    )
    try:
        with _sorting(staging.connection):
            staging.connection.execute(statement)
    except UniqueViolation:
        return False
    return True


@contextmanager
def _sorting(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Sort in runs that stay in the processor's cache, by one process.

    Two indexes are built side by side, so a second process for each would only be in the way.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL maintenance_work_mem = '{_SORT_MEMORY}'")
        connection.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        yield


def name_key(staging: Staging, part: Part) -> None:
    """The sorted key becomes the primary key: at once, since its columns are never NULL."""
    staging.connection.execute(
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY USING INDEX {}").format(
            sql.SQL(staging.table(part.name)), _key_name(staging, part)
        )
    )


def _key_name(staging: Staging, part: Part) -> sql.Identifier:
    return sql.Identifier(f"{part.name}_{staging.erp}_pkey")


def attach(staging: Staging, part: Part) -> None:
    """The staged table becomes the ERP's partition, in the caller's transaction.

    Readers and writers of other ERPs' prices are not locked out: attaching waits for nobody but
    another attach or a vacuum, shortly, and again.
    """
    table = staging.table(part.name)
    defaults = ("erp", *(f"{space}_erp" for space in spaces(part)), "batch_id", "as_of")
    defaults += tuple(staging.constants.get(part.name, ()))
    connection = staging.connection
    dropped = ", ".join(f"DROP COLUMN {name}" for name in ("root_no", "deleted", "version"))
    connection.execute(f"DROP VIEW {staging.table(part.name, '_delta')}")
    connection.execute(f"ALTER TABLE {table} RENAME COLUMN raw_hash TO row_hash")
    connection.execute(f"ALTER TABLE {table} {dropped}")
    forgotten = [
        sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(sql.Identifier(name)) for name in defaults
    ]
    connection.execute(sql.SQL("ALTER TABLE {} {}").format(sql.SQL(table), _list(forgotten)))
    for tries_left in range(_LOCK_TRIES - 1, -1, -1):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '2s'")
                connection.execute(
                    "SELECT portal.attach_price_partition(%s::bigint, %s::text)",
                    (staging.run_id, staging.erp),
                )
        except LockNotAvailable:
            if not tries_left:
                raise
        else:
            break
    connection.execute("SET LOCAL lock_timeout = '30s'")
    staging.given_away(part)


def view_as_delta(staging: Staging, part: Part) -> None:
    """Every staged row is an insert: what reads the delta reads that."""
    columns: list[LiteralString] = ["record_no", "raw_hash", *part.key]
    if part.amount is not None:
        columns.extend((part.amount, f"NULL::numeric AS was_{part.amount}"))
    staging.connection.execute(
        f"CREATE VIEW {staging.table(part.name, '_delta')} AS SELECT 'I'::text AS op, "
        f"false AS existed, {', '.join(columns)} FROM {staging.table(part.name)}"
    )


def add_empty_indexes(staging: Staging) -> None:
    """While the table is empty: the partial indexes that will have no row of it.

    To find that out afterwards would cost a scan of the whole table each.
    """
    part = staging.feed.part(staging.feed.main)
    known = {**staging.constants.get(part.name, {}), "deleted_at": None, "stale_since": None}
    for name, definition, predicate in _indexes(staging.connection, part):
        if predicate and _never(staging, part, predicate, known):
            staging.connection.execute(_statement(staging, part, name, definition))
            staging.indexes.add(name)


def _never(staging: Staging, part: Part, predicate: str, known: Mapping[str, object]) -> bool:
    """Is the condition false whatever the other columns hold?

    With those as NULL it is only false if none of them could make it true, but for tests of NULL.
    Where a function takes NULL for a value this may be wrong: then the index is filled row by row,
    which takes longer and is as right.
    """
    tested = set(re.findall(r"(\w+) IS (?:NOT )?NULL", predicate))
    if tested - set(known):
        return False
    columns = staging.connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (f"portal.{part.name}",),
    ).fetchall()
    row = sql.SQL(", ").join(
        sql.SQL("{}::{} AS {}").format(
            sql.Literal(known.get(name)),
            sql.SQL(kind),  # pyright: ignore[reportArgumentType]  PostgreSQL's own text
            sql.Identifier(name),
        )
        for name, kind in columns
    )
    found = staging.connection.execute(
        sql.SQL("SELECT ({}) IS FALSE FROM (SELECT {}) one").format(
            sql.SQL(predicate),  # pyright: ignore[reportArgumentType]  PostgreSQL's own text
            row,
        )
    ).fetchone()
    return bool(found and found[0])


def add_indexes(connection: psycopg.Connection[Any], staging: Staging, part: Part) -> None:
    """What else the parent is indexed by: else attaching would build it under its lock.

    `connection` is another than the key is sorted on: both go on at the same time.
    """
    for name, definition, _ in _indexes(connection, part):
        if name not in staging.indexes:
            with _sorting(connection):
                connection.execute(_statement(staging, part, name, definition))
    connection.execute(f"ANALYZE {staging.table(part.name)}")


def _indexes(connection: psycopg.Connection[Any], part: Part) -> list[tuple[str, str, str | None]]:
    """(name, definition, condition) of every index of the portal's table but its key."""
    rows = connection.execute(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid), pg_get_expr(i.indpred, i.indrelid) "
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = %s::regclass AND NOT i.indisprimary",
        (f"portal.{part.name}",),
    ).fetchall()
    return [(str(name), str(definition), predicate) for name, definition, predicate in rows]


def _statement(staging: Staging, part: Part, name: str, definition: str) -> sql.SQL:
    head, _, rest = definition.partition(f" ON ONLY portal.{part.name} ")
    unique = "UNIQUE " if head.startswith("CREATE UNIQUE") else ""
    own = f"run_{digits(staging.run_id)}_{name}"[:63]
    text = f"CREATE {unique}INDEX {own} ON {staging.table(part.name)} {rest}"
    return sql.SQL(text)  # pyright: ignore[reportArgumentType]  PostgreSQL's own text


def _list(pieces: list[sql.Composed] | list[sql.Composed | sql.SQL]) -> sql.Composed:
    separated: list[sql.Composable] = []
    for piece in pieces:
        separated += [sql.SQL(", "), piece] if separated else [piece]
    return sql.Composed(separated)
