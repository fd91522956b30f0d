"""The desk's first page: how much of each kind needs a person. Must not change anything."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from review.web.database import reading
from review.web.gate import Page
from review.web.render import page

_COUNTS = (
    "SELECT (SELECT count(*) FROM sync.quarantine WHERE state = 'open'), "
    "(SELECT count(*) FROM sync.batch WHERE state = 'held'), "
    "(SELECT count(*) FROM sync.outbox WHERE state IN ('dead', 'uncertain')), "
    "(SELECT count(*) FROM sync.circuit WHERE state <> 'closed')"
)


def _home(request: Request) -> Response:
    with reading(request) as connection:
        row = connection.execute(_COUNTS).fetchone() or (0, 0, 0, 0)
    names = ("quarantined records", "held batches", "dead or uncertain messages", "paused lanes")
    return page(request, "home.html", counts=list(zip(names, row, strict=True)))


ROUTES = (Page("/", _home, nav="Desk"),)
