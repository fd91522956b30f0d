"""Every mapped feed has a recorded sample, and reading, mapping and judging give what it says."""

from __future__ import annotations

import pytest

from mappings.feeds import FEEDS
from mappings.spec import ErpMapping
from sync.sources import readings
from tests.erps.samples import (
    EXPECTED,
    FOLDER,
    REJECTED,
    folder_of,
    mapped_feeds,
    pages_of,
    read_rows,
    run,
)

FEEDS_MAPPED = mapped_feeds()
IDS = [f"{mapping.erp}-{feed}" for mapping, feed in FEEDS_MAPPED]


@pytest.mark.parametrize(("mapping", "feed"), FEEDS_MAPPED, ids=IDS)
def test_the_sample_gives_what_it_says(mapping: ErpMapping, feed: str) -> None:
    folder = folder_of(mapping, feed)
    assert folder.is_dir(), "a mapped feed needs a sample: python -m tests.erps.record ERP FEED"
    for reading in readings(FEEDS[feed], mapping.feeds[feed]):
        assert pages_of(folder, reading), f"no page of {reading.part} in {folder}"
    sample = run(mapping, feed, folder)
    assert sample.rejected == read_rows(folder / REJECTED)
    assert sample.accepted == read_rows(folder / EXPECTED)


@pytest.mark.parametrize(("mapping", "feed"), FEEDS_MAPPED, ids=IDS)
def test_the_sample_shows_something(mapping: ErpMapping, feed: str) -> None:
    """A sample of nothing would agree with any mapping."""
    folder = folder_of(mapping, feed)
    accepted = read_rows(folder / EXPECTED)
    assert len({(part, record) for part, record, *_ in accepted}) >= 3
    assert read_rows(folder / REJECTED)


def test_no_sample_is_left_of_a_feed_that_is_not_mapped() -> None:
    there = {path.parent for path in FOLDER.glob(f"*/*/{EXPECTED}")}
    assert there == {folder_of(mapping, feed) for mapping, feed in FEEDS_MAPPED}
