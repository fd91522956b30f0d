"""What the reconciliation and parity pages show: both sides' totals per run, lines and prices.

Must not compare anything: `sync/reconcile.py` and `sync/parity.py` did, and kept it.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


def runs(
    connection: psycopg.Connection[Any],
    *,
    erp: str | None = None,
    feed: str | None = None,
    differing: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[Row]:
    """Done and held runs, the newest first, with how many of their totals agree."""
    return _rows(
        connection,
        "SELECT r.id, r.batch_id, r.erp, r.feed, r.kind, r.state, r.started_at, r.read, "
        "r.inserted, r.updated, r.unchanged, r.superseded, r.quarantined, r.deferred, r.deleted, "
        "t.agree, t.differ, t.alone FROM sync.run r LEFT JOIN LATERAL ("
        "SELECT count(*) FILTER (WHERE agrees) AS agree, "
        "count(*) FILTER (WHERE NOT agrees) AS differ, "
        "count(*) FILTER (WHERE agrees IS NULL) AS alone "
        "FROM sync.reconciliation x WHERE x.run_id = r.id) t ON true "
        "WHERE r.state IN ('done', 'held') AND (%(erp)s::text IS NULL OR r.erp = %(erp)s) "
        "AND (%(feed)s::text IS NULL OR r.feed = %(feed)s) "
        "AND (NOT %(differing)s OR t.differ > 0) "
        "AND (%(before)s::bigint IS NULL OR r.id < %(before)s) ORDER BY r.id DESC LIMIT %(limit)s",
        {"erp": erp, "feed": feed, "differing": differing, "before": before, "limit": limit},
    )


def names(connection: psycopg.Connection[Any]) -> tuple[list[str], list[str]]:
    """Every ERP and every feed that has run."""
    found = _rows(connection, "SELECT DISTINCT erp, feed FROM sync.cursor", {})
    return sorted({r["erp"] for r in found}), sorted({r["feed"] for r in found})


def run(connection: psycopg.Connection[Any], run_id: int) -> Row | None:
    """One run with its batch, ledger per part, totals and checks; None where there is none."""
    found = _rows(
        connection,
        "SELECT r.*, b.mode, b.state AS batch_state, b.complete, b.complete_reason, b.pages, "
        "b.bytes, b.content_sha256, b.pulled_at, b.evidence_deleted_at FROM sync.run r "
        "JOIN sync.batch b ON b.id = r.batch_id WHERE r.id = %(id)s",
        {"id": run_id},
    )
    if not found:
        return None
    mine = {"id": run_id}
    return {
        **found[0],
        "parts": _rows(
            connection, "SELECT * FROM sync.run_part WHERE run_id = %(id)s ORDER BY part", mine
        ),
        "totals": _rows(
            connection,
            "SELECT part, name, sides, left_value, right_value, agrees, says, at "
            "FROM sync.reconciliation WHERE run_id = %(id)s ORDER BY part, name, sides",
            mine,
        ),
        "checks": _rows(
            connection,
            "SELECT part, check_id, judge, success, evaluated, failed, population, says "
            "FROM sync.check_result WHERE run_id = %(id)s "
            "ORDER BY success NULLS LAST, part, check_id, judge",
            mine,
        ),
    }


def comparisons(connection: psycopg.Connection[Any], limit: int = 50) -> list[Row]:
    """Parity runs, the newest first; `share` is of explained lines, 0 to 1."""
    return _rows(
        connection,
        "SELECT id, erp, price_erp, started_at, finished_at, seconds, lines, explained, "
        "unexplained, CASE WHEN lines > 0 THEN trunc(explained::numeric / lines, 4) END AS share "
        "FROM sync.parity ORDER BY id DESC LIMIT %(limit)s",
        {"limit": limit},
    )


def comparison(connection: psycopg.Connection[Any], parity_id: int) -> Row | None:
    """One parity run with its reasons; None where there is none."""
    found = _rows(
        connection,
        "SELECT *, CASE WHEN lines > 0 THEN trunc(explained::numeric / lines, 4) END AS share "
        "FROM sync.parity WHERE id = %(id)s",
        {"id": parity_id},
    )
    if not found:
        return None
    reasons = _rows(
        connection,
        "SELECT reason, currency, count(*) AS lines, "
        "sum(invoiced_net - coalesce(resolved_net, 0)) AS apart FROM sync.parity_item "
        "WHERE parity_id = %(id)s AND reason IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC",
        {"id": parity_id},
    )
    return {**found[0], "reasons": reasons}


def items(
    connection: psycopg.Connection[Any],
    parity_id: int,
    *,
    reason: str | None = None,
    every: bool = False,
    after: tuple[str, str] | None = None,
    limit: int | None = 50,
) -> list[Row]:
    """Lines of a parity run in order of invoice: the unexplained, or every one that is kept."""
    return _rows(
        connection,
        "SELECT * FROM sync.parity_item WHERE parity_id = %(id)s "
        "AND (%(every)s OR reason IS NOT NULL) "
        "AND (%(reason)s::text IS NULL OR reason = %(reason)s) "
        "AND (%(invoice)s::text IS NULL OR (invoice_key, line_no) > (%(invoice)s, %(line)s)) "
        "ORDER BY invoice_key, line_no LIMIT %(limit)s",
        {
            "id": parity_id,
            "every": every,
            "reason": reason,
            "invoice": after[0] if after else None,
            "line": after[1] if after else None,
            "limit": limit,
        },
    )


def item(
    connection: psycopg.Connection[Any], parity_id: int, invoice: str, line: str
) -> Row | None:
    """One line, and the condition that won as it stands today."""
    found = _rows(
        connection,
        "SELECT i.*, p.erp, p.price_erp FROM sync.parity_item i JOIN sync.parity p "
        "ON p.id = i.parity_id WHERE i.parity_id = %(id)s AND i.invoice_key = %(invoice)s "
        "AND i.line_no = %(line)s",
        {"id": parity_id, "invoice": invoice, "line": line},
    )
    if not found:
        return None
    won = _rows(
        connection,
        "SELECT * FROM portal.price WHERE erp = %(erp)s AND header_key = %(header)s "
        "AND min_qty = %(qty)s",
        {
            "erp": found[0]["price_erp"],
            "header": found[0]["header_key"],
            "qty": found[0]["min_qty"],
        },
    )
    return {**found[0], "won": won[0] if won else None}


def live(connection: psycopg.Connection[Any], limit: int = 100) -> list[Row]:
    """The newest answers of ERPs beside what the portal would have shown."""
    return _rows(
        connection,
        "SELECT * FROM sync.live_comparison ORDER BY id DESC LIMIT %(limit)s",
        {"limit": limit},
    )


def _rows(connection: psycopg.Connection[Any], sql: LiteralString, parameters: Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql, parameters).fetchall()
