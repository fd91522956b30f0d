"""The digests of a batch's records, cut into ranges and sorted, in bounded memory.

Must not know a format, or what the digests are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xxhash

RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("no", "<u4")])
"""One record: xxh3-128 of its bytes as two halves, and its number in the batch, from 1."""

_RANGE_BYTES = 64 * 1024 * 1024
FLUSH_RECORDS = 250_000


def ranges_for(total_bytes: int) -> int:
    """Into how many ranges a batch of so many bytes is cut: a power of two."""
    return 1 << max(0, (max(total_bytes, 1) - 1) // _RANGE_BYTES).bit_length()


class Gathered:
    """The digests of a new batch, thrown into ranges by a thread; on disk where they are many."""

    def __init__(self, folder: Path, ranges: int) -> None:
        self._folder = folder
        self.ranges = ranges
        self.records = 0
        self._waiting: list[bytes] = []
        self._count = 0
        self._sorted: list[list[np.ndarray]] = [[] for _ in range(ranges)]
        self._sorter = ThreadPoolExecutor(1, "record-index")
        self._sorting: Future[None] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, lines: list[bytes]) -> None:
        """Take in the next records."""
        self._waiting.append(b"".join(map(xxhash.xxh3_128_digest, lines)))
        self._count += len(lines)
        if self._count >= FLUSH_RECORDS:
            self._flush()

    def sorted_ranges(self) -> Iterator[np.ndarray]:
        """Each range in order of digest (equal ones in order of number), lowest range first."""
        self._flush()
        self._wait()
        self._sorter.shutdown()
        for number in range(self.ranges):
            pieces, self._sorted[number] = self._sorted[number], []
            path = self._path(number)
            if path.exists():
                pieces.insert(0, np.fromfile(path, RECORD))
                path.unlink()
            yield _in_order(np.concatenate(pieces) if pieces else np.empty(0, RECORD))

    def _flush(self) -> None:
        """Let the thread sort what waits; one such piece is on its way at a time."""
        self._wait()
        if self._count:
            first = self.records + 1
            self._sorting = self._sorter.submit(self._sort, b"".join(self._waiting), first)
            self.records += self._count
        self._waiting, self._count = [], 0

    def _wait(self) -> None:
        if self._sorting is not None:
            self._sorting.result()
            self._sorting = None

    def _sort(self, raw: bytes, first: int) -> None:
        halves = np.frombuffer(raw, "<u8").reshape(-1, 2)
        high = np.ascontiguousarray(halves[:, 0])
        order = np.argsort(high)
        found = np.empty(len(order), RECORD)
        found["high"], found["low"] = high[order], halves[order, 1]
        found["no"] = order + first
        if self.ranges == 1:
            self._sorted[0].append(found)
            return
        step = 2**64 // self.ranges
        limits = np.arange(1, self.ranges, dtype=np.uint64) * np.uint64(step)
        for number, piece in enumerate(np.split(found, np.searchsorted(high[order], limits))):
            with self._path(number).open("ab") as file:
                file.write(piece.tobytes())

    def _path(self, number: int) -> Path:
        return self._folder / f"range_{number:04}"


def _in_order(found: np.ndarray) -> np.ndarray:
    order = np.argsort(np.ascontiguousarray(found["high"]))
    found = found[order]
    same = found["high"][1:] == found["high"][:-1]
    if same.any():  # equal digests in the order in which their records came
        found = found[np.lexsort((found["no"], found["low"], found["high"]))]
    return found
