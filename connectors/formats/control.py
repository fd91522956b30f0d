"""Counts and totals that a file states about itself, as exact numbers.

Must not compare: the loader holds them against what it read.
"""

from __future__ import annotations

import re
from decimal import Decimal

from mappings.errors import BatchRefused

_NUMBER = {
    "comma": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
    "point": re.compile(r"[+-]?\d+(?:\.\d+)?"),
    "hundredths": re.compile(r"[+-]?\d+"),
}


def stated(text: str, decimal: str, what: str) -> Decimal:
    """The number that a trailer's text says. Raises BatchRefused (`trailer`) where it is none."""
    text = text.strip()
    if not _NUMBER[decimal].fullmatch(text) or not text.isascii():
        message = f"the trailer's {what} {text!r} is not a number with decimal {decimal}"
        raise BatchRefused(
            message,
            code="trailer",
            remedy="Correct `trailer` in the mapping, or ask for the file again.",
        )
    if decimal == "comma":
        text = text.replace(".", "").replace(",", ".")
    return Decimal(text).scaleb(-2) if decimal == "hundredths" else Decimal(text)


def stated_count(text: str, decimal: str) -> int:
    """The number of records that a trailer's text says. Raises BatchRefused (`trailer`)."""
    found = stated(text, "point" if decimal == "hundredths" else decimal, "count")
    if found != found.to_integral_value():
        message = f"the trailer's count {found} is not a whole number"
        raise BatchRefused(message, code="trailer", remedy="Ask for the file again.")
    return int(found)


def missing(starts_with: str) -> BatchRefused:
    """For a file without its trailer."""
    return BatchRefused(
        f"the file ends without its trailer record {starts_with}",
        code="trailer",
        remedy="It was cut off or is still being written: ask for it again.",
    )


def behind(rest: str) -> BatchRefused:
    """For data after a trailer."""
    return BatchRefused(
        f"there is data after the trailer record: {rest[:60]}",
        code="trailer",
        remedy="Two files may have been written into one.",
    )


def empty_file() -> BatchRefused:
    """For a file of nothing at all: an export that died, never a list that is empty."""
    return BatchRefused(
        "the file is empty: it has not even a header",
        code="empty_file",
        remedy="Ask for it again; the portal keeps what it had.",
    )
