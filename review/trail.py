"""What the audit page shows: lines by filter, the chain's head, where it was anchored.

Must not prove anything: `proof.py` and the verifier do.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


def lines(
    connection: psycopg.Connection[Any],
    *,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int | None = 50,
) -> list[Row]:
    """Lines, newest first, with their position in the chain (None: not sealed yet).

    `subject` matches from the beginning.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT a.id, a.at, a.actor, a.action, a.subject, a.detail, a.db_user, l.position "
            "FROM sync.audit a LEFT JOIN sync.audit_link l ON l.audit_id = a.id "
            "WHERE (%(actor)s::text IS NULL OR a.actor = %(actor)s) "
            "AND (%(action)s::text IS NULL OR a.action = %(action)s) "
            "AND (%(subject)s::text IS NULL OR starts_with(a.subject, %(subject)s)) "
            "AND (%(since)s::timestamptz IS NULL OR a.at >= %(since)s) "
            "AND (%(until)s::timestamptz IS NULL OR a.at < %(until)s) "
            "AND (%(before)s::bigint IS NULL OR a.id < %(before)s) "
            "ORDER BY a.id DESC LIMIT %(limit)s",
            {
                "actor": actor,
                "action": action,
                "subject": subject,
                "since": since,
                "until": until,
                "before": before,
                "limit": limit,
            },
        ).fetchall()


def anchors(connection: psycopg.Connection[Any], limit: int = 10) -> list[Row]:
    """Where the head was written down outside, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT at, position, encode(chain_sha256, 'hex') AS chain_sha256, place "
            "FROM sync.audit_anchor ORDER BY id DESC LIMIT %s",
            (limit,),
        ).fetchall()
