"""What needs a person beside quarantined records: held batches, messages, lanes, late feeds.

Few rows each, straight from the engine's tables. Reads; must not write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Row = dict[str, Any]
_MOST = 200


def held_batches(connection: Connection) -> list[Row]:
    """Held batches with the run that holds each, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT b.id AS batch_id, b.erp, b.feed, b.pulled_at, b.state_reason AS says, "
            "r.id AS run_id, r.stops, r.read, i.times, i.opened_at FROM sync.batch b "
            "JOIN LATERAL (SELECT id, stops, read FROM sync.run WHERE batch_id = b.id "
            "AND state = 'held' ORDER BY id DESC LIMIT 1) r ON true "
            "LEFT JOIN LATERAL (SELECT times, opened_at FROM sync.incident WHERE erp = b.erp "
            "AND feed = b.feed AND closed_at IS NULL ORDER BY id DESC LIMIT 1) i ON true "
            "WHERE b.state = 'held' ORDER BY b.id DESC LIMIT %s",
            (_MOST,),
        ).fetchall()


def message_groups(connection: Connection) -> list[Row]:
    """Dead and uncertain messages, one row an ERP, kind, state and code."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT erp, kind, state, coalesce(code, '') AS code, count(*) AS messages, "
            "min(says) AS says, min(created_at) AS first_at, max(created_at) AS last_at, "
            "min(id) AS example FROM sync.outbox WHERE state IN ('dead', 'uncertain') "
            "GROUP BY 1, 2, 3, 4 ORDER BY max(created_at) DESC LIMIT %s",
            (_MOST,),
        ).fetchall()


def lanes(connection: Connection) -> list[Row]:
    """Circuits that are not closed: one row an outage, with how many messages wait for its end."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT c.erp, c.state, c.says, c.openings, c.changed_at, c.next_at, "
            "(SELECT count(*) FROM sync.outbox o WHERE o.erp = c.erp "
            "AND o.state IN ('pending', 'retryable', 'uncertain')) AS waiting "
            "FROM sync.circuit c WHERE c.state <> 'closed' ORDER BY c.erp"
        ).fetchall()


def counts(connection: Connection, mapped: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How much of each kind: one place, so that every page says the same. `mapped`: (ERP, feed)."""
    row = (
        connection.execute(
            "SELECT (SELECT coalesce(sum(open_items), 0) FROM sync.quarantine_group "
            "WHERE open_items > 0 AND (state IN ('open', 'acknowledged') "
            "OR (state = 'ignored' AND ignored_until <= now()))), "
            "(SELECT count(*) FROM sync.batch WHERE state = 'held'), "
            "(SELECT count(*) FROM sync.outbox WHERE state IN ('dead', 'uncertain')), "
            "(SELECT count(*) FROM sync.circuit WHERE state <> 'closed')"
        ).fetchone()
        or (0,) * 4
    )
    names = ("records", "batches", "messages", "lanes")
    found = {name: int(n) for name, n in zip(names, row, strict=True)}
    return found | {"feeds": len(overdue_feeds(connection, mapped))}


def overdue_feeds(connection: Connection, mapped: Sequence[tuple[str, str]]) -> list[Row]:
    """Mapped feeds that need a person, those that never came first, then the oldest.

    One is older than promised (`late`), or has never been confirmed (`confirmed_at` None), or its
    pull or load fails: then `says`, `remedy` and `times` are those of its newest open alert.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT m.erp, m.feed, s.confirmed_at, s.promise, s.last_good_batch, "
            "coalesce(s.late, false) AS late, a.says, a.remedy, a.times, a.first_at "
            "FROM unnest(%s::text[], %s::text[]) AS m(erp, feed) "
            "LEFT JOIN (SELECT erp, feed, min(confirmed_at) AS confirmed_at, "
            "max(promise) AS promise, max(last_good_batch) AS last_good_batch, "
            "bool_or(late) AS late FROM portal.feed_status GROUP BY 1, 2) s USING (erp, feed) "
            "LEFT JOIN (SELECT DISTINCT ON (1, 2) erp, split_part(feed, '__', 1) AS feed, says, "
            "remedy, times, first_at FROM sync.alert WHERE state = 'open' "
            "AND kind IN ('task_failed', 'run_late') ORDER BY 1, 2, last_at DESC) a "
            "USING (erp, feed) "
            "WHERE s.confirmed_at IS NULL OR s.late OR a.says IS NOT NULL "
            "ORDER BY s.confirmed_at NULLS FIRST, m.erp, m.feed",
            ([erp for erp, _ in mapped], [feed for _, feed in mapped]),
        ).fetchall()
