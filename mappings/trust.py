"""How far a delta's cursor can be trusted, and what makes up for the rest.

A mapping says in `misses` what its cursor does not see. From that follow the overlap of each pull
and the compensating sweep: a full read of the same feed, compared with the portal. Declares and
derives; must not schedule, pull or know Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.feeds import FEEDS
from mappings.plans import supplies
from mappings.schedule import cron_fault
from mappings.spec import ErpMapping, FeedMapping, Miss

NEVER = "never"
"""As `sweep`: no sweep, whatever is missed (an ERP that cannot be read as a whole)."""

_OVERLAP_MINUTES = 10
_LATE_OVERLAP_MINUTES = 60
_HOURS = (4, 5, 6, 1, 0, 22, 3, 2)
_MINUTES_APART = 5


@dataclass(frozen=True, slots=True)
class Missed:
    """One thing that a cursor can miss. `often`: how soon a sweep has to find it."""

    says: str
    often: Literal["nightly", "weekly"]


MISSES: dict[Miss, Missed] = {
    "null_stamps": Missed("records without a stamp: no delta ever brings them", "nightly"),
    "silent_changes": Missed("changes that do not move the record's stamp", "nightly"),
    "deletions": Missed("records that vanish without a marker", "nightly"),
    "late_commits": Missed("records committed long after their stamp was set", "weekly"),
}
"""Word of `misses` → what it means. Late ones are mostly caught by a longer overlap."""


def overlap_minutes(mapping: FeedMapping) -> int:
    """How far behind its cursor a delta starts again: the mapping's word, else what it misses."""
    if mapping.overlap_minutes is not None:
        return mapping.overlap_minutes
    return _LATE_OVERLAP_MINUTES if "late_commits" in mapping.misses else _OVERLAP_MINUTES


def sweep_schedule(erp: ErpMapping, feed_name: str) -> str | None:
    """Cron of a feed's sweep in the ERP's time zone; None where there is none.

    Nightly or weekly by what is missed, one feed after the other, outside the ERP's closed hours
    and the hours that the clock skips.
    """
    mapping = erp.feeds[feed_name]
    if mapping.mode != "delta" or mapping.sweep == NEVER:
        return None
    if mapping.sweep is not None:
        return mapping.sweep
    if not mapping.misses:
        return None
    nightly = any(MISSES[miss].often == "nightly" for miss in mapping.misses)
    minute = _MINUTES_APART * list(FEEDS).index(feed_name)
    candidates = [f"{minute} {hour} * * {'*' if nightly else '0'}" for hour in _HOURS]
    for hour, cron in zip(_HOURS, candidates, strict=True):
        closed = any(_inside(f"{hour:02}:{minute:02}", window) for window in erp.windows)
        if not closed and cron_fault(cron, erp.time_zone) is None:
            return cron
    return candidates[0]


def unseen_deletions(erp: ErpMapping, feed_name: str) -> tuple[str, ...]:
    """Root parts of a delta feed whose deletions neither a marker nor a sweep would show."""
    mapping = erp.feeds[feed_name]
    if mapping.mode != "delta" or sweep_schedule(erp, feed_name) is not None:
        return ()  # a sweep, whatever asked for it, compares everything
    feed = FEEDS[feed_name]
    return tuple(
        name
        for name, supply in supplies(feed, mapping).items()
        if feed.part(name).parent is None and supply.deleted is None
    )


def _inside(clock: str, window: str) -> bool:
    start, end = window.split("-")
    return start <= clock < end if start <= end else clock >= start or clock < end
