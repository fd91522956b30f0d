"""What the quality pages show: pass rates from the days' rollup, failing rows from the runs.

Cost follows what is shown: a year of a feed is some hundred small rows a check. Must not write,
and must not count results anew.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]

_FEEDS: LiteralString = """
SELECT one.erp, one.feed, count(*) AS checks, count(*) FILTER (WHERE runs_failed > 0) AS failing,
  sum(runs_passed)::bigint AS runs_passed, sum(runs_failed)::bigint AS runs_failed,
  sum(runs_not_evaluated)::bigint AS runs_not_evaluated, sum(evaluated)::bigint AS evaluated,
  sum(failed)::bigint AS failed, max(last_run) AS last_run, max(last_day) AS last_day
FROM (
  SELECT d.erp, d.feed, sum(d.runs_passed) AS runs_passed, sum(d.runs_failed) AS runs_failed,
    sum(d.runs_not_evaluated) AS runs_not_evaluated, sum(d.evaluated) AS evaluated,
    sum(d.failed) AS failed, max(d.last_run) AS last_run, max(d.day) AS last_day
  FROM sync.check_day d WHERE d.day >= %(since)s
  GROUP BY d.erp, d.feed, d.part, d.check_id, d.judge
) one GROUP BY one.erp, one.feed ORDER BY one.erp, one.feed
"""
_CHECKS: LiteralString = """
SELECT d.part, d.check_id, d.judge,
  sum(d.runs_passed)::bigint AS runs_passed, sum(d.runs_failed)::bigint AS runs_failed,
  sum(d.runs_not_evaluated)::bigint AS runs_not_evaluated, sum(d.evaluated)::bigint AS evaluated,
  sum(d.failed)::bigint AS failed, max(d.last_run) AS last_run, max(d.day) AS last_day,
  (SELECT c.says FROM sync.check_result c WHERE c.run_id = max(d.last_run) AND c.part = d.part
   AND c.check_id = d.check_id AND c.judge = d.judge) AS says
FROM sync.check_day d WHERE d.erp = %(erp)s AND d.feed = %(feed)s AND d.day >= %(since)s
GROUP BY d.part, d.check_id, d.judge ORDER BY sum(d.failed) DESC, d.part, d.check_id, d.judge
"""


def feeds(connection: psycopg.Connection[Any], since: date) -> list[Row]:
    """Every (erp, feed) with results since a day; `checks` and `failing` count its checks."""
    return _rows(connection, _FEEDS, {"since": since})


def failed_by_day(
    connection: psycopg.Connection[Any],
    since: date,
    erp: str | None = None,
    feed: str | None = None,
) -> list[Row]:
    """(day, erp, feed) → judgements made and failed."""
    return _rows(
        connection,
        "SELECT d.day, d.erp, d.feed, sum(d.evaluated)::bigint AS evaluated, "
        "sum(d.failed)::bigint AS failed FROM sync.check_day d WHERE d.day >= %(since)s "
        "AND (%(erp)s::text IS NULL OR d.erp = %(erp)s) "
        "AND (%(feed)s::text IS NULL OR d.feed = %(feed)s) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        {"since": since, "erp": erp, "feed": feed},
    )


def checks(connection: psycopg.Connection[Any], erp: str, feed: str, since: date) -> list[Row]:
    """Every check of one feed since a day, those that failed first."""
    return _rows(connection, _CHECKS, {"erp": erp, "feed": feed, "since": since})


def check_days(
    connection: psycopg.Connection[Any],
    erp: str,
    feed: str,
    part: str,
    check_id: str,
    judge: str,
    since: date,
) -> list[Row]:
    """One check, day by day."""
    return _rows(
        connection,
        "SELECT day, runs_passed, runs_failed, runs_not_evaluated, evaluated, failed "
        "FROM sync.check_day WHERE erp = %(erp)s AND feed = %(feed)s AND part = %(part)s "
        "AND check_id = %(check)s AND judge = %(judge)s AND day >= %(since)s ORDER BY day",
        {
            "erp": erp,
            "feed": feed,
            "part": part,
            "check": check_id,
            "judge": judge,
            "since": since,
        },
    )


def check_runs(
    connection: psycopg.Connection[Any],
    erp: str,
    feed: str,
    part: str,
    check_id: str,
    judge: str,
    *,
    failed_only: bool = False,
    before: int | None = None,
    limit: int = 25,
) -> list[Row]:
    """One check's newest results, with the run's kind and state."""
    return _rows(
        connection,
        "SELECT c.run_id, r.started_at, r.kind, r.state, c.success, c.evaluated, c.failed, "
        "c.population, c.says FROM sync.run r JOIN sync.check_result c ON c.run_id = r.id "
        "AND c.part = %(part)s AND c.check_id = %(check)s AND c.judge = %(judge)s "
        "WHERE r.erp = %(erp)s AND r.feed = %(feed)s "
        "AND (%(before)s::bigint IS NULL OR r.id < %(before)s) "
        "AND (NOT %(failed)s OR NOT c.success) ORDER BY r.id DESC LIMIT %(limit)s",
        {
            "erp": erp,
            "feed": feed,
            "part": part,
            "check": check_id,
            "judge": judge,
            "before": before,
            "failed": failed_only,
            "limit": limit,
        },
    )


def failing_rows(
    connection: psycopg.Connection[Any],
    run_id: int,
    part: str | None = None,
    check_id: str | None = None,
    judge: str | None = None,
) -> list[Row]:
    """The kept failing rows of a run, of one check where it is named; `failed` is the total."""
    return _rows(
        connection,
        "SELECT f.run_id, r.erp, r.feed, f.part, f.check_id, f.judge, c.failed, f.n, f.record_no, "
        "f.key, f.field, f.value, f.says FROM sync.check_failure f "
        "JOIN sync.run r ON r.id = f.run_id "
        "JOIN sync.check_result c USING (run_id, part, check_id, judge) "
        "WHERE f.run_id = %(run)s AND (%(part)s::text IS NULL OR f.part = %(part)s) "
        "AND (%(check)s::text IS NULL OR f.check_id = %(check)s) "
        "AND (%(judge)s::text IS NULL OR f.judge = %(judge)s) "
        "ORDER BY f.part, f.check_id, f.judge, f.n",
        {"run": run_id, "part": part, "check": check_id, "judge": judge},
    )


def span_of_days(since: date, until: date) -> list[date]:
    """Every day from `since` to `until`, both included."""
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


def _rows(connection: psycopg.Connection[Any], sql: LiteralString, parameters: Row) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql, parameters).fetchall()
