"""Stretches of a stream: exactly these bytes, however the stream is cut."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats.stretches import Stretches


@given(
    text=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 80), max_size=12),
    block=st.integers(1, 40),
    buffer=st.integers(1, 20),
)
def test_stretches_are_the_slices_of_the_whole(
    text: bytes, cuts: list[int], block: int, buffer: int
) -> None:
    """Empty ones, touching ones, and such that lie behind the end."""
    cuts = sorted(cuts)[: len(cuts) // 2 * 2]
    starts, stops = (np.array(cuts[n::2], np.int64) for n in (0, 1))
    stream = io.BufferedReader(Stretches(io.BytesIO(text), starts, stops, block), buffer)
    pairs = zip(cuts[::2], cuts[1::2], strict=True)
    assert stream.read() == b"".join(text[start:stop] for start, stop in pairs)
