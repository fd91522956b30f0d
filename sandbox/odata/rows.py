"""Rows of a data set as this ERP's JSON records. Knows no request and no paging."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.odata.entities import CODE_COLUMNS, INCLUSIVE_ENDS, OBJECTS, Entity, word

Record = dict[str, Any]


def wire_column(table: pa.Table, column: str) -> pa.ChunkedArray:
    """A column as this ERP means it: words for codes, the last day for an end; still typed."""
    values = table[column]
    if column in CODE_COLUMNS:
        whole = pa.concat_arrays(values.chunks) if values.num_chunks else values.combine_chunks()
        if pa.types.is_list(whole.type):
            lists = whole.to_pylist()
            words = [one and [word(column, code) for code in one] for one in lists]
            return pa.chunked_array([pa.array(words, whole.type)])
        codes = whole.dictionary_encode()
        words = pa.array([word(column, code) for code in codes.dictionary.to_pylist()], pa.string())
        return pa.chunked_array([words.take(codes.indices)])
    if column in INCLUSIVE_ENDS:
        return pc.subtract(values.cast(pa.int32()), pa.scalar(1, pa.int32())).cast(pa.date32())
    return values


def records(table: pa.Table, entity: Entity, *, decimals_as_text: bool) -> list[Record]:
    """One record a row, children not yet in it.

    An order of which only the day is known has OrderDate alone; any other has OrderedAt, too.
    """
    names = [one.name for one in entity.properties]
    columns = [
        _values(wire_column(table, one.column), one.column, decimals_as_text)
        for one in entity.properties
    ]
    tags = _values(pc.cast(table["modified_at"].cast(pa.int64()), pa.string()), "", False)
    found: list[Record] = [
        {"@odata.etag": f'W/"{tag}"', **dict(zip(names, row, strict=True))}
        for tag, *row in zip(tags, *columns, strict=True)
    ]
    if entity.table == "sales_order":
        exact = table["ordered_at_exact"].to_pylist()
        for record, known in zip(found, exact, strict=True):
            record["OrderDate"] = record["OrderedAt"][:10]
            if not known:
                record["OrderedAt"] = None
    return found


def removed(rows: pa.Table, entity: Entity) -> list[Record]:
    """Deletion markers for rows of the data set's `deleted` table."""
    stamps = _values(rows["modified_at"], "modified_at", decimals_as_text=True)
    return [
        {
            "@removed": {"reason": "deleted"},
            **dict(zip(entity.key, key.split("|"), strict=True)),
            "ModifiedAt": stamp,
        }
        for key, stamp in zip(rows["key"].to_pylist(), stamps, strict=True)
    ]


def attach(
    found: list[Record], keys: Sequence[str], navigation: str, children: dict[str, list[Record]]
) -> None:
    """Put the children of each record, found by its key, under a navigation property."""
    for record, key in zip(found, keys, strict=True):
        record[navigation] = children.get(key, [])


def _values(column: pa.ChunkedArray, name: str, decimals_as_text: bool) -> list[Any]:  # noqa: FBT001  one of three facts
    if pa.types.is_decimal(column.type):
        texts = pc.replace_substring_regex(column.cast(pa.string()), r"(\.\d*?)0+$", r"\1")
        plain = pc.replace_substring_regex(texts, r"\.$", "").to_pylist()
        if decimals_as_text:
            return plain
        return [None if one is None else msgspec.Raw(one.encode()) for one in plain]
    if pa.types.is_timestamp(column.type):
        # Microseconds, and the seventh digit that this ERP's clock counts.
        clock = pc.strftime(column, format="%Y-%m-%dT%H:%M:%S")
        return pc.binary_join_element_wise(clock, "0Z", "").to_pylist()
    if pa.types.is_date(column.type):
        return column.cast(pa.string()).to_pylist()
    if name in OBJECTS:
        return [None if one is None else msgspec.Raw(one.encode()) for one in column.to_pylist()]
    return column.to_pylist()
