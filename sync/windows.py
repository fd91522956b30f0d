"""The hours in which an ERP does not serve: `02:00-02:30`, local time, maybe over midnight.

Must not read a clock: the caller says what time it is.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


def closed_until(windows: tuple[str, ...], time_zone: str, at: datetime) -> datetime | None:
    """The local end of the window that holds `at`, or None where the ERP serves."""
    local = at.astimezone(ZoneInfo(time_zone))
    for window in windows:
        start_text, end_text = window.split("-")
        start, end = time.fromisoformat(start_text.strip()), time.fromisoformat(end_text.strip())
        clock = local.time().replace(tzinfo=None)
        inside = start <= clock < end if start <= end else clock >= start or clock < end
        if inside:
            until = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
            return until if until > local else until + timedelta(days=1)
    return None
