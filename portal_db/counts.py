"""The ledger of one part of one run: what became of every record that came in.

Plain numbers; the database holds the same law as a constraint. Must not count anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records of one part in one run, in records.

    The ledger's law: `read` is the sum of the other six but `deleted`, which stands beside it
    (tombstones and keys that vanished from a complete snapshot). ValueError for a negative count.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    quarantined: int = 0
    deferred: int = 0
    deleted: int = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 0:
                message = f"{one.name} is negative: {getattr(self, one.name)}"
                raise ValueError(message)

    def __add__(self, other: Counts) -> Counts:
        """The counts of both, part by part or page by page."""
        return Counts(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    @property
    def accounted(self) -> int:
        """Records that have an outcome."""
        return (
            self.inserted
            + self.updated
            + self.unchanged
            + self.superseded
            + self.quarantined
            + self.deferred
        )

    def adds_up(self) -> bool:
        """Whether every record that was read has exactly one outcome."""
        return self.read == self.accounted
