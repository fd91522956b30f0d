"""Whole records of a CSV text → columns of text, by pyarrow, with every flawed record named.

A piece that pyarrow does not read as exactly one row a line is taken apart record by record, so
that record numbers are exact and a stray quote swallows nothing. Must not decode or number.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from connectors.formats.csv_marks import Marks, marked
from connectors.formats.csv_records import Flaw, Grammar
from mappings.errors import BatchRefused


@dataclass(frozen=True, slots=True)
class Layout:
    """How one file's records are laid out: grammar, number of columns, and those wanted."""

    grammar: Grammar
    width: int
    columns: dict[str, str]
    """Path of the plan → position of its column, as text."""


def parse(
    piece: bytes, layout: Layout, marks: Marks, *, ends_file: bool
) -> tuple[pa.Table, list[Flaw]]:
    """The sound records as a table of the plan's paths, and the flawed ones, in order.

    Raises BatchRefused (`truncated`) where the file ends in the middle of its last record.
    """
    table = None if marked(piece) else _fast(piece, layout)
    if table is not None:
        return table, []
    parted = layout.grammar.sort(piece, layout.width, marks)
    if ends_file and parted.flaws and not piece.endswith((b"\n", b"\r")):
        _refuse_cut_off(parted.flaws[-1], len(parted.sound) + len(parted.flaws))
    table = _arrow(b"\n".join(parted.sound), layout)
    if table.num_rows != len(parted.sound):
        message = f"{len(parted.sound)} records were read as {table.num_rows} rows"
        raise BatchRefused(
            message,
            code="unreadable",
            remedy="Report this file: its quoting is not understood.",
        )
    return table, parted.flaws


def _fast(piece: bytes, layout: Layout) -> pa.Table | None:
    """The piece in one go, or None where it is not plainly one sound record a line."""
    grammar = layout.grammar
    if not piece:
        return _arrow(b"", layout)
    if b"\0" in piece:
        return None
    if grammar.quoted_newlines and grammar.quote in piece:
        return None
    lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
    try:
        table = _arrow(piece, layout)
    except pa.ArrowInvalid:
        return None
    # fewer rows than lines: blank lines, or a quote that swallowed some; the last line's open
    # quote has nothing to swallow and so shows only there
    last = piece.rstrip(b"\n").rpartition(b"\n")[2]
    return table if table.num_rows == lines and grammar.columns(last) == layout.width else None


def _arrow(piece: bytes, layout: Layout) -> pa.Table:
    """Parse sound records; columns named by the plan's paths. Raises pa.ArrowInvalid."""
    grammar, columns = layout.grammar, layout.columns
    wanted = list(dict.fromkeys(columns.values()))
    if not piece:
        return pa.table({path: pa.array([], pa.string()) for path in columns})
    if piece.startswith(codecs.BOM_UTF8):  # text here, but pyarrow would take it away
        piece = b"\n" + piece
    # without threads and without decimal_point: the pitfalls of this function do not apply
    table = pa_csv.read_csv(  # noqa: TID251  every column is text
        pa.BufferReader(piece),
        # one block: a piece is small, and record numbers need no order to be restored
        pa_csv.ReadOptions(
            use_threads=False,
            block_size=len(piece) + 1,
            column_names=[str(i) for i in range(layout.width)],
        ),
        pa_csv.ParseOptions(
            delimiter=grammar.delimiter.decode(),
            quote_char=grammar.quote.decode() or False,
            double_quote=True,
            newlines_in_values=grammar.quoted_newlines,
            ignore_empty_lines=True,
        ),
        pa_csv.ConvertOptions(
            check_utf8=False,  # made by our own encoder
            column_types={name: pa.string() for name in wanted},
            strings_can_be_null=False,
            include_columns=wanted or ["0"],
        ),
    )
    return (
        pa.table({path: table[position] for path, position in columns.items()})
        if columns
        else table
    )


def _refuse_cut_off(flaw: Flaw, records: int) -> None:
    if flaw.index == records - 1 and flaw.code in {"too_few_columns", "stray_quote"}:
        message = f"the file ends in the middle of a record: {flaw.raw[:80]}"
        raise BatchRefused(
            message, code="truncated", remedy="Ask for the file again; it was cut off."
        )
