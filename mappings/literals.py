"""Whether a text written in a mapping (a constant, a lookup's target) fits a field's type.

The strict reading of whole columns is `transforms/types.py`; a test holds both against each other.
Must not import anything heavy.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime

from mappings.vocabulary import DECIMALS, Field

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_DECIMAL = re.compile(r"[+-]?0*([0-9]*)(?:\.([0-9]*?)0*)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def misfit(field: Field, text: str) -> str | None:
    """Why `text` is no value of `field`, or None where it is one."""
    if not text.strip():
        return "is blank; write `absent` for a value that is not there"
    if "\x00" in text:
        return "holds a NUL character, which no text may"
    if field.type in ("texts", "codes"):
        elements = text.split("\x1f")
        return next((said for one in elements if (said := _of_codes(field, one))), None)
    return _of_codes(field, text) or _READERS.get(field.type, _any)(field, text)


def _any(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    return None


def _of_codes(field: Field, text: str) -> str | None:
    if field.codes and text not in field.codes:
        return f"must be one of {', '.join(field.codes)}"
    return None


def _integer(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return None
    return "must be a whole number"


def _decimal(field: Field, text: str) -> str | None:
    precision, scale = DECIMALS[field.type]
    found = _DECIMAL.fullmatch(text)
    if found is None or not any(c.isdigit() for c in text) or text.endswith("."):
        return "must be a number with a decimal point, as 1234.50"
    if len(found[1]) > precision - scale or len(found[2] or "") > scale:
        return f"has more than {precision - scale} digits before the point or {scale} after it"
    return None


def _date(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    try:
        date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        return "must be a date, as 2026-01-31"
    return None


def _instant(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    return None if zone else "must be an instant with its offset, as 2026-01-31T10:00:00Z"


def _bool(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    return None if text in ("true", "false") else "must be true or false"


def _currency(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    return None if _CURRENCY.fullmatch(text) else "must be three capital letters (ISO 4217)"


def _json(field: Field, text: str) -> str | None:  # noqa: ARG001  one shape for all readers
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return None if isinstance(value, dict) else "must be a JSON object"


_READERS = {
    "int": _integer,
    "qty": _decimal,
    "price": _decimal,
    "money": _decimal,
    "pct": _decimal,
    "date": _date,
    "instant": _instant,
    "bool": _bool,
    "ccy": _currency,
    "json": _json,
}
