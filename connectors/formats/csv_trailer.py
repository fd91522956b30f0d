"""The last record of a CSV page: found, taken off, and read as what the page declares.

Must not compare: the loader holds the declared count and total against what it read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from connectors.formats.csv_records import Grammar
from connectors.formats.raw import Declared
from mappings.errors import BatchRefused
from mappings.sources.sftp import Trailer

END_MARK = b"\x1a"
"""Ctrl-Z, with which old systems end a text file."""

_NUMBER = {
    "comma": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
    "point": re.compile(r"[+-]?\d+(?:\.\d+)?"),
}


def split_trailer(piece: bytes, trailer: Trailer, grammar: Grammar) -> tuple[bytes, bytes | None]:
    """The piece before its trailer record, and that record. Raises on data behind it."""
    for start, end in _suspects(piece, trailer, grammar):
        record = piece[start:end].rstrip(b"\r\n")
        if grammar.fields(record)[:1] == [trailer.starts_with]:
            refuse_rest(piece[end:])
            return piece[:start], record
    return piece, None


def _suspects(piece: bytes, trailer: Trailer, grammar: Grammar) -> Iterator[tuple[int, int]]:
    """Records that may be the trailer, in order; without quoted newlines found without a scan."""
    mark = trailer.starts_with.encode()
    if grammar.quoted_newlines and grammar.quote in piece:
        yield from (
            (a, b)
            for a, b in grammar.ranges(piece, final=True)
            if mark in piece[a : a + len(mark) + 1]
        )
        return
    for opening in {mark, grammar.quote + mark}:
        at = 0 if piece.startswith(opening) else piece.find(b"\n" + opening) + 1
        while at or piece.startswith(opening):
            end = piece.find(b"\n", at)
            yield at, len(piece) if end < 0 else end + 1
            at = piece.find(b"\n" + opening, at) + 1
            if at == 0:
                break


def refuse_rest(rest: bytes) -> None:
    """Raise BatchRefused (code `trailer`) unless nothing but line ends and end marks follow."""
    rest = rest.strip(b"\r\n" + END_MARK)
    if rest:
        message = f"there is data after the trailer record: {rest[:60].decode('utf-8', 'replace')}"
        raise BatchRefused(
            message, code="trailer", remedy="Two files may have been written into one."
        )


def declared(
    record: bytes | None, trailer: Trailer, part: str, page: int, grammar: Grammar
) -> Declared:
    """What the trailer record says. Raises BatchRefused (`trailer`) for none or an unclear one."""
    if record is None:
        message = f"the file ends without its trailer record {trailer.starts_with}"
        raise BatchRefused(
            message,
            code="trailer",
            remedy="It was cut off or is still being written: ask for it again.",
        )
    fields = grammar.fields(record)
    count = _number(fields, trailer.count, trailer, "count")
    if count is not None and count != count.to_integral_value():
        message = f"the trailer's count {count} is not a whole number"
        raise BatchRefused(message, code="trailer", remedy="Ask for the file again.")
    return Declared(
        part,
        page,
        count=None if count is None else int(count),
        total=_number(fields, trailer.total, trailer, "total"),
        total_of=trailer.total_of,
    )


def _number(fields: list[str], column: int | None, trailer: Trailer, what: str) -> Decimal | None:
    if column is None:
        return None
    text = fields[column - 1].strip() if column <= len(fields) else ""
    if not _NUMBER[trailer.decimal].fullmatch(text) or not text.isascii():
        message = f"the trailer's {what} {text!r} is not a number with decimal {trailer.decimal}"
        raise BatchRefused(
            message,
            code="trailer",
            remedy="Correct `trailer` in the mapping, or ask for the file again.",
        )
    if trailer.decimal == "comma":
        text = text.replace(".", "").replace(",", ".")
    return Decimal(text)
