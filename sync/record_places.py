"""Where the records of a batch lie in their pages, on disk: a few are then found without the rest.

Of each page the place of every record's first byte, and one behind the last record's line. Part of
the index of records; must not know a format or a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

_PLACE = np.dtype("<i8")
_FAR = np.int64(1) << np.int64(62)
"""Behind the end of any page."""

Pages = tuple[tuple[int, int, int], ...]
"""(page, first record_no, records) of every page, in order."""


class PlacesWriter:
    """Takes the places of a new batch in, page by page."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._end = 0

    def add(self, starts: np.ndarray, ends: np.ndarray) -> None:
        """The next records of a page: their first bytes, and where their lines end."""
        if len(starts):
            starts.astype(_PLACE, copy=False).tofile(self._file)
            self._end = int(ends[-1]) + 1

    def end_page(self) -> None:
        """The page has no more records."""
        np.array([self._end], _PLACE).tofile(self._file)
        self._end = 0

    def close(self) -> None:
        """Everything is in the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one batch, in a file that `PlacesWriter` wrote."""

    path: Path
    pages: Pages

    @staticmethod
    def size(pages: Sequence[Sequence[int]]) -> int:
        """How many bytes the places of such pages take."""
        return (sum(records for _, _, records in pages) + len(pages)) * _PLACE.itemsize

    def stretches(self, page: int, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Starts and stops of what to read of a page for these records of it, ascending.

        What stands before its first record and behind its last one is read, too: header and
        trailer. Raises LookupError where the page holds no such record.
        """
        before, first, records = self._page(page)
        if not len(numbers) or numbers[0] < first or numbers[-1] >= first + records:
            message = f"page {page} holds no such record"
            raise LookupError(message)
        places = np.memmap(self.path, _PLACE, "r", before * _PLACE.itemsize, (records + 1,))
        chosen = numbers - first
        starts = np.concatenate([[0], places[chosen], places[-1:]])
        stops = np.concatenate([places[:1], places[chosen + 1], [_FAR]])
        return starts, stops

    def _page(self, page: int) -> tuple[int, int, int]:
        """(places of the pages before, first record_no, records)."""
        before = 0
        for name, first, records in self.pages:
            if name == page:
                return before, first, records
            before += records + 1
        message = f"no page {page}"
        raise LookupError(message)
