"""What follows from what a cursor misses: overlap, sweep, refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings.errors import Misconfigured
from mappings.reading import read_mapping
from mappings.spec import ErpMapping
from mappings.trust import overlap_minutes, sweep_schedule, unseen_deletions
from tests.sync.far_side import mapping, page_feed, write_mapping


def read(folder: Path, feed: dict[str, Any], **more: object) -> ErpMapping:
    """The mapping of an ERP that supplies customers like that."""
    write_mapping(folder, mapping("acme", {"customers": feed}, **more))
    return read_mapping(folder / "acme.yaml")


def delta(**more: Any) -> dict[str, Any]:
    """Customers as a delta without deletion markers."""
    return page_feed("customers", source={"cursor": "changed_at"}, mode="delta", **more)


@pytest.mark.parametrize(
    ("words", "cron", "minutes"),
    [
        ({}, None, 10),
        ({"misses": ["deletions"]}, "0 4 * * *", 10),
        ({"misses": ["null_stamps"]}, "0 4 * * *", 10),
        ({"misses": ["silent_changes"]}, "0 4 * * *", 10),
        ({"misses": ["late_commits"]}, "0 4 * * 0", 60),
        ({"misses": ["late_commits", "deletions"]}, "0 4 * * *", 60),
        ({"misses": ["deletions"], "sweep": "5 23 * * 6"}, "5 23 * * 6", 10),
        ({"misses": ["deletions"], "sweep": "never"}, None, 10),
        ({"sweep": "5 23 * * 6"}, "5 23 * * 6", 10),
        ({"misses": ["late_commits"], "overlap_minutes": 5}, "0 4 * * 0", 5),
    ],
)
def test_overlap_and_sweep_follow_from_what_is_missed(
    tmp_path: Path, words: dict[str, Any], cron: str | None, minutes: int
) -> None:
    erp = read(tmp_path, delta(**words))
    assert sweep_schedule(erp, "customers") == cron
    assert overlap_minutes(erp.feeds["customers"]) == minutes


def test_a_sweep_keeps_out_of_closed_hours_and_of_hours_that_the_clock_skips(
    tmp_path: Path,
) -> None:
    closed = ["03:30-05:30", "22:00-01:30"]
    erp = read(tmp_path, delta(misses=["deletions"]), windows=closed)
    assert sweep_schedule(erp, "customers") == "0 6 * * *"


def test_deletions_that_nobody_would_see_are_named(tmp_path: Path) -> None:
    assert unseen_deletions(read(tmp_path, delta()), "customers") == ("dealer",)
    assert unseen_deletions(read(tmp_path, delta(misses=["deletions"])), "customers") == ()
    never = delta(misses=["deletions"], sweep="never")
    assert unseen_deletions(read(tmp_path, never), "customers") == ("dealer",)
    assert unseen_deletions(read(tmp_path, delta(deleted="@removed")), "customers") == ()
    assert unseen_deletions(read(tmp_path, page_feed("customers")), "customers") == ()


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        (delta(misses=["deletion"]), "did you mean deletions?"),
        (delta(sweep="often"), "or write `never`"),
        (page_feed("customers", misses=["deletions"]), "a snapshot reads everything each time"),
        (page_feed("customers", sweep="5 5 * * *"), "a snapshot reads everything each time"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    tmp_path: Path, feed: dict[str, Any], says: str
) -> None:
    with pytest.raises(Misconfigured) as raised:
        read(tmp_path, feed)
    assert says in str(raised.value)
