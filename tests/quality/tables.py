"""Typed tables for judging, built by hand: the Arrow types that the contract fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mappings.vocabulary import DECIMALS, Field, Part

_PLAIN: dict[str, pa.DataType] = {
    "int": pa.int64(),
    "date": pa.date32(),
    "instant": pa.timestamp("us", "UTC"),
    "bool": pa.bool_(),
    "texts": pa.list_(pa.string()),
    "codes": pa.list_(pa.string()),
}


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of a declared field."""
    if field.type in DECIMALS:
        return pa.decimal128(*DECIMALS[field.type])
    return _PLAIN.get(field.type, pa.string())


def schema(part: Part) -> pa.Schema:
    """Every declared column of a part, plus what the mapper adds to each row."""
    columns = [(field.name, arrow_type(field)) for field in part.fields]
    extra = [("record_no", pa.int64()), ("root_no", pa.int64()), ("raw_hash", pa.int64())]
    return pa.schema(columns + extra)


def table(part: Part, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A typed table from dicts; absent columns are null, rows are numbered from 1."""
    numbered = [
        {"record_no": i, "root_no": None, "raw_hash": i, **row} for i, row in enumerate(rows, 1)
    ]
    return pa.Table.from_pylist(numbered, schema=schema(part))
