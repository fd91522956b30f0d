"""Cells for files that people open in a spreadsheet: text stays text, nothing becomes a formula."""

from __future__ import annotations

import json
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
