"""Fixed-width pages → columns of text: records cut by character, a line each or one after another.

A record of another length than declared is broken, with its text; its neighbours are read. Must not
understand a value: what is cut out stays as it stands, but for the spaces that fill it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from connectors.formats.control import behind, empty_file, missing, stated, stated_count
from connectors.formats.lines import Line, decoded, lines
from connectors.formats.raw import Broken, Declared, Item, RawChunk, ReadPlan, Remark
from mappings.errors import BatchRefused, Misconfigured
from mappings.sources.formats import Cut, FixedFormat, FixedTrailer
from mappings.sources.sftp import SftpSource

_CHUNK = 20_000
_RAW_CHARS = 20_000
_READ = 1 << 20


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """Chunks, broken records, and at the end what the trailer declares.

    Raises BatchRefused (`empty_file`, `encoding`, `trailer`, `truncated`, `too_large`),
    Misconfigured (`missing_column`, `format`, `encoding`).
    """
    form = _format(plan)
    cuts = _cuts(plan, form)
    first.setdefault(plan.part, 1)
    rows = _Rows(plan, cuts, page, first)
    trailer: str | None = None
    others = 0
    seen = False
    for line in _records(content, form):
        text, fault = decoded(line.data, line.start, form.encoding)
        seen = True
        if trailer is not None:
            raise behind(text)
        if form.trailer is not None and text.startswith(form.trailer.starts_with):
            trailer = text
        elif form.starts_with is not None and not text.startswith(form.starts_with):
            others += 1
        elif (flaw := _flaw(text, fault, form)) is not None:
            yield from rows.broken(*flaw, text)
        else:
            yield from rows.add(text)
    if not seen:
        raise empty_file()
    yield from rows.chunk()
    yield from _others(others, form, plan.part, page)
    if form.trailer is not None:
        yield _declared(trailer, form.trailer, plan.part, page)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first). Raises LookupError."""
    form = _format(plan)
    left = number if part == plan.part else 0
    for line in _records(content, form):
        text, _ = decoded(line.data, line.start, form.encoding)
        if form.trailer is not None and text.startswith(form.trailer.starts_with):
            break
        if form.starts_with is None or text.startswith(form.starts_with):
            left -= 1
            if left == 0:
                return line.start, line.end
    message = f"the page has no {part} record number {number}"
    raise LookupError(message)


def _others(count: int, form: FixedFormat, part: str, page: int) -> Iterator[Remark]:
    if count:
        says = f"{count} records do not begin with {form.starts_with!r} and were not read"
        yield Remark(part, page, "other_record", says)


def _flaw(text: str, fault: str | None, form: FixedFormat) -> tuple[str, str] | None:
    """(code, what is wrong) with a record, None where nothing is."""
    if fault is not None:
        return "undecodable", fault
    if "\0" in text:
        return "nul_byte", "holds a NUL byte"
    if form.width is not None and len(text) != form.width:
        code = "too_short" if len(text) < form.width else "too_long"
        return code, f"{len(text)} characters instead of {form.width}"
    return None


def _format(plan: ReadPlan) -> FixedFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, FixedFormat):
        return plan.source.format
    message = f"{plan.part}: not a fixed-width source"
    raise TypeError(message)


def _cuts(plan: ReadPlan, form: FixedFormat) -> list[Cut]:
    absent = [path for path in plan.paths if path not in form.columns]
    if absent:
        raise Misconfigured(
            f"`columns` of the format has no {', '.join(absent)}",
            code="missing_column",
            remedy="Say where it stands in the record, or correct the field's `from`.",
        )
    return [form.columns[path] for path in plan.paths]


def _records(content: BinaryIO, form: FixedFormat) -> Iterator[Line]:
    if form.lines:
        yield from lines(content, form.encoding)
        return
    if form.width is None:
        raise Misconfigured(
            "`lines: false` needs `width`", code="format", remedy="Add it to the format."
        )
    wide = len(" ".encode(form.encoding)) * form.width
    rest, at = b"", 0
    while piece := content.read(_READ):
        rest += piece
        while len(rest) >= wide:
            yield Line(rest[:wide], at, ended=True)
            rest, at = rest[wide:], at + wide
    rest = rest.rstrip(b"\r\n\x1a")
    if rest:
        raise BatchRefused(
            f"the file ends in the middle of a record ({len(rest)} of {wide} bytes)",
            code="truncated",
            remedy="Ask for the file again; it was cut off.",
        )


class _Rows:
    """Records waiting to be cut, all at once."""

    def __init__(self, plan: ReadPlan, cuts: list[Cut], page: int, first: dict[str, int]) -> None:
        self._plan, self._cuts, self._page, self._first = plan, cuts, page, first
        form = _format(plan)
        self._strip = form.strip
        self._waiting: list[str] = []

    def add(self, text: str) -> Iterator[RawChunk]:
        self._waiting.append(text)
        if len(self._waiting) >= _CHUNK:
            yield from self.chunk()

    def broken(self, code: str, says: str, text: str) -> Iterator[Item]:
        yield from self.chunk()
        number = self._first[self._plan.part]
        self._first[self._plan.part] = number + 1
        raw = text.replace("\0", "\N{SYMBOL FOR NULL}")[:_RAW_CHARS]
        yield Broken(self._plan.part, self._page, number, code, says, raw)

    def chunk(self) -> Iterator[RawChunk]:
        if not self._waiting:
            return
        whole = pa.array(self._waiting, pa.string())
        columns = [
            pc.utf8_slice_codeunits(whole, cut.start - 1, cut.start - 1 + cut.length)
            for cut in self._cuts
        ]
        if self._strip:
            columns = [pc.utf8_trim(column, " ") for column in columns]
        start = self._first[self._plan.part]
        self._first[self._plan.part] = start + len(self._waiting)
        numbers = pa.array(range(start, start + len(self._waiting)), pa.int64())
        table = pa.Table.from_arrays(columns, names=list(self._plan.paths))
        self._waiting = []
        yield RawChunk(self._plan.part, self._page, table, numbers)


def _declared(text: str | None, trailer: FixedTrailer, part: str, page: int) -> Declared:
    if text is None:
        raise missing(trailer.starts_with)
    count, total = (
        None if cut is None else text[cut.start - 1 : cut.start - 1 + cut.length]
        for cut in (trailer.count, trailer.total)
    )
    return Declared(
        part,
        page,
        count=None if count is None else stated_count(count, trailer.decimal),
        total=None if total is None else stated(total, trailer.decimal, "total"),
        total_of=trailer.total_of,
    )
