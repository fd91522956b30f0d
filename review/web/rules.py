"""Rules: corrections that became proposed mapping changes; a second person approves the diff.

Everything done is a verb of `sync.rules`; a mapping's file is never written from here. Must not
apply a rule.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mappings.errors import Misconfigured, WaybillError
from portal_db import rules as kept
from review.web import asked, forms
from review.web.database import reader, reading
from review.web.desk import desk_of
from review.web.gate import OPERATORS, Page, user_of
from review.web.render import go, page
from sync import rules
from sync.fix_rules import Rule
from sync.people import Columns

USUAL = timedelta(days=90)
NEEDS = frozenset({"proposed", "to be committed", "overdue"})
"""Statuses in which somebody has something to do."""


def needing(request: Request) -> list[dict[str, Any]]:
    """Rules that need a person, and corrections in mappings that are past their day."""
    found = [one for one in _listed(request) if one["status"] in NEEDS]
    known = {one["id"] for one in found}
    unknown = [
        {"id": None, "status": "overdue", "words": f"{one['column']} corrected", **one}
        for one in rules.overdue(desk_of(request).context().mappings)
        if one["rule"] not in known
    ]
    return [*found, *unknown]


def _rules(request: Request) -> Response:
    return page(request, "rules.html", rules=_listed(request))


def _rule(request: Request) -> Response:
    row = _found(request)
    change, fault = None, None
    if row["state"] == "proposed":
        try:
            change = rules.change_of(reader(request), row)
        except WaybillError as error:
            fault = error
    diff = change.diff if change else row["diff"]
    return page(
        request,
        "rule.html",
        rule=_shown(request, row),
        diff=None if _hidden(request, row) else diff,
        seen=change.seen if change else "",
        fault=fault,
        mine=row["proposed_by"] == user_of(request).name,
    )


def _decide(request: Request) -> Response:
    number = int(request.path_params["rule"])
    to = forms.field(request, "to")
    if to not in ("approve", "refuse"):
        raise Misconfigured(f"a rule cannot be {to!r}", code="form", remedy="Use its buttons.")
    rules.decide(
        desk_of(request).context(),
        number,
        approve=to == "approve",
        seen=forms.field(request, "seen"),
        reason=forms.field(request, "reason"),
        actor=user_of(request).name,
    )
    said = "Approved. It counts once its diff is committed." if to == "approve" else "Refused."
    return go(request, f"/rules/{number}", said=said)


def _propose(request: Request) -> Response:
    job = int(request.path_params["job"])
    until = asked.day(forms.field(request, "until"))
    if until is None:
        raise Misconfigured(
            "it needs a day until which it counts", code="until", remedy="Give a day."
        )
    number = rules.propose(
        desk_of(request).context(),
        job,
        until=until,
        reason=forms.field(request, "reason"),
        actor=user_of(request).name,
    )
    return go(request, f"/rules/{number}", said="Proposed. Somebody else approves it.")


def _diff(request: Request) -> Response:
    """The approved change as a file for `git apply`."""
    row = _found(request)
    if row["diff"] is None:
        raise Misconfigured(f"rule {row['id']} is not approved", code="not_found")
    name = f"rule-{row['id']}.diff"
    return PlainTextResponse(
        row["diff"], headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _listed(request: Request) -> list[dict[str, Any]]:
    with reading(request) as connection:
        found = kept.rules(connection)
    return [_shown(request, one) for one in found]


def _shown(request: Request, row: dict[str, Any]) -> dict[str, Any]:
    mappings = desk_of(request).context().mappings
    columns = Columns.anywhere(mappings.mappings.get(row["erp"]), row["feed"])
    clear = user_of(request).operates
    words = Rule.of(row["correction"]).words(lambda path: not clear and columns.personal(path))
    return {**row, "words": words, "status": rules.status(row, mappings)}


def _hidden(request: Request, row: dict[str, Any]) -> bool:
    """A diff that holds personal values is an operator's."""
    mapping = desk_of(request).context().mappings.mappings.get(row["erp"])
    personal = Columns.anywhere(mapping, row["feed"]).personal(row["correction"]["path"])
    return personal and not user_of(request).operates


def _found(request: Request) -> dict[str, Any]:
    number = request.path_params["rule"]
    with reading(request) as connection:
        row = kept.rule(connection, int(number)) if number.isdecimal() else None
    if row is None:
        raise Misconfigured(f"there is no rule {number}", code="not_found")
    return row


def usual_end() -> str:
    """The day that a new rule's form offers."""
    return (datetime.now(UTC).date() + USUAL).isoformat()


ROUTES = (
    Page("/rules", _rules, nav="Rules"),
    Page("/rules/{rule}", _rule),
    Page("/rules/{rule}/decide", _decide, methods=("POST",)),
    Page("/rules/{rule}/diff", _diff, roles=OPERATORS),
    Page("/jobs/{job}/rule", _propose, methods=("POST",)),
)
