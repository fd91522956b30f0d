"""Every guard at its edge, and the ledger."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.spec import GuardsOverride
from mappings.vocabulary import Guards
from quality.guards import Counts, DeltaStats, stopped, suspects_are_single, with_overrides

D = Decimal
GUARDS = Guards()
SECOND = DeltaStats(live_before=1000, live_after=1000, had_previous=True, complete=True)


def names(counts: Counts, delta: DeltaStats, guards: Guards = GUARDS) -> list[str]:
    return [stop.guard for stop in stopped(guards, counts, delta)]


def read(bad: int, of: int, deferred: int = 0) -> Counts:
    return Counts(read=of, unchanged=of - bad - deferred, quarantined=bad, deferred=deferred)


@pytest.mark.parametrize(
    ("counts", "stops"),
    [
        (read(50, 1000), False),  # 5 % is not more than 5 %
        (read(51, 1000), True),
        (read(9, 10), False),  # fewer than 10
        (read(10, 10), True),
        (read(0, 1000, deferred=900), False),
        (read(0, 0), False),
    ],
)
def test_too_many_rejections(counts: Counts, *, stops: bool) -> None:
    assert names(counts, SECOND) == (["rejected_share"] if stops else [])
    assert names(counts, DeltaStats()) == (["rejected_share"] if stops else [])


@pytest.mark.parametrize(("after", "stops"), [(800, False), (799, True), (1200, False), (0, True)])
def test_fall_of_a_complete_snapshot(after: int, *, stops: bool) -> None:
    fell = replace(SECOND, live_after=after)
    assert names(Counts(), fell) == (["fall_share"] if stops else [])
    assert names(Counts(), replace(fell, complete=False)) == []
    assert names(Counts(), replace(fell, had_previous=False)) == []


@pytest.mark.parametrize(("moved", "stops"), [(300, False), (301, True), (0, False)])
def test_many_prices_moved(moved: int, *, stops: bool) -> None:
    delta = replace(SECOND, prices_changed_much=moved, prices_compared=1000)
    assert names(Counts(), delta) == (["changed_share"] if stops else [])
    assert names(Counts(), replace(delta, had_previous=False)) == []
    assert names(Counts(), replace(delta, prices_compared=0)) == []


@pytest.mark.parametrize(
    ("odd", "changed", "stops"),
    [
        (20, 4000, False),  # 0.5 % is not more than 0.5 %
        (20, 3999, True),
        (19, 19, False),  # fewer than 20: each by itself
        (21, 4000, True),
        (0, 10, False),
    ],
)
def test_separator_suspects(odd: int, changed: int, *, stops: bool) -> None:
    delta = replace(SECOND, suspects=odd, changed_rows=changed)
    assert names(Counts(), delta) == (["suspect_share"] if stops else [])
    assert suspects_are_single(GUARDS, delta) == (odd > 0 and not stops)


def test_an_empty_extract() -> None:
    nothing = replace(SECOND, live_after=0, had_records=False)
    assert names(Counts(), nothing) == ["empty"]
    assert names(Counts(), replace(nothing, had_previous=False)) == ["empty"]
    assert names(Counts(), replace(nothing, complete=False)) == []
    assert names(Counts(), nothing, replace(GUARDS, empty=True)) == []


def test_a_stop_says_what_was_measured_and_what_to_do() -> None:
    [stop] = stopped(GUARDS, Counts(), replace(SECOND, live_after=700), what="prices", run=41)
    assert stop.says == (
        "The portal would fall from 1000 to 700 live prices (30.00 % fewer; limit 20 %). "
        "Ask the ERP whether the extract is whole and pull again, or accept it with "
        "`waybill release 41 --reason …`."
    )
    assert (stop.measured, stop.limit) == (D("0.3"), D("0.20"))
    everything = replace(
        SECOND, live_after=1, prices_changed_much=9, prices_compared=9, suspects=99, changed_rows=99
    )
    stops = stopped(GUARDS, read(99, 99), everything)
    assert len(stops) == 4
    for one in stops:
        assert "`waybill release RUN --reason …`" in one.says
        assert one.measured > one.limit


def test_released_guards_do_not_stop_again() -> None:
    delta = replace(SECOND, live_after=1)
    both = [s.guard for s in stopped(GUARDS, read(99, 99), delta)]
    assert both == ["rejected_share", "fall_share"]
    left = stopped(GUARDS, read(99, 99), delta, released=frozenset({"fall_share"}))
    assert [s.guard for s in left] == ["rejected_share"]


def test_a_mapping_overrides_single_guards() -> None:
    override = GuardsOverride(fall_share=D("0.5"), suspect_least=0, empty=True)
    assert with_overrides(GUARDS, override) == replace(
        GUARDS, fall_share=D("0.5"), suspect_least=0, empty=True
    )
    assert with_overrides(GUARDS, GuardsOverride()) == GUARDS
    with pytest.raises(ValueError, match="between 0 and 1, not 20"):
        with_overrides(GUARDS, GuardsOverride(fall_share=D(20)))
    with pytest.raises(ValueError, match="must not be negative"):
        with_overrides(GUARDS, GuardsOverride(rejected_least=-1))


_COUNTS = st.builds(lambda *n: Counts(sum(n[:6]), *n), *[st.integers(0, 10**9) for _ in range(7)])


@given(_COUNTS, _COUNTS)
def test_the_ledger_keeps_its_law_when_added(one: Counts, other: Counts) -> None:
    assert one.adds_up()
    assert (one + other).adds_up()
    assert one + other == other + one
    assert (one + other).deleted == one.deleted + other.deleted
    assert not replace(one, read=one.read + 1).adds_up()


def test_deletes_stand_beside_the_ledger() -> None:
    assert Counts(read=1, updated=1, deleted=5).adds_up()
    with pytest.raises(ValueError, match="deferred is negative"):
        Counts(deferred=-1)
