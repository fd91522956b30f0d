"""CSV that a spreadsheet opens as data: what we export for auditors goes through here.

A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay numbers.
Must not choose what is exported.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TextIO

_RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")

Value = str | int | Decimal | bool | date | datetime | None


def write(target: TextIO, header: Sequence[str], rows: Iterable[Sequence[Value]]) -> int:
    """Header and rows as CSV (comma, quoted where needed, CR LF); how many rows there were.

    `target` must be opened with `newline=""`.
    """
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow([safe(name) for name in header])
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  told at the end
        writer.writerow([safe(value) for value in row])
    return count


def safe(value: Value) -> str:
    """One cell as text that no spreadsheet runs; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    if isinstance(value, str) and _runs(text):
        return f"'{text}"
    return text


def _runs(text: str) -> bool:
    """Spreadsheets look behind white space and quotes too."""
    return text.lstrip(" \u00a0'\"").startswith(_RUNS) and not _NUMBER.fullmatch(text)
