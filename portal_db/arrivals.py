"""Files and interchanges that earlier batches brought and that were applied. Reads only."""

from __future__ import annotations

from typing import Any

import psycopg

from portal_db.ledger import Batch


def applied_pages(
    connection: psycopg.Connection[Any], batch: Batch, part: str
) -> tuple[dict[str, tuple[str, int]], str | None]:
    """File name → (SHA-256 as last applied, batch), and the SHA-256 of the last file applied."""
    rows = connection.execute(
        "SELECT p.name, p.sha256, b.id FROM sync.batch_page p "
        "JOIN sync.batch b ON b.id = p.batch_id "
        "WHERE b.erp = %s AND b.feed = %s AND b.scope_key = %s AND b.state = 'applied' "
        "AND b.id < %s AND p.part = %s ORDER BY b.id, p.page",
        (batch.erp, batch.feed, batch.scope_key, batch.id, part),
    ).fetchall()
    return {name: (sha256, number) for name, sha256, number in rows}, rows[-1][1] if rows else None


def applied_interchanges(
    connection: psycopg.Connection[Any], batch: Batch, part: str, prefix: str
) -> dict[str, str]:
    """Control reference → SHA-256, of interchanges of earlier applied batches.

    `prefix`: what their facts' names begin with.
    """
    rows = connection.execute(
        "SELECT c.check_id, c.says FROM sync.batch b JOIN sync.run r ON r.batch_id = b.id "
        "JOIN sync.check_result c ON c.run_id = r.id "
        "WHERE b.erp = %s AND b.feed = %s AND b.state = 'applied' AND b.id < %s "
        "AND r.state = 'done' AND c.part = %s AND starts_with(c.check_id, %s) ORDER BY r.id",
        (batch.erp, batch.feed, batch.id, part, prefix),
    ).fetchall()
    return {name.removeprefix(prefix): says for name, says in rows}
