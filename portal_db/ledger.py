"""Batches, runs and cursors: what was pulled, what was tried, where the next pull starts.

Small statements on the engine's own tables. Must not touch synced tables, and must not commit:
the caller owns the transaction.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row, dict_row

from portal_db.counts import Counts
from portal_db.identifiers import plain_name

COUNTS = ("read", "inserted", "updated", "unchanged", "superseded", "quarantined", "deferred")


@dataclass(frozen=True, slots=True)
class Batch:
    """One row of sync.batch."""

    id: int
    erp: str
    feed: str
    scope_key: str
    scope: dict[str, Any] | None
    mode: str
    state: str
    state_reason: str | None
    cursor_from: str | None
    cursor_to: str | None
    complete: bool
    complete_reason: str | None
    landing: str | None
    content_sha256: str | None
    mapping_sha256: str
    pages: int
    bytes: int
    documents: int
    pulled_at: datetime
    server_at: datetime | None
    superseded_by: int | None
    sweep: str | None
    """Why a delta feed was read as a whole; None: it was not."""
    read_seconds: Decimal | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """One row of sync.cursor, or what it would be before the first run."""

    erp: str
    feed: str
    scope_key: str
    cursor: str | None = None
    batch_id: int | None = None
    run_id: int | None = None
    confirmed_at: datetime | None = None
    wanted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PageRow:
    """One landed page of a batch."""

    page: int
    part: str
    name: str
    file: str
    sha256: str
    bytes: int
    records: int | None = None
    first_record_no: int | None = None


_BATCH_COLUMNS = ", ".join(plain_name(name) for name in Batch.__dataclass_fields__)


def begin_batch(
    connection: psycopg.Connection[Any],
    *,
    erp: str,
    feed: str,
    mode: str,
    scope_key: str,
    scope: dict[str, Any] | None,
    cursor_from: str | None,
    mapping_sha256: str,
    sweep: str | None = None,
) -> int:
    """Draw the id of a new batch; ids order the batches of one feed."""
    row = connection.execute(
        "INSERT INTO sync.batch (erp, feed, mode, scope_key, scope, cursor_from, mapping_sha256, "
        "sweep) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (erp, feed, mode, scope_key, json.dumps(scope), cursor_from, mapping_sha256, sweep),
    ).fetchone()
    return int(row[0])  # pyright: ignore[reportOptionalSubscript]  RETURNING gives a row


def batch_landed(
    connection: psycopg.Connection[Any],
    batch_id: int,
    *,
    pages: list[PageRow],
    cursor_to: str | None,
    complete: bool,
    complete_reason: str,
    landing: str,
    content_sha256: str,
    manifest_sha256: str,
    server_at: datetime | None,
    documents: int = 0,
) -> None:
    """The bytes are safe: record where they lie and what proves them whole."""
    connection.execute("DELETE FROM sync.batch_page WHERE batch_id = %s", (batch_id,))
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.batch_page (batch_id, page, part, name, file, sha256, bytes, "
            "records) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (batch_id, p.page, p.part, p.name, p.file, p.sha256, p.bytes, p.records)
                for p in pages
            ],
        )
    connection.execute(
        "UPDATE sync.batch SET state = 'landed', cursor_to = %s, complete = %s, "
        "complete_reason = %s, landing = %s, content_sha256 = %s, manifest_sha256 = %s, "
        "pages = %s, bytes = %s, server_at = %s, documents = %s, state_reason = NULL, "
        "read_seconds = extract(epoch FROM clock_timestamp() - pulled_at) WHERE id = %s",
        (
            cursor_to,
            complete,
            complete_reason,
            landing,
            content_sha256,
            manifest_sha256,
            len(pages),
            sum(p.bytes for p in pages),
            server_at,
            documents,
            batch_id,
        ),
    )


def read_batch(connection: psycopg.Connection[Any], batch_id: int) -> Batch | None:
    """One batch, or None."""
    with connection.cursor(row_factory=class_row(Batch)) as cursor:
        return cursor.execute(
            f"SELECT {_BATCH_COLUMNS} FROM sync.batch WHERE id = %s", (batch_id,)
        ).fetchone()


def set_batch_state(
    connection: psycopg.Connection[Any],
    batch_id: int,
    state: str,
    reason: str | None = None,
    *,
    superseded_by: int | None = None,
) -> None:
    """Move a batch to another state, with the reason that operators read."""
    connection.execute(
        "UPDATE sync.batch SET state = %s, state_reason = %s, superseded_by = %s WHERE id = %s",
        (state, reason, superseded_by, batch_id),
    )


def refuse_held(connection: psycopg.Connection[Any], batch_id: int, reason: str) -> bool:
    """Refuse a batch for good; False where it is not held any more."""
    row = connection.execute(
        "UPDATE sync.batch SET state = 'refused', state_reason = %s WHERE id = %s "
        "AND state = 'held' RETURNING id",
        (reason, batch_id),
    ).fetchone()
    return row is not None


def supersede_open(connection: psycopg.Connection[Any], newer: Batch) -> list[int]:
    """Older open batches that `newer` makes pointless: a complete extract, or the same cursor."""
    rows = connection.execute(
        "UPDATE sync.batch SET state = 'superseded', superseded_by = %s, "
        "state_reason = 'overtaken by batch ' || %s WHERE erp = %s AND feed = %s "
        "AND scope_key = %s AND id < %s AND state IN ('landed', 'held') "
        "AND (%s OR (%s AND cursor_from IS NOT DISTINCT FROM %s)) RETURNING id",
        (
            newer.id,
            newer.id,
            newer.erp,
            newer.feed,
            newer.scope_key,
            newer.id,
            newer.complete,
            newer.mode == "delta",
            newer.cursor_from,
        ),
    ).fetchall()
    return [int(n) for (n,) in rows]


def read_pages(connection: psycopg.Connection[Any], batch_id: int) -> list[PageRow]:
    """The landed pages of a batch, in order."""
    with connection.cursor(row_factory=class_row(PageRow)) as cursor:
        return cursor.execute(
            "SELECT page, part, name, file, sha256, bytes, records, first_record_no "
            "FROM sync.batch_page WHERE batch_id = %s ORDER BY page",
            (batch_id,),
        ).fetchall()


def note_page_records(
    connection: psycopg.Connection[Any], batch_id: int, found: dict[int, tuple[int, int]]
) -> None:
    """page → (first record_no, records), as the load counted them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE sync.batch_page SET first_record_no = %s, records = %s "
            "WHERE batch_id = %s AND page = %s",
            [(first, n, batch_id, page) for page, (first, n) in found.items()],
        )


def read_cursor(
    connection: psycopg.Connection[Any], erp: str, feed: str, scope_key: str, *, lock: bool = False
) -> Cursor:
    """Where the next pull starts. `lock` creates the row and locks it until the commit."""
    if lock:
        connection.execute(
            "INSERT INTO sync.cursor (erp, feed, scope_key) VALUES (%s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (erp, feed, scope_key),
        )
    with connection.cursor(row_factory=class_row(Cursor)) as cursor:
        found = cursor.execute(
            "SELECT erp, feed, scope_key, cursor, batch_id, run_id, confirmed_at, wanted_at "
            "FROM sync.cursor WHERE erp = %s AND feed = %s AND scope_key = %s"
            + (" FOR UPDATE" if lock else ""),
            (erp, feed, scope_key),
        ).fetchone()
    return found or Cursor(erp, feed, scope_key)


def move_cursor(
    connection: psycopg.Connection[Any],
    batch: Batch,
    run_id: int,
    *,
    confirmed_at: datetime | None,
) -> None:
    """The commit's last word: this batch is applied, the next pull starts where it ended."""
    connection.execute(
        "UPDATE sync.cursor SET cursor = coalesce(%s, cursor), batch_id = %s, run_id = %s, "
        "confirmed_at = coalesce(%s, confirmed_at) WHERE erp = %s AND feed = %s AND scope_key = %s",
        (batch.cursor_to, batch.id, run_id, confirmed_at, batch.erp, batch.feed, batch.scope_key),
    )


def begin_run(
    connection: psycopg.Connection[Any],
    batch: Batch,
    *,
    kind: str,
    mapping_sha256: str,
    fingerprint: str,
    reason: str | None = None,
    actor: str | None = None,
    overrides: list[str] | None = None,
) -> int:
    """Draw the id of a new run."""
    row = connection.execute(
        "INSERT INTO sync.run (batch_id, erp, feed, kind, mapping_sha256, fingerprint, reason, "
        "actor, overrides) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            batch.id,
            batch.erp,
            batch.feed,
            kind,
            mapping_sha256,
            fingerprint,
            reason,
            actor,
            overrides,
        ),
    ).fetchone()
    return int(row[0])  # pyright: ignore[reportOptionalSubscript]  RETURNING gives a row


@dataclass(slots=True)
class RunEnd:
    """How a run ended and what it counted, per part."""

    state: str
    parts: dict[str, Counts] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    stops: list[dict[str, Any]] | None = None
    delta_sha256: str | None = None
    movements: list[dict[str, Any]] | None = None
    timings: dict[str, float] = field(default_factory=dict)

    def total(self) -> Counts:
        """The run's own ledger: the sum over its parts."""
        total = Counts()
        for counts in self.parts.values():
            total += counts
        return total


def end_run(connection: psycopg.Connection[Any], run_id: int, end: RunEnd) -> None:
    """Close a run. The database refuses a done or held run that does not add up."""
    total = asdict(end.total())
    assignments = ", ".join(f"{plain_name(name)} = %({plain_name(name)})s" for name in total)
    connection.execute(
        f"UPDATE sync.run SET state = %(state)s, finished_at = clock_timestamp(), "
        f"seconds = extract(epoch FROM clock_timestamp() - started_at), error = %(error)s, "
        f"stops = %(stops)s, delta_sha256 = %(delta_sha256)s, movements = %(movements)s, "
        f"timings = %(timings)s, {assignments} WHERE id = %(run_id)s",
        {
            **total,
            "state": end.state,
            "run_id": run_id,
            "error": _json(end.error),
            "stops": _json(end.stops),
            "delta_sha256": end.delta_sha256,
            "movements": _json(end.movements),
            "timings": _json({k: round(v, 4) for k, v in end.timings.items()}),
        },
    )
    names: list[LiteralString] = [*COUNTS, "deleted"]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO sync.run_part (run_id, part, {', '.join(names)}) "
            f"VALUES (%s, %s{', %s' * len(names)})",
            [
                (run_id, part, *(getattr(counts, n) for n in names))
                for part, counts in end.parts.items()
            ],
        )


def interrupted_runs(connection: psycopg.Connection[Any], erp: str, feed: str) -> list[int]:
    """Runs of a feed that never ended; call it only while holding the feed's turn."""
    rows = connection.execute(
        "UPDATE sync.run SET state = 'failed', finished_at = clock_timestamp(), "
        'error = \'{"says": "the process ended before the run did"}\' '
        "WHERE erp = %s AND feed = %s AND state = 'running' RETURNING id",
        (erp, feed),
    ).fetchall()
    return [int(n) for (n,) in rows]


def changed_since(connection: psycopg.Connection[Any], erp: str, feed: str, run_id: int) -> bool:
    """Has a later run of this feed written a row?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sync.run r WHERE r.erp = %s AND r.feed = %s AND r.id > %s "
        "AND r.state = 'done' AND EXISTS (SELECT FROM sync.run_part p WHERE p.run_id = r.id "
        "AND p.inserted + p.updated + p.deleted > 0))",
        (erp, feed, run_id),
    ).fetchone()
    return bool(row and row[0])


def run_counts(connection: psycopg.Connection[Any], run_id: int) -> dict[str, Counts]:
    """The ledger of one run, per part."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("SELECT * FROM sync.run_part WHERE run_id = %s", (run_id,)).fetchall()
    return {row["part"]: Counts(**{n: row[n] for n in (*COUNTS, "deleted")}) for row in rows}


def remember_mapping(connection: psycopg.Connection[Any], sha256: str, erp: str, text: str) -> None:
    """Keep the text of every mapping a batch was pulled or judged under."""
    connection.execute(
        "INSERT INTO sync.mapping (sha256, erp, text) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (sha256, erp, text),
    )


def done_run_exists(connection: psycopg.Connection[Any], erp: str, feed: str) -> bool:
    """Has this feed ever been loaded?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sync.run WHERE erp = %s AND feed = %s AND state = 'done')",
        (erp, feed),
    ).fetchone()
    return bool(row and row[0])


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str)
