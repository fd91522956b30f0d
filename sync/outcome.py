"""What a run of a batch is asked to do, and how it ended. Plain data; must not do anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from portal_db.counts import Counts
from sync.intake import Only

Kind = Literal["load", "retry", "replay", "release"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended. `parts` and `counts` obey the ledger's law."""

    run_id: int
    batch_id: int
    erp: str
    feed: str
    state: Literal["done", "held"]
    parts: dict[str, Counts]
    stops: list[dict[str, Any]]
    seconds: float
    as_of: datetime | None
    same_bytes: bool = False

    @property
    def counts(self) -> Counts:
        """The run's ledger: the sum over its parts."""
        return sum(self.parts.values(), Counts())


@dataclass(slots=True)
class Order:
    """What kind of run this is and what it may do; the defaults are a first load of a batch."""

    kind: Kind = "load"
    only: Only | None = None
    overrides: frozenset[str] = frozenset()
    expected_delta: str | None = None
    reason: str | None = None
    actor: str | None = None
    replaces_newer: bool = False
    """A replay of everything since a batch: later rows are reloaded, so nothing is overtaken."""
    everything: bool = False
    """Compare every record with the portal: rows that somebody else changed are repaired."""
    timings: dict[str, float] = field(default_factory=dict)
