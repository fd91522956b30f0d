"""Runs and freshness: every feed against what is promised, green ones with their ages too.

Asks for a pull, and changes nothing else; must not reach an ERP.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import WaybillError
from mappings.feeds import FEEDS
from portal_db import desk_matters, desk_runs
from review.web import forms
from review.web.database import reader, reading
from review.web.desk import desk_of
from review.web.gate import Page, user_of
from review.web.render import go, page
from sync import history
from sync.budget import look
from sync.context import Context
from sync.wake import ask_for_pull


def _feeds(request: Request) -> Response:
    context = reader(request)
    query = request.query_params
    erp, feed, state = (query.get(name) or None for name in ("erp", "feed", "state"))
    with reading(request) as connection:
        week = desk_runs.throughput(connection)
        good: dict[tuple[str, str], int] = {
            (row[0], row[1]): int(row[2])
            for row in connection.execute(
                "SELECT erp, feed, max(last_good_batch) FROM portal.feed_status GROUP BY 1, 2"
            ).fetchall()
        }
        overdue = {
            (one["erp"], one["feed"]): one
            for one in desk_matters.overdue_feeds(connection, context.mappings.pairs())
        }
    rows = []
    for one in history.feeds(context, erp):
        pair = (one["erp"], one["feed"])
        mapping = context.mappings.mappings[one["erp"]].feeds[one["feed"]]
        if feed not in (None, one["feed"]):
            continue
        rows.append(
            one
            | {
                "schedule": mapping.schedule or FEEDS[one["feed"]].schedule,
                "trouble": overdue.get(pair),
                "good": good.get(pair),
                "week": week.get(pair),
                "age": _span(one["age_seconds"]),
                "promise": _span(one["promise_seconds"]),
            }
        )
    return page(
        request,
        "feeds.html",
        feeds=rows,
        budgets=_budgets(context),
        runs=history.runs(context, erp=erp, feed=feed, state=state, limit=30),
        late=sum(one["trouble"] is not None for one in rows),
        erp=erp,
        feed=feed,
        state=state,
    )


def _pull(request: Request) -> Response:
    erp, feed = forms.field(request, "erp"), forms.field(request, "feed")
    ask_for_pull(desk_of(request).context(), erp, feed, actor=user_of(request).name)
    said = f"{erp}/{feed} is pulled as soon as the gateway has woken its DAG: within a minute."
    return go(request, "/feeds", said=said, erp=erp, feed=feed)


def _budgets(context: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for erp in sorted(context.mappings.mappings):
        try:
            found.append({"erp": erp, "limits": look(context, erp)})
        except WaybillError as error:
            found.append({"erp": erp, "limits": None, "says": str(error)})
    return found


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))


ROUTES = (
    Page("/feeds", _feeds, nav="Runs and freshness"),
    Page("/feeds/pull", _pull, methods=("POST",)),
)
