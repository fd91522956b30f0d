"""Some stretches of a stream of bytes, one after the other, as a stream of its own.

What lies between them is passed over. Must not know what the bytes are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

_BLOCK_BYTES = 1024 * 1024


class Stretches(io.RawIOBase):
    """The bytes of `content` from each start up to its stop; starts ascend, nothing overlaps."""

    def __init__(
        self,
        content: BinaryIO,
        starts: np.ndarray,
        stops: np.ndarray,
        block_bytes: int = _BLOCK_BYTES,
    ) -> None:
        """A stop may lie behind the end of the content."""
        apart = starts[1:] != stops[:-1]  # what touches is one stretch
        self._starts = starts[np.concatenate([[True], apart])] if len(starts) else starts
        self._stops = stops[np.concatenate([apart, [True]])] if len(stops) else stops
        self._content = content
        self._block_bytes = block_bytes
        self._pieces = self._cut()
        self._waiting = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  Buffer has no name before 3.12
        """Fill the buffer, as far as there is something."""
        target = memoryview(buffer)
        while not self._waiting:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._waiting = piece
        piece, self._waiting = self._waiting[: len(target)], self._waiting[len(target) :]
        target[: len(piece)] = piece
        return len(piece)

    def _cut(self) -> Iterator[bytes]:
        at, first = 0, 0
        while first < len(self._starts) and (block := self._content.read(self._block_bytes)):
            end = at + len(block)
            last = int(np.searchsorted(self._starts, end))
            starts = np.maximum(self._starts[first:last], at) - at
            stops = np.minimum(self._stops[first:last], end) - at
            pairs = zip(starts.tolist(), stops.tolist(), strict=True)
            yield b"".join([block[start:stop] for start, stop in pairs])
            # a stretch that the block cuts goes on in the next one
            first = last - 1 if last > first and self._stops[last - 1] > end else last
            at = end
