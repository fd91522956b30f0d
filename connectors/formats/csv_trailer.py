"""The last record of a CSV page: found, taken off, and read as what the page declares.

Must not compare: the loader holds the declared count and total against what it read.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.formats.control import behind, missing, stated, stated_count
from connectors.formats.csv_records import Grammar
from connectors.formats.raw import Declared
from mappings.sources.formats import Trailer

END_MARK = b"\x1a"
"""Ctrl-Z, with which old systems end a text file."""


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
    quoted = {grammar.quote + mark} if grammar.quote and grammar.quote in piece else set()
    for opening in {mark, *quoted}:
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
        raise behind(rest[:60].decode("utf-8", "replace"))


def declared(
    record: bytes | None, trailer: Trailer, part: str, page: int, grammar: Grammar
) -> Declared:
    """What the trailer record says. Raises BatchRefused (`trailer`) for none or an unclear one."""
    if record is None:
        raise missing(trailer.starts_with)
    fields = grammar.fields(record)

    def field(column: int) -> str:
        return fields[column - 1] if column <= len(fields) else ""

    return Declared(
        part,
        page,
        count=None
        if trailer.count is None
        else stated_count(field(trailer.count), trailer.decimal),
        total=None
        if trailer.total is None
        else stated(field(trailer.total), trailer.decimal, "total"),
        total_of=trailer.total_of,
    )
