"""What an auditor is shown of a period: queries over the engine's own record, nothing computed.

Each query is a table of an export and of the pages: its name, what it tells, its statement. Rows
come as they stand. Personal data: raw values of records are not here at all; who may see them
looks at one item at the desk. Must not write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row


@dataclass(frozen=True, slots=True)
class Table:
    """One table of evidence; its statement takes `since` and `until` (instants, half-open)."""

    name: str
    tells: str
    statement: LiteralString


RUNS = Table(
    "runs",
    "Every attempt to load a batch: what was read and what became of each record.",
    """SELECT r.id, r.batch_id, r.erp, r.feed, r.kind, r.state, r.started_at, r.finished_at,
       r.read, r.inserted, r.updated, r.unchanged, r.superseded, r.quarantined, r.deferred,
       r.deleted, r.mapping_sha256, b.content_sha256, b.pages, b.bytes, b.complete,
       r.overrides, r.reason, r.actor, r.stops, r.error ->> 'code' AS error_code
FROM sync.run r JOIN sync.batch b ON b.id = r.batch_id
WHERE r.started_at >= %(since)s AND r.started_at < %(until)s ORDER BY r.id""",
)
TOTALS = Table(
    "totals",
    "Control totals of both sides, per run: what the ERP said, what landed, what the portal has.",
    """SELECT t.run_id, r.erp, r.feed, t.part, t.name, t.sides, t.left_value, t.right_value,
       t.agrees, t.says, t.at
FROM sync.reconciliation t JOIN sync.run r ON r.id = t.run_id
WHERE t.at >= %(since)s AND t.at < %(until)s ORDER BY t.run_id, t.part, t.name, t.sides""",
)
CHECKS = Table(
    "checks",
    "Every check of every run with the population that it saw.",
    """SELECT c.run_id, r.started_at, r.erp, r.feed, c.part, c.check_id, c.judge, c.success,
       c.evaluated, c.failed, c.population, c.says
FROM sync.check_result c JOIN sync.run r ON r.id = c.run_id
WHERE r.started_at >= %(since)s AND r.started_at < %(until)s
ORDER BY c.run_id, c.part, c.check_id, c.judge""",
)
PASS_RATES = Table(
    "pass_rates",
    "Per day, feed and check: how much was judged and how much of it failed.",
    """SELECT r.started_at::date AS day, r.erp, r.feed, c.part, c.check_id, c.judge,
       sum(c.evaluated) AS evaluated, sum(c.failed) AS failed,
       count(*) FILTER (WHERE c.success) AS passed_runs,
       count(*) FILTER (WHERE NOT c.success) AS failed_runs,
       count(*) FILTER (WHERE c.success IS NULL) AS not_evaluated_runs
FROM sync.check_result c JOIN sync.run r ON r.id = c.run_id
WHERE r.started_at >= %(since)s AND r.started_at < %(until)s
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6""",
)
EXCEPTIONS = Table(
    "exceptions",
    "Records that were not let in, open in the period at some time: why, since when, what became.",
    """SELECT q.id, q.erp, q.feed, q.part, q.key, q.state, q.code,
       (SELECT jsonb_agg(jsonb_build_object('field', e ->> 'field', 'code', e ->> 'code',
                                            'says', e ->> 'says'))
        FROM jsonb_array_elements(q.reasons) e) AS reasons,
       q.batch_id, q.record_no, q.attempts, q.first_seen_at, q.last_seen_at,
       round(extract(epoch FROM least(coalesce(q.resolved_at, %(until)s), %(until)s)
                                - q.first_seen_at) / 86400, 1) AS age_days,
       q.retry_until, q.resolved_at, q.resolved_run, q.resolved_by, q.resolved_reason
FROM sync.quarantine q
WHERE q.first_seen_at < %(until)s AND (q.resolved_at IS NULL OR q.resolved_at >= %(since)s)
ORDER BY q.id""",
)
INCIDENTS = Table(
    "incidents",
    "Whole batches that a guard stopped, and outages, open in the period at some time.",
    """SELECT id, erp, feed, guard, first_batch, last_batch, times, says, opened_at, closed_at
FROM sync.incident
WHERE opened_at < %(until)s AND (closed_at IS NULL OR closed_at >= %(since)s) ORDER BY id""",
)
DECISIONS = Table(
    "decisions",
    "What people did, with before and after where they changed something.",
    """SELECT a.id, a.at, a.actor, a.db_user, a.action, a.subject, a.detail, l.position
FROM sync.audit a LEFT JOIN sync.audit_link l ON l.audit_id = a.id
WHERE a.at >= %(since)s AND a.at < %(until)s ORDER BY a.id""",
)
CHANGES = Table(
    "changes",
    "What each run changed in the portal, field by field, before and after.",
    """SELECT id, run_id, batch_id, erp, part, key, op, old, new, at FROM sync.change
WHERE at >= %(since)s AND at < %(until)s ORDER BY id""",
)
MAPPINGS = Table(
    "mappings",
    "The mappings that runs of the period used; their texts are in rules/.",
    """SELECT m.sha256, m.erp, m.seen_at, m.text FROM sync.mapping m
WHERE m.sha256 IN (SELECT mapping_sha256 FROM sync.run
                   WHERE started_at >= %(since)s AND started_at < %(until)s)
ORDER BY m.erp, m.seen_at""",
)
EXPORTED = (RUNS, TOTALS, CHECKS, PASS_RATES, EXCEPTIONS, INCIDENTS, DECISIONS, CHANGES)


def rows(
    connection: psycopg.Connection[Any], table: Table, since: datetime, until: datetime
) -> Iterator[dict[str, Any]]:
    """The table's rows in its order, streamed; needs a transaction."""
    with connection.cursor(f"evidence_{table.name}", row_factory=dict_row) as cursor:
        cursor.itersize = 5_000
        cursor.execute(table.statement, {"since": since, "until": until})
        yield from cursor
