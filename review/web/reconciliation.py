"""Pages of reconciliation: control totals of both sides per run, and invoices against prices.

Every look is on record. Must not compare anything.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured
from mappings.feeds import PARTS
from review import reconciled
from review.web import asked
from review.web.database import note_reading, reading
from review.web.gate import Page
from review.web.render import page

_PAGE = 50


def _runs(request: Request) -> Response:
    erp, feed = asked.text(request, "erp"), asked.text(request, "feed")
    differing, before = asked.text(request, "differing") == "1", asked.whole(request, "before")
    as_file = asked.as_file(request)
    note_reading(request, "reconciliation", erp=erp, feed=feed, differing=differing)
    with reading(request) as connection:
        rows = reconciled.runs(
            connection,
            erp=erp,
            feed=feed,
            differing=differing,
            before=before,
            limit=10_000 if as_file else _PAGE + 1,
        )
        erps, feeds = reconciled.names(connection)
    if as_file:
        return asked.file(rows, "reconciliation")
    return page(
        request,
        "reconciliation.html",
        rows=rows[:_PAGE],
        erps=erps,
        feeds=feeds,
        erp=erp,
        feed=feed,
        differing=differing,
        before=before,
        more=rows[_PAGE - 1]["id"] if len(rows) > _PAGE else None,
    )


def _run(request: Request) -> Response:
    run_id = int(request.path_params["run"])
    note_reading(request, f"run {run_id}", reconciliation=True)
    with reading(request) as connection:
        found = reconciled.run(connection, run_id)
    if found is None:
        raise Misconfigured(f"there is no run {run_id}", code="not_found")
    if asked.as_file(request):
        return asked.file(found["totals"], f"totals-of-run-{run_id}")
    return page(request, "reconciliation_run.html", run=found)


def _comparisons(request: Request) -> Response:
    note_reading(request, "parity")
    with reading(request) as connection:
        rows, live = reconciled.comparisons(connection), reconciled.live(connection)
    if asked.as_file(request):
        return asked.file(rows, "parity")
    return page(request, "parity.html", rows=rows, live=live)


def _comparison(request: Request) -> Response:
    parity_id = int(request.path_params["parity"])
    reason, every = asked.text(request, "reason"), asked.text(request, "every") == "1"
    invoice, line = asked.text(request, "invoice"), asked.text(request, "line")
    after = (invoice, line) if invoice and line else None
    as_file = asked.as_file(request)
    note_reading(request, f"parity {parity_id}", reason=reason, every=every)
    with reading(request) as connection:
        found = reconciled.comparison(connection, parity_id)
        rows = reconciled.items(
            connection,
            parity_id,
            reason=reason,
            every=every,
            after=after,
            limit=None if as_file else _PAGE + 1,
        )
    if found is None:
        raise Misconfigured(f"there is no comparison {parity_id}", code="not_found")
    if as_file:
        return asked.file(rows, f"parity-{parity_id}")
    return page(
        request,
        "parity_run.html",
        found=found,
        rows=rows[:_PAGE],
        reason=reason,
        every=every,
        after=after,
        more=rows[_PAGE - 1] if len(rows) > _PAGE else None,
    )


def _line(request: Request) -> Response:
    parity_id = int(request.path_params["parity"])
    invoice, line = asked.text(request, "invoice") or "", asked.text(request, "line") or ""
    note_reading(request, f"parity {parity_id}", invoice=invoice, line=line)
    with reading(request) as connection:
        found = reconciled.item(connection, parity_id, invoice, line)
    if found is None:
        raise Misconfigured(f"comparison {parity_id} keeps no such line", code="not_found")
    won = found["won"] or {}
    shown = [(f.name, won[f.name]) for f in PARTS["price"].fields if won.get(f.name) is not None]
    return page(request, "parity_line.html", found=found, won=shown)


ROUTES = (
    Page("/reconciliation", _runs, nav="Reconciliation"),
    Page("/reconciliation/{run:int}", _run),
    Page("/parity", _comparisons, nav="Parity"),
    Page("/parity/{parity:int}", _comparison),
    Page("/parity/{parity:int}/line", _line),
)
