"""Excel sheets → columns of text: values as they were last saved, nothing worked out.

Whole numbers are written without a point, others as the shortest text of the saved value; dates in
ISO form. A number of more than fifteen digits is not what somebody typed, an error or a formula
without a result is no value: such rows are broken. Must not run a formula or follow a link.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import python_calamine as calamine

from connectors.formats.control import empty_file
from connectors.formats.excel_holes import holes, refused
from connectors.formats.raw import Broken, Item, RawChunk, ReadPlan
from mappings.errors import Misconfigured, SourceChanged
from mappings.sources.formats import ExcelFormat
from mappings.sources.sftp import SftpSource

FILE_BYTES = 128 * 1024 * 1024
"""A longer file is refused."""

_EXACT = 10**15
_BREAKS = str.maketrans({"\t": " ", "\n": " ", "\r": " "})


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """One chunk of the sound rows, and the broken ones; rows without any value are no records.

    Raises BatchRefused (`excel`, `encrypted`, `too_large`, `empty_file`), SourceChanged
    (`missing_column`, `duplicate_column`, `sheet`), Misconfigured (`missing_column`).
    """
    form = _format(plan)
    wrong, rows = _rows(content, form)
    names, below = _names(form, rows)
    columns = _places(plan, names, form)
    start = first.setdefault(plan.part, 1)
    texts: list[list[str | None]] = []
    numbers: list[int] = []
    for offset, (row, cells) in enumerate(below):
        number = start + offset
        shown = [_text(cell) for cell in cells]
        says = _unsure(cells, wrong.get(row, {}), columns)
        if says is not None:
            raw = "\t".join(shown)
            yield Broken(plan.part, page, number, "unsure_cell", f"row {row}: {says}", raw)
            continue
        texts.append([shown[at] if at < len(shown) else None for at in columns])
        numbers.append(number)
    first[plan.part] = start + len(below)
    arrays = [pa.array([row[i] for row in texts], pa.string()) for i in range(len(columns))]
    table = pa.Table.from_arrays(arrays, names=list(plan.paths))
    yield RawChunk(plan.part, page, table, pa.array(numbers, pa.int64()))


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record in what `plain` gives. Raises LookupError."""
    lines = _lines(content, plan) if part == plan.part else []
    if not 0 < number <= len(lines):
        message = f"the page has no {part} record number {number}"
        raise LookupError(message)
    start = sum(len(line) + 1 for line in lines[: number - 1])
    return start, start + len(lines[number - 1])


def plain(content: BinaryIO, plan: ReadPlan) -> BinaryIO:
    """The sheet's records as lines of text, a tab between cells."""
    return io.BytesIO(b"\n".join(_lines(content, plan)))


def _lines(content: BinaryIO, plan: ReadPlan) -> list[bytes]:
    form = _format(plan)
    _, below = _names(form, _rows(content, form)[1])
    return ["\t".join(_text(c).translate(_BREAKS) for c in cells).encode() for _, cells in below]


def _format(plan: ReadPlan) -> ExcelFormat:
    if isinstance(plan.source, SftpSource) and isinstance(plan.source.format, ExcelFormat):
        return plan.source.format
    message = f"{plan.part}: not an Excel source"
    raise TypeError(message)


_Row = tuple[int, list[Any]]


def _rows(content: BinaryIO, form: ExcelFormat) -> tuple[dict[int, dict[int, str]], list[_Row]]:
    """What is wrong with which row, and every row that holds something, by its number."""
    data = content.read(FILE_BYTES + 1)
    if not data:
        raise empty_file()
    if len(data) > FILE_BYTES:
        raise refused("too_large", f"the file is longer than {FILE_BYTES:,} bytes")
    if not data.startswith(b"PK"):
        raise refused("excel", "it is no .xlsx file")
    with _reading():
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = book.sheet_names
    sheet = form.sheet if form.sheet is not None else (names[0] if len(names) == 1 else None)
    if sheet is None or sheet not in names:
        wanted = "the only sheet" if form.sheet is None else f"a sheet {form.sheet!r}"
        raise SourceChanged(
            f"the file does not have {wanted}; it has {', '.join(names)}",
            code="sheet",
            remedy="Write its name as `sheet` of the format.",
        )
    wrong = holes(io.BytesIO(data), sheet)
    with _reading():
        table = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    rows = [(number, cells) for number, cells in enumerate(table, start=1)]
    return wrong, [(n, c) for n, c in rows if n in wrong or any(_text(x).strip() for x in c)]


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except calamine.PasswordError as error:
        raise refused("encrypted", "the file is under a password") from error
    except (calamine.CalamineError, OSError, ValueError, OverflowError) as error:
        raise refused("excel", f"it cannot be read ({error})") from error
    except BaseException as error:
        # what a reader written in Rust raises where it meets what it never thought of
        if type(error).__name__ == "PanicException":
            raise refused("excel", "it cannot be read (the reader gave up)") from error
        raise


def _names(form: ExcelFormat, rows: list[_Row]) -> tuple[list[str], list[_Row]]:
    """Column names, and the rows below them."""
    if not form.header:
        return list(form.columns), [row for row in rows if row[0] >= form.header_row]
    head = next((cells for number, cells in rows if number == form.header_row), None)
    if head is None:
        raise SourceChanged(
            f"row {form.header_row} holds no names",
            code="header",
            remedy="Correct `header_row` in the mapping, or ask for the file again.",
        )
    names = [_text(cell).strip() for cell in head]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise SourceChanged(
            f"the header names a column twice: {', '.join(twice)}",
            code="duplicate_column",
            remedy="Ask for unique column names; either could be meant.",
        )
    return names, [row for row in rows if row[0] > form.header_row]


def _places(plan: ReadPlan, names: list[str], form: ExcelFormat) -> list[int]:
    missing = [path for path in plan.paths if path not in names]
    if not missing:
        return [names.index(path) for path in plan.paths]
    kind = SourceChanged if form.header else Misconfigured
    raise kind(
        f"the sheet has no column {', '.join(missing)}; it has {', '.join(filter(None, names))}",
        code="missing_column",
        remedy="Correct the mapping, or have the ERP's export put back.",
    )


def _text(cell: object) -> str:
    """A saved value as text; '' for an empty cell."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else f"{Decimal(repr(cell)):f}"
    return "" if cell is None else str(cell)


def _unsure(cells: list[Any], wrong: dict[int, str], columns: list[int]) -> str | None:
    """What is wrong with one of the cells that are read, None where nothing is."""
    for at in columns:
        if at + 1 in wrong:
            return f"the cell in column {at + 1} {wrong[at + 1]}"
        cell = cells[at] if at < len(cells) else None
        if isinstance(cell, float) and abs(cell) >= _EXACT:
            return f"a number of more than 15 digits ({cell!r}) has lost some: have it as text"
    return None
