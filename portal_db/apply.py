"""Writes one run's delta into the portal: rows and change log, inside the caller's transaction.

Insert, update and soft delete by delta only; a row that did not change is not touched. Must not
open or end a transaction, and must not decide anything: the delta was judged before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.errors import LockNotAvailable

from mappings.vocabulary import Part
from portal_db import first_load
from portal_db.changes import compared, log_values, written
from portal_db.keys import key_text
from portal_db.staging import SAMPLE_TARGET, Staging

_MUCH = 1_000
"""Rows, below which nobody needs to plan anew."""


def remove_roots(staging: Staging, root: Part, record_nos: list[int]) -> None:
    """Take root records and their children out of staging and out of the deltas.

    Their keys are remembered as failed: what is stored under them has not vanished.
    """
    if not record_nos:
        return
    staging.changed()
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
    staging.changed()
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
    stamp = (batch_id, observed_at)
    if not _lends(part):
        with suppress(_Moved), connection.transaction():
            _write(connection, staging, part, stamp, log_changes=log_changes, seen=True)
            return
    # somebody wrote to these rows since they were compared: what they hold now is what is changed
    _write(connection, staging, part, stamp, log_changes=log_changes, seen=False)


def _write(
    connection: psycopg.Connection[Any],
    staging: Staging,
    part: Part,
    stamp: tuple[int, datetime],
    *,
    log_changes: bool,
    seen: bool,
) -> None:
    """Log and write a delta. `seen`: to the very versions of rows that were compared.

    A version is what it was for ever, so what was logged of it is what it held; each is found at
    its place, without a look at an index. Raises _Moved where one is not the newest any more.
    """
    batch_id, observed_at = stamp
    table, work = f"portal.{part.name}", _work(staging, part)
    on: LiteralString = " AND ".join(f"t.{k} = d.{k}" for k in part.key)
    if seen:
        on = "t.ctid = d.row_at AND t.xmin = d.row_seen"
    if log_changes:
        _log(connection, staging, part, batch_id, seen=seen)
    # each only where there is something to do, and inserts last: a plan made for a table that grew
    # in this very transaction is a bad one
    ops = _ops(staging, part)
    updated = ops.get(("U", True), 0) + ops.get(("I", True), 0)
    with _by_place(connection) if seen else nullcontext():
        if updated:
            assignments = ", ".join(f"{c} = d.{c}" for c in compared(part))
            done = connection.execute(
                f"UPDATE {table} t SET {assignments}, batch_id = %s, as_of = %s, "
                f"record_no = d.record_no, row_hash = d.raw_hash, deleted_at = NULL, "
                f"stale_since = NULL FROM {work} d "
                f"WHERE (d.op = 'U' OR (d.op = 'I' AND d.existed)) AND t.erp = '{staging.erp}' "
                f"AND {on}",
                stamp,
            )
            if seen and done.rowcount != updated:
                raise _Moved
        if gone := ops.get(("D", True), 0):
            done = connection.execute(
                f"UPDATE {table} t SET deleted_at = %s, batch_id = %s, stale_since = NULL "
                f"FROM {work} d WHERE d.op = 'D' AND t.erp = '{staging.erp}' AND {on}",
                (observed_at, batch_id),
            )
            if seen and done.rowcount != gone:
                raise _Moved
    if ("I", False) in ops:
        columns = written(part)
        connection.execute(
            f"INSERT INTO {table} "
            f"(erp, {', '.join(columns)}, batch_id, record_no, row_hash, as_of) "
            f"SELECT '{staging.erp}', {', '.join(f'd.{c}' for c in columns)}, %s, d.record_no, "
            f"d.raw_hash, %s FROM {work} d WHERE d.op = 'I' AND NOT d.existed",
            stamp,
        )


def _lends(part: Part) -> bool:
    """Does a row hold what another record, or another's fetching, may still decide?"""
    lent = (f.copied_from[0] for f in part.fields if f.copied_from is not None)
    return part.name == "document" or any(name != part.parent for name in lent)


def _work(staging: Staging, part: Part) -> LiteralString:
    """The delta; with what records lend each other as it stands now that all are settled."""
    delta = staging.table(part.name, "_delta")
    if not _lends(part):
        return delta
    own: tuple[LiteralString, ...] = ("op", "existed", "record_no", "raw_hash", *part.key)
    columns: list[LiteralString] = [f"l.{name}" for name in own]
    columns.extend(f"s.{c}" for c in compared(part))
    return (
        f"(SELECT {', '.join(columns)} FROM {delta} l LEFT JOIN ({staging.source(part)}) s "
        f"ON s.record_no = l.record_no AND l.op <> 'D')"
    )


class _Moved(Exception):
    """A row that was compared has another version by now."""


@contextmanager
def _by_place(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Rows are fetched at their places, in the order of the delta, however many they are.

    The planner would read a large table from end to end and hash a delta that has the rows'
    places already.
    """
    ways: tuple[LiteralString, ...] = ("enable_hashjoin", "enable_mergejoin")
    for way in ways:
        connection.execute(f"SET LOCAL {way} = off")
    yield
    for way in ways:
        connection.execute(f"SET LOCAL {way} TO DEFAULT")


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
    # an ERP that the statistics do not name counts as one row, however many came: what looks for
    # its keys is then planned as if it were nothing
    row = connection.execute(
        "SELECT c.reltuples, EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'portal' "
        "AND s.tablename = %s AND s.attname = 'erp' "
        "AND %s = ANY (s.most_common_vals::text::text[])) "
        "FROM pg_class c WHERE c.oid = to_regclass(%s)",
        (table, staging.erp, f"portal.{table}"),
    ).fetchone()
    if row is not None and (written_rows > row[0] / 10 or not row[1]):
        # whoever has the table under its lock is autovacuum: waiting for it takes a second, after
        # which its work is thrown away
        with suppress(LockNotAvailable), connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '50ms'")
            if part.name == "price":  # one ERP's: it needs no long list of the commonest values
                connection.execute(f"SET LOCAL default_statistics_target = {SAMPLE_TARGET}")
            connection.execute("SELECT portal.gather_statistics(%s)", (table,))


def _any(connection: psycopg.Connection[Any], query: LiteralString) -> bool:
    row = connection.execute(f"SELECT EXISTS ({query})").fetchone()
    return bool(row and row[0])


def _ops(staging: Staging, part: Part) -> dict[tuple[str, bool], int]:
    """How many rows of each kind of work the delta holds, by (op, existed)."""
    rows = staging.connection.execute(
        f"SELECT op, existed, count(*) FROM {staging.table(part.name, '_delta')} GROUP BY 1, 2"
    ).fetchall()
    return {(str(op), bool(existed)): int(n) for op, existed, n in rows}


def _log(
    connection: psycopg.Connection[Any],
    staging: Staging,
    part: Part,
    batch_id: int,
    *,
    seen: bool,
) -> None:
    """The delta's change rows; if not `seen`, of what the portal's rows hold now."""
    source: LiteralString = f"{staging.table(part.name, '_delta')} s"
    key: LiteralString = "s.log_key"
    values: LiteralString = "s.log_old, s.log_new"
    if not seen:
        on = " AND ".join(f"t.{k} = s.{k}" for k in part.key)
        source = (
            f"{_work(staging, part)} s LEFT JOIN portal.{part.name} t "
            f"ON t.erp = '{staging.erp}' AND {on} AND s.op <> 'I'"
        )
        key = key_text(part, "s")
        values = ", ".join(log_values(part, gone="s.op = 'D'", new="s.op = 'I'"))
    connection.execute(
        f"INSERT INTO sync.change (run_id, batch_id, erp, part, key, op, old, new) "
        f"SELECT %s, %s, '{staging.erp}', '{part.name}', {key}, "
        f"CASE s.op WHEN 'I' THEN 'insert' WHEN 'U' THEN 'update' ELSE 'delete' END, "
        f"{values} FROM {source}",
        (staging.run_id, batch_id),
    )
