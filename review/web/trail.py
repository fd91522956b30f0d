"""Pages of the audit: what people did, whether the record of it was touched, the signed pack.

Every look is on record, the look at the record too. Must not judge the chain: `review/proof.py`
does, which does not believe this program's own word either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from mappings.errors import Misconfigured
from portal_db import audit
from review import packs, trail
from review.proof import check_database
from review.signing import public_key
from review.web import asked, forms
from review.web.database import note_reading, reading
from review.web.desk import desk_of
from review.web.gate import READERS, Page, user_of
from review.web.render import go, page

_PAGE = 50


def _trail(request: Request) -> Response:
    filters = {name: asked.text(request, name) for name in ("actor", "action", "subject")}
    since, until = asked.instant(request, "from"), asked.instant(request, "to")
    before, as_file = asked.whole(request, "before"), asked.as_file(request)
    asked_for = {name: value for name, value in filters.items() if value}
    note_reading(request, "audit", filters=asked_for, since=since, until=until)
    with reading(request) as connection:
        rows = trail.lines(
            connection,
            **filters,
            since=since,
            until=None if until is None else until + timedelta(days=1),
            before=before,
            limit=None if as_file else _PAGE + 1,
        )
        veil = asked.veil(request)
        rows = [{**row, "detail": veil.payload(row["detail"])} for row in rows]
        if as_file:
            return asked.file(rows, "audit")
        head, unsealed = audit.head(connection), audit.unsealed(connection)
        anchors = trail.anchors(connection)
    return page(
        request,
        "audit.html",
        rows=rows[:_PAGE],
        more=rows[_PAGE - 1]["id"] if len(rows) > _PAGE else None,
        before=before,
        filters=filters,
        since=since,
        until=until,
        head=head,
        unsealed=unsealed,
        anchors=anchors,
        report=None,
    )


def _verify(request: Request) -> Response:
    note_reading(request, "audit verify")
    proof = check_database(desk_of(request).context())
    return page(
        request, "audit_verify.html", proof=proof, key=public_key(desk_of(request).settings)
    )


def _export(request: Request) -> Response:
    settings = desk_of(request).settings
    if request.method == "POST":
        since, until = (asked.day(forms.field(request, n)) for n in ("from", "to"))
        if since is None or until is None:
            raise Misconfigured("a day is missing", code="period", remedy="Give both days.")
        packs.begin(
            desk_of(request).context(),
            _begin(since),
            _begin(until) + timedelta(days=1),
            actor=user_of(request).name,
        )
        return go(request, "/audit/export", said="The pack is being made. Reload to see it.")
    today = datetime.now(UTC).date()
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    return page(
        request,
        "audit_export.html",
        packs=packs.packs(settings),
        key=public_key(settings),
        first=first,
        last=today.replace(day=1) - timedelta(days=1),
    )


def _download(request: Request) -> Response:
    path = packs.find(desk_of(request).settings, request.path_params["name"])
    note_reading(request, "audit export", file=path.name, downloaded=True)
    return FileResponse(path, media_type="application/zip", filename=path.name)


def _begin(day: object) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


ROUTES = (
    Page("/audit", _trail, nav="Audit"),
    Page("/audit/verify", _verify, roles=READERS, methods=("POST",)),
    Page("/audit/export", _export, roles=READERS, methods=("GET", "POST")),
    Page("/audit/export/{name}", _download),
)
