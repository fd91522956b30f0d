"""What is due to be deleted, and its deletion, class by class, on the database's side.

Every function deletes inside the caller's transaction and returns counts and hashes of what went.
Must not decide how long anything is kept, and must not touch a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

ROWS = ("quarantine", "failures", "changes", "messages", "decisions")
"""Classes that `sync.expire` of the database knows."""

_PEOPLE: tuple[LiteralString, ...] = ("dealer_contact", "dealer_address")

_DUE_BATCHES: LiteralString = """
SELECT b.id, b.landing, b.manifest_sha256, b.content_sha256, b.pages, b.bytes, b.pulled_at
FROM sync.batch b
WHERE b.erp = %(erp)s AND b.feed = %(feed)s AND b.evidence_deleted_at IS NULL
  AND b.landing IS NOT NULL AND b.pulled_at < %(before)s
  AND b.state IN ('applied', 'superseded', 'refused', 'abandoned')
  AND b.id < coalesce(
    (SELECT max(w.id) FROM sync.batch w WHERE w.erp = b.erp AND w.feed = b.feed
     AND w.scope_key = b.scope_key AND w.state = 'applied' AND w.complete),
    (SELECT c.batch_id FROM sync.cursor c WHERE c.erp = b.erp AND c.feed = b.feed
     AND c.scope_key = b.scope_key), 0)
  AND NOT EXISTS (SELECT FROM sync.quarantine q WHERE q.batch_id = b.id AND q.state = 'open')
ORDER BY b.id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class DueBatch:
    """A batch whose bytes nobody needs any more."""

    id: int
    landing: str
    manifest_sha256: str | None
    content_sha256: str | None
    pages: int
    bytes: int
    pulled_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """How many rows went; `digest` is the SHA-256 over the SHA-256 of each, in their order."""

    taken: int
    digest: bytes | None
    first_at: datetime | None
    last_at: datetime | None


def fed(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Every (erp, feed) that has evidence, mapped today or not."""
    return connection.execute(
        "SELECT DISTINCT erp, feed FROM sync.batch WHERE evidence_deleted_at IS NULL ORDER BY 1, 2"
    ).fetchall()  # type: ignore[return-value]  rows as selected


def due_batches(
    connection: psycopg.Connection[Any], erp: str, feed: str, before: datetime, most: int
) -> list[DueBatch]:
    """Batches pulled before an instant, behind the last complete one, with no item open.

    The last complete extract and all that came after it stay: from them everything is replayed.
    """
    with connection.cursor(row_factory=class_row(DueBatch)) as cursor:
        return cursor.execute(
            _DUE_BATCHES, {"erp": erp, "feed": feed, "before": before, "most": most}
        ).fetchall()


def evidence_gone(connection: psycopg.Connection[Any], batches: list[DueBatch]) -> None:
    """Note that the bytes of these batches are gone; their hashes stay."""
    connection.execute(
        "UPDATE sync.batch SET evidence_deleted_at = clock_timestamp() WHERE id = ANY(%s)",
        ([one.id for one in batches],),
    )


def expire_rows(
    connection: psycopg.Connection[Any], name: str, before: datetime, most: int
) -> Taken:
    """Take away at most `most` rows of one of `ROWS`."""
    with connection.cursor(row_factory=class_row(Taken)) as cursor:
        found = cursor.execute(
            "SELECT * FROM sync.expire(%s, %s, %s)", (name, before, most)
        ).fetchone()
    return found or Taken(0, None, None, None)


def due_documents(connection: psycopg.Connection[Any], before: datetime) -> list[str]:
    """SHA-256 of documents that only rows deleted before an instant name."""
    rows = connection.execute(
        "SELECT sha256 FROM portal.document WHERE sha256 IS NOT NULL GROUP BY sha256 "
        "HAVING bool_and(deleted_at IS NOT NULL) AND max(deleted_at) < %s ORDER BY 1",
        (before,),
    ).fetchall()
    return [str(sha256) for (sha256,) in rows]


def delete_people(connection: psycopg.Connection[Any], before: datetime) -> dict[str, Taken]:
    """Table → what went: contacts and addresses that the ERP deleted before an instant."""
    found = {}
    for table in _PEOPLE:
        with connection.cursor(row_factory=class_row(Taken)) as cursor:
            row = cursor.execute(
                f"WITH gone AS (DELETE FROM portal.{table} t WHERE t.deleted_at < %s "
                "RETURNING t.deleted_at AS at, t.erp, t.dealer_key, t.key, "
                "to_jsonb(t)::text AS told) SELECT count(*) AS taken, "
                "sha256(string_agg(sha256(convert_to(told, 'UTF8')), '' "
                "ORDER BY at, erp, dealer_key, key)) AS digest, "
                "min(at) AS first_at, max(at) AS last_at FROM gone",
                (before,),
            ).fetchone()
        if row is not None and row.taken:
            found[table] = row
    return found
