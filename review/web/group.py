"""One group of quarantined records: what is wrong, whom it touches, what was and can be done.

Changes go through `sync.groups` and `sync.fix_jobs`; the page names what its reader saw. Must not
judge: previews come from `sync.fix_preview`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from portal_db import desk
from review.web import asked, forms
from review.web.database import reader, reading
from review.web.desk import desk_of
from review.web.gate import OPERATORS, Page, user_of
from review.web.render import go, page, url
from sync import groups
from sync.corrections import texts_of
from sync.fix_jobs import MappingOf, fix_group
from sync.fix_preview import preview, tally
from sync.fix_rules import SAYS, Rule
from sync.sources import supplied

PAGE = 50
CANARY = 5
TALLIED = 10_000
"""So many of a group are tried for the totals of a preview; the job tries every one."""
_PIECE = 2_000


def _group(request: Request) -> Response:
    shape = request.path_params["shape"]
    query = request.query_params
    state, key = query.get("state") or "open", query.get("key") or None
    after = int(query["after"]) if query.get("after", "").isdecimal() else None
    with reading(request) as connection:
        one = _found(desk.group(connection, shape))
        items = desk.items(connection, shape, state=state, key=key, after=after, limit=PAGE + 1)
        example = desk.item(connection, one["example"])
        jobs = desk.jobs(connection, shape, 10)
        notes = desk.notes(connection, f"group {shape}")
        people = desk.dealers(connection, shape)
    following = None
    if len(items) > PAGE:
        items = items[:PAGE]
        following = url(request, f"/groups/{shape}", state=state, key=key, after=items[-1]["id"])
    veil = asked.veil(request)
    for item in items:
        item["reasons"] = veil.reasons(item["reasons"], item["part"])
    raw: dict[str, str | None] = {}
    if example:
        columns = asked.columns(request, example["erp"], example["feed"], example["part"])
        raw = veil.record(columns, texts_of(example["raw"]))
    return page(
        request,
        "group.html",
        one=one,
        items=items,
        example=example,
        raw=raw,
        jobs=jobs,
        notes=notes,
        people=people,
        state=state,
        key=key or "",
        following=following,
        first=url(request, f"/groups/{shape}", state=state, key=key) if after else None,
        kinds={kind: says for kind, says in SAYS.items() if kind != "edit"},
        likely="replace" if (one["value_shape"] or "").strip() else "default",
        path=_path(request, one),
        paths=sorted(raw),
        canary=CANARY,
    )


def _fix(request: Request) -> Response:
    """The preview: every change side by side, page by page, before anything is done."""
    shape = request.path_params["shape"]
    query = request.query_params
    after = int(query["after"]) if query.get("after", "").isdecimal() else None
    rule = _rule(query)
    with reading(request) as connection:
        one = _found(desk.group(connection, shape))
        items = desk.items(connection, shape, after=after, limit=PAGE + 1)
        pieces = _pieces(connection, shape)
        totals = tally(reader(request), one["erp"], one["feed"], pieces, rule)
    more = len(items) > PAGE
    items = items[:PAGE]
    shown = preview(reader(request), one["erp"], one["feed"], items, rule)
    kept = {name: query.get(name) for name in ("kind", "path", "old", "new", "pairs", "canary")}
    following = (
        url(request, f"/groups/{shape}/fix", **kept, after=items[-1]["id"]) if more else None
    )
    return page(
        request,
        "preview.html",
        one=one,
        rule=rule,
        kept=kept,
        shown=list(zip(items, shown, strict=True)),
        totals=totals,
        following=following,
        first=url(request, f"/groups/{shape}/fix", **kept) if after else None,
    )


def _pieces(connection: desk.Connection, shape: str) -> Iterator[list[dict[str, Any]]]:
    """A group's open items, the newest first, as many as a page's time allows."""
    after: int | None = None
    for _ in range(TALLIED // _PIECE):
        piece = desk.items(connection, shape, after=after, limit=_PIECE)
        if not piece:
            return
        yield piece
        after = int(piece[-1]["id"])


def _do(request: Request) -> Response:
    """Start a job for the whole group."""
    shape = request.path_params["shape"]
    kind = forms.field(request, "do")
    if kind not in ("correct", "retry", "discard"):
        raise Misconfigured(f"a group cannot be {kind!r}", code="form", remedy="Use its buttons.")
    rule = _rule(forms.form_of(request)) if kind == "correct" else None
    canary = forms.field(request, "canary")
    job = fix_group(
        desk_of(request).context(),
        shape,
        kind=cast("Any", kind),
        rule=rule,
        seen=_seen(request),
        reason=forms.field(request, "reason"),
        actor=user_of(request).name,
        mapping=mapping_of(request),
        canary=int(canary) if canary.isdecimal() else 0,
    )
    return go(request, f"/jobs/{job}", said="The job goes on by itself; you may leave this page.")


def _set(request: Request) -> Response:
    """Acknowledge, ignore, open again."""
    shape = request.path_params["shape"]
    to = forms.field(request, "to")
    if to not in ("open", "acknowledged", "ignored"):
        raise Misconfigured(f"a group cannot become {to!r}", code="form", remedy="Use its buttons.")
    items, growth, until = (forms.field(request, name) for name in ("items", "growth", "until"))
    groups.set_state(
        desk_of(request).context(),
        shape,
        cast("Any", to),
        seen=_seen(request),
        actor=user_of(request).name,
        reason=forms.field(request, "reason"),
        until=_day(until),
        items=int(items) if items.isdecimal() else None,
        growth_pct=_percent(growth),
    )
    return go(request, f"/groups/{shape}", said=f"The group is {to} now.")


def _assign(request: Request) -> Response:
    shape = request.path_params["shape"]
    name = forms.field(request, "assignee")
    groups.assign(
        desk_of(request).context(),
        shape,
        to=name or None,
        tags=forms.field(request, "tags").split(","),
        seen=_seen(request),
        actor=user_of(request).name,
    )
    return go(request, f"/groups/{shape}", said="Noted.")


def _note(request: Request) -> Response:
    shape = request.path_params["shape"]
    context = desk_of(request).context()
    says = forms.field(request, "says")
    groups.note(context, f"group {shape}", says, actor=user_of(request).name)
    return go(request, f"/groups/{shape}", said="Noted.")


def mapping_of(request: Request) -> MappingOf:
    """Which mapping a form asks for."""
    return "then" if forms.field(request, "mapping") == "then" else "now"


def _rule(given: Any) -> Rule:  # noqa: ANN401 - a query or a form
    """From a form's fields; `pairs` is one `old => new` a line."""
    pairs = {}
    for line in (given.get("pairs") or "").splitlines():
        old, sign, new = line.partition("=>")
        if sign:
            pairs[old.strip()] = new.strip()
    names = ("kind", "path", "old", "new")
    return Rule.of({name: given.get(name) or "" for name in names} | {"values": pairs})


def _path(request: Request, one: dict[str, Any]) -> str:
    """The ERP's column that the group's field is made of, as the mapping stands now."""
    context = desk_of(request).context()
    mapping = context.mappings.mappings.get(one["erp"])
    if mapping is None or one["feed"] not in mapping.feeds:
        return ""
    from mappings.feeds import FEEDS  # noqa: PLC0415 - beside its user

    supply = supplied(FEEDS[one["feed"]], mapping.feeds[one["feed"]]).get(one["part"])
    given = supply.fields.get(one["field"]) if supply else None
    paths = getattr(given, "paths", ())
    return paths[0] if paths else ""


def _found(one: dict[str, Any] | None) -> dict[str, Any]:
    if one is None:
        raise Misconfigured("there is no such group", code="not_found")
    return one


def _seen(request: Request) -> int:
    given = forms.field(request, "seen")
    return int(given) if given.isdecimal() else 0


def _day(given: str) -> datetime | None:
    if not given:
        return None
    try:
        return datetime.fromisoformat(given).replace(tzinfo=UTC)
    except ValueError:
        raise Misconfigured(
            f"{given!r} is no date", code="until", remedy="Write it as 2026-12-31."
        ) from None


def _percent(given: str) -> Decimal | None:
    try:
        return Decimal(given) if given else None
    except InvalidOperation:
        raise Misconfigured(f"{given!r} is no percentage", code="until") from None


ROUTES = (
    Page("/groups/{shape}", _group),
    Page("/groups/{shape}/fix", _fix, roles=OPERATORS),
    Page("/groups/{shape}/do", _do, methods=("POST",)),
    Page("/groups/{shape}/state", _set, methods=("POST",)),
    Page("/groups/{shape}/assign", _assign, methods=("POST",)),
    Page("/groups/{shape}/note", _note, methods=("POST",)),
)
