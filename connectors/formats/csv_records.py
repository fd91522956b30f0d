"""Where the records of a CSV text begin and end, and whether their structure is sound.

Works on UTF-8 (or any text whose delimiters are single ASCII bytes). Must not decode, convert or
understand values: pyarrow does the parsing, this module says what may be given to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.formats.csv_marks import MARK_BYTES, Marks
from mappings.errors import BatchRefused, Misconfigured
from mappings.sources.formats import CsvFormat

RECORD_BYTES = 16 * 1024 * 1024
"""A record longer than this is a quote that was never closed."""

_RAW_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one record; `index` counts the piece's records from 0."""

    index: int
    code: str
    says: str
    raw: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """One piece taken apart: its sound records, and the flawed ones with their place."""

    sound: list[bytes]
    flaws: list[Flaw]


class Grammar:
    """The declared way in which one file is written, compiled."""

    def __init__(self, form: CsvFormat) -> None:
        """Raises Misconfigured for a delimiter or quote that is not one ASCII character."""
        for name, mark, least in (("delimiter", form.delimiter, 1), ("quote", form.quote, 0)):
            if not (least <= len(mark) <= 1 and mark.isascii()):
                message = f"`{name}` must be one ASCII character, not {mark!r}"
                raise Misconfigured(message, code="format", remedy="Correct it in the mapping.")
        self.delimiter = form.delimiter.encode()
        self.quote = form.quote.encode()
        self.quoted_newlines = form.quoted_newlines and bool(self.quote)
        d = re.escape(self.delimiter)
        q = re.escape(self.quote)
        plain = rb"[^" + d + rb"\r\n]*+"
        field = plain
        if self.quote:
            inside = rb"[^" + q + rb"]*+(?:" + q + q + rb"[^" + q + rb"]*+)*+"
            # after its closing quote a field may go on to the delimiter, as pyarrow reads it too
            field = rb"(?:" + q + inside + q + plain + rb"|(?!" + q + rb")" + plain + rb")"
        self._field = re.compile(field)
        self._record = re.compile(field + rb"(?:" + d + field + rb")*+(?=\r|\n|\Z)")
        self._end = re.compile(rb"\r\n|\n|\r")

    def columns(self, record: bytes) -> int | None:
        """How many fields one record has; None where a quote in it is never closed."""
        if not self.quote or self.quote not in record:
            return record.count(self.delimiter) + 1
        if not self._record.fullmatch(record):
            return None
        return sum(1 for _ in self._fields(record))

    def fields(self, record: bytes) -> list[str]:
        """The fields of one sound record as text, unquoted. For headers and trailers."""
        texts: list[str] = []
        for raw in self._fields(record):
            text = raw
            if self.quote and raw.startswith(self.quote):
                body, _, rest = raw[1:].rpartition(self.quote)
                text = body.replace(self.quote * 2, self.quote) + rest
            texts.append(text.decode("utf-8"))
        return texts

    def _fields(self, record: bytes) -> Iterator[bytes]:
        at = 0
        while (found := self._field.match(record, at)) is not None:
            yield found.group()
            at = found.end() + 1
            if found.end() >= len(record):
                return

    def whole(self, text: bytes, *, final: bool) -> int:
        """How many bytes of `text` are whole records with their line ends.

        Raises BatchRefused (code `truncated`) where the text ends inside quotes.
        """
        if final and not (self.quoted_newlines and self.quote in text):
            return len(text)
        if not self.quoted_newlines or self.quote not in text:
            cut = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            # a CR that ends the piece may be half of a CR LF
            return cut - 1 if text.endswith(b"\r") else cut
        cut = 0
        for _, end in self.ranges(text, final=final):
            cut = end
        if final:
            return len(text)
        return cut

    def ranges(self, text: bytes, *, final: bool) -> Iterator[tuple[int, int]]:
        """(start, end) of every line or quoted record of `text`, line ends included in `end`.

        Blank ones too. Without `final` a last record without line end is left out.
        Raises BatchRefused (code `truncated`) where the text ends inside quotes.
        """
        at = 0
        pattern = self._record if self.quoted_newlines else _LINE
        while at < len(text):
            found = pattern.match(text, at)
            if found is None:
                if not final:
                    return
                message = f"a quoted field is opened and never closed: {_shown(text[at : at + 80])}"
                raise BatchRefused(
                    message,
                    code="truncated",
                    remedy="Ask for the file again; it was cut off or misquoted.",
                )
            ended = self._end.match(text, found.end())
            if ended is None:
                if final:
                    yield at, len(text)
                return
            if not final and ended.end() == len(text) and ended.group() == b"\r":
                return
            yield at, ended.end()
            at = ended.end()

    def sort(self, piece: bytes, columns: int, marks: Marks) -> Sorted:
        """Take a piece of whole records apart by their structure; blank lines are no records.

        A record with a mark in it is flawed by what the mark says.
        """
        sound: list[bytes] = []
        flaws: list[Flaw] = []
        index = 0
        for record in self._split(piece):
            if not record:
                continue
            if MARK_BYTES in record:
                code, says = marks.take(record.count(MARK_BYTES))
                flaws.append(Flaw(index, code, says, _shown(record.replace(MARK_BYTES, b""))))
                index += 1
                continue
            found = self.columns(record)
            if found == columns and b"\0" not in record:
                sound.append(record)
            else:
                flaws.append(_flaw(index, record, found, columns))
            index += 1
        return Sorted(sound, flaws)

    def _split(self, piece: bytes) -> Iterator[bytes] | list[bytes]:
        if not self.quoted_newlines:
            return piece.split(b"\n")
        return (piece[a:b].rstrip(b"\r\n") for a, b in self.ranges(piece, final=True))


_LINE = re.compile(rb"[^\r\n]*+")


def _flaw(index: int, record: bytes, found: int | None, columns: int) -> Flaw:
    raw = _shown(record)
    if found is None:
        return Flaw(index, "stray_quote", "a quoted field is opened and never closed", raw)
    if found == columns:
        return Flaw(index, "nul_byte", "holds a NUL byte", raw)
    code = "too_few_columns" if found < columns else "too_many_columns"
    return Flaw(index, code, f"{found} columns instead of {columns}", raw)


def _shown(record: bytes) -> str:
    text = record.decode("utf-8", errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")
    return text if len(text) <= _RAW_CHARS else text[:_RAW_CHARS] + "…"
