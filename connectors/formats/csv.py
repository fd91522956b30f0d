"""CSV pages → columns of text, streaming: declared encoding, header by name, trailer, bad rows.

One piece of whole records at a time, so memory does not follow the file. Must not trim, convert
or compare values: a trailer is only reported.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from connectors.formats.control import empty_file
from connectors.formats.csv_drift import drift
from connectors.formats.csv_locate import locate_record
from connectors.formats.csv_marks import MARK_BYTES, Marks
from connectors.formats.csv_records import RECORD_BYTES, Flaw, Grammar
from connectors.formats.csv_rows import Layout, parse
from connectors.formats.csv_text import PIECE_BYTES, utf8_pieces
from connectors.formats.csv_trailer import END_MARK, declared, refuse_rest, split_trailer
from connectors.formats.raw import Broken, Item, RawChunk, ReadPlan, Remark
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources.formats import CsvFormat
from mappings.sources.sftp import SftpSource


def read(
    content: BinaryIO,
    plan: ReadPlan,
    page: int,
    first: dict[str, int],
    *,
    piece_bytes: int = PIECE_BYTES,
) -> Iterator[Item]:
    """Chunks of the plan's columns, broken records, and at the end what the trailer declares.

    `first[plan.part]` is the number of the next record, 1 where unsaid, and is moved on. Without
    records one empty chunk comes. Raises BatchRefused (`encoding`, `trailer`, `truncated`,
    `too_large`, `empty_file`), SourceChanged (`missing_column`, `duplicate_column`, `drift`),
    Misconfigured (`encoding`, `format`).
    """
    form = _format(plan)
    grammar = Grammar(form)
    marks = Marks(form.misread)
    names: list[str] | None = None if form.header else list(form.columns)
    trailer: bytes | None = None
    empty = True
    for piece, final in _pieces(content, form, grammar, marks, piece_bytes):
        body = piece
        if names is None:
            names, body = _header(body, grammar)
            if names is None:
                continue
            yield from (Remark(plan.part, page, *one) for one in drift(form, names))
        layout = Layout(grammar, len(names), _positions(plan, names, header=form.header))
        if trailer is not None:
            refuse_rest(body)
            continue
        if form.trailer is not None:
            body, trailer = split_trailer(body, form.trailer, grammar)
        table, flaws = parse(body, layout, marks, ends_file=final and trailer is None)
        empty = empty and not table.num_rows and not flaws
        yield from _numbered(table, flaws, plan, page, first)
    if form.trailer is not None:
        yield declared(trailer, form.trailer, plan.part, page, grammar)
    if names is None:
        raise empty_file()
    if empty:
        nothing = pa.table({path: pa.array([], pa.string()) for path in plan.paths})
        yield _chunk(nothing, plan, page, np.arange(0))


def _numbered(
    table: pa.Table, flaws: list[Flaw], plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[Item]:
    """The sound and the flawed records of a piece under their numbers."""
    start = first.setdefault(plan.part, 1)
    numbers = np.arange(start, start + table.num_rows + len(flaws), dtype=np.int64)
    first[plan.part] = start + len(numbers)
    if table.num_rows:
        yield _chunk(table, plan, page, np.delete(numbers, [f.index for f in flaws]))
    for flaw in flaws:
        yield Broken(plan.part, page, start + flaw.index, flaw.code, flaw.says, flaw.raw)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first) of this page, line end left out.

    Raises LookupError where the page holds no such part or record.
    """
    if part != plan.part:
        message = f"this page holds no {part}"
        raise LookupError(message)
    return locate_record(content, _format(plan), number)


def _format(plan: ReadPlan) -> CsvFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, CsvFormat):
        return plan.source.format
    message = f"{plan.part}: not a CSV source"
    raise TypeError(message)


def _pieces(
    content: BinaryIO, form: CsvFormat, grammar: Grammar, marks: Marks, piece_bytes: int
) -> Iterator[tuple[bytes, bool]]:
    """Pieces of whole records, (UTF-8, is the last). Line ends outside quotes become LF."""
    rest = b""
    for text in utf8_pieces(content, form.encoding, marks, piece_bytes):
        rest += text
        cut = grammar.whole(rest, final=False)
        if cut:
            yield _plain_ends(rest[:cut], grammar), False
            rest = rest[cut:]
        elif len(rest) > RECORD_BYTES:
            shown = rest[:60].decode("utf-8", "replace")
            message = f"a record is longer than {RECORD_BYTES} bytes: {shown}"
            raise BatchRefused(
                message, code="too_large", remedy="Look for a quote that is never closed."
            )
    ended = rest.rstrip(b"\r\n" + END_MARK)
    if END_MARK in rest[len(ended) :]:
        rest = ended
    if rest:
        grammar.whole(rest, final=True)
        yield _plain_ends(rest, grammar), True


def _plain_ends(piece: bytes, grammar: Grammar) -> bytes:
    if b"\r" not in piece or (grammar.quoted_newlines and grammar.quote in piece):
        return piece
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _header(piece: bytes, grammar: Grammar) -> tuple[list[str] | None, bytes]:
    """The names of the first line that is not blank, and what follows it."""
    for start, end in grammar.ranges(piece, final=True):
        record = piece[start:end].rstrip(b"\r\n")
        if not record:
            continue
        if MARK_BYTES in record:
            shown = record.replace(MARK_BYTES, b"")[:80].decode("utf-8", "replace")
            message = f"the header is not in the declared encoding: {shown}"
            raise BatchRefused(
                message, code="encoding", remedy="Correct `encoding` in the mapping."
            )
        if grammar.columns(record) is None:
            shown = record[:80].decode("utf-8", "replace")
            message = f"the header opens a quote and never closes it: {shown}"
            raise SourceChanged(message, code="header", remedy="Ask for the file again.")
        names = grammar.fields(record)
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            message = f"the header names a column twice: {', '.join(twice)}"
            raise SourceChanged(
                message,
                code="duplicate_column",
                remedy="Ask for unique column names; either could be meant.",
            )
        return names, piece[end:]
    return None, b""


def _positions(plan: ReadPlan, names: list[str], *, header: bool) -> dict[str, str]:
    """Path of the plan → position of its column as text. Raises where a path has no column."""
    at = {name: str(i) for i, name in enumerate(names)}
    missing = [path for path in plan.paths if path not in at]
    if not missing:
        return {path: at[path] for path in plan.paths}
    near = difflib.get_close_matches(missing[0], names, 1, 0.5)
    hint = f"; did it become {near[0]}?" if near else f"; it has {', '.join(names)}"
    where = "the file" if header else "`columns` of the mapping"
    message = f"{where} has no column {', '.join(missing)}{hint}"
    kind = SourceChanged if header else Misconfigured
    raise kind(
        message,
        code="missing_column",
        remedy="Correct the mapping, or have the ERP's export put back.",
    )


def _chunk(table: pa.Table, plan: ReadPlan, page: int, numbers: np.ndarray) -> RawChunk:
    return RawChunk(plan.part, page, table, pa.array(numbers, pa.int64()))
