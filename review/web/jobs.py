"""Fix jobs: how far they are, what worked, what failed again; pause, go on, cancel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from portal_db import desk
from review.web import forms
from review.web.database import reading
from review.web.desk import desk_of
from review.web.gate import Page, user_of
from review.web.render import go, page, url
from review.web.rules import usual_end
from sync.fix_jobs import ACTIVE, steer
from sync.fix_rules import Rule
from sync.people import Columns

PAGE = 100
UNHELD_AFTER = timedelta(seconds=90)
"""Airflow's DAG comes by every minute."""
_LISTS = {"failed": "Failed again", "skipped": "Left alone", "succeeded": "Worked"}


def _jobs(request: Request) -> Response:
    with reading(request) as connection:
        found = desk.jobs(connection)
    return page(request, "jobs.html", jobs=found)


def _job(request: Request) -> Response:
    number = request.path_params["job"]
    query = request.query_params
    with reading(request) as connection:
        job = desk.job(connection, int(number)) if number.isdecimal() else None
        if job is None:
            raise Misconfigured(f"there is no job {number}", code="not_found")
        lists = {}
        for state, title in _LISTS.items():
            given = query.get(state, "0")
            after = int(given) if given.isdecimal() else 0
            rows = desk.job_items(connection, job["id"], state, after, PAGE + 1)
            following = None
            if len(rows) > PAGE:
                rows = rows[:PAGE]
                following = url(request, f"/jobs/{number}", **{state: rows[-1]["item_id"]})
            lists[state] = (title, rows, following)
        group = desk.group(connection, job["shape"]) if job["shape"] else None
    words = None
    if job["correction"]:
        mapping = desk_of(request).context().mappings.mappings.get(job["erp"])
        columns = Columns.anywhere(mapping, job["feed"])
        clear = user_of(request).operates
        words = Rule.of(job["correction"]).words(lambda path: not clear and columns.personal(path))
    done = job["succeeded"] + job["failed"] + job["skipped"]
    return page(
        request, "job.html", job=job, lists=lists, group=group, words=words, done=done,
        active=job["state"] in ACTIVE and job["state"] != "paused",
        may_rule=bool(job["succeeded"]) and (job["correction"] or {}).get("kind", "edit") != "edit",
        rule_until=usual_end(),
        unheld=job["state"] == "waiting" and datetime.now(UTC) - job["next_at"] > UNHELD_AFTER,
    )  # fmt: skip


def _steer(request: Request) -> Response:
    number = int(request.path_params["job"])
    to = forms.field(request, "to")
    if to not in ("paused", "waiting", "cancelled"):
        raise Misconfigured(f"a job cannot be {to!r}", code="form", remedy="Use its buttons.")
    steer(desk_of(request).context(), number, cast("Any", to), actor=user_of(request).name)
    return go(request, f"/jobs/{number}", said="Done.")


ROUTES = (
    Page("/jobs", _jobs, nav="Jobs"),
    Page("/jobs/{job}", _job),
    Page("/jobs/{job}/steer", _steer, methods=("POST",)),
)
