"""The places of a batch's records: kept on disk, asked page by page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sync.record_places import Places, PlacesWriter

PAGES = ((1, 1, 3), (2, 4, 0), (5, 4, 2))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Three pages: three records in two blocks, none, two."""
    path = tmp_path / "places"
    writer = PlacesWriter(path)
    writer.add(np.array([4, 9]), np.array([8, 13]))
    writer.add(np.array([15]), np.array([19]))
    writer.end_page()
    writer.end_page()
    writer.add(np.array([0, 7]), np.array([6, 12]))
    writer.end_page()
    writer.close()
    assert path.stat().st_size == Places.size(PAGES)
    return Places(path, PAGES)


@pytest.mark.parametrize(
    ("page", "numbers", "expected"),
    [
        (1, [2], [(0, 4), (9, 15), (20, 2**62)]),
        (1, [1, 3], [(0, 4), (4, 9), (15, 20), (20, 2**62)]),
        (5, [5], [(0, 0), (7, 13), (13, 2**62)]),
    ],
)
def test_a_record_reaches_to_the_next_one(
    places: Places, page: int, numbers: list[int], expected: list[tuple[int, int]]
) -> None:
    """Header and trailer are read with it."""
    starts, stops = places.stretches(page, np.array(numbers))
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == expected


@pytest.mark.parametrize(("page", "numbers"), [(1, [4]), (1, []), (2, [4]), (3, [1]), (5, [3])])
def test_what_a_page_does_not_hold_is_refused(
    places: Places, page: int, numbers: list[int]
) -> None:
    """A wrong number would read another record."""
    with pytest.raises(LookupError):
        places.stretches(page, np.array(numbers, np.int64))
