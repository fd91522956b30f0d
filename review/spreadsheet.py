"""Cells for files that people open in a spreadsheet: text stays text, nothing becomes a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal

_STARTERS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def cell(value: object) -> str:
    """One value as text. What a spreadsheet would calculate gets an apostrophe in front.

    Numbers stay numbers: a minus in front of digits alone is no formula. None is empty.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal | float):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    # a blank, also a wide or an unbreakable one, does not stop a spreadsheet
    return f"'{text}" if text.lstrip().startswith(_STARTERS) or text.startswith(_STARTERS) else text


def table(rows: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """Rows as a CSV in pieces, the first row's names as heads.

    UTF-8 with a mark, so that spreadsheets read it as such; no cell begins a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    heads: list[str] | None = None
    yield b"\xef\xbb\xbf"
    for row in rows:
        if heads is None:
            heads = list(row)
            writer.writerow([cell(name) for name in heads])
        writer.writerow([cell(row[name]) for name in heads])
        if text.tell() > 1 << 16:
            yield text.getvalue().encode("utf-8")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8")
