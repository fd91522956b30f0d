"""Cursors as text: one per source of a feed, kept together as a JSON object.

The ERP's own text is never rounded or reformatted, only moved back by the overlap where its
form is known. No clock of ours is compared with the ERP's: what is stored is a text that it sent.
Must not read a clock.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$")
_COMPACT = ((re.compile(r"^\d{8}$"), "%Y%m%d"), (re.compile(r"^\d{14}$"), "%Y%m%d%H%M%S"))
_NUMBER = re.compile(r"^\d+(\.\d+)?$")
_TICKS = re.compile(
    r"^/Date\((-?\d{1,14})([+-]\d{1,4})?\)/$"
)  # OData 2: milliseconds since 1970, UTC
_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def split_cursors(text: str | None) -> dict[str, str]:
    """Part → cursor text."""
    return {} if text is None else dict(json.loads(text))


def join_cursors(cursors: dict[str, str]) -> str | None:
    """The stored form; None where no source has a cursor."""
    return json.dumps(cursors, sort_keys=True) if cursors else None


def later(old: str, new: str) -> str:
    """Which of two cursors of one source is further on: the overlap must not move it back.

    Instants and numbers are compared as what they are; of two texts of another form the new one.
    """
    before, after = _place(old), _place(new)
    if before is not None and after is not None and before[0] == after[0]:
        return old if before > after else new
    return new


def _place(text: str) -> tuple[str, Decimal, Decimal] | None:
    if _NUMBER.match(text):
        return "number", Decimal(text), Decimal(0)
    ticks = _TICKS.match(text)
    if ticks:
        return "instant", Decimal(int(ticks.group(1)) // 1000), Decimal(ticks.group(1)) % 1000
    if not (_ISO.match(text) or _ISO_DATE.match(text)):
        return None
    fraction = re.search(r"\.(\d+)", text)
    moment = datetime.fromisoformat(text.replace(fraction.group(), "", 1) if fraction else text)
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    part = Decimal(f"0.{fraction.group(1)}") if fraction else Decimal(0)
    return "instant", Decimal(round(since.total_seconds())), part


def earlier(text: str, back: timedelta, time_zone: str = "UTC") -> str:
    """The cursor moved back, in its own form; unknown forms stay as they are.

    Fractions of a second are dropped: the start only moves further back by that. A text without
    an offset may be `time_zone`'s local time: where the clock was put back or forward meanwhile,
    the start moves back by that hour as well, so that no record's label lies before it.
    """
    if _ISO.match(text):
        head = re.sub(r"\.\d+", "", text)
        zone = re.search(r"(Z|[+-]\d{2}:?\d{2})$", head)
        plain = head[: zone.start()] if zone else head
        seconds = ":%S" if plain.count(":") == 2 else ""  # noqa: PLR2004  hours, minutes, seconds
        form = f"%Y-%m-%d{text[10]}%H:%M{seconds}"
        moment = datetime.strptime(plain, form)  # noqa: DTZ007  the zone's text is kept as it is
        moved = moment - back if zone else _label_before(moment, back, time_zone)
        return moved.strftime(form) + (zone.group() if zone else "")
    ticks = _TICKS.match(text)
    if ticks:
        moved_ms = int(ticks.group(1)) - round(back.total_seconds() * 1000)
        return f"/Date({moved_ms}{ticks.group(2) or ''})/"
    if _ISO_DATE.match(text):
        return (datetime.strptime(text, "%Y-%m-%d") - back).strftime("%Y-%m-%d")  # noqa: DTZ007  a day, or the ERP's own clock
    for pattern, form in _COMPACT:
        if pattern.match(text):
            moment = datetime.strptime(text, form)  # noqa: DTZ007  a day, or the ERP's own clock
            return _label_before(moment, back, time_zone).strftime(form)
    return text


def _label_before(label: datetime, back: timedelta, time_zone: str) -> datetime:
    """The smallest local label that a record can bear from `back` before `label` on."""
    zone = ZoneInfo(time_zone)
    instant = label.replace(tzinfo=zone, fold=0).astimezone(UTC) - back
    there = instant.astimezone(zone)
    once, twice = there.replace(fold=0).utcoffset(), there.replace(fold=1).utcoffset()
    repeated = (once or timedelta()) - (twice or timedelta())
    local = there.replace(tzinfo=None, fold=0) - max(repeated, timedelta())
    return min(local, label - back)
