"""What an Excel sheet does not tell: errors, formulas that were never worked out, how large it is.

The reader of values gives '' for a cell that shows #N/A and for a formula without a saved result,
and makes room for every cell between the first and the last: both are looked for here first. Must
not read a value.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from lxml import etree

from connectors.formats.unpacked import unpacking
from mappings.errors import BatchRefused

MOST_CELLS = 10_000_000
"""Rows times columns; a larger sheet is refused."""

MOST_BYTES = 1 << 30
MOST_ENTRIES = 10_000

_MAIN = "{*}"
_CELL = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def holes(file: BinaryIO, sheet: str) -> dict[int, dict[int, str]]:
    """Row → column (1 = first) → what is wrong with that cell of one sheet of an xlsx file.

    Raises BatchRefused: `excel` (no xlsx, or damaged), `too_large`.
    """
    with unpacking(), zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES or sum(e.file_size for e in entries) > MOST_BYTES:
            raise refused("too_large", "the file unpacks to more than a gigabyte")
        part = _part_of(archive, sheet)
        with archive.open(part) as content:
            return _holes(content)


def refused(code: str, says: str) -> BatchRefused:
    """The file cannot be read as what the mapping says."""
    return BatchRefused(
        f"Excel: {says}",
        code=code,
        remedy="Ask for the file again as .xlsx, or correct `format` in the mapping.",
    )


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """The member that holds a sheet."""
    try:
        book = _small(archive, "xl/workbook.xml")
        relations = _small(archive, "xl/_rels/workbook.xml.rels")
    except KeyError as error:
        raise refused("excel", "it holds no workbook") from error
    wanted = next((one for one in book.iter(f"{_MAIN}sheet") if one.get("name") == sheet), None)
    identity = None if wanted is None else wanted.get(_RELATION)
    for one in relations.iter(f"{_MAIN}Relationship"):
        if identity is not None and one.get("Id") == identity:
            part = posixpath.normpath(posixpath.join("/xl", str(one.get("Target")))).lstrip("/")
            if part in archive.namelist():
                return part
    raise refused("excel", f"the sheet {sheet!r} is in no part of the file")


def _small(archive: zipfile.ZipFile, name: str) -> etree._Element:
    with archive.open(name) as content:
        data = content.read(16 << 20)
    try:
        return etree.fromstring(data, _parser())
    except etree.XMLSyntaxError as error:
        raise refused("excel", f"{name} is not well-formed") from error


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


def _holes(content: IO[bytes]) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    row = column = last_row = last_column = 0
    for event, element in _events(_Counted(content)):
        tag = etree.QName(element).localname
        if tag == "row" and event == "start":
            row = _number(element.get("r"), row + 1)
            column = 0
        elif tag == "c" and event == "end":
            place = _CELL.fullmatch(element.get("r") or "")
            column = _letters(place[1]) if place else column + 1
            row = int(place[2]) if place else max(row, 1)
            last_row, last_column = max(last_row, row), max(last_column, column)
            if last_row * last_column > MOST_CELLS:
                raise refused("too_large", f"the sheet has more than {MOST_CELLS:,} cells")
            says = _wrong(element)
            if says is not None:
                found.setdefault(row, {})[column] = says
        if event == "end" and tag == "row":
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]  # type: ignore[union-attr]  a previous one has a parent
    return found


def _wrong(cell: etree._Element) -> str | None:
    value = cell.find(f"{_MAIN}v")
    if cell.get("t") == "e":
        shown = (value.text if value is not None else None) or "an error"
        return f"shows {shown[:20]}"
    if cell.find(f"{_MAIN}f") is not None and value is None:
        return "is a formula that was saved without its result"
    return None


def _events(content: _Counted) -> Iterator[tuple[str, etree._Element]]:
    try:
        yield from etree.iterparse(
            cast("Any", content),
            events=("start", "end"),
            tag=(f"{_MAIN}row", f"{_MAIN}c"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
        )
    except etree.XMLSyntaxError as error:
        raise refused("excel", f"the sheet is not well-formed ({error.msg})") from error


class _Counted:
    """Passes bytes on, up to the limit: what the archive says of its size need not be true."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left = MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._source.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise refused("too_large", "the sheet unpacks to more than a gigabyte")
        return piece


def _letters(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _number(text: str | None, default: int) -> int:
    usual = text is not None and text.isascii() and text.isdigit() and len(text) <= 7  # noqa: PLR2004  1,048,576 rows
    return int(text) if usual and text else default
