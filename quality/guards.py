"""What stops a whole batch: limits on plain numbers of a run.

A stopped batch is held with these reasons; nothing of it reaches the portal until someone releases
it. Must not read a database, a mapping file or a clock: numbers in, reasons out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from mappings.spec import GuardsOverride
from mappings.vocabulary import Guards
from portal_db.counts import Counts

GuardName = Literal["empty", "rejected_share", "fall_share", "changed_share", "suspect_share"]
"""A guard is called by the setting that moves its limit."""


@dataclass(frozen=True, slots=True)
class DeltaStats:
    """What the one diff of a run says about the rows of its main part, in its scope.

    `live_before`, `live_after`: live rows of the portal before and, if applied, after (rows kept
    for rejected keys are live). `prices_compared`: rows with a value before and after, changed or
    not; `prices_changed_much`: those that moved by more than the guard's `changed_by`.
    `suspects`: changed rows that fail a change check. `had_previous`: a batch of this scope was
    applied before. `complete`: a snapshot that proved its completeness. `had_records`: it held at
    least one record, good or bad.
    """

    live_before: int = 0
    live_after: int = 0
    prices_changed_much: int = 0
    prices_compared: int = 0
    suspects: int = 0
    changed_rows: int = 0
    had_previous: bool = False
    complete: bool = False
    had_records: bool = True


@dataclass(frozen=True, slots=True)
class Stop:
    """One guard that stopped the batch: in words, and measured against its limit."""

    guard: GuardName
    says: str
    measured: Decimal
    limit: Decimal


def with_overrides(guards: Guards, override: GuardsOverride) -> Guards:
    """The feed's guards with what the mapping says differently; ValueError outside 0 to 1."""
    said = override.model_dump(exclude_none=True)
    for name, value in said.items():
        if name.endswith("_least") and value < 0:
            raise ValueError(f"guard {name} must not be negative: {value}")
        if isinstance(value, Decimal) and not 0 <= value <= 1:
            raise ValueError(f"guard {name} is a share between 0 and 1, not {value}")
    return replace(guards, **said)


def stopped(
    guards: Guards,
    counts: Counts,
    delta: DeltaStats,
    *,
    what: str = "records",
    run: int | None = None,
    released: frozenset[str] = frozenset(),
) -> list[Stop]:
    """Every guard that stops this batch; an empty list lets it through.

    `counts` are those of the read root records. `what` is what the sentences call them, `run` the
    number to release. `released` names guards that an operator has overridden for this run.
    """
    release = f"`waybill release {run or 'RUN'} --reason …`"
    found = [
        _empty(guards, delta, what, release),
        _rejected(guards, counts, what, release),
        _fall(guards, delta, what, release),
        _changed(guards, delta, what, release),
        _suspects(guards, delta, what, release),
    ]
    return [stop for stop in found if stop is not None and stop.guard not in released]


def suspects_are_single(guards: Guards, delta: DeltaStats) -> bool:
    """True where suspects are too few to stop the batch: each is then quarantined by itself."""
    return delta.suspects > 0 and _suspects(guards, delta, "", "") is None


def _empty(guards: Guards, delta: DeltaStats, what: str, release: str) -> Stop | None:
    if guards.empty or not delta.complete or delta.had_records:
        return None
    return Stop(
        "empty",
        f"The extract is empty; the portal has {delta.live_before} live {what}. "
        f"Ask the ERP for a new extract, or delete them all with {release}.",
        Decimal(0),
        Decimal(1),
    )


def _rejected(guards: Guards, counts: Counts, what: str, release: str) -> Stop | None:
    bad, limit = counts.quarantined, guards.rejected_share
    if not _over(bad, counts.read, limit) or bad < guards.rejected_least:
        return None
    return Stop(
        "rejected_share",
        f"{bad} of {counts.read} {what} were rejected ({_pct(bad, counts.read)}; "
        f"limit {_limit(limit)}). Look at `waybill quarantine`; correct the mapping or the ERP and "
        f"replay, or load the good ones with {release}.",
        _share(bad, counts.read),
        limit,
    )


def _fall(guards: Guards, delta: DeltaStats, what: str, release: str) -> Stop | None:
    gone, limit = delta.live_before - delta.live_after, guards.fall_share
    comparable = delta.had_previous and delta.complete and delta.had_records
    if not comparable or not _over(gone, delta.live_before, limit):
        return None
    return Stop(
        "fall_share",
        f"The portal would fall from {delta.live_before} to {delta.live_after} live {what} "
        f"({_pct(gone, delta.live_before)} fewer; limit {_limit(limit)}). Ask the ERP whether the "
        f"extract is whole and pull again, or accept it with {release}.",
        _share(gone, delta.live_before),
        limit,
    )


def _changed(guards: Guards, delta: DeltaStats, what: str, release: str) -> Stop | None:
    moved, limit = delta.prices_changed_much, guards.changed_share
    if not delta.had_previous or not _over(moved, delta.prices_compared, limit):
        return None
    return Stop(
        "changed_share",
        f"{moved} of {delta.prices_compared} {what} moved by more than {_limit(guards.changed_by)} "
        f"({_pct(moved, delta.prices_compared)}; limit {_limit(limit)}). Compare some of them with "
        f"the ERP; if they are right, accept them with {release}.",
        _share(moved, delta.prices_compared),
        limit,
    )


def _suspects(guards: Guards, delta: DeltaStats, what: str, release: str) -> Stop | None:
    odd, limit = delta.suspects, guards.suspect_share
    if not _over(odd, delta.changed_rows, limit) or odd < guards.suspect_least:
        return None
    return Stop(
        "suspect_share",
        f"{odd} of {delta.changed_rows} changed {what} are exactly 10 or 100 times their old "
        f"value, or a tenth or hundredth ({_pct(odd, delta.changed_rows)}; limit {_limit(limit)}): "
        f"a decimal separator was probably misread. Correct the mapping's number step and replay, "
        f"or accept them with {release}.",
        _share(odd, delta.changed_rows),
        limit,
    )


def _over(part: int, whole: int, limit: Decimal) -> bool:
    """More than the limit's share, without dividing; nothing of nothing is not more."""
    return part > 0 and whole > 0 and Decimal(part) > limit * whole


def _share(part: int, whole: int) -> Decimal:
    return (Decimal(part) / whole).quantize(Decimal("1E-9"))


def _pct(part: int, whole: int) -> str:
    return f"{(Decimal(part) * 100 / whole).quantize(Decimal('0.01'), ROUND_HALF_UP)} %"


def _limit(limit: Decimal) -> str:
    return f"{(limit * 100).normalize():f} %"
