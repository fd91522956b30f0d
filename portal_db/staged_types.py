"""Which fields a record brings into staging, and as which types. Must not run a statement."""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import DECIMALS, Field, Part
from portal_db.identifiers import digits

_PG: dict[str, LiteralString] = {
    "text": "text",
    "code": "text",
    "ccy": "text",
    "json": "text",
    "int": "bigint",
    "date": "date",
    "instant": "timestamptz",
    "bool": "boolean",
    "texts": "text[]",
    "codes": "text[]",
}


def staged_type(kind: str) -> LiteralString:
    """The column type that binary COPY fills for a field type (json travels as text)."""
    if kind in DECIMALS:
        precision, scale = DECIMALS[kind]
        return f"numeric({digits(precision)},{digits(scale)})"
    return _PG[kind]


def staged_fields(part: Part) -> tuple[Field, ...]:
    """The fields that records bring themselves; copied ones are joined in by `source`."""
    return tuple(f for f in part.fields if f.copied_from is None)
