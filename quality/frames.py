"""A part's checks in Great Expectations' words, and the pandas frame they are run on.

The second reading of the same declaration: it shares no comparison with `quality/checks.py`.
Great Expectations turns the bounds of an expectation into floats; a bound that a float does not
hold exactly therefore becomes a column of that Decimal, compared as a pair. Cells are Python
objects (Decimal, date, int, text), never numpy floats. Must not decide what is quarantined.
Imports Great Expectations, which takes seconds: import this module inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

import pandas as pd
import pyarrow as pa
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column, Condition

from mappings.vocabulary import RowCheck, When
from quality.expectation_kinds import (
    ExpectCountedBetween,
    ExpectCountedGreater,
    ExpectCountedInSet,
    ExpectCountedMatch,
    ExpectCountedNotNull,
    ExpectCountedNull,
)

_SEPARATOR = "\x1f"


@dataclass
class Translation:
    """The expectations of some checks, and the columns they look at.

    `meta["check"]` of every expectation names the check it belongs to; a check may need two.
    """

    table: pa.Table
    expectations: list[Expectation] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """The frame to run the expectations on; every column has dtype object."""
        series = {name: pd.Series(cells, dtype=object) for name, cells in self.columns.items()}
        frame = pd.DataFrame(series, index=pd.RangeIndex(len(self.table)))
        frame.columns = pd.Index(list(self.columns), dtype=object)
        return frame

    def add(self, checks: Iterable[RowCheck]) -> None:
        """Take in the checks, in order."""
        for check in checks:
            self.expectations.extend(self._expectations(check))

    def value(self, name: str) -> str:
        """The column as Python objects."""
        if name not in self.columns:
            self.columns[name] = self.table.column(name).to_pylist()
        return name

    def text(self, name: str) -> str:
        """The column as text: what a closed list, a pattern or a condition compares."""
        kind = self.table.schema.field(name).type
        if pa.types.is_string(kind):
            return self.value(name)
        column = f"{name}__text"
        if column not in self.columns:
            if pa.types.is_list(kind):
                cells = [_joined(cell) for cell in self.table.column(name).to_pylist()]
            else:
                cells = self.table.column(name).cast(pa.string()).to_pylist()
            self.columns[column] = cells
        return column

    def typed(self, name: str, values: tuple[str, ...]) -> list[str]:
        """Declared values in the same spelling as `text` gives the column."""
        kind = self.table.schema.field(name).type
        if pa.types.is_string(kind) or pa.types.is_list(kind):
            return list(values)
        return [
            str(v) for v in pa.array(values, pa.string()).cast(kind).cast(pa.string()).to_pylist()
        ]

    def _expectations(self, check: RowCheck) -> Iterator[Expectation]:
        common: dict[str, Any] = {"meta": {"check": check.id, "says": check.says}}
        condition = self._condition(check.when)
        if condition is not None:
            common["row_condition"] = condition
        if check.kind == "not_null":
            yield ExpectCountedNotNull(column=self.value(check.field), **common)
        elif check.kind == "is_null":
            yield ExpectCountedNull(column=self.value(check.field), **common)
        elif check.kind == "one_of":
            yield self._one_of(check, common)
        elif check.kind == "matches":
            pattern = rf"\A(?:{check.pattern})\z"
            yield ExpectCountedMatch(column=self.text(check.field), regex=pattern, **common)
        elif check.kind in {"between", "above"}:
            yield from self._bounds(check, common)
        elif check.kind == "same_sign_within":
            product = self._product(check)
            yield ExpectCountedBetween(column=product, min_value=0, **common)
        else:
            yield self._greater(
                self.value(_other(check)),
                self.value(check.field),
                common,
                or_equal=check.kind == "not_after",
            )

    def _one_of(self, check: RowCheck, common: dict[str, Any]) -> Expectation:
        values = self.typed(check.field, check.values)
        column = self.text(check.field)
        if pa.types.is_list(self.table.schema.field(check.field).type):
            one = "|".join(f"(?:{_quoted(value)})" for value in values)
            pattern = rf"\A(?:{_SEPARATOR}(?:{one}))*\z"
            return ExpectCountedMatch(column=column, regex=pattern, **common)
        return ExpectCountedInSet(column=column, value_set=values, **common)

    def _bounds(self, check: RowCheck, common: dict[str, Any]) -> Iterator[Expectation]:
        strict = check.kind == "above"
        bounds = [bound for bound in (check.low, check.high) if bound is not None]
        if all(Decimal(float(bound)) == bound for bound in bounds):
            yield ExpectCountedBetween(
                column=self.value(check.field),
                min_value=None if check.low is None else float(check.low),
                max_value=None if check.high is None else float(check.high),
                strict_min=strict,
                **common,
            )
            return
        if check.low is not None:
            low = self._constant(f"{check.id}__low", check.low)
            yield self._greater(self.value(check.field), low, common, or_equal=not strict)
        if check.high is not None:
            high = self._constant(f"{check.id}__high", check.high)
            yield self._greater(high, self.value(check.field), common, or_equal=True)

    def _greater(
        self, more: str, less: str, common: dict[str, Any], *, or_equal: bool
    ) -> Expectation:
        return ExpectCountedGreater(
            column_A=more,
            column_B=less,
            or_equal=or_equal,
            ignore_row_if="either_value_is_missing",
            **common,
        )

    def _constant(self, name: str, value: Decimal) -> str:
        self.columns[name] = [value] * len(self.table)
        return name

    def _product(self, check: RowCheck) -> str:
        """Per row a * (b - a): negative just where a does not lie between 0 and b."""
        name = f"{check.id}__product"
        left = self.table.column(check.field).to_pylist()
        right = self.table.column(_other(check)).to_pylist()
        with localcontext() as context:
            context.prec = 80
            self.columns[name] = [
                None if a is None or b is None else a * (b - a)
                for a, b in zip(left, right, strict=True)
            ]
        return name

    def _condition(self, whens: tuple[When, ...]) -> Condition | None:
        combined: Condition | None = None
        for when in whens:
            one = self._one_condition(when)
            combined = one if combined is None else combined & one
        return combined

    def _one_condition(self, when: When) -> Condition:
        if when.is_ == "present":
            return Column(self.value(when.field)).is_not_null()
        if when.is_ == "absent":
            return Column(self.value(when.field)).is_null()
        column = Column(self.text(when.field))
        values = self.typed(when.field, when.values)
        return column.is_in(values) if when.is_ == "in" else column.is_not_in(values)


def _other(check: RowCheck) -> str:
    if check.other is None:
        raise ValueError(f"check {check.id}: {check.kind} needs other")
    return check.other


def _joined(cell: list[str | None] | None) -> str | None:
    """A list cell as text, a separator before each element; elements that are null say nothing."""
    return None if cell is None else "".join(_SEPARATOR + one for one in cell if one is not None)


def _quoted(value: str) -> str:
    """A text that a regular expression takes literally, in RE2 and in Python alike."""
    return "".join(
        c if c.isalnum() or c == "_" or not c.isascii() else f"\\x{ord(c):02x}" for c in value
    )
