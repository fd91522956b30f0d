"""Pages of quality: pass rates of every check over time, and the rows that failed.

Every look is on record. Must not judge.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from portal_db.check_results import KEPT
from review import quality
from review.web import asked
from review.web.database import note_reading, reading
from review.web.gate import Page
from review.web.render import page
from sync.people import speaks_of_people

Row = dict[str, Any]
_PAGE = 25


def _feeds(request: Request) -> Response:
    days, since = asked.period(request)
    note_reading(request, "quality", days=days)
    with reading(request) as connection:
        rows = quality.feeds(connection, since)
        by_day = quality.failed_by_day(connection, since)
    if asked.as_file(request):
        return asked.file(rows, "quality")
    labels = quality.span_of_days(since, datetime.now(UTC).date())
    found: dict[tuple[str, str], dict[Any, int]] = {}
    for one in by_day:
        found.setdefault((one["erp"], one["feed"]), {})[one["day"]] = one["failed"]
    for row in rows:
        mine = found.get((row["erp"], row["feed"]), {})
        row["spark"] = [mine.get(label, 0) for label in labels]
    return page(request, "quality.html", rows=rows, days=days, labels=labels, periods=asked.PERIODS)


def _feed(request: Request) -> Response:
    erp, feed = request.path_params["erp"], request.path_params["feed"]
    days, since = asked.period(request)
    note_reading(request, f"quality {erp}/{feed}", days=days)
    with reading(request) as connection:
        rows = quality.checks(connection, erp, feed, since)
        by_day = quality.failed_by_day(connection, since, erp, feed)
    if asked.as_file(request):
        return asked.file(rows, f"quality-{erp}-{feed}")
    return page(
        request,
        "quality_feed.html",
        erp=erp,
        feed=feed,
        rows=rows,
        days=days,
        periods=asked.PERIODS,
        **_chart(by_day, since),
    )


def _check(request: Request) -> Response:
    names: tuple[str, str] = (request.path_params["erp"], request.path_params["feed"])
    part, check_id, judge = (asked.text(request, n) or "" for n in ("part", "check", "judge"))
    days, since = asked.period(request)
    before, failed_only = asked.whole(request, "before"), asked.text(request, "failed") == "1"
    note_reading(request, f"quality {'/'.join(names)}", part=part, check=check_id, judge=judge)
    with reading(request) as connection:
        by_day = quality.check_days(connection, *names, part, check_id, judge, since)
        runs = quality.check_runs(
            connection,
            *names,
            part,
            check_id,
            judge,
            failed_only=failed_only,
            before=before,
            limit=_PAGE + 1,
        )
    if not runs and before is None and not failed_only:
        raise Misconfigured(f"{'/'.join(names)} has no check {check_id}", code="not_found")
    if asked.as_file(request):
        return asked.file(by_day, f"quality-{'-'.join(names)}-{check_id}".replace(":", "-"))
    return page(
        request,
        "quality_check.html",
        erp=names[0],
        feed=names[1],
        part=part,
        check_id=check_id,
        judge=judge,
        days=days,
        periods=asked.PERIODS,
        failed_only=failed_only,
        before=before,
        runs=runs[:_PAGE],
        more=runs[_PAGE - 1]["run_id"] if len(runs) > _PAGE else None,
        **_chart(by_day, since),
    )


def _failing(request: Request) -> Response:
    run_id = int(request.path_params["run"])
    part, check_id, judge = (asked.text(request, n) for n in ("part", "check", "judge"))
    note_reading(request, f"run {run_id}", failing_rows=check_id or "every check")
    with reading(request) as connection:
        rows = quality.failing_rows(connection, run_id, part, check_id, judge)
    veil = asked.veil(request)
    for row in rows:
        row["value"] = veil.value(row["part"], row["field"], row["value"])
        if not veil.clear and row["value"] is not None:
            row["says"] = _without_value(row)
    if asked.as_file(request):
        return asked.file(rows, f"failing-rows-of-run-{run_id}")
    totals = {(r["part"], r["check_id"], r["judge"]): r["failed"] for r in rows}
    return page(request, "quality_failing.html", run_id=run_id, rows=rows, totals=totals, cap=KEPT)


def _without_value(row: Row) -> str:
    """A check's words may quote the value: an auditor reads the check's name instead."""
    return row["check_id"] if speaks_of_people(row["part"], row["field"]) else row["says"]


def _chart(by_day: list[Row], since: date) -> dict[str, Any]:
    """Share of judgements that failed, in percent, for every day of the period; a day that judged
    nothing is a gap.
    """
    days = quality.span_of_days(since, datetime.now(UTC).date())
    told = {r["day"]: 100 * r["failed"] / r["evaluated"] for r in by_day if r["evaluated"]}
    return {"shares": [told.get(day) for day in days], "labels": [d.isoformat() for d in days]}


ROUTES = (
    Page("/quality", _feeds, nav="Quality"),
    Page("/quality/{erp}/{feed}", _feed),
    Page("/quality/{erp}/{feed}/check", _check),
    Page("/failing-rows/{run:int}", _failing),
)
