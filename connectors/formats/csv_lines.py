"""The records of a CSV page as lines of bytes, for telling known records from new ones.

A line is cut out and never understood: no decoding, no parsing. Where lines and records may not be
the same (quotes that can hold line breaks, another line end, a NUL) `NotLineByLine` is raised, and
the page must be read the long way, which also finds the exact words for what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from connectors.formats.csv_records import RECORD_BYTES, Grammar
from connectors.formats.csv_text import is_ascii_compatible
from connectors.formats.raw import ReadPlan
from mappings.sources.sftp import CsvFormat, SftpSource

BLOCK_BYTES = 1024 * 1024
"""What is cut at a time: small enough for the lines to stay in the processor's cache."""


_LF, _CR = 10, 13


class NotLineByLine(Exception):
    """This page cannot be taken apart line by line."""


@dataclass(slots=True)
class Frame:
    """What stands around the records of a page: header and trailer as they came, '' for none."""

    header: bytes = b""
    trailer: bytes = b""


def form_of(plan: ReadPlan) -> CsvFormat | None:
    """The format of a source whose records may be told apart by their lines; None: not of this.

    A control total adds up every record, known or not, so such a file is read as a whole.
    """
    source = plan.source
    if not isinstance(source, SftpSource) or not isinstance(source.format, CsvFormat):
        return None
    form = source.format
    plain = is_ascii_compatible(form.encoding) and getattr(source, "unpack", None) is None
    if plan.children or not plain:
        return None
    if form.trailer is not None and (
        form.trailer.total_of is not None or not form.trailer.starts_with.isascii()
    ):
        return None
    return form


@dataclass(frozen=True, slots=True)
class Lines:
    """Some records of a page, one after the other, as places in the bytes that hold them."""

    text: bytes
    starts: np.ndarray
    ends: np.ndarray
    """One behind the last byte of each line, where its LF stands (or the end of the page)."""
    at: int = 0
    """Where the bytes begin in their page."""

    def __len__(self) -> int:
        return len(self.starts)

    def each(self) -> list[bytes]:
        """Every line, without its LF."""
        if not len(self.starts):
            return []
        if np.array_equal(self.starts[1:], self.ends[:-1] + 1):  # nothing stands between them
            return self.text[self.starts[0] : self.ends[-1]].split(b"\n")
        places = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.text[start:end] for start, end in places]

    def without(self, first: int, last: int) -> Lines:
        """These lines but for some at the beginning and at the end."""
        stop = len(self) - last
        return Lines(self.text, self.starts[first:stop], self.ends[first:stop], self.at)

    def line(self, place: int) -> bytes:
        """One line, without its LF."""
        return self.text[self.starts[place] : self.ends[place]]


def record_lines(
    content: BinaryIO, form: CsvFormat, frame: Frame, block_bytes: int = BLOCK_BYTES
) -> Iterator[Lines]:
    """The lines of a page's records in order, block by block.

    Blank lines are no records. `frame` is filled on the way. Raises NotLineByLine.
    """
    grammar = Grammar(form)
    cutter = _Cutter(form, grammar, frame)
    rest, at = b"", 0
    while block := content.read(block_bytes):
        cut = block.rfind(b"\n") + 1
        if not cut:
            rest += block
            if len(rest) > RECORD_BYTES:
                raise NotLineByLine
            continue
        text, rest = rest + block[:cut], block[cut:]
        yield cutter.lines(text, at)
        at += len(text)
    if rest:
        yield cutter.lines(rest, at)
    if form.trailer is not None and not frame.trailer:
        raise NotLineByLine


class _Cutter:
    """Cuts blocks of whole lines; keeps what it saw of header and trailer."""

    def __init__(self, form: CsvFormat, grammar: Grammar, frame: Frame) -> None:
        self._form = form
        self._grammar = grammar
        self._frame = frame
        self._mark = b"" if form.trailer is None else form.trailer.starts_with.encode()

    def lines(self, block: bytes, at: int) -> Lines:
        """The record lines of a block that ends with a line end (the last may not).

        `at`: where it begins in the page.
        """
        form, grammar, frame = self._form, self._grammar, self._frame
        if b"\0" in block or b"\x1a" in block:
            raise NotLineByLine
        if grammar.quoted_newlines and grammar.quote in block:
            raise NotLineByLine
        returns = b"\r" in block
        if returns and block.count(b"\r") != block.count(b"\r\n"):
            raise NotLineByLine
        found = _cut(block, at, returns=returns)
        if form.header and not frame.header and len(found):
            frame.header = found.line(0)
            found = found.without(1, 0)
        if frame.trailer:
            if len(found):
                raise NotLineByLine
            return found
        return self._without_trailer(found) if self._mark else found

    def _without_trailer(self, found: Lines) -> Lines:
        for place in self._suspected(found):
            if self._first_field(found.line(place)) == self._mark:
                if place != len(found) - 1:
                    raise NotLineByLine
                self._frame.trailer = found.line(place)
                return found.without(0, 1)
        return found

    def _suspected(self, found: Lines) -> list[int]:
        """Places of the lines that begin as the trailer does, ascending."""
        data = np.frombuffer(found.text, np.uint8)
        marks = {self._mark, self._grammar.quote + self._mark}
        places: set[int] = set()
        for mark in marks:
            among = np.arange(len(found))
            for offset, byte in enumerate(mark):
                at = np.minimum(found.starts[among] + offset, len(data) - 1)
                among = among[data[at] == byte]
            places.update(n for n in among.tolist() if found.line(n).startswith(mark))
        return sorted(places)

    def _first_field(self, line: bytes) -> bytes:
        first = line.rstrip(b"\r").split(self._grammar.delimiter, 1)[0]
        if self._grammar.quote and first.startswith(self._grammar.quote):
            first = first[1:].removesuffix(self._grammar.quote)
        return first


def _cut(block: bytes, at: int, *, returns: bool) -> Lines:
    """The lines of a block that are not blank; `returns`: it holds CR LF."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LF)
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    sizes = ends - starts
    blank = sizes == 0
    if returns:
        blank |= (sizes == 1) & (data[np.minimum(starts, len(data) - 1)] == _CR)
    if blank.any():
        starts, ends = starts[~blank], ends[~blank]
    return Lines(block, starts, ends, at)
