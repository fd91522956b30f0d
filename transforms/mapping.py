"""Columns of text → the typed columns of one part; what cannot be read is named, never dropped.

A row is never dropped and nothing is raised for any text: a bad value is null in the table and
marked in a `Problem`. Judging the values is `quality`'s job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mappings.corrections import ColumnCorrection
from mappings.feeds import FEEDS
from mappings.plans import Supply, supplies
from mappings.spec import ErpMapping, FieldMapping
from mappings.vocabulary import Field, Part
from transforms.column import Column, column_of, constant
from transforms.corrected import corrected
from transforms.hashing import raw_hash
from transforms.parsing import FALSE, any_of
from transforms.registry import SAYS, StepContext
from transforms.types import ARROW, INSTANT

_VERSION = Field("version", "instant", "-", "instant of the record's last change")


class Chunk(Protocol):
    """Some records of one part as they came, a string column per path (connectors' RawChunk)."""

    @property
    def columns(self) -> pa.Table: ...  # noqa: D102  told by the class

    @property
    def record_no(self) -> pa.Int64Array: ...  # noqa: D102  told by the class

    @property
    def root_no(self) -> pa.Int64Array | None: ...  # noqa: D102  told by the class


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of bad value of one field. `mask` and `raw` have the chunk's length."""

    field: str
    code: str
    says: str
    mask: pa.BooleanArray
    raw: pa.Array


@dataclass(frozen=True, slots=True)
class Mapped:
    """The chunk's rows, typed, in the chunk's order; every bad value is null and in `problems`."""

    part: str
    table: pa.Table
    problems: list[Problem]


class Mapper:
    """Maps chunks of one part; keeps nothing between chunks."""

    def __init__(self, part: Part, supply: Supply, erp: ErpMapping) -> None:
        self.part = part
        self.supply = supply
        self._lookups = erp.lookups
        self._time_zone = erp.time_zone
        self._constants = {
            field.name: constant(field, given.const)
            for field in part.mapped_fields
            if (given := supply.fields.get(field.name, "absent")) != "absent"
            and given.const is not None
            and field.name != part.parent_field
            and not field.derived_from
        }

    @property
    def constants(self) -> dict[str, pa.Scalar]:
        """Field → the value that every row of it has, whatever the record holds."""
        return self._constants

    def map(self, chunk: Chunk) -> Mapped:
        """Typed columns of every field of the part, `record_no`, `root_no` (children only),
        `raw_hash` int64, `deleted` bool, `version` timestamp. Fields filled later are null.
        """
        rows = len(chunk.record_no)
        raw = _Raw(chunk, rows, self.supply.corrections)
        deleted = raw.deleted(self.supply.deleted)
        problems: list[Problem] = []
        columns: dict[str, pa.Array] = {}
        for field in self.part.fields:
            columns[field.name] = self._field(field, raw, rows, deleted, problems)
        for field in self.part.fields:
            if field.derived_from:
                columns[field.name] = pc.fill_null(columns[field.derived_from], "")
        columns["record_no"] = chunk.record_no
        if chunk.root_no is not None:
            columns["root_no"] = chunk.root_no
        columns["raw_hash"] = raw_hash(raw.all(), rows)
        columns["deleted"] = pa.repeat(FALSE, rows) if deleted is None else deleted
        columns["version"] = pa.nulls(rows, INSTANT)
        if self.supply.version is not None:
            found = self._mapped(_VERSION, self.supply.version, raw, rows)
            columns["version"] = found.values
            paths = self.supply.version.paths
            if found.bad:
                problems += _problems(_VERSION.name, found, raw.shown(paths), deleted=None)
        return Mapped(self.part.name, pa.table(columns), problems)

    def raw_json(self, chunk: Chunk, row: int) -> str:
        """The source texts of one record (`row` counts from 0 in the chunk) as a JSON object."""
        record = {
            name: chunk.columns.column(name)[row].as_py() for name in chunk.columns.column_names
        }
        return json.dumps(record, ensure_ascii=False)

    def _field(
        self,
        field: Field,
        raw: _Raw,
        rows: int,
        deleted: pa.BooleanArray | None,
        problems: list[Problem],
    ) -> pa.Array:
        given = self.supply.fields.get(field.name, "absent")
        if field.name == self.part.parent_field and self.supply.parent is not None:
            given = self.supply.parent
        elif not field.mapped or field.name == self.part.parent_field:
            given = "absent"
        if given == "absent":
            return _filled(field, pa.nulls(rows, ARROW[field.type]), None)
        if field.name in self._constants:
            return pa.repeat(self._constants[field.name], rows)
        found = self._mapped(field, given, raw, rows)
        needed = None if field.name in self.part.key else deleted
        if found.bad:
            problems += _problems(field.name, found, raw.shown(given.paths), deleted=needed)
        return _filled(field, found.values, any_of([mask for _, mask in found.bad]))

    def _mapped(self, field: Field, given: FieldMapping, raw: _Raw, rows: int) -> Column:
        if given.const is not None:
            return Column(pa.repeat(constant(field, given.const), rows), [])
        lookup = None if given.lookup is None else self._lookups[given.lookup]
        context = StepContext(self._time_zone, given.paths)
        return column_of(
            field, [raw.corrected(path) for path in given.paths], given.through, lookup, context
        )


def mappers(erp: ErpMapping, feed_name: str) -> Mapping[str, Mapper]:
    """Part name → its Mapper, for every part that the ERP supplies to the feed."""
    feed = FEEDS[feed_name]
    supplied = supplies(feed, erp.feeds[feed_name])
    return {name: Mapper(feed.part(name), supply, erp) for name, supply in supplied.items()}


class _Raw:
    """The chunk's columns, each in one piece; a path that no column has is absent everywhere."""

    def __init__(
        self, chunk: Chunk, rows: int, corrections: tuple[ColumnCorrection, ...] = ()
    ) -> None:
        self._table = chunk.columns.combine_chunks()
        self._rows = rows
        self._corrections = corrections

    def column(self, path: str) -> pa.Array:
        index = self._table.schema.get_field_index(path)
        if index < 0:
            return pa.nulls(self._rows, pa.string())
        column = self._table.column(index)
        return column.chunk(0) if column.num_chunks else pa.nulls(0, pa.string())

    def corrected(self, path: str) -> pa.Array:
        """The column as the mapping puts it right; hashes and messages keep what came."""
        return corrected(self.column(path), (c for c in self._corrections if c.column == path))

    def all(self) -> list[pa.Array]:
        return [self.column(name) for name in sorted(self._table.column_names)]

    def shown(self, paths: tuple[str, ...]) -> pa.Array:
        """What came, for people: one text, or several with ` | ` between them."""
        if len(paths) == 1:
            return self.column(paths[0])
        texts = [pc.fill_null(self.column(path), "") for path in paths]
        return pc.binary_join_element_wise(*texts, " | ")

    def deleted(self, path: str | None) -> pa.BooleanArray | None:
        """Tombstones: a text that is there, not blank, not 0 and not false."""
        if path is None:
            return None
        text = pc.ascii_lower(pc.utf8_trim_whitespace(self.column(path)))
        nothing = pc.is_in(text, value_set=pa.array(["", "0", "false"]))
        return pc.fill_null(pc.and_(pc.is_valid(text), pc.invert(nothing)), FALSE)


def _problems(
    name: str, found: Column, raw: pa.Array, *, deleted: pa.BooleanArray | None
) -> list[Problem]:
    """What is bad, but for `deleted` rows: a tombstone is judged by its key alone."""
    problems: list[Problem] = []
    for code, mask in found.bad:
        wanted = mask if deleted is None else pc.and_not(mask, deleted)
        if pc.any(wanted).as_py():
            problems.append(Problem(name, code, SAYS[code], wanted, raw))
    return problems


def _filled(field: Field, values: pa.Array, bad: pa.BooleanArray | None) -> pa.Array:
    """The field's absent value where nothing came; a bad value stays null."""
    if field.absent is None or not values.null_count:
        return values
    filled = pc.fill_null(values, constant(field, field.absent))
    return filled if bad is None else pc.if_else(bad, pa.scalar(None, values.type), filled)
