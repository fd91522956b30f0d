"""How long each class of data is kept, and what goes when its time is over. Declares only.

What is deleted leaves a line in the audit with counts and hashes (`sync/retention.py`). What an
open item or the last good batch needs stays, whatever its age. Must not read the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.errors import Misconfigured

SHORTEST_DAYS = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """One class: its default in days, what it holds, what stays of it."""

    name: str
    days: int
    holds: str
    stays: str


CLASSES: tuple[Kept, ...] = (
    Kept(
        "evidence",
        400,
        "the bytes that the ERPs sent",
        "batch, pages and their SHA-256; a feed's mapping may say another `keep`",
    ),
    Kept(
        "quarantine",
        400,
        "raw values of records that were let in, discarded or overtaken, after that",
        "the item with its reasons, dates, who and why",
    ),
    Kept("failures", 400, "values of rows that failed a check", "the check's result and total"),
    Kept("changes", 800, "what each run changed, before and after", "the run and its counts"),
    Kept(
        "messages",
        800,
        "what delivered and cancelled messages said, and the answers",
        "the message with reference, state, tries and times",
    ),
    Kept("decisions", 3650, "credit decisions with their figures", "nothing but the audit's line"),
    Kept("documents", 3650, "PDFs that no row of the portal names any more", "their SHA-256"),
    Kept(
        "people",
        90,
        "contacts and addresses of dealers, after the ERP deleted them",
        "nothing but the audit's line",
    ),
)
"""In the order in which they are looked at."""

NAMES = tuple(one.name for one in CLASSES)


def keep_days(overrides: Mapping[str, str]) -> dict[str, int]:
    """Class → days, the defaults with an installation's own on top.

    Raises Misconfigured for an unknown class or a number that is none.
    """
    found = {one.name: one.days for one in CLASSES}
    for name, text in overrides.items():
        if name not in found:
            raise Misconfigured(
                f"WAYBILL_KEEP names {name!r}, which is no class of data",
                remedy=f"Classes: {', '.join(NAMES)}.",
            )
        if not text.isascii() or not text.isdigit() or int(text) < SHORTEST_DAYS:
            raise Misconfigured(
                f"WAYBILL_KEEP says {name}={text}, which is no number of days",
                remedy="Write it as `evidence=400 people=90`.",
            )
        found[name] = int(text)
    return found
