"""Whether a schedule, a window of hours or a time zone written in a mapping makes sense.

Judges texts; must not plan, wait or know Airflow.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)
_TOKEN = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?")
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")


def zone_fault(name: str) -> str | None:
    """Why `name` is no IANA time zone, or None."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return f"no such time zone: {name!r}"
    return None


def window_fault(text: str) -> str | None:
    """Why `text` is no window `HH:MM-HH:MM`, or None."""
    if not _WINDOW.fullmatch(text) or text[:5] == text[6:]:
        return f"must be two local times, as 02:00-02:30, not {text!r}"
    return None


def cron_fault(text: str, time_zone: str | None) -> str | None:
    """Why `text` is no schedule of five fields, or one that some night never comes; or None."""
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        return f"must have five fields (minute hour day month weekday), not {len(fields)}"
    hours: set[int] = set()
    for written, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        try:
            values = _values(written, low, high, names)
        except ValueError:
            return f"{name} {written!r} must be *, or numbers from {low} to {high}, as 5, 1-5, */15"
        if name == "hour" and "*" not in written:
            hours = values
    for hour, day in skipped_hours(time_zone).items() if time_zone else ():
        if hour in hours:
            return (
                f"{hour:02}:xx does not exist on {day} in {time_zone}, and in another night it may "
                "happen twice; choose another hour"
            )
    return None


@cache
def skipped_hours(time_zone: str) -> dict[int, str]:
    """Local hours that the clock jumps over → a day on which it does; empty without summer time."""
    zone = ZoneInfo(time_zone)
    found: dict[int, str] = {}
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for day in range(2 * 365):
        morning = start + timedelta(days=day)
        if _offset(morning + timedelta(days=1), zone) <= _offset(morning, zone):
            continue
        for hour in range(24):
            before, after = morning + timedelta(hours=hour), morning + timedelta(hours=hour + 1)
            jump = _offset(after, zone) - _offset(before, zone)
            if jump > timedelta():
                skipped = after.astimezone(zone).replace(tzinfo=None) - jump
                found.setdefault(skipped.hour, f"{skipped:%Y-%m-%d}")
    return found


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _values(written: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    values: set[int] = set()
    for token in written.split(","):
        found = _TOKEN.fullmatch(token)
        if found is None or (found[1] == "*" and found[2]):
            raise ValueError(token)
        first, last, step = found.groups()
        begin = low if first == "*" else _number(first, low, high, names)
        end = high if first == "*" or (step and not last) else begin
        if last:
            end = _number(last, low, high, names)
        if end < begin or step == "0":
            raise ValueError(token)
        values.update(range(begin, end + 1, int(step or 1)))
    return values


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    value = names.index(text) + (1 if low else 0) if text in names else int(text)
    if not low <= value <= high:
        raise ValueError(text)
    return value
