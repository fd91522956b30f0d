"""JSON pages to columns of text: numbers keep the literal text they came in, nothing is understood.

The usual page is decoded straight into structs that hold only what the plan asks for. A page of
another shape (an array where the plan expects an object, a lone surrogate, `-0`) is walked record
by record in `json_walk`, which is slower and finds the same. This module must not ask a server for
anything and must not map or type a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any, BinaryIO, cast

import msgspec
import numpy as np
import pyarrow as pa

from connectors.formats import json_walk
from connectors.formats.json_structs import (
    Level,
    Shape,
    bad_encoding,
    compiled,
    decode,
    no_records,
    segments,
)
from connectors.formats.json_walk import Literal
from connectors.formats.raw import Broken, ChildPlan, RawChunk, ReadPlan
from mappings.errors import BatchRefused
from mappings.sources import ODataSource, RestSource

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# An integer -0 decodes to 0: such a page is walked, so that its text stays what it was.
_MINUS_ZERO = re.compile(rb"-0\s*[,}\]]")


def read(
    content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[RawChunk | Broken]:
    """The records of one page: the root part's chunk, then one chunk for each child part.

    `first[part]` is the number of the part's next record and is moved on in place. A page without
    records gives nothing. Raises BatchRefused (`truncated`, `encoding`) for bytes that are not
    whole JSON, SourceChanged (`missing_records`) where the array of records is not there.
    """
    data = content.read().removeprefix(_BOM)
    yield from read_array(data, plan, page, first, _records_path(plan))


def read_array(
    data: bytes, plan: ReadPlan, page: int, first: dict[str, int], records: tuple[str, ...]
) -> Iterator[RawChunk | Broken]:
    """As `read`, of whole bytes, with the place of the array given."""
    if not _MINUS_ZERO.search(data):
        shape = compiled(records, plan.paths, tuple((c.records, c.paths) for c in plan.children))
        roots = decode(shape, data)
        if roots is not None:
            yield from _chunks(shape, roots, plan, page, first)
            return
    yield from _walked(data, plan, page, first, records)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """The bytes [start, end) of the number-th record of `part` in this page (1 = first).

    Raises KeyError where the plan has no such part, IndexError where the page holds fewer records.
    """
    data = content.read()
    lead = len(_BOM) if data.startswith(_BOM) else 0
    # Latin-1 gives every byte one character and leaves JSON's marks alone: offsets stay those of
    # bytes.
    text = data[lead:].decode("latin-1")
    below: tuple[str, ...] | None = None
    if part != plan.part:
        below = {c.part: segments(c.records) for c in plan.children}[part]
    place = json_walk.locate(text, _records_path(plan), below, number)
    if place is None:
        message = f"the page holds no record {number} of {part}"
        raise IndexError(message)
    return place[0] + lead, place[1] + lead


def _records_path(plan: ReadPlan) -> tuple[str, ...]:
    if not isinstance(plan.source, ODataSource | RestSource):
        message = f"not a JSON source: {type(plan.source).__name__}"
        raise TypeError(message)
    return segments(plan.source.records)


# --- the usual page: structs --------------------------------------------------------------------


def _chunks(
    shape: Shape, records: list[Any], plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[RawChunk]:
    if not records:
        return
    columns: list[pa.Array | None] = [None] * len(plan.paths)
    nested: dict[int, list[list[msgspec.Struct] | None]] = {}
    _take(shape.root, records, columns, shape.joined, nested)
    numbers = _numbers(first, plan.part, len(records))
    yield RawChunk(plan.part, page, _table(plan.paths, columns), pa.array(numbers))
    for number, child in enumerate(plan.children):
        lists = nested[number]
        counts = [len(one) if one else 0 for one in lists]
        rows = list(chain.from_iterable(one for one in lists if one))
        if not rows:
            continue
        found: list[pa.Array | None] = [None] * len(child.paths)
        _take(shape.children[number], rows, found, shape.child_joined[number], {})
        own = _numbers(first, child.part, len(rows))
        parents = pa.array(np.repeat(numbers, counts))
        yield RawChunk(child.part, page, _table(child.paths, found), pa.array(own), parents)


def _take(
    level: Level,
    records: Sequence[Any],
    columns: list[pa.Array | None],
    joined: tuple[bool, ...],
    nested: dict[int, list[list[msgspec.Struct] | None]],
) -> None:
    """Fill `columns` (by column number) and `nested` (by child number) from one level's structs."""
    for name, numbers in level.values:
        values = _pick(records, name)
        for number in numbers:
            columns[number] = _text_column(values, joined=joined[number])
    for name, below in level.objects:
        _take(below, _pick(records, name), columns, joined, nested)
    for name, numbers in level.children:
        nested[numbers[0]] = _pick(records, name)


def _pick(records: Sequence[Any], name: str) -> list[Any]:
    try:
        return list(map(attrgetter(name), records))
    except AttributeError:  # an object that is null in some record
        return [None if record is None else getattr(record, name) for record in records]


def _text_column(values: list[Any], *, joined: bool) -> pa.Array:
    kinds = set(map(type, values)) - {type(None)}
    if not joined and kinds <= {str, Literal}:
        return pa.array(values, pa.string())
    if not joined and kinds == {bool}:
        return pa.array(values, pa.bool_()).cast(pa.string())
    if not joined and kinds == {int}:
        with suppress(OverflowError, pa.ArrowInvalid):
            return pa.array(values, pa.int64()).cast(pa.string())
    return pa.array(
        [json_walk.joined(value) if joined else json_walk.text(value) for value in values],
        pa.string(),
    )


def _table(paths: tuple[str, ...], columns: Sequence[pa.Array | None]) -> pa.Table:
    arrays = cast("list[pa.Array]", list(columns))
    return pa.Table.from_arrays(arrays, names=list(paths))


def _numbers(first: dict[str, int], part: str, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    start = first.setdefault(part, 1)
    first[part] = start + count
    return np.arange(start, start + count, dtype=np.int64)


# --- any other page: record by record -----------------------------------------------------------


def _walked(
    data: bytes, plan: ReadPlan, page: int, first: dict[str, int], records: tuple[str, ...]
) -> Iterator[RawChunk | Broken]:
    try:
        found = json_walk.records(json_walk.parsed(data.decode("utf-8")), records)
    except UnicodeDecodeError as error:
        raise bad_encoding(error) from error
    except (ValueError, RecursionError) as error:
        message = f"the page is not whole JSON: {error}"
        raise BatchRefused(message, code="truncated", remedy="Pull the feed again.") from error
    if found is None:
        raise no_records(records)
    escapes = _SURROGATE.search(data) is not None
    yield from read_records(found, plan, page, first, escapes=escapes)


def read_records(
    found: Sequence[json_walk.Json],
    plan: ReadPlan,
    page: int,
    first: dict[str, int],
    *,
    escapes: bool,
) -> Iterator[RawChunk | Broken]:
    """Records that were parsed already, as `read` gives them; `escapes` as `json_walk.record`."""
    rows: list[list[str | None]] = []
    numbers: list[int] = []
    children: list[tuple[ChildPlan, list[list[str | None]], list[int]]]
    children = [(child, [], []) for child in plan.children]
    below = [(child.records, child.paths) for child in plan.children]
    for record in found:
        number = int(_numbers(first, plan.part, 1)[0])
        read_one = json_walk.record(record, plan.paths, below, escapes=escapes)
        if isinstance(read_one, json_walk.Unreadable):
            bad = read_one
            yield Broken(plan.part, page, number, bad.code, bad.says, bad.raw)
            continue
        rows.append(read_one.values)
        numbers.append(number)
        for (_, child_rows, parents), came in zip(children, read_one.children, strict=True):
            child_rows.extend(came)
            parents.extend([number] * len(came))
    if rows:
        yield _chunk(plan.part, page, plan.paths, rows, numbers)
    for child, child_rows, parents in children:
        if child_rows:
            own = _numbers(first, child.part, len(child_rows)).tolist()
            yield _chunk(child.part, page, child.paths, child_rows, own, parents=parents)


def _chunk(
    part: str,
    page: int,
    paths: tuple[str, ...],
    rows: list[list[str | None]],
    numbers: list[int],
    *,
    parents: list[int] | None = None,
) -> RawChunk:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    table = pa.Table.from_arrays(columns, names=list(paths))
    root_no = None if parents is None else pa.array(parents, pa.int64())
    return RawChunk(part, page, table, pa.array(numbers, pa.int64()), root_no)


__all__ = ["locate", "read"]
