"""Is this batch byte for byte the last applied one? Then there is nothing to read.

Only where nothing could end differently: same scope, same fingerprint, every record of the last
run accepted, nothing open or waiting. Must not read the bytes: their hashes are on record.
"""

from __future__ import annotations

from typing import Any

import psycopg

from portal_db.counts import Counts
from portal_db.ledger import Batch, read_batch, read_cursor, run_counts
from portal_db.quarantine import open_items


def unchanged_since(
    connection: psycopg.Connection[Any], batch: Batch, fingerprint: str
) -> dict[str, Counts] | None:
    """The counts of a run that reads nothing new (read = unchanged), or None."""
    cursor = read_cursor(connection, batch.erp, batch.feed, batch.scope_key)
    if cursor.batch_id is None or cursor.run_id is None or cursor.batch_id >= batch.id:
        return None
    last = read_batch(connection, cursor.batch_id)
    row = connection.execute(
        "SELECT fingerprint FROM sync.run WHERE id = %s", (cursor.run_id,)
    ).fetchone()
    if last is None or row is None or row[0] != fingerprint:
        return None
    same = (
        last.content_sha256 == batch.content_sha256
        and last.scope == batch.scope
        and last.complete == batch.complete
        and batch.documents == 0
    )
    if not same or open_items(connection, batch.erp, batch.feed):
        return None
    counts = run_counts(connection, cursor.run_id)
    if any(c.quarantined or c.deferred or c.superseded for c in counts.values()):
        return None
    return {part: Counts(read=c.read, unchanged=c.read) for part, c in counts.items()}
