"""What must hold for a batch as a whole, declared as data: bounds on statistics of one run.

A failed batch check is a finding in the run's record; what stops a batch is a guard
(`quality/guards.py`). Must not compute the portal's figures: the engine brings them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mappings.vocabulary import RowCheck
from portal_db.counts import Counts
from quality.guards import DeltaStats

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """A statistic lies within `low` and `high`, inclusive; either may be None."""

    id: str
    statistic: str
    says: str
    low: Decimal | None = None
    high: Decimal | None = None

    def as_row_check(self) -> RowCheck:
        """The same on a table of one row, with one column per statistic."""
        return RowCheck(self.id, "between", self.statistic, self.says, low=self.low, high=self.high)


EVERY_FEED: tuple[BatchCheck, ...] = (
    BatchCheck(
        "ledger_adds_up", "ledger_gap", "every record read has exactly one outcome", _ZERO, _ZERO
    ),
    BatchCheck(
        "declared_count_met",
        "declared_gap",
        "the ERP's declared count is what was read",
        _ZERO,
        _ZERO,
    ),
    BatchCheck(
        "snapshot_not_empty", "snapshot_read", "a complete extract holds records", Decimal(1)
    ),
    BatchCheck(
        "few_rejected",
        "rejected_share",
        "at most 1 % of the records were rejected",
        high=Decimal("0.01"),
    ),
    BatchCheck(
        "few_deferred",
        "deferred_share",
        "at most 1 % of the records wait for a parent",
        high=Decimal("0.01"),
    ),
    BatchCheck(
        "few_superseded",
        "superseded_share",
        "at most 10 % of the records were overtaken by another of their key",
        high=Decimal("0.1"),
    ),
    BatchCheck(
        "deletes_in_bounds",
        "deleted_share",
        "at most 10 % of the live rows disappeared",
        high=Decimal("0.1"),
    ),
)
"""Judged on every run; the statistics come from `statistics`."""

OF_FEED: dict[str, tuple[BatchCheck, ...]] = {
    "prices": (
        BatchCheck(
            "products_priced",
            "unpriced_share",
            "at most 20 % of the live products have no price at all",
            high=Decimal("0.2"),
        ),
        BatchCheck(
            "prices_steady",
            "moved_share",
            "at most 10 % of the prices moved by more than the guard's share",
            high=Decimal("0.1"),
        ),
        BatchCheck(
            "no_separator_suspects", "suspects", "no price jumped by exactly 10 or 100", high=_ZERO
        ),
    ),
    "stock": (
        BatchCheck(
            "stock_known",
            "unstocked_share",
            "at most 50 % of the live products have no stock row",
            high=Decimal("0.5"),
        ),
    ),
    "credit": (
        BatchCheck(
            "credit_known",
            "uncredited_share",
            "at most 20 % of the paying accounts have no credit row",
            high=Decimal("0.2"),
        ),
    ),
    "invoices": (
        BatchCheck(
            "documents_present",
            "undocumented_share",
            "at most 20 % of the invoices have no document",
            high=Decimal("0.2"),
        ),
    ),
}
"""Feed name → what else is judged. Their statistics need the portal's tables: the engine's work."""


def checks_of(feed: str) -> tuple[BatchCheck, ...]:
    """All batch checks of a feed."""
    return (*EVERY_FEED, *OF_FEED.get(feed, ()))


def statistics(
    counts: Counts,
    delta: DeltaStats,
    declared: int | None,
    portal: dict[str, Decimal | int | None] | None = None,
) -> dict[str, Decimal | int | None]:
    """Every statistic that a check names; None where there is nothing to measure.

    `declared`: the ERP's own count, None where it gave none. `portal`: those of `OF_FEED` that the
    engine measured; one that it did not is None, so its check is not evaluated.
    """
    snapshot_of = delta.live_before if delta.had_previous else None
    values: dict[str, Decimal | int | None] = {
        check.statistic: None for checks in OF_FEED.values() for check in checks
    }
    values |= {
        "ledger_gap": counts.read - counts.accounted,
        "declared_gap": None if declared is None else declared - counts.read,
        "snapshot_read": counts.read if delta.complete else None,
        "rejected_share": share(counts.quarantined, counts.read),
        "deferred_share": share(counts.deferred, counts.read),
        "superseded_share": share(counts.superseded, counts.read),
        "deleted_share": None if snapshot_of is None else share(counts.deleted, snapshot_of),
        "moved_share": share(delta.prices_changed_much, delta.prices_compared),
        "suspects": delta.suspects if delta.had_previous else None,
    }
    return values | (portal or {})


def share(part: int, whole: int) -> Decimal | None:
    """`part` of `whole`, exact to nine places; None of nothing."""
    return None if whole == 0 else (Decimal(part) / whole).quantize(Decimal("1E-9"))
