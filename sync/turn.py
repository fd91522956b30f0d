"""One at a time: the turn of one (ERP, feed), held on a connection without a transaction.

A second starter leaves a note (`wanted_at`) and goes; the holder goes once more. The lock ends
with the connection, so a killed holder blocks nobody. Must not do the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.errors import LockNotAvailable

from sync.context import Context


@contextmanager
def turn(ctx: Context, erp: str, feed: str, *, wait_seconds: float = 0) -> Iterator[bool]:
    """Yields True while holding the turn, False (at once, or after waiting) where it is taken."""
    with ctx.connection() as connection:
        key = f"{erp}/{feed}"
        if wait_seconds > 0:
            connection.execute(
                "SELECT set_config('lock_timeout', %s, false)", (f"{wait_seconds}s",)
            )
            try:
                connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 7))", (key,))
                mine = True
            except LockNotAvailable:
                mine = False
            finally:
                connection.execute("SELECT set_config('lock_timeout', '30s', false)")
        else:
            row = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 7))", (key,)
            ).fetchone()
            mine = bool(row and row[0])
        try:
            yield mine
        finally:
            if mine and not connection.closed:
                connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 7))", (key,))


def want(ctx: Context, erp: str, feed: str, scope_key: str) -> None:
    """Leave a note for whoever holds the turn: once more, please."""
    with ctx.connection() as connection:
        connection.execute(
            "INSERT INTO sync.cursor (erp, feed, scope_key, wanted_at) VALUES (%s, %s, %s, now()) "
            "ON CONFLICT (erp, feed, scope_key) DO UPDATE SET wanted_at = now()",
            (erp, feed, scope_key),
        )


def take_wish(ctx: Context, erp: str, feed: str, scope_key: str) -> bool:
    """Was the feed wanted again? Clears the note."""
    with ctx.connection() as connection:
        row = connection.execute(
            "UPDATE sync.cursor SET wanted_at = NULL WHERE erp = %s AND feed = %s "
            "AND scope_key = %s AND wanted_at IS NOT NULL RETURNING 1",
            (erp, feed, scope_key),
        ).fetchone()
    return row is not None
