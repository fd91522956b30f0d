"""End markers: a file without one, one without a file, one older than its file; and when that is a
fault.

While `marker_minutes` are not over the export may still be at it, and the next schedule looks
again; after that a person has to ask. Must not touch the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sftp_entries import Entry
from connectors.sftp_order import natural
from mappings.errors import Misconfigured, NotNow, WaybillError

_CLOCK_SECONDS = 2
"""Markers and files written in the same moment may get times in either order."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What is wrong with a marker. `code` names the kind."""

    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Lateness:
    """How long an export may leave its marker and its file apart."""

    minutes: int
    now: float

    def error(self, lack: Lack, modified_at: int | None, remedy: str) -> WaybillError:
        """What to raise: NotNow while it may still be well, Misconfigured once it is late."""
        if modified_at is None or self.now - modified_at <= self.minutes * 60:
            return NotNow(lack.says, code=lack.code, remedy=remedy)
        return Misconfigured(
            f"{lack.says}, for more than {self.minutes} minutes",
            code=lack.code,
            remedy="Ask the ERP's owner what became of the export.",
        )


def marker_lack(marker: str, entry: Entry, by_name: dict[str, Entry]) -> Lack | None:
    """Why the file's marker does not say that it is whole; None where it does."""
    if not marker:
        return None
    found = by_name.get(entry.name + marker)
    if found is None:
        says = f"{entry.name} is there without its marker {entry.name}{marker}"
        return Lack("no_marker", says)
    times = (found.modified_at, entry.modified_at)
    if times[0] is not None and times[1] is not None and times[0] + _CLOCK_SECONDS < times[1]:
        says = f"{entry.name} was changed after its marker {found.name} was written"
        return Lack("stale_marker", says)
    return None


def refuse_lone_marker(
    marker: str, ordered: list[Entry], by_name: dict[str, Entry], late: Lateness
) -> None:
    """Raise where a marker behind the last file stands without its own (`marker_without_file`)."""
    last = natural(ordered[-1].name) if ordered else ()
    for name, entry in by_name.items():
        data = name.removesuffix(marker)
        if name.endswith(marker) and data not in by_name and natural(data) > last:
            lack = Lack("marker_without_file", f"the marker {name} is there, its file is not")
            raise late.error(
                lack,
                entry.modified_at,
                "Ask the ERP's owner whether the file was moved or never written.",
            )
