"""Proposed mapping changes as they are kept. Must not decide or apply one."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

# the mapping of some run named it: then it was in force
_ROW = (
    "r.*, EXISTS (SELECT FROM sync.mapping m WHERE m.erp = r.erp "
    "AND m.text ~ ('\\mrule: ' || r.id || '\\M')) AS was_in_force"
)


def rules(connection: Connection, limit: int = 200) -> list[Row]:
    """All of them, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {_ROW} FROM sync.mapping_rule r ORDER BY r.id DESC LIMIT %s", (limit,)
        ).fetchall()


def rule(connection: Connection, rule_id: int, *, lock: bool = False) -> Row | None:
    """One of them; `lock`: for whoever decides."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"SELECT {_ROW} FROM sync.mapping_rule r WHERE r.id = %s"
            + (" FOR UPDATE OF r" if lock else ""),
            (rule_id,),
        ).fetchone()


def items_of_job(connection: Connection, job_id: int, limit: int) -> list[Row]:
    """The records of a fix job, whatever became of them, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT q.id, q.erp, q.feed, q.part, q.key, q.batch_id, q.record_no, q.reasons, q.raw "
            "FROM sync.fix_item i JOIN sync.quarantine q ON q.id = i.item_id WHERE i.job_id = %s "
            "ORDER BY q.id DESC LIMIT %s",
            (job_id, limit),
        ).fetchall()
