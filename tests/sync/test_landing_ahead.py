"""A landed page that is read ahead gives the same bytes, and what reading it raised."""

from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.landing_ahead import PIECE_BYTES, ReadAhead


@given(length=st.integers(0, 5 * PIECE_BYTES // 2), asked=st.integers(70_000, 2 * PIECE_BYTES))
def test_bytes_come_as_they_lie_there(length: int, asked: int) -> None:
    """Whatever is asked for at a time, and however much there is."""
    content = bytes(range(251)) * (length // 251 + 1)
    ahead = ReadAhead(io.BytesIO(content[:length]))
    found = b""
    while piece := ahead.read(asked):
        found += piece
    assert found == content[:length]
    ahead.stop()


class _Torn:
    """A source of one piece, and then of none."""

    def __init__(self) -> None:
        self._left = [b"x" * 10]

    def read(self, size: int, /) -> bytes:
        del size
        if not self._left:
            raise OSError("torn")
        return self._left.pop()


def test_what_reading_raised_comes_behind_the_bytes_before_it() -> None:
    """The reader sees what was read, then why there is no more."""
    ahead = ReadAhead(_Torn())
    assert ahead.read(10) == b"x" * 10
    with pytest.raises(OSError, match="torn"):
        ahead.read(10)
    ahead.stop()


def test_a_reader_that_stops_early_leaves_no_thread_behind() -> None:
    """Also while pieces wait that nobody will fetch."""
    source = io.BytesIO(b"x" * (20 * PIECE_BYTES))
    ahead = ReadAhead(source)
    assert len(ahead.read(3) or b"") == 3
    ahead.stop()
    assert source.tell() < 20 * PIECE_BYTES
    assert "landing-ahead" not in {thread.name for thread in threading.enumerate()}
