"""Writes one run's delta into the portal: rows and change log, inside the caller's transaction.

Insert, update and soft delete by delta only; a row that did not change is not touched. Must not
open or end a transaction, and must not decide anything: the delta was judged before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part
from portal_db import first_load
from portal_db.delta import compared, written
from portal_db.keys import key_text
from portal_db.staging import Staging

_MUCH = 1_000
"""Rows, below which nobody needs to plan anew."""


def remove_roots(staging: Staging, root: Part, record_nos: list[int]) -> None:
    """Take root records and their children out of staging and out of the deltas.

    Their keys are remembered as failed: what is stored under them has not vanished.
    """
    if not record_nos:
        return
    table = staging.table(root.name)
    keys = ", ".join(root.key)
    run = staging.connection.execute
    run(
        f"INSERT INTO {staging.table(root.name, '_failed')} ({keys}, record_no) "
        f"SELECT {keys}, record_no FROM {table} WHERE record_no = ANY(%s)",
        (record_nos,),
    )
    for child in staging.feed.children(root.name):
        parent = child.parent_field or ""
        if _exists(staging, child):
            run(
                f"DELETE FROM {staging.table(child.name, '_delta')} WHERE {parent} IN "
                f"(SELECT key FROM {table} WHERE record_no = ANY(%s))",
                (record_nos,),
            )
        run(f"DELETE FROM {staging.table(child.name)} WHERE root_no = ANY(%s)", (record_nos,))
    if _exists(staging, root):
        delta = staging.table(root.name, "_delta")
        run(f"DELETE FROM {delta} WHERE record_no = ANY(%s)", (record_nos,))
    run(f"DELETE FROM {table} WHERE record_no = ANY(%s)", (record_nos,))


def drop_roots(staging: Staging, root: Part, record_nos: list[int]) -> None:
    """Take superseded root records and their children out of staging, before the diff."""
    if not record_nos:
        return
    for child in staging.feed.children(root.name):
        staging.connection.execute(
            f"DELETE FROM {staging.table(child.name)} WHERE root_no = ANY(%s)", (record_nos,)
        )
    staging.connection.execute(
        f"DELETE FROM {staging.table(root.name)} WHERE record_no = ANY(%s)", (record_nos,)
    )


def _exists(staging: Staging, part: Part) -> bool:
    row = staging.connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", (staging.table(part.name, "_delta"),)
    ).fetchone()
    return bool(row and row[0])


def apply(
    connection: psycopg.Connection[Any],
    staging: Staging,
    part: Part,
    *,
    batch_id: int,
    observed_at: datetime,
    log_changes: bool,
) -> None:
    """Write one part's delta. `observed_at` becomes `as_of` of the rows it touches."""
    if staging.first and part.name == staging.feed.main:
        first_load.attach(staging, part)
        return
    if part.name == "price":
        connection.execute("SELECT portal.ensure_price_partition(%s)", (staging.erp,))
    if log_changes:
        _log(connection, staging, part, batch_id)
    columns = written(part)
    on = " AND ".join(f"t.{k} = d.{k}" for k in part.key)
    table, delta = f"portal.{part.name}", staging.table(part.name, "_delta")
    stamp = (batch_id, observed_at)
    # each only where there is something to do, and inserts last: a plan made for a table that grew
    # in this very transaction is a bad one
    ops = _ops(staging, part)
    if ops & {("U", True), ("I", True)}:
        assignments = ", ".join(f"{c} = s.{c}" for c in compared(part))
        connection.execute(
            f"UPDATE {table} t SET {assignments}, batch_id = %s, as_of = %s, "
            f"record_no = s.record_no, row_hash = s.raw_hash, deleted_at = NULL, "
            f"stale_since = NULL FROM {delta} d JOIN ({staging.source(part)}) s "
            f"ON s.record_no = d.record_no "
            f"WHERE (d.op = 'U' OR (d.op = 'I' AND d.existed)) AND t.erp = '{staging.erp}' "
            f"AND {on}",
            stamp,
        )
    if ("D", True) in ops:
        connection.execute(
            f"UPDATE {table} t SET deleted_at = %s, batch_id = %s, stale_since = NULL "
            f"FROM {delta} d WHERE d.op = 'D' AND t.erp = '{staging.erp}' AND {on}",
            (observed_at, batch_id),
        )
    if ("I", False) in ops:
        connection.execute(
            f"INSERT INTO {table} "
            f"(erp, {', '.join(columns)}, batch_id, record_no, row_hash, as_of) "
            f"SELECT '{staging.erp}', {', '.join(f's.{c}' for c in columns)}, %s, s.record_no, "
            f"s.raw_hash, %s FROM {delta} d JOIN ({staging.source(part)}) s "
            f"ON s.record_no = d.record_no WHERE d.op = 'I' AND NOT d.existed",
            stamp,
        )


def mark_stale(
    connection: psycopg.Connection[Any], staging: Staging, part: Part, observed_at: datetime
) -> None:
    """A live row whose newer version failed says so; one that is good again says no more."""
    failed = staging.table(part.name, "_failed")
    on = " AND ".join(f"t.{k} = x.{k}" for k in part.key)
    if _any(connection, f"SELECT FROM {failed}"):
        connection.execute(
            f"UPDATE portal.{part.name} t SET stale_since = %s FROM {failed} x WHERE {on} "
            f"AND t.erp = '{staging.erp}' AND t.deleted_at IS NULL AND t.stale_since IS NULL",
            (observed_at,),
        )
    stale: LiteralString = f"SELECT FROM portal.{part.name} t WHERE t.erp = '{staging.erp}' "
    if not _any(connection, stale + "AND t.stale_since IS NOT NULL"):
        return
    again = " AND ".join(f"t.{k} = s.{k}" for k in part.key)
    connection.execute(
        f"UPDATE portal.{part.name} t SET stale_since = NULL FROM ({staging.source(part)}) s "
        f"WHERE {again} AND t.erp = '{staging.erp}' AND t.stale_since IS NOT NULL "
        f"AND NOT EXISTS (SELECT FROM {failed} x WHERE {on})"
    )


def open_accounts(connection: psycopg.Connection[Any], staging: Staging) -> None:
    """Every dealer seen for the first time gets a portal dealer of its own, 1:1."""
    connection.execute(
        "INSERT INTO portal.dealer_account (erp, dealer_key) SELECT %s, d.key "
        f"FROM {staging.table('dealer', '_delta')} d WHERE d.op = 'I' ON CONFLICT DO NOTHING",
        (staging.erp,),
    )


def gather_statistics(
    connection: psycopg.Connection[Any], staging: Staging, part: Part, written_rows: int
) -> None:
    """Let the planner see a table of which much was written; outside the transaction.

    Without it the next load plans with the figures of an empty table until autovacuum comes by.
    """
    if written_rows < _MUCH or (staging.first and part.name == staging.feed.main):
        return
    table = f"price_{staging.erp}" if part.name == "price" else part.name
    row = connection.execute(
        "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", (f"portal.{table}",)
    ).fetchone()
    if row is not None and written_rows > row[0] / 10:
        connection.execute("SELECT portal.gather_statistics(%s)", (table,))


def _any(connection: psycopg.Connection[Any], query: LiteralString) -> bool:
    row = connection.execute(f"SELECT EXISTS ({query})").fetchone()
    return bool(row and row[0])


def _ops(staging: Staging, part: Part) -> set[tuple[str, bool]]:
    """Which kinds of work the delta holds: (op, existed)."""
    rows = staging.connection.execute(
        f"SELECT DISTINCT op, existed FROM {staging.table(part.name, '_delta')}"
    ).fetchall()
    return {(str(op), bool(existed)) for op, existed in rows}


def _log(connection: psycopg.Connection[Any], staging: Staging, part: Part, batch_id: int) -> None:
    """Change rows with only the fields that differ; a new row holds all of its fields."""
    on = " AND ".join(f"t.{k} = d.{k}" for k in part.key)
    staged = staging.source(part)
    old, new = _object(part, "t"), _object(part, "s")
    old_only, new_only = _object(part, "t", "s"), _object(part, "s", "t")
    connection.execute(
        f"INSERT INTO sync.change (run_id, batch_id, erp, part, key, op, old, new) "
        f"SELECT %s, %s, '{staging.erp}', '{part.name}', {key_text(part, 'd')}, "
        f"CASE d.op WHEN 'I' THEN 'insert' WHEN 'U' THEN 'update' ELSE 'delete' END, "
        f"CASE d.op WHEN 'U' THEN {old_only} WHEN 'D' THEN {old} END, "
        f"CASE d.op WHEN 'U' THEN {new_only} WHEN 'I' THEN {new} END "
        f"FROM {staging.table(part.name, '_delta')} d "
        f"LEFT JOIN ({staged}) s ON s.record_no = d.record_no AND d.op <> 'D' "
        f"LEFT JOIN portal.{part.name} t ON t.erp = '{staging.erp}' AND {on} "
        f"AND (d.op <> 'I')",
        (staging.run_id, batch_id),
    )


def _object(part: Part, alias: LiteralString, other: LiteralString | None = None) -> LiteralString:
    """jsonb of the compared columns (of those that differ from `other`) that are not null.

    Written as text: `jsonb_build_object` looks up the type of each of its arguments for every
    row, which took most of the time of a load of many changes. Numeric stays exact.
    """
    documents = {f.name for f in part.fields if f.type == "json"}
    pieces: list[LiteralString] = []
    for column in compared(part):
        value: LiteralString = f"to_jsonb({alias}.{column})"
        if column in documents:
            value = f"nullif(jsonb_strip_nulls({alias}.{column}), 'null')"
        piece: LiteralString = f"""'"{column}":' || {value}::text"""
        if other is not None:
            differs = f"{alias}.{column} IS DISTINCT FROM {other}.{column}"
            piece = f"CASE WHEN {differs} THEN {piece} END"
        pieces.append(piece)
    return f"('{{' || concat_ws(',', {', '.join(pieces)}) || '}}')::jsonb"
