"""The items of a fix job: which are next, and what became of each, read from quarantine.

Must not judge, load or correct anything.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
from psycopg.rows import dict_row

from sync.context import Context
from sync.fix_lease import Job

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

_ITEMS = (
    "SELECT q.id, q.erp, q.feed, q.part, q.key, q.state, q.batch_id, q.record_no, q.reasons, "
    "q.raw, r.mapping_sha256 FROM sync.fix_item i JOIN sync.quarantine q ON q.id = i.item_id "
    "LEFT JOIN sync.run r ON r.id = q.run_id WHERE i.job_id = %s AND i.state = 'waiting' "
    "ORDER BY q.batch_id, q.id LIMIT %s"
)


def next_items(connection: Connection, job_id: int, most: int) -> list[Row]:
    """Items that wait, batch by batch, with their quarantined records."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ITEMS, (job_id, most)).fetchall()


def note(ctx: Context, job: Job, items: list[Row], run_id: int | None) -> None:
    """Write down what became of items, as quarantine has it now."""
    with ctx.connection() as connection, connection.transaction():
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(
                "SELECT id, state, resolved_run, resolved_by, reasons, retry_until "
                "FROM sync.quarantine WHERE id = ANY(%s)",
                ([one["id"] for one in items],),
            ).fetchall()
        for row in rows:
            if row["state"] == "open":
                says = str(row["reasons"][0]["says"])
                mark(connection, job.id, row["id"], "failed", run_id, says)
            elif row["resolved_run"] is not None:
                mark(connection, job.id, row["id"], "succeeded", row["resolved_run"], row["state"])
            else:
                says = f"{row['state']} by {row['resolved_by']}"
                own = job.kind == "discard" and row["state"] == "discarded"
                mark(connection, job.id, row["id"], "succeeded" if own else "skipped", None, says)
        counted(connection, job.id)


def came_back(ctx: Context, job: Job) -> int:
    """How many items failed again with the fingerprint of their group."""
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM sync.fix_item i JOIN sync.quarantine q ON q.id = i.item_id "
            "WHERE i.job_id = %s AND i.state = 'failed' AND q.state = 'open' AND q.shape = %s",
            (job.id, job.shape),
        ).fetchone()
    return int(row[0]) if row else 0


def mark(
    connection: Connection, job_id: int, item_id: int, state: str, run_id: int | None, says: str
) -> None:
    """Note what became of one item; once."""
    connection.execute(
        "UPDATE sync.fix_item SET state = %s, run_id = %s, says = %s "
        "WHERE job_id = %s AND item_id = %s AND state = 'waiting'",
        (state, run_id, says, job_id, item_id),
    )


def counted(connection: Connection, job_id: int) -> None:
    """Write the counts of a job from its items."""
    rows = connection.execute(
        "SELECT state, count(*) FROM sync.fix_item WHERE job_id = %s GROUP BY state", (job_id,)
    ).fetchall()
    counts: Counter[str] = Counter({str(state): int(n) for state, n in rows})
    connection.execute(
        "UPDATE sync.fix_job SET succeeded = %s, failed = %s, skipped = %s WHERE id = %s",
        (counts["succeeded"], counts["failed"], counts["skipped"], job_id),
    )
