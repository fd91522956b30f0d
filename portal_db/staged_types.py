"""Which fields a record brings into staging, and as which types. Must not run a statement."""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import DECIMALS, Field, Part
from portal_db.identifiers import digits
from portal_db.schema import PORTAL

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

_BOOKKEEPING = (
    "record_no bigint NOT NULL",
    "root_no bigint",
    "raw_hash bigint NOT NULL",
    "deleted boolean NOT NULL DEFAULT false",
    "version timestamptz",
)


def staged_type(kind: str) -> LiteralString:
    """The column type that binary COPY fills for a field type (json travels as text)."""
    if kind in DECIMALS:
        precision, scale = DECIMALS[kind]
        return f"numeric({digits(precision)},{digits(scale)})"
    return _PG[kind]


def staged_fields(part: Part) -> tuple[Field, ...]:
    """The fields that records bring themselves; copied ones are joined in by `source`."""
    return tuple(f for f in part.fields if f.copied_from is None)


def staged_columns(part: Part, erp: LiteralString | None = None) -> list[LiteralString]:
    """The columns of a staged part, those of fixed width first: what lies behind a text is looked
    for. `erp`: the table becomes that ERP's partition and has the portal's columns.
    """
    needed = {c.name for c in PORTAL[part.name].columns if erp is not None and not c.nullable}
    fields: list[LiteralString] = []
    for one in sorted(staged_fields(part), key=lambda f: f.name not in needed):
        empty: LiteralString = " NOT NULL" if one.name in needed else ""
        fields.append(f"{one.name} {staged_type(one.type)}{empty}")
    if erp is None:
        return [*_BOOKKEEPING, *fields]
    # what every count asks for comes first: behind thirty others it costs half as much again
    asked: list[LiteralString] = ["deleted_at timestamptz", "stale_since timestamptz"]
    # in every row, not only as its default: a key column that is not there counts as changed by
    # the row's first update, which then writes every index anew (no HOT)
    name: LiteralString = f"erp text NOT NULL DEFAULT '{erp}' CHECK (erp = '{erp}')"
    return [*asked, *_BOOKKEEPING, *fields, name]
