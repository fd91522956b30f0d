"""One run and the state of every feed, as the desk shows them. Reads; must not write."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


def run(connection: Connection, run_id: int) -> Row | None:
    """A run with its parts, what its checks found, its totals and its batch."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT r.*, b.mode, b.state AS batch_state, b.state_reason, b.pulled_at, b.bytes, "
            "b.pages, b.complete, b.complete_reason, b.landing, b.manifest_sha256 "
            "FROM sync.run r JOIN sync.batch b ON b.id = r.batch_id WHERE r.id = %s",
            (run_id,),
        ).fetchone()
        if found is None:
            return None
        found["parts"] = cursor.execute(
            "SELECT part, read, inserted, updated, unchanged, superseded, quarantined, deferred, "
            "deleted FROM sync.run_part WHERE run_id = %s ORDER BY part",
            (run_id,),
        ).fetchall()
        found["failed_checks"] = cursor.execute(
            "SELECT part, check_id, judge, evaluated, failed, population, says "
            "FROM sync.check_result WHERE run_id = %s AND success IS FALSE "
            "ORDER BY failed DESC NULLS LAST, part, check_id LIMIT 100",
            (run_id,),
        ).fetchall()
        found["totals"] = cursor.execute(
            "SELECT part, name, sides, left_value, right_value, agrees, says "
            "FROM sync.reconciliation WHERE run_id = %s ORDER BY agrees, part, name LIMIT 100",
            (run_id,),
        ).fetchall()
        found["checks"] = dict(
            connection.execute(
                "SELECT CASE WHEN success THEN 'passed' WHEN success IS FALSE THEN 'failed' "
                "ELSE 'not evaluated' END, count(*) FROM sync.check_result WHERE run_id = %s "
                "GROUP BY 1",
                (run_id,),
            ).fetchall()
        )
        return found


def throughput(connection: Connection) -> dict[tuple[str, str], Row]:
    """(erp, feed) → runs, records read, seconds, failures of the last seven days, last good run."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT erp, feed, count(*) AS runs, sum(read) AS read, sum(seconds) AS seconds, "
            "count(*) FILTER (WHERE state = 'failed') AS failed, "
            "max(id) FILTER (WHERE state = 'done') AS last_done FROM sync.run "
            "WHERE started_at > now() - interval '7 days' AND kind = 'load' GROUP BY erp, feed"
        ).fetchall()
    return {(row["erp"], row["feed"]): row for row in rows}


def messages(
    connection: Connection,
    *,
    erp: str | None = None,
    state: str | None = None,
    code: str | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[Row]:
    """Messages, the newest first; `state` None: dead and uncertain ones."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT id, erp, kind, reference, subject, state, tries, next_at, code, says, "
            "created_at, delivered_at FROM sync.outbox WHERE state = ANY(%(states)s) "
            "AND (%(erp)s::text IS NULL OR erp = %(erp)s) "
            "AND (%(code)s::text IS NULL OR coalesce(code, '') = %(code)s) "
            "AND (%(after)s::bigint IS NULL OR id < %(after)s) ORDER BY id DESC LIMIT %(limit)s",
            {
                "states": [state] if state else ["dead", "uncertain"],
                "erp": erp, "code": code, "after": after, "limit": limit,
            },
        ).fetchall()  # fmt: skip


def message(connection: Connection, message_id: int) -> Row | None:
    """One message with every version of its payload and every attempt."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM sync.outbox WHERE id = %s", (message_id,)).fetchone()
        if found is None:
            return None
        found["payloads"] = cursor.execute(
            "SELECT version, payload, made_by, reason FROM sync.outbox_payload "
            "WHERE message_id = %s ORDER BY version DESC",
            (message_id,),
        ).fetchall()
        found["attempts_made"] = cursor.execute(
            "SELECT attempt_no, what, event, at, worker, payload_version, outcome, code, says, "
            "request, answer, seconds FROM sync.delivery_attempt WHERE message_id = %s "
            "ORDER BY id DESC LIMIT 100",
            (message_id,),
        ).fetchall()
        return found
