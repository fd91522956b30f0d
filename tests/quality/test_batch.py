"""Batch checks: what is measured, what is not evaluated, and their bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mappings.feeds import FEEDS
from quality.batch import OF_FEED, checks_of, share, statistics
from quality.expectations import evaluate_batch
from quality.guards import Counts, DeltaStats

D = Decimal
pytestmark = pytest.mark.filterwarnings(
    "ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"  # of an import
)


def outcomes(feed: str, values: dict[str, Decimal | int | None]) -> dict[str, bool | None]:
    results = evaluate_batch(checks_of(feed), values)
    assert {result.population for result in results} == {"batch"}
    return {result.check_id: result.success for result in results}


def test_every_statistic_is_worked_out_for_every_feed() -> None:
    known = statistics(Counts(), DeltaStats(), None)
    assert set(OF_FEED) <= set(FEEDS)
    for feed in FEEDS:
        assert {check.statistic for check in checks_of(feed)} <= set(known)
        assert len({check.id for check in checks_of(feed)}) == len(checks_of(feed))


def test_a_good_night() -> None:
    counts = Counts(read=1000, inserted=5, updated=5, unchanged=980, quarantined=10, deleted=3)
    delta = DeltaStats(
        live_before=1000, live_after=1002, prices_compared=990, had_previous=True, complete=True
    )
    found = outcomes("prices", statistics(counts, delta, 1000, {"unpriced_share": D("0.2")}))
    assert set(found.values()) == {True}


def test_a_bad_night() -> None:
    counts = Counts(
        read=1000, unchanged=700, superseded=101, quarantined=11, deferred=11, deleted=101
    )
    delta = DeltaStats(
        live_before=1000,
        live_after=899,
        prices_changed_much=101,
        prices_compared=1000,
        suspects=1,
        had_previous=True,
        complete=True,
    )
    found = outcomes(
        "prices", statistics(counts, delta, 1001, {"unpriced_share": D("0.200000001")})
    )
    assert found.pop("snapshot_not_empty") is True
    assert set(found.values()) == {False}


def test_what_was_not_measured_is_not_success() -> None:
    found = outcomes("prices", statistics(Counts(), DeltaStats(), None))
    assert found.pop("ledger_adds_up") is True
    assert set(found.values()) == {None}


def test_an_empty_snapshot_fails() -> None:
    found = outcomes("stock", statistics(Counts(), DeltaStats(complete=True), 0))
    assert found["snapshot_not_empty"] is False
    assert found["declared_count_met"] is True


def test_a_statistic_that_nobody_worked_out() -> None:
    with pytest.raises(KeyError):
        evaluate_batch(checks_of("stock"), {})


def test_share() -> None:
    assert share(1, 3) == D("0.333333333")
    assert share(0, 0) is None
