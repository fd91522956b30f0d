"""What an address asks for, as values: numbers, days, texts; and rows as a file to keep.

What cannot be read counts as not given. Must not query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from review import spreadsheet
from review.veil import Veil
from review.web.desk import desk_of
from review.web.gate import user_of
from sync.people import Columns

PERIODS = (30, 90, 400)
"""Days that a page of rates may show."""

_LARGEST = 2**62


def text(request: Request, name: str) -> str | None:
    """A text, None where it is empty."""
    return request.query_params.get(name, "").strip() or None


def whole(request: Request, name: str) -> int | None:
    """A positive whole number."""
    given = request.query_params.get(name, "")
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else None  # noqa: PLR2004 - digits of a bigint
    return number if number is not None and number <= _LARGEST else None


def instant(request: Request, name: str) -> datetime | None:
    """The beginning of a day, UTC."""
    given = day(request.query_params.get(name, ""))
    return None if given is None else datetime(given.year, given.month, given.day, tzinfo=UTC)


def day(given: str) -> date | None:
    """A day as the browser's own field sends it."""
    try:
        return date.fromisoformat(given.strip())
    except ValueError:
        return None


def period(request: Request) -> tuple[int, date]:
    """How many days a page of rates shows, and the first of them (UTC)."""
    asked = whole(request, "days")
    days = asked if asked in PERIODS else PERIODS[0]
    return days, datetime.now(UTC).date() - timedelta(days=days - 1)


def as_file(request: Request) -> bool:
    """Is the page asked for as a CSV?"""
    return request.query_params.get("as") == "csv"


def file(rows: Iterable[Mapping[str, object]], name: str) -> Response:
    """Rows as a CSV to keep; no cell of it begins a formula."""
    return StreamingResponse(
        spreadsheet.table(rows),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def veil(request: Request) -> Veil:
    """What this reader may see of personal values."""
    return Veil(desk_of(request).settings, clear=user_of(request).operates)


def columns(request: Request, erp: str, feed: str, part: str) -> Columns:
    """Which of an ERP's columns speak about people, as its mapping stands now."""
    mapping = desk_of(request).context().mappings.mappings.get(erp)
    return Columns.of(mapping, feed, part)
