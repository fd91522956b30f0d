"""The first judge: every declared row check as a vectorised mask over a typed Arrow table.

A null never passes or fails by accident: each kind says in `mappings/vocabulary.py` what a null
means to it, and every mask that leaves this module is free of nulls. Exact: decimals are compared
as decimals. Must not change a value, read a clock, know a database, or look beyond the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import Part, RowCheck, When
from quality.verdicts import Verdict, nowhere

_FEW = 4096
"""A text column with at most this many different values is judged by value, not by row."""


def judge(
    part: Part,
    table: pa.Table,
    skip: pa.BooleanArray | None = None,
    constants: Collection[str] = (),
) -> list[Verdict]:
    """One verdict per row check of the part, in the order of `part.row_checks`.

    `table` holds the part's typed columns. `skip` marks rows that are not judged (known to be
    unchanged): they fail nothing. `constants`: fields with one value in every row, judged once.
    KeyError where a column that a check reads is not in the table.
    """
    rows = _Rows(table, skip, constants)
    return [
        Verdict(check.id, check.says, check.field, rows.failed(check), reads(check))
        for check in part.row_checks
    ]


def reads(check: RowCheck) -> frozenset[str]:
    """The names of all fields that a check looks at."""
    names = {check.field, *(when.field for when in check.when)}
    if check.other is not None:
        names.add(check.other)
    return frozenset(names)


class _Rows:
    """A table being judged: each column is joined once and each condition worked out once."""

    def __init__(
        self, table: pa.Table, skip: pa.BooleanArray | None, constants: Collection[str]
    ) -> None:
        self._table = table
        self._constants = constants if len(table) else ()
        self._columns: dict[str, pa.Array] = {}
        self._conditions: dict[When, pa.BooleanArray] = {}
        self._encoded: dict[str, pa.DictionaryArray | None] = {}
        self._judged = None if skip is None else pc.invert(pc.fill_null(skip, fill_value=False))

    def column(self, name: str) -> pa.Array:
        if name not in self._columns:
            self._columns[name] = joined(self._table.column(name))
        return self._columns[name]

    def encoded(self, name: str) -> pa.DictionaryArray | None:
        """The column by value, where it is text of few values; None where that does not pay."""
        if name not in self._encoded:
            column = self.column(name)
            few = None
            if pa.types.is_string(column.type) and len(column) > _FEW:
                head = column.slice(0, _FEW)
                if pc.count_distinct(head).as_py() < _FEW // 4:
                    whole = column.dictionary_encode()
                    few = whole if len(whole.dictionary) <= _FEW else None
            self._encoded[name] = few
        return self._encoded[name]

    def by_value(self, name: str, test: Callable[[pa.Array], pa.BooleanArray]) -> pa.BooleanArray:
        """`test` of every row; null rows give null."""
        if name in self._constants:
            return pa.repeat(test(self.column(name).slice(0, 1))[0], len(self._table))
        few = self.encoded(name)
        if few is None:
            column = self.column(name)
            return pc.if_else(column.is_valid(), test(column), pa.scalar(None, pa.bool_()))
        return test(few.dictionary).take(few.indices)

    def failed(self, check: RowCheck) -> pa.BooleanArray:
        """The mask of one check, without nulls."""
        if check.kind == "not_null" and self.column(check.field).null_count == 0:
            return nowhere(len(self._table))
        mask = pc.fill_null(_KINDS[check.kind](self, check), fill_value=False)
        if not mask.true_count:
            return mask
        for when in check.when:
            mask = pc.and_(mask, self.condition(when))
        return mask if self._judged is None else pc.and_(mask, self._judged)

    def condition(self, when: When) -> pa.BooleanArray:
        """Where a condition holds; a null is in no list, so `not_in` holds for it."""
        if when not in self._conditions:
            self._conditions[when] = self._condition(when)
        return self._conditions[when]

    def _condition(self, when: When) -> pa.BooleanArray:
        column = self.column(when.field)
        if when.is_ == "present":
            return column.is_valid()
        if when.is_ == "absent":
            return column.is_null()
        values = as_type(when.values, column.type)
        inside = self.by_value(when.field, lambda array: pc.is_in(array, value_set=values))
        inside = pc.fill_null(inside, fill_value=False)
        return inside if when.is_ == "in" else pc.invert(inside)


def joined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column in one piece."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def as_type(values: tuple[str, ...], to: pa.DataType) -> pa.Array:
    """Declared values, which are text, in the column's type; ArrowInvalid where they are not."""
    return pa.array(values, pa.string()).cast(to)


def bound(value: Decimal, to: pa.DataType) -> pa.Scalar:
    """A declared limit that compares exactly and, if it can, without casting the column."""
    exact = pa.scalar(value)
    if pa.types.is_integer(to) and value == value.to_integral_value():
        return pa.scalar(int(value), to)
    try:
        return exact.cast(to) if pa.types.is_decimal(to) else exact
    except pa.ArrowInvalid:  # more digits than the column has: let both sides be widened
        return exact


def _not_null(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    return rows.column(check.field).is_null()


def _is_null(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    return rows.column(check.field).is_valid()


def _one_of(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    column = rows.column(check.field)
    if not pa.types.is_list(column.type):
        values = as_type(check.values, column.type)
        return rows.by_value(
            check.field, lambda array: pc.invert(pc.is_in(array, value_set=values))
        )
    elements = column.flatten()
    values = as_type(check.values, elements.type)
    wrong = pc.and_(elements.is_valid(), pc.invert(pc.is_in(elements, value_set=values)))
    owners = pc.list_parent_indices(column).filter(wrong)
    return pc.is_in(pa.array(np.arange(len(column)), owners.type), value_set=owners)


def _between(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    column = rows.column(check.field)
    low, high = check.low, check.high
    below = None if low is None else pc.less(column, bound(low, column.type))
    over = None if high is None else pc.greater(column, bound(high, column.type))
    if below is not None and over is not None:
        return pc.or_(below, over)
    found = below if over is None else over
    return nowhere(len(column)) if found is None else found


def _above(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    column = rows.column(check.field)
    if check.low is None:
        raise ValueError(f"check {check.id}: above needs low")
    return pc.less_equal(column, bound(check.low, column.type))


def _matches(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    pattern = rf"\A(?:{check.pattern})\z"
    return rows.by_value(
        check.field, lambda array: pc.invert(pc.match_substring_regex(array, pattern))
    )


def _pair(rows: _Rows, check: RowCheck) -> tuple[pa.Array, pa.Array]:
    if check.other is None:
        raise ValueError(f"check {check.id}: {check.kind} needs other")
    return rows.column(check.field), rows.column(check.other)


def _before(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    left, right = _pair(rows, check)
    return pc.greater_equal(left, right)


def _not_after(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    left, right = _pair(rows, check)
    return pc.greater(left, right)


def _same_sign_within(rows: _Rows, check: RowCheck) -> pa.BooleanArray:
    """Fails unless the field lies between 0 and the other, whichever side of 0 that is."""
    left, right = _pair(rows, check)
    left_zero, right_zero = bound(Decimal(0), left.type), bound(Decimal(0), right.type)
    outside_up = pc.or_(pc.less(left, left_zero), pc.greater(left, right))
    outside_down = pc.or_(pc.greater(left, left_zero), pc.less(left, right))
    return pc.if_else(pc.greater_equal(right, right_zero), outside_up, outside_down)


_KINDS: dict[str, Callable[[_Rows, RowCheck], pa.BooleanArray]] = {
    "not_null": _not_null,
    "is_null": _is_null,
    "one_of": _one_of,
    "between": _between,
    "above": _above,
    "matches": _matches,
    "before": _before,
    "not_after": _not_after,
    "same_sign_within": _same_sign_within,
}
