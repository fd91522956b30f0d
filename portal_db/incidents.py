"""Incidents: one a guard and feed, however many nights it stops a batch.

Called inside the run's transaction. Must not alert anybody: it keeps the record that alerts read.
"""

from __future__ import annotations

from typing import Any

import psycopg

from portal_db.ledger import Batch


def join_incident(connection: psycopg.Connection[Any], batch: Batch, guard: str, says: str) -> None:
    """Open the incident, or let this batch join the open one."""
    connection.execute(
        "INSERT INTO sync.incident AS i (erp, feed, guard, first_batch, last_batch, says) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (erp, feed, guard) WHERE closed_at IS NULL "
        "DO UPDATE SET last_batch = excluded.last_batch, says = excluded.says, "
        "times = i.times + CASE WHEN i.last_batch = excluded.last_batch THEN 0 ELSE 1 END",
        (batch.erp, batch.feed, guard, batch.id, batch.id, says),
    )


def close_incidents(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """A batch of the feed was applied: its incidents are over."""
    connection.execute(
        "UPDATE sync.incident SET closed_at = now() WHERE erp = %s AND feed = %s "
        "AND closed_at IS NULL",
        (batch.erp, batch.feed),
    )
