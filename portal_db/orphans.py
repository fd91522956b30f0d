"""Staging tables of runs that did not live to drop them. Must not touch those of a running one."""

from __future__ import annotations

from typing import Any

import psycopg

from portal_db.identifiers import plain_name


def drop_orphans(connection: psycopg.Connection[Any], erp: str, feed: str) -> None:
    """Drop what runs left that did not live to drop it themselves; only while holding the turn."""
    rows = connection.execute(
        "SELECT t.tablename FROM pg_tables t JOIN sync.run r "
        "ON r.id = split_part(t.tablename, '_', 2)::bigint WHERE t.schemaname = 'staging' "
        "AND t.tablename ~ '^run_[0-9]+_' AND r.erp = %s AND r.feed = %s "
        "AND r.state <> 'running'",
        (erp, feed),
    ).fetchall()
    for (name,) in rows:
        connection.execute(f"DROP TABLE IF EXISTS staging.{plain_name(name)} CASCADE")
