"""Held batches: what would change, the biggest movements first; release or refuse."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from portal_db import desk_runs
from review.web import asked, forms
from review.web.database import reading
from review.web.desk import desk_of
from review.web.gate import Page, user_of
from review.web.render import exact, go, page
from sync.release import refuse, release


def _run(request: Request) -> Response:
    """One run: what came, what became of it; of a held one, what would change."""
    found = _found(request)
    veil = asked.veil(request)
    moves = [
        _movement(
            {
                **one,
                **{
                    name: veil.value(one["part"], one["field"], one.get(name))
                    for name in ("old", "new")
                },
            }
        )
        for one in found["movements"] or []
    ]
    return page(request, "run.html", run=found, moves=moves)


def _decide(request: Request) -> Response:
    run_id = int(request.path_params["run"])
    reason, actor = forms.field(request, "reason"), user_of(request).name
    context = desk_of(request).context()
    to = forms.field(request, "to")
    if to == "release":
        outcome = release(context, run_id, reason=reason, actor=actor)
        said = f"Released by run {outcome.run_id}: {outcome.state}."
        return go(request, f"/runs/{outcome.run_id}", said=said)
    if to == "refuse":
        refuse(context, run_id, reason=reason, actor=actor)
        return go(request, f"/runs/{run_id}", said="Refused. The portal keeps what it has.")
    raise Misconfigured(f"a batch cannot be {to!r}", code="form", remedy="Use its buttons.")


def _movement(one: Any) -> dict[str, Any]:  # noqa: ANN401 - as the run kept it
    """One row of what would change, with how far its value moves where both are numbers."""
    moved = {"part": "", "key": None, "field": None, **one}
    old, new = moved["old"], moved["new"]
    moved["by"] = {"I": "comes", "D": "goes"}.get(str(moved.get("op")), "–")
    try:
        if old is not None and new is not None and Decimal(str(old)) != 0:
            change = (Decimal(str(new)) - Decimal(str(old))) / Decimal(str(old)) * 100
            moved["by"] = f"{change:+.1f} %"
        for name in ("old", "new"):
            if moved[name] is not None:
                moved[name] = exact(Decimal(str(moved[name])))
    except InvalidOperation:
        pass
    return moved


def _found(request: Request) -> dict[str, Any]:
    number = request.path_params["run"]
    with reading(request) as connection:
        found = desk_runs.run(connection, int(number)) if number.isdecimal() else None
    if found is None:
        raise Misconfigured(f"there is no run {number}", code="not_found")
    return found


ROUTES = (
    Page("/runs/{run}", _run),
    Page("/held/{run}", _run),
    Page("/held/{run}/decide", _decide, methods=("POST",)),
)
