"""One quarantined record: its bytes as received, what is wrong, what was tried, what to do next.

Changes go through `sync.fix_jobs`; the page names the version that its reader saw. Must not judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from portal_db import desk
from review.veil import Veil
from review.web import asked, forms
from review.web.database import reader, reading
from review.web.desk import desk_of
from review.web.gate import OPERATORS, Page, user_of
from review.web.group import mapping_of
from review.web.marking import marked
from review.web.render import UNREADABLE, go, page
from sync import groups
from sync.context import Context
from sync.explain import record_bytes
from sync.fix_jobs import fix_item
from sync.fix_preview import Place, preview
from sync.fix_rules import Rule
from sync.history import key_fields
from sync.sources import supplied

_EDIT = "text."

NEXT = {
    "missing_parent": "It waits for the record that it names. If that never comes, ask the ERP's "
    "side, or correct the key.",
    "duplicate_key": "The ERP sent this key more than once, with different values: have one of "
    "them removed there.",
    "too_many_digits": "Find out what the ERP means; never round here.",
    "not_a_number": "If the ERP writes numbers another way, correct the mapping (a step like "
    "decimal_comma) and try the group again; if it is a typing error, correct the record.",
    "not_a_date": "If the ERP writes dates another way, correct the mapping and try the group "
    "again; if it is a typing error, correct the record.",
}
_ANYWAY = (
    "Best in the ERP: the next batch takes the record and closes this item by itself.",
    "Else here: correct its texts below; they are judged like new data. The ERP's own stay.",
    "If the mapping was wrong: correct the mapping, then try it again under the mapping of now.",
    "If it shall stay out: discard it, with a reason.",
)


def _item(request: Request) -> Response:
    item = _found(request)
    context = reader(request)
    veil = asked.veil(request)
    view = None
    if item["erp"] in context.mappings.mappings and item["feed"] in context.erp(item["erp"]).feeds:
        (view,) = preview(context, item["erp"], item["feed"], [item], None)
    texts = dict(view.texts) if view else {}
    place = Place.of(item)
    bytes_ = record_bytes(context, place.batch_id, place.part, place.record_no)
    first = item["reasons"][0]
    path = next((name for name, text in texts.items() if text == first["raw"]), "")
    columns = asked.columns(request, item["erp"], item["feed"], place.part)
    text = bytes_.get("text")
    shown = None
    if text is not None:
        nobodys = [value for name, value in texts.items() if not columns.personal(name)]
        raw = veil.value(place.part, first["field"], first["raw"])
        shown = marked(veil.content(text, nobodys), raw, path)
    with reading(request) as connection:
        notes = desk.notes(connection, f"item {item['id']}")
        group = desk.group(connection, item["shape"])
    item["reasons"] = veil.reasons(item["reasons"], item["part"])
    for attempt in item["tries"]:
        attempt["detail"] = _shown_detail(veil, item["part"], attempt["detail"])
    for one in item["corrections"]:
        its = asked.columns(request, item["erp"], item["feed"], one["part"])
        one["changes"], one["was"] = (veil.record(its, one[n]) for n in ("changes", "was"))
    fields = []
    if view:
        part = place.part
        fields = [(name, veil.value(part, name, text)) for name, text in view.before.fields.items()]
    refused = _refused_paths(context, item, place)
    return page(
        request,
        "item.html",
        item=item,
        group=group,
        place=place,
        evidence=bytes_,
        shown=shown,
        texts=veil.record(columns, {p: texts[p] for p in sorted(texts, key=_first(refused))}),
        refused=refused,
        key_fields=[] if item["key"].startswith(UNREADABLE) else key_fields(item["key"]),
        fields=fields,
        bad={reason["field"] for reason in item["reasons"]},
        notes=notes,
        edit=_EDIT,
        steps=[NEXT[item["code"]], *_ANYWAY] if item["code"] in NEXT else list(_ANYWAY),
        masked=not veil.clear,
    )


def _refused_paths(context: Context, item: Any, place: Place) -> set[str]:  # noqa: ANN401 - a row
    """The ERP's columns that the record's refused fields are made of, as mapped now."""
    mapping = context.mappings.mappings.get(item["erp"])
    if mapping is None or item["feed"] not in mapping.feeds:
        return set()
    supply = supplied(FEEDS[item["feed"]], mapping.feeds[item["feed"]]).get(place.part)
    names = {r["field"] for r in item["reasons"] if r.get("part", place.part) == place.part}
    found: set[str] = set()
    for name in names:
        found.update(getattr(supply.fields.get(name), "paths", ()) if supply else ())
    return found


def _first(refused: set[str]) -> Callable[[str], bool]:
    return lambda path: path not in refused


def _shown_detail(veil: Veil, part: str, detail: Any) -> Any:  # noqa: ANN401 - as it was kept
    """What an attempt kept: its reasons by their fields, its raw columns not for an auditor."""
    if veil.clear or not isinstance(detail, dict):
        return detail
    kept = {name: value for name, value in detail.items() if name != "raw"}
    return kept | ({"reasons": veil.reasons(kept["reasons"], part)} if "reasons" in kept else {})


def _preview(request: Request) -> Response:
    """An edit side by side with what came, judged; nothing is changed yet."""
    item = _found(request)
    rule = _edits(request, item)
    (shown,) = preview(reader(request), item["erp"], item["feed"], [item], rule)
    return page(
        request, "item_preview.html", item=item, shown=shown, rule=rule, edit=_EDIT,
        seen=forms.field(request, "seen"), reason=forms.field(request, "reason"),
    )  # fmt: skip


def _do(request: Request) -> Response:
    item_id = int(request.path_params["item"])
    kind = forms.field(request, "do")
    if kind not in ("correct", "retry", "discard"):
        raise Misconfigured(f"an item cannot be {kind!r}", code="form", remedy="Use its buttons.")
    seen = forms.field(request, "seen")
    job = fix_item(
        desk_of(request).context(),
        item_id,
        kind=cast("Any", kind),
        rule=_edits(request, _found(request)) if kind == "correct" else None,
        seen=int(seen) if seen.isdecimal() else 0,
        reason=forms.field(request, "reason"),
        actor=user_of(request).name,
        mapping=mapping_of(request),
    )
    return go(request, f"/jobs/{job}", said="The job goes on by itself; you may leave this page.")


def _note(request: Request) -> Response:
    item_id = int(request.path_params["item"])
    context = desk_of(request).context()
    says = forms.field(request, "says")
    groups.note(context, f"item {item_id}", says, actor=user_of(request).name)
    return go(request, f"/items/{item_id}", said="Noted.")


def _edits(request: Request, item: dict[str, Any]) -> Rule:
    """What the form's texts change in the record as it came."""
    (view,) = preview(reader(request), item["erp"], item["feed"], [item], None)
    form = forms.form_of(request)
    new = {}
    for path, text in view.texts.items():
        given = form.get(f"{_EDIT}{path}")
        if isinstance(given, str) and given != (text or ""):
            new[path] = given
    if not new:
        raise Misconfigured(
            "nothing was changed", code="correction", remedy="Edit a text, then look again."
        )
    return Rule.of({"kind": "edit", "values": new})


def _found(request: Request) -> dict[str, Any]:
    number = request.path_params["item"]
    with reading(request) as connection:
        item = desk.item(connection, int(number)) if number.isdecimal() else None
    if item is None:
        raise Misconfigured(f"there is no quarantine item {number}", code="not_found")
    return item


ROUTES = (
    Page("/items/{item}", _item),
    Page("/items/{item}/preview", _preview, roles=OPERATORS, methods=("POST",)),
    Page("/items/{item}/do", _do, methods=("POST",)),
    Page("/items/{item}/note", _note, methods=("POST",)),
)
