"""One field's column: its steps from left to right, its lookup, the strict last step to its type.

Steps are elementwise, so a column with few distinct texts is worked on its distinct texts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mappings.steps import ANY, STEPS, Kind
from mappings.vocabulary import Field, Type
from transforms.parsing import FALSE, any_of, trimmed, true_rows
from transforms.registry import StepContext, StepResult
from transforms.types import ARROW, typed
from transforms.values import FUNCTIONS

_SAMPLE = 4_000
_FEW = 3
"""A column counts as repetitive where a sample holds less than a third as many distinct texts."""
_AS_TYPE: dict[Kind, Type] = {"date": "date", "instant": "instant", "bool": "bool"}


@dataclass(frozen=True, slots=True)
class Column:
    """Typed values and the bad rows by code; a row is bad under one code only."""

    values: pa.Array
    bad: list[tuple[str, pa.BooleanArray]]


def column_of(
    field: Field,
    columns: list[pa.Array],
    through: tuple[str, ...],
    lookup: dict[str, str] | None,
    context: StepContext,
) -> Column:
    """The field's values out of the texts of its paths. The names in `through` must be known."""
    works = bool(through) or lookup is not None or ARROW[field.type] != pa.string()
    if works and len(columns) == 1 and _repeats(columns[0]):
        encoded = pc.dictionary_encode(columns[0])
        few = _column(field, [encoded.dictionary], through, lookup, context)
        null = _column(field, [pa.nulls(1, pa.string())], through, lookup, context)
        indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
        values = pc.take(pa.concat_arrays([few.values, null.values]), indices)
        codes = dict.fromkeys(code for one in (few, null) for code, _ in one.bad)
        return Column(values, [(code, _spread(code, few, null, indices)) for code in codes])
    return _column(field, columns, through, lookup, context)


def constant(field: Field, text: str) -> pa.Scalar:
    """A text of the mapping as a value of the field. Raises ValueError where it is none."""
    *_, last = results = typed(pa.array([text]), field.type)
    if any(one.bad is not None and pc.any(one.bad).as_py() for one in results):
        raise ValueError(f"{field.name}: {text!r} is no {field.type}")
    return last.values[0]


def _spread(code: str, few: Column, null: Column, indices: pa.Array) -> pa.BooleanArray:
    masks = [dict(one.bad).get(code, pa.repeat(FALSE, len(one.values))) for one in (few, null)]
    return pc.take(pa.concat_arrays(masks), indices)


def _repeats(texts: pa.Array) -> bool:
    sample = texts.slice(len(texts) // 2, _SAMPLE)
    return len(texts) > _SAMPLE and pc.count_distinct(sample).as_py() * _FEW < _SAMPLE


def _column(
    field: Field,
    columns: list[pa.Array],
    through: tuple[str, ...],
    lookup: dict[str, str] | None,
    context: StepContext,
) -> Column:
    bad = _Bad()
    kind: Kind = "text"
    for name in through:
        spec = STEPS[name]
        columns = [_as_kind(column, kind, spec.needs, bad) for column in columns]
        groups = [[one] for one in columns] if spec.takes == 1 else [columns]
        columns = [bad.add_all(FUNCTIONS[name](group, context)) for group in groups]
        kind = spec.gives
        if spec.takes == ANY:
            columns = columns[:1]
    values = columns[0]
    if lookup is not None:
        values = bad.add(_looked_up(values, lookup))
    canonical = kind == "number" and lookup is None
    values = bad.add_all(typed(values, field.type, canonical=canonical))
    return Column(bad.without(values), bad.found)


def _as_kind(values: pa.Array, came: Kind, needs: Kind, bad: _Bad) -> pa.Array:
    """Text read strictly as what the step needs; everything else is that already."""
    if came != "text" or needs in ("text", "texts"):
        return values
    if needs == "number":
        return bad.add_all(FUNCTIONS["decimal_point"]([values], StepContext()))
    return bad.add_all(typed(values, _AS_TYPE[needs]))


class _Bad:
    """Collects bad rows so that each is named once, by the first that refused it."""

    def __init__(self) -> None:
        self.found: list[tuple[str, pa.BooleanArray]] = []

    def add(self, result: StepResult) -> pa.Array:
        if result.bad is not None and pc.any(result.bad).as_py():
            mask = true_rows(result.bad)
            earlier = any_of([known for _, known in self.found])
            mask = mask if earlier is None else pc.and_not(mask, earlier)
            same = [index for index, (code, _) in enumerate(self.found) if code == result.code]
            if same:
                self.found[same[0]] = (result.code, pc.or_(self.found[same[0]][1], mask))
            elif pc.any(mask).as_py():
                self.found.append((result.code, mask))
        return result.values

    def add_all(self, results: StepResult | list[StepResult]) -> pa.Array:
        every = results if isinstance(results, list) else [results]
        return [self.add(one) for one in every][-1]

    def without(self, values: pa.Array) -> pa.Array:
        """Bad rows as null: a later step may have made a value of the null."""
        every = any_of([mask for _, mask in self.found])
        return values if every is None else pc.if_else(every, pa.scalar(None, values.type), values)


def _looked_up(values: pa.Array, lookup: dict[str, str]) -> StepResult:
    """Their codes to ours. Blank is a code only where the lookup names it; absent stays null."""
    if pa.types.is_list(values.type):
        return _looked_up_lists(values, lookup)
    if "" not in lookup:
        values = trimmed_null(values)
    theirs, ours = pa.array(lookup.keys(), pa.string()), pa.array(lookup.values(), pa.string())
    index = pc.index_in(values, value_set=theirs)
    bad = pc.and_(pc.is_null(index), pc.is_valid(values))
    found = pc.take(ours, index)
    return StepResult(found, bad if pc.any(bad).as_py() else None, "unknown_code")


def _looked_up_lists(values: pa.Array, lookup: dict[str, str]) -> StepResult:
    lists = values.to_pylist()
    bad = [one is not None and any(part not in lookup for part in one) for one in lists]
    found = [
        None if one is None or wrong else [lookup[part] for part in one]
        for one, wrong in zip(lists, bad, strict=True)
    ]
    mask = pa.array(bad, pa.bool_())
    return StepResult(pa.array(found, values.type), mask if any(bad) else None, "unknown_code")


def trimmed_null(texts: pa.Array) -> pa.Array:
    """Blank as null; other text as it is, so that a lookup stays exact."""
    return pc.if_else(pc.is_null(trimmed(texts)), None, texts)
