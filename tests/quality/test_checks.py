"""Each kind of row check by itself, with what a null means to it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from mappings.feeds import PARTS
from mappings.vocabulary import Field, Part, RowCheck, When
from quality.checks import as_type, judge
from tests.quality.tables import arrow_type, table

FIELDS = (
    Field("t", "text", "-", ""),
    Field("i", "int", "-", ""),
    Field("m", "money", "-", ""),
    Field("n", "money", "-", ""),
    Field("d", "date", "-", ""),
    Field("e", "date", "-", ""),
    Field("b", "bool", "-", ""),
    Field("l", "codes", "-", ""),
)


def failing(check: RowCheck, rows: Sequence[dict[str, Any]]) -> list[bool | None]:
    """The mask of one check over some rows."""
    part = Part("one", "", ("t",), FIELDS, checks=(check,))
    [verdict] = judge(part, table(part, rows))
    assert verdict.failed.null_count == 0
    return verdict.failed.to_pylist()


def column(name: str, *cells: Any) -> list[dict[str, Any]]:
    return [{name: cell} for cell in cells]


def pair(left: str, right: str, *cells: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{left: a, right: b} for a, b in cells]


D = Decimal


def test_not_null() -> None:
    check = RowCheck("c", "not_null", "t", "")
    assert failing(check, column("t", "a", "", None)) == [False, False, True]


def test_is_null() -> None:
    check = RowCheck("c", "is_null", "t", "")
    assert failing(check, column("t", "a", "", None)) == [True, True, False]


def test_one_of() -> None:
    check = RowCheck("c", "one_of", "t", "", values=("a", "b"))
    assert failing(check, column("t", "a", "A", "", None)) == [False, True, True, False]


def test_one_of_every_element() -> None:
    check = RowCheck("c", "one_of", "l", "", values=("a", "b"))
    cells = (["a"], ["a", "x"], [], [""], [None], ["b", None], None)
    assert failing(check, column("l", *cells)) == [False, True, False, True, False, False, False]


def test_between() -> None:
    check = RowCheck("c", "between", "m", "", low=D("0.1"), high=D(100))
    cells = (D("0.0999"), D("0.1"), D(100), D("100.0001"), None)
    assert failing(check, column("m", *cells)) == [True, False, False, True, False]
    low_alone = RowCheck("c", "between", "i", "", low=D(0))
    assert failing(low_alone, column("i", -1, 0, 2**62, None)) == [True, False, False, False]


def test_above() -> None:
    check = RowCheck("c", "above", "m", "", low=D(0))
    cells = (D("-0.0001"), D(0), D("0.0001"), None)
    assert failing(check, column("m", *cells)) == [True, True, False, False]


def test_a_bound_finer_than_the_column() -> None:
    check = RowCheck("c", "above", "m", "", low=D("0.00005"))
    assert failing(check, column("m", D(0), D("0.0001"))) == [True, False]


def test_matches_the_whole_value() -> None:
    check = RowCheck("c", "matches", "t", "", pattern="[A-Z]{3}|X")
    cells = ("EUR", "X", "EURO", "xEUR", "EUR\n", "eur", "", None)
    assert failing(check, column("t", *cells)) == [False, False] + [True] * 5 + [False]


def test_before_and_not_after() -> None:
    first, second = table_date(1), table_date(2)
    cells = ((first, second), (first, first), (second, first), (None, first), (first, None))
    before = RowCheck("c", "before", "d", "", other="e")
    assert failing(before, pair("d", "e", *cells)) == [False, True, True, False, False]
    not_after = RowCheck("c", "not_after", "d", "", other="e")
    assert failing(not_after, pair("d", "e", *cells)) == [False, False, True, False, False]


def table_date(day: int) -> Any:
    return as_type((f"2026-01-0{day}",), pa.date32())[0].as_py()


@pytest.mark.parametrize(
    ("open_amount", "gross", "bad"),
    [
        ("10", "10", False),
        ("10.0001", "10", True),
        ("0", "10", False),
        ("-0.0001", "10", True),
        ("-10", "-10", False),
        ("-10.0001", "-10", True),
        ("0.0001", "-10", True),
        ("0", "0", False),
        ("0.0001", "0", True),
        ("-0.0001", "0", True),
        (None, "10", False),
        ("10", None, False),
        ("-99999999999999.9999", "99999999999999.9999", True),
    ],
)
def test_same_sign_within(open_amount: str | None, gross: str | None, *, bad: bool) -> None:
    check = RowCheck("c", "same_sign_within", "m", "", other="n")
    left, right = (None if v is None else D(v) for v in (open_amount, gross))
    assert failing(check, pair("m", "n", (left, right))) == [bad]


@pytest.mark.parametrize(
    ("when", "held"),
    [
        (When("b", "in", ("true",)), [True, False, False]),
        (When("b", "not_in", ("true",)), [False, True, True]),
        (When("b", "present"), [True, True, False]),
        (When("b", "absent"), [False, False, True]),
    ],
)
def test_a_condition_on_true_false_and_null(when: When, held: list[bool]) -> None:
    check = RowCheck("c", "not_null", "t", "", when=(when,))
    assert failing(check, column("b", *(True, False, None))) == held


def test_all_conditions_must_hold() -> None:
    whens = (When("b", "in", ("true",)), When("i", "in", ("1", "2")))
    check = RowCheck("c", "not_null", "t", "", when=whens)
    rows = [{"b": b, "i": i} for b in (True, None) for i in (1, 3, None)]
    assert failing(check, rows) == [True] + [False] * 5


def test_rows_that_are_skipped_fail_nothing() -> None:
    part = PARTS["warehouse"]
    rows = table(part, [{"key": None}, {"key": None}, {"key": None}])
    skip = pa.array([True, False, None])
    by_id = {v.check_id: v.failed.to_pylist() for v in judge(part, rows, skip)}
    assert by_id == {"key_missing": [False, True, True], "name_missing": [False, True, True]}


def test_many_rows_in_chunks_are_judged_like_one() -> None:
    part = PARTS["price"]
    one = [
        {"level": level, "currency": c}
        for level in ("list", "??", None)
        for c in ("EUR", "eur", None)
    ]
    few = table(part, one)
    many = pa.concat_tables([few] * 1000)  # more rows than are judged one by one
    for small, large in zip(judge(part, few), judge(part, many), strict=True):
        assert large.failed.to_pylist() == small.failed.to_pylist() * 1000


def test_a_field_with_one_value_in_every_row_is_judged_like_any_other() -> None:
    part = PARTS["price"]
    for level in ("list", "??"):
        rows = table(part, [{"level": level, "currency": c} for c in ("EUR", "eur", None)])
        for plain, once in zip(judge(part, rows), judge(part, rows, None, {"level"}), strict=True):
            assert once.failed.to_pylist() == plain.failed.to_pylist()


def test_every_declaration_fits_its_columns() -> None:
    for part in PARTS.values():
        for check in part.row_checks:
            kind = arrow_type(part.field(check.field))
            if check.values and not pa.types.is_list(kind):
                as_type(check.values, kind)
            for when in check.when:
                as_type(when.values, arrow_type(part.field(when.field)))
        assert all(not v.any_failed for v in judge(part, table(part, [])))


def test_a_price_as_it_should_be_fails_nothing_and_each_fault_is_named() -> None:
    part = PARTS["price"]
    good: dict[str, Any] = {
        "header_key": "H1", "level": "list", "dealer_scope": "all", "product_scope": "product",
        "product_key": "P1", "currency": "EUR", "uom": "PCE", "per": 1, "min_qty": D(1),
        "unit_price": D("12.5"),
    }  # fmt: skip
    faults = [
        {},
        {"unit_price": D(0)},
        {"unit_price": D(0), "allow_zero": True},
        {"unit_price": D(0), "allow_zero": False},
        {"pct_off_list": D(10)},
        {"dealer_key": "D1"},
        {"level": "customer"},
        {"currency": "eur"},
    ]
    verdicts = judge(part, table(part, [good | fault for fault in faults]))
    found = [{v.check_id for v in verdicts if v.failed[i].as_py()} for i in range(len(faults))]
    assert found == [
        set(),
        {"unit_price_zero"},
        set(),
        {"unit_price_zero"},
        {"two_values_pct"},
        {"dealer_key_unexpected"},
        {"level_customer_scope"},
        {"currency_not_iso4217"},
    ]
