"""Gathering small chunks: nothing lost, nothing reordered, a root stays with its children."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats.gathering import gathered
from connectors.formats.raw import Declared, RawChunk


def chunk(part: str, page: int, numbers: list[int], roots: list[int] | None) -> RawChunk:
    columns = pa.table({"A": pa.array([f"{part}{n}" for n in numbers], pa.string())})
    root_no = None if roots is None else pa.array(roots, pa.int64())
    return RawChunk(part, page, columns, pa.array(numbers, pa.int64()), root_no)


def numbers(chunks: list[RawChunk], part: str, of: str) -> list[int]:
    arrays = [getattr(one, of) for one in chunks if one.part == part]
    return [number for array in arrays if array is not None for number in array.to_pylist()]


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 9))
def test_the_same_records_in_fewer_chunks(children: list[int], rows: int) -> None:
    came: list[RawChunk] = []
    line = 0
    for root, many in enumerate(children, start=1):
        came.append(chunk("invoice", root, [root], None))
        if many:
            lines = list(range(line + 1, line + many + 1))
            came.append(chunk("line", root, lines, [root] * many))
            line += many
    gone = [one for one in gathered(iter(came), rows) if isinstance(one, RawChunk)]
    assert len(gone) <= len(came)
    for part in ("invoice", "line"):
        for of in ("record_no", "root_no"):
            assert numbers(came, part, of) == numbers(gone, part, of)
        texts = [t for c in gone if c.part == part for t in c.columns["A"].to_pylist()]
        assert texts == [t for c in came if c.part == part for t in c.columns["A"].to_pylist()]
    roots: set[int] = set()
    for one in gone:
        if one.root_no is None:
            roots |= set(one.record_no.to_pylist())
        else:
            assert set(one.root_no.to_pylist()) <= roots


def test_what_is_no_chunk_goes_through() -> None:
    declared = Declared("price", 1, 2)
    assert list(gathered([declared])) == [declared]
