"""Every declared step exists, does what its example says, and raises nothing for any text."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.steps import ACCEPTED, ANY, STEPS
from mappings.vocabulary import DECIMALS, Field, Type
from transforms.column import column_of
from transforms.registry import SAYS, StepContext
from transforms.values import FUNCTIONS

BERLIN = StepContext("Europe/Berlin", ("c1", "c2", "c3"))
FIELD_OF: dict[str, Type] = {
    "text": "text",
    "number": "qty",
    "date": "date",
    "instant": "instant",
    "bool": "bool",
    "texts": "texts",
}


def canonical(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return "|".join(value)
    return f"{value.normalize():f}"


def run(
    name: str, *texts: str | None, through: tuple[str, ...] = (), type_: Type | None = None
) -> Any:
    spec = STEPS[(name, *through)[-1]]
    field = Field("x", type_ or FIELD_OF[spec.gives], "-", "x")
    columns = [pa.array([text], pa.string()) for text in texts]
    return column_of(field, columns, (name, *through), None, BERLIN)


def value(name: str, *texts: str | None, **how: Any) -> str | None:
    found = run(name, *texts, **how)
    assert not found.bad, found.bad
    return canonical(found.values[0].as_py())


def code(name: str, *texts: str | None, **how: Any) -> str:
    found = run(name, *texts, **how)
    assert found.values[0].as_py() is None
    return found.bad[0][0]


def test_declared_and_registered_steps_are_the_same() -> None:
    assert sorted(FUNCTIONS) == sorted(STEPS)


@pytest.mark.parametrize("spec", STEPS.values(), ids=str)
def test_example(spec: Any) -> None:
    texts, expected = spec.example
    got = value(spec.name, *texts)
    if spec.gives == "number" and expected is not None:
        expected = canonical(pa.scalar(expected).cast(pa.decimal128(18, 6)).as_py())
    assert got == expected


ANY_TEXT = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.text("0123456789.,-+' \u00a0eE%()TZ:/", max_size=24),
    st.sampled_from(
        ["99991231", "00000000", "20260230", "9999-12-31", "0001-01-01", "\u0661", "\x00"]
    ),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)


@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("name", STEPS)
@given(
    data=st.data(), rows=st.lists(st.tuples(ANY_TEXT, ANY_TEXT, ANY_TEXT), min_size=1, max_size=30)
)
def test_any_text_gives_a_value_or_a_rejection(
    name: str, data: st.DataObject, rows: list[tuple[str | None, ...]]
) -> None:
    spec = STEPS[name]
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(spec.takes or 3)]
    type_: Type = data.draw(
        st.sampled_from([t for t, kinds in ACCEPTED.items() if spec.gives in kinds])
    )
    field = Field("x", type_, "-", "x")
    found = column_of(field, columns, (name,), None, BERLIN)
    assert len(found.values) == len(rows)
    found.values.validate(full=True)
    refused: set[int] = set()
    for reason, mask in found.bad:
        assert reason in SAYS
        here = {row for row, bad in enumerate(mask.to_pylist()) if bad}
        assert here, "a problem names rows"
        assert not here & refused, "a row is refused under one code only"
        assert all(found.values[row].as_py() is None for row in here)
        refused |= here
    row = data.draw(st.integers(0, len(rows) - 1))
    alone = column_of(field, [c.slice(row, 1) for c in columns], (name,), None, BERLIN)
    assert alone.values[0].as_py() == found.values[row].as_py(), "steps are elementwise"
    assert bool(alone.bad) == (row in refused)


def test_arity_and_kinds_are_declared_right() -> None:
    for spec in STEPS.values():
        assert spec.takes == ANY or len(spec.example[0]) == spec.takes
        assert spec.says.endswith(".")


def test_too_many_digits_for_every_decimal_type() -> None:
    for type_, (precision, scale) in DECIMALS.items():
        fits = "9" * (precision - scale) + "." + "9" * scale
        assert value("decimal_point", fits, type_=type_) == fits
        assert value("decimal_point", "000" + fits + "000", type_=type_) == fits
        assert code("decimal_point", "1" + fits, type_=type_) == "too_many_digits"
        assert code("decimal_point", fits + "1", type_=type_) == "too_many_digits"
