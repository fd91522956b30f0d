"""What a sweep found: differences counted by whether the next delta would have brought them.

Reads one run's staging tables and writes its row of `sync.sweep`. Must not compare values: the
delta was computed before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part
from portal_db.staging import Staging


@dataclass(frozen=True, slots=True)
class Caught:
    """Rows of one sweep. `pending` ones the next delta would have brought, stamp and all."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    pending: int = 0

    def __add__(self, other: Caught) -> Caught:
        return Caught(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.pending + other.pending,
        )


def caught(
    connection: psycopg.Connection[Any], staging: Staging, part: Part, starts_at: datetime | None
) -> Caught:
    """The differences of one part; `starts_at`: from which stamp on the next delta asks.

    A child has its root's stamp. Without a stamp, or without `starts_at`, a row counts as missed.
    """
    root = part if part.parent is None else staging.feed.part(part.parent)
    table = staging.table(root.name)
    on: LiteralString = "s.record_no = d.record_no"
    if part.parent is not None and part.parent_field is not None:
        on = f"s.key = d.{part.parent_field}"
    rows = connection.execute(
        f"SELECT d.op, coalesce(s.version >= %s, false), count(*) "
        f"FROM {staging.table(part.name, '_delta')} d LEFT JOIN {table} s ON {on} GROUP BY 1, 2",
        (starts_at,),
    ).fetchall()
    pending = sum(int(n) for _, fresh, n in rows if fresh)
    missed = {str(op): int(n) for op, fresh, n in rows if not fresh}
    return Caught(missed.get("I", 0), missed.get("U", 0), missed.get("D", 0), pending)


def record_sweep(
    connection: psycopg.Connection[Any],
    *,
    run_id: int,
    batch_id: int,
    erp: str,
    feed: str,
    cause: str,
    misses: tuple[str, ...],
    complete: bool,
    compared: int,
    found: Caught,
) -> None:
    """Keep what a sweep found, in the caller's transaction."""
    connection.execute(
        "INSERT INTO sync.sweep (run_id, batch_id, erp, feed, cause, misses, complete, compared, "
        "missed_inserted, missed_updated, missed_deleted, pending) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            run_id,
            batch_id,
            erp,
            feed,
            cause,
            list(misses),
            complete,
            compared,
            found.inserted,
            found.updated,
            found.deleted,
            found.pending,
        ),
    )


def last_sweeps(connection: psycopg.Connection[Any]) -> Mapping[tuple[str, str], dict[str, Any]]:
    """(erp, feed) → its newest sweep: `at`, `cause`, `compared`, `missed`, `complete`."""
    rows = connection.execute(
        "SELECT DISTINCT ON (erp, feed) erp, feed, at, cause, compared, "
        "missed_inserted + missed_updated + missed_deleted, complete FROM sync.sweep "
        "ORDER BY erp, feed, run_id DESC"
    ).fetchall()
    return {
        (str(erp), str(feed)): {
            "at": at,
            "cause": str(cause),
            "compared": int(compared),
            "missed": int(missed),
            "complete": bool(complete),
        }
        for erp, feed, at, cause, compared, missed, complete in rows
    }
