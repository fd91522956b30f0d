"""The desk's first page: one list of what needs a person, records grouped by what is wrong.

Must not change anything.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal_db import desk, desk_matters
from review.web.database import reading
from review.web.desk import desk_of
from review.web.gate import Page
from review.web.render import go, page, url
from review.web.rules import needing

PAGE = 50
KINDS = {
    "records": "quarantined records",
    "batches": "held batches",
    "messages": "dead or uncertain messages",
    "lanes": "paused lanes",
    "mappings": "broken mappings",
    "rules": "rules to decide, commit or end",
    "feeds": "late, missing or failing feeds",
}
STATES = {name: name for name in desk.STATES} | {
    "needs": "needs a person",
    "waiting": "waits for a parent",
}
_FILTERS = ("erp", "feed", "code", "field", "assignee", "tag")


def _home(request: Request) -> Response:
    query = request.query_params
    kind = query.get("kind") or None
    text = (query.get("q") or "").strip()
    state, sort = query.get("state") or "needs", query.get("sort") or "seen"
    if text.isdecimal() and query.get("go"):
        return go(request, f"/items/{text}")
    chosen = {name: query.get(name) or None for name in _FILTERS}
    after = (query["after"], query["shape"]) if query.get("after") and query.get("shape") else None
    broken, mapped = _broken(request), desk_of(request).context().mappings.pairs()
    rules = needing(request)
    with reading(request) as connection:
        counts = desk_matters.counts(connection, mapped)
        counts |= {"mappings": len(broken), "rules": len(rules)}
        groups: list[dict[str, Any]] = []
        if kind in (None, "records"):
            groups = desk.groups(
                connection, state=state, sort=sort, text=text or None, after=after,
                limit=PAGE + 1, **chosen,
            )  # fmt: skip
        found = desk.by_key(connection, text) if text else []
        matters: dict[str, list[dict[str, Any]]] = {"mappings": broken, "rules": rules}
        if after is None:
            matters |= {
                "batches": desk_matters.held_batches(connection),
                "messages": desk_matters.message_groups(connection),
                "lanes": desk_matters.lanes(connection),
                "feeds": desk_matters.overdue_feeds(connection, mapped),
            }
        choices = desk.choices(connection)
    matters = {
        name: [one for one in rows if _wanted(one, chosen, text)]
        for name, rows in matters.items()
        if kind in (None, name)
    }
    following = None
    if len(groups) > PAGE:
        groups = groups[:PAGE]
        last = groups[-1]
        kept = {"kind": kind, "q": text, "state": state, "sort": sort, **chosen}
        following = url(request, "/", **kept, after=last["sort_value"], shape=last["shape"])
    return page(
        request,
        "home.html",
        kinds=KINDS,
        kind=kind,
        counts=counts,
        matters=matters,
        groups=groups,
        found=found,
        choices=choices,
        chosen=chosen,
        text=text,
        state=state,
        sort=sort,
        states=STATES,
        following=following,
        first=url(request, "/", kind=kind, q=text, state=state, sort=sort, **chosen)
        if after
        else None,
        quiet=not any(counts.values()),
    )


def _broken(request: Request) -> list[dict[str, Any]]:
    broken = desk_of(request).context().mappings.broken
    return [
        {"erp": erp, "feed": "", "says": str(error), "code": "mapping"}
        for erp, error in sorted(broken.items())
    ]


def _wanted(one: dict[str, Any], chosen: dict[str, str | None], text: str) -> bool:
    """Filters that a row knows count; one that it has no column for leaves it out."""
    for name, value in chosen.items():
        if value is not None and one.get(name) != value:
            return False
    return not text or text.lower() in " ".join(map(str, one.values())).lower()


ROUTES = (Page("/", _home, nav="Desk"),)
