"""The records of a CSV page as lines of bytes, for telling known records from new ones.

A line is cut out and never understood: no decoding, no parsing. Where lines and records may not be
the same (quotes that can hold line breaks, another line end, a NUL) `NotLineByLine` is raised, and
the page must be read the long way, which also finds the exact words for what is wrong with it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from connectors.formats.csv_records import RECORD_BYTES, Grammar
from connectors.formats.csv_text import is_ascii_compatible
from connectors.formats.raw import ReadPlan
from mappings.sources.sftp import CsvFormat, SftpSource

BLOCK_BYTES = 1024 * 1024
"""What is cut at a time: small enough for the lines to stay in the processor's cache."""


class NotLineByLine(Exception):
    """This page cannot be taken apart line by line."""


@dataclass(slots=True)
class Frame:
    """What stands around the records of a page: header and trailer as they came, '' for none."""

    header: bytes = b""
    trailer: bytes = b""
    open_end: bool = False
    """The last record has no line end: it may have been cut off."""


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


def record_lines(
    content: BinaryIO, form: CsvFormat, frame: Frame, block_bytes: int = BLOCK_BYTES
) -> Iterator[list[bytes]]:
    """The lines of a page's records in order, without LF, a list for each block.

    Blank lines are no records. `frame` is filled on the way. Raises NotLineByLine.
    """
    grammar = Grammar(form)
    cutter = _Cutter(form, grammar, frame)
    rest = b""
    while block := content.read(block_bytes):
        text = rest + block
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield cutter.lines(text[:cut])
        elif len(rest) > RECORD_BYTES:
            raise NotLineByLine
    if rest:
        last = cutter.lines(rest)
        frame.open_end = bool(last)
        yield last
    if form.trailer is not None and not frame.trailer:
        raise NotLineByLine


class Chosen(io.RawIOBase):
    """A page with only some of its records: header, their lines, trailer; read as the page is."""

    def __init__(self, content: BinaryIO, form: CsvFormat, numbers: np.ndarray) -> None:
        """`numbers`: which records, 0 = the first of this page, ascending."""
        self._frame = Frame()
        self._lines = record_lines(content, form, self._frame)
        self._numbers = numbers
        self._pieces = self._choose()
        self._waiting = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  Buffer has no name before 3.12
        """Fill the buffer, as far as there is something. Raises NotLineByLine."""
        target = memoryview(buffer)
        while not self._waiting:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._waiting = piece
        piece, self._waiting = self._waiting[: len(target)], self._waiting[len(target) :]
        target[: len(piece)] = piece
        return len(piece)

    def _choose(self) -> Iterator[bytes]:
        start, taken, opened = 0, 0, False
        for lines in self._lines:
            if not opened and (lines or self._frame.header):
                opened = True
                if self._frame.header:
                    yield self._frame.header + b"\n"
            stop = int(np.searchsorted(self._numbers, start + len(lines)))
            if stop > taken:
                here = (self._numbers[taken:stop] - start).tolist()
                piece = b"".join([lines[i] + b"\n" for i in here])
                cut_off = self._frame.open_end and here[-1] == len(lines) - 1
                yield piece[:-1] if cut_off else piece
                taken = stop
            start += len(lines)
        if taken < len(self._numbers):
            raise NotLineByLine
        if self._frame.header and not opened:
            yield self._frame.header + b"\n"
        if self._frame.trailer:
            yield self._frame.trailer + b"\n"


class _Cutter:
    """Cuts blocks of whole lines; keeps what it saw of header and trailer."""

    def __init__(self, form: CsvFormat, grammar: Grammar, frame: Frame) -> None:
        self._form = form
        self._grammar = grammar
        self._frame = frame
        self._mark = b"" if form.trailer is None else form.trailer.starts_with.encode()

    def lines(self, block: bytes) -> list[bytes]:
        """The record lines of a block that ends with a line end (the last may not)."""
        form, grammar, frame = self._form, self._grammar, self._frame
        if b"\0" in block or b"\x1a" in block:
            raise NotLineByLine
        if grammar.quoted_newlines and grammar.quote in block:
            raise NotLineByLine
        returns = b"\r" in block
        if returns and block.count(b"\r") != block.count(b"\r\n"):
            raise NotLineByLine
        found = block.split(b"\n")
        if not found[-1]:
            found.pop()
        blank = block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or b"\n\r\n" in block
        if blank:
            found = [line for line in found if line not in {b"", b"\r"}]
        if form.header and not frame.header and found:
            frame.header = found.pop(0)
        if frame.trailer:
            if found:
                raise NotLineByLine
            return found
        if self._mark and self._suspected(block):
            return self._without_trailer(found)
        return found

    def _suspected(self, block: bytes) -> bool:
        marks = (self._mark, self._grammar.quote + self._mark)
        return block.startswith(marks) or any(b"\n" + mark in block for mark in marks)

    def _without_trailer(self, found: list[bytes]) -> list[bytes]:
        marks = (self._mark, self._grammar.quote + self._mark)
        for place, line in enumerate(found):
            if not line.startswith(marks):
                continue
            if self._first_field(line) == self._mark:
                if place != len(found) - 1:
                    raise NotLineByLine
                self._frame.trailer = line
                return found[:place]
        return found

    def _first_field(self, line: bytes) -> bytes:
        first = line.rstrip(b"\r").split(self._grammar.delimiter, 1)[0]
        if self._grammar.quote and first.startswith(self._grammar.quote):
            first = first[1:].removesuffix(self._grammar.quote)
        return first
