"""Pages of a pull that has not been sealed yet: noted as they land, so that it can go on.

A page is noted only where something can go on behind it. Must not touch sealed batches, and must
not look at the landing store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg

from portal_db.ledger import Batch, PageRow, read_batch


@dataclass(frozen=True, slots=True)
class NotedPage:
    """One page of an unsealed pull. `going_on`: what was noted behind it."""

    row: PageRow
    declared: int | None
    going_on: dict[str, Any]


def note_pages(connection: psycopg.Connection[Any], batch_id: int, notes: list[NotedPage]) -> None:
    """These pages' bytes are safe, and the pull can go on behind them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.batch_page (batch_id, page, part, name, file, sha256, bytes, "
            "records, declared, going_on) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (batch_id, page) DO UPDATE SET going_on = excluded.going_on",
            [
                (
                    batch_id,
                    note.row.page,
                    note.row.part,
                    note.row.name,
                    note.row.file,
                    note.row.sha256,
                    note.row.bytes,
                    note.row.records,
                    note.declared,
                    json.dumps(note.going_on),
                )
                for note in notes
            ],
        )


def unsealed(connection: psycopg.Connection[Any], erp: str, feed: str) -> list[Batch]:
    """Batches of a feed whose pull never ended, the newest first; only while holding the turn."""
    rows = connection.execute(
        "SELECT id FROM sync.batch WHERE erp = %s AND feed = %s AND state = 'pulling' "
        "ORDER BY id DESC",
        (erp, feed),
    ).fetchall()
    found = [read_batch(connection, int(n)) for (n,) in rows]
    return [batch for batch in found if batch is not None]


def noted_pages(connection: psycopg.Connection[Any], batch_id: int) -> list[NotedPage]:
    """What was noted of an unsealed batch, in order."""
    rows = connection.execute(
        "SELECT page, part, name, file, sha256, bytes, records, declared, going_on "
        "FROM sync.batch_page WHERE batch_id = %s ORDER BY page",
        (batch_id,),
    ).fetchall()
    return [
        NotedPage(
            PageRow(int(page), part, name, file, sha256, int(size), records), declared, going_on
        )
        for page, part, name, file, sha256, size, records, declared, going_on in rows
    ]


def forget_pages(connection: psycopg.Connection[Any], batch_id: int, after: int = 0) -> None:
    """The pages behind number `after` will be read again."""
    connection.execute(
        "DELETE FROM sync.batch_page WHERE batch_id = %s AND page > %s", (batch_id, after)
    )


def note_interruption(connection: psycopg.Connection[Any], batch_id: int, says: str) -> None:
    """Why the pull stopped, for people who look before it goes on."""
    connection.execute(
        "UPDATE sync.batch SET state_reason = %s WHERE id = %s AND state = 'pulling'",
        (says, batch_id),
    )
