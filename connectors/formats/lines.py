"""Lines of an encoded text file, with the place of each in the original bytes.

For formats with a record a line. Line ends are LF, CR LF or CR; blank lines and an end mark (0x1A)
at the end of the file are no records. Must not know what a line holds.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mappings.errors import BatchRefused, Misconfigured

LINE_BYTES = 16 * 1024 * 1024
"""A line longer than this is no line."""

_READ = 1 << 20
_END = re.compile(rb"\r\n|\n|\r")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; [start, end) is its place in the page."""

    data: bytes
    start: int
    ended: bool

    @property
    def end(self) -> int:
        """Where it ends in the page, its line end left out."""
        return self.start + len(self.data)


def lines(content: BinaryIO, encoding: str) -> Iterator[Line]:
    """The lines of a page. The encoding must be one in which line ends are single bytes.

    Raises BatchRefused (`too_large`, `encoding` for a byte order mark of another encoding),
    Misconfigured (`encoding`).
    """
    _refuse_wide(encoding)
    rest, offset, begun = b"", 0, False
    while True:
        piece = content.read(_READ)
        rest += piece
        if not begun and piece:
            begun = True
            cut = _mark_length(rest, encoding)
            rest, offset = rest[cut:], cut
        at = 0
        while (found := _END.search(rest, at)) is not None:
            if piece and found.end() == len(rest) and found.group() == b"\r":
                break  # may be half of a CR LF
            if found.start() > at:
                yield Line(rest[at : found.start()], offset + at, ended=True)
            at = found.end()
        rest, offset = rest[at:], offset + at
        if len(rest) > LINE_BYTES:
            message = f"a line is longer than {LINE_BYTES:,} bytes"
            raise BatchRefused(message, code="too_large", remedy="Look at `format` in the mapping.")
        if not piece:
            rest = rest.rstrip(b"\r\n\x1a")
            if rest:
                yield Line(rest, offset, ended=False)
            return


def decoded(line: bytes, start: int, encoding: str) -> tuple[str, str | None]:
    """The text, and what is wrong with its bytes; then the text shows them escaped."""
    try:
        return line.decode(encoding), None
    except UnicodeDecodeError as error:
        place = start + error.start
        says = f"byte {line[error.start]:#04x} at offset {place} does not exist in {encoding}"
        return line.decode(encoding, "backslashreplace"), says


def _refuse_wide(encoding: str) -> None:
    try:
        narrow = "0A;\r\n".encode(encoding) == b"0A;\r\n"
    except LookupError:
        narrow = False
    if not narrow:
        message = f"a file of lines cannot be read in the encoding {encoding!r}"
        raise Misconfigured(message, code="encoding", remedy="Correct `encoding` in the mapping.")


def _mark_length(data: bytes, encoding: str) -> int:
    """Length of UTF-8's byte order mark; one of another encoding is refused."""
    if data.startswith(_MARKS[0]) and codecs.lookup(encoding).name.startswith("utf-8"):
        return len(_MARKS[0])
    if data.startswith(_MARKS):
        message = f"the file begins with a byte order mark that {encoding} does not have"
        raise BatchRefused(message, code="encoding", remedy="Correct `encoding` in the mapping.")
    return 0
