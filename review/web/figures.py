"""The page of business figures: each beside its baseline, by week, month and quarter.

Every look is on record. Must not work a figure out: `sync/figures.py` did.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal_db.figures import known
from review.web import asked
from review.web.database import note_reading, reading
from review.web.gate import Page
from review.web.render import page
from sync.figures import MEANINGS, SPANS

_MOST = 60
"""Spans that a chart shows."""

_SHARES = {"portal_share", "active_dealers", "error_rate", "error_rate_portal", "after_hours_share"}


def _figures(request: Request) -> Response:
    span = asked.text(request, "span")
    span = span if span in SPANS else "month"
    note_reading(request, "figures", span=span)
    with reading(request) as connection:
        rows = [one for one in known(connection) if one["span"] in {span, "baseline"}]
    if asked.as_file(request):
        return asked.file(rows, f"figures-{span}")
    return page(request, "figures.html", span=span, spans=SPANS, erps=_by_erp(rows))


def _by_erp(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per ERP and figure: the newest closed value, the baseline's, and the line of all spans."""
    found = []
    for erp in sorted({one["erp"] for one in rows}):
        shown = []
        for name, meaning in MEANINGS.items():
            mine = [one for one in rows if one["erp"] == erp and one["name"] == name]
            bases = sorted(
                (o for o in mine if o["span"] == "baseline"), key=lambda o: o["computed_at"]
            )
            spans = sorted(
                (o for o in mine if o["span"] != "baseline"), key=lambda o: o["starts_on"]
            )
            spans = spans[-_MOST:]
            percent = name in _SHARES
            closed = [one for one in spans if one["closed"]]
            shown.append(
                {
                    "name": name.replace("_", " "),
                    "meaning": meaning,
                    "unit": " %" if percent else "",
                    "labels": [one["starts_on"].isoformat() for one in spans],
                    "values": [_shown(one["value"], percent=percent) for one in spans],
                    "baseline": _shown(bases[-1]["value"], percent=percent) if bases else None,
                    "base": bases[-1] if bases else None,
                    "last": closed[-1] if closed else None,
                    "last_value": _shown(closed[-1]["value"], percent=percent) if closed else None,
                }
            )
        found.append({"erp": erp, "figures": shown})
    return found


def _shown(value: Decimal | None, *, percent: bool) -> float | None:
    """A value for the eye: percent with two digits."""
    if value is None:
        return None
    return round(float(value) * (100 if percent else 1), 2)


ROUTES = (Page("/figures", _figures, nav="Figures"),)
