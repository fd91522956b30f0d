"""The masks and Great Expectations read the same declaration and must find the same rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mappings.feeds import PARTS
from mappings.vocabulary import Field, Part, RowCheck, When
from quality.checks import judge
from quality.expectations import RESULT_FORMAT, evaluate, sampled, whole_frame
from tests.quality.strategies import dense, tables
from tests.quality.tables import table

pytestmark = pytest.mark.filterwarnings(
    "ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"  # of an import
)


def examples(count: int) -> settings:
    """So many random tables; a failure names its check, shrinking it would take minutes."""
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


EVERY_KIND = Part(
    name="every_kind",
    meaning="What no feed declares yet, and must work when one does.",
    key=("t",),
    fields=(
        Field("t", "text", "-", ""),
        Field("i", "int", "-", ""),
        Field("j", "int", "-", ""),
        Field("p", "price", "-", ""),
        Field("m", "money", "-", ""),
        Field("n", "money", "-", ""),
        Field("d", "date", "-", ""),
        Field("e", "date", "-", ""),
        Field("b", "bool", "-", ""),
        Field("l", "codes", "-", "", codes=("x y", "a+b")),
    ),
    checks=(
        RowCheck("inexact_between", "between", "p", "", low=Decimal("0.1"), high=Decimal("99.9")),
        RowCheck("inexact_above", "above", "p", "", low=Decimal("0.1")),
        RowCheck("huge_high", "between", "p", "", high=Decimal("999999999999.999998")),
        RowCheck("too_fine", "above", "m", "", low=Decimal("0.00000001")),
        RowCheck("int_between", "between", "i", "", low=Decimal(-1), high=Decimal(100)),
        RowCheck("int_half", "above", "i", "", low=Decimal("0.5")),
        RowCheck("int_huge", "between", "i", "", high=Decimal(2**53)),
        RowCheck("int_one_of", "one_of", "i", "", values=("1", "100")),
        RowCheck("int_order", "not_after", "i", "", other="j"),
        RowCheck("bool_one_of", "one_of", "b", "", values=("true",)),
        RowCheck("decimal_one_of", "one_of", "m", "", values=("0", "0.1", "100.0")),
        RowCheck("dates", "not_after", "d", "", other="e"),
        RowCheck("strict_dates", "before", "d", "", other="e"),
        RowCheck("alternatives", "matches", "t", "", pattern="A|B.*"),
        RowCheck("within", "same_sign_within", "m", "", other="n"),
        RowCheck("if_absent", "not_null", "p", "", when=(When("m", "absent"),)),
        RowCheck("if_false", "is_null", "p", "", when=(When("b", "in", ("false",)),)),
        RowCheck("if_int", "is_null", "p", "", when=(When("i", "not_in", ("1", "2")),)),
        RowCheck("if_decimal", "is_null", "p", "", when=(When("m", "in", ("0.1", "100")),)),
        RowCheck("if_date", "is_null", "p", "", when=(When("d", "not_in", ("2026-01-01",)),)),
        RowCheck("if_quoted", "is_null", "p", "", when=(When("t", "in", ("A'b", 'A"b', "\\")),)),
        RowCheck(
            "if_all",
            "not_null",
            "e",
            "",
            when=(When("d", "present"), When("b", "not_in", ("true",)), When("t", "absent")),
        ),
    ),
)


def agree(part: Part, rows: pa.Table) -> None:
    """Both judges find the same number of failing rows for every check."""
    by_mask = {verdict.check_id: verdict.failed.true_count for verdict in judge(part, rows)}
    results = evaluate(part, rows, f"delta {len(rows)}")
    assert {result.check_id: result.failed for result in results} == by_mask
    for result in results:
        assert result.success == (None if not result.evaluated else not by_mask[result.check_id])
        assert result.failed <= result.evaluated <= len(rows)


@pytest.mark.timeout(120)
@examples(5)
@given(tables(PARTS["price"]))
def test_prices(rows: pa.Table) -> None:
    agree(PARTS["price"], rows)


@pytest.mark.timeout(120)
@examples(5)
@given(tables(EVERY_KIND))
def test_every_kind_and_condition(rows: pa.Table) -> None:
    agree(EVERY_KIND, rows)


@pytest.mark.timeout(120)
@examples(8)
@given(st.sampled_from([part for part in PARTS.values() if part.name != "price"]), st.data())
def test_every_declared_part(part: Part, data: st.DataObject) -> None:
    agree(part, data.draw(tables(part)))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", [*PARTS.values(), EVERY_KIND], ids=lambda part: part.name)
def test_every_value_in_every_column(part: Part) -> None:
    rows = dense(part, 150, seed=len(part.fields))
    agree(part, rows)
    ids = [verdict.check_id for verdict in judge(part, rows) if verdict.any_failed]
    assert ids == [check.id for check in part.row_checks]  # every check can fail, and did


def test_a_second_table_is_not_taken_for_the_first() -> None:
    part = PARTS["warehouse"]
    good = table(part, [{"key": "W1", "name": "North"}] * 3)
    bad = table(part, [{"key": None, "name": "North"}] * 2)
    counts = [
        [(result.evaluated, result.failed) for result in evaluate(part, rows, "delta")]
        for rows in (good, bad, good)
    ]
    assert counts == [[(3, 0), (3, 0)], [(2, 2), (2, 0)], [(3, 0), (3, 0)]]


def test_nothing_to_judge_is_not_success() -> None:
    part = PARTS["price"]
    empty = evaluate(part, table(part, []), "delta 0")
    assert {result.success for result in empty} == {None}
    assert {result.population for result in empty} == {"delta 0"}
    no_list_price = evaluate(part, table(part, [{"level": "customer"}]), "delta 1")
    by_id = {result.check_id: result for result in no_list_price}
    assert by_id["level_list_scope"].success is None  # its condition held for no row
    assert by_id["unit_price_negative"].success is None  # there was no price
    assert by_id["level_unknown_code"].success is True
    assert by_id["currency_missing"].success is False


def test_a_sample_says_so_and_is_the_same_again() -> None:
    rows = pa.table({"i": list(range(30_000))})
    chosen, population = sampled(rows)
    assert population == "sample 10000 of 30000"
    assert chosen.equals(sampled(rows)[0])
    numbers = chosen.column("i").to_pylist()
    assert len(set(numbers)) == 10_000
    by_break = [sum(1 for i in numbers if i % 3 == rest) for rest in range(3)]
    assert min(by_break) > 3_000  # follows no period of three
    assert sampled(rows.slice(0, 10_000)) == (rows.slice(0, 10_000), "delta 10000")


def test_what_costs_one_metric_says_what_great_expectations_own_says() -> None:
    part = EVERY_KIND
    from quality.frames import Translation  # noqa: PLC0415 seconds to import

    translation = Translation(dense(part, 80, seed=1))
    translation.add(part.row_checks)
    own = [_plain(one) for one in translation.expectations]
    assert {type(one).__name__ for one in own} == {
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "ExpectColumnValuesToBeBetween",
        "ExpectColumnValuesToBeInSet",
        "ExpectColumnValuesToBeNull",
        "ExpectColumnValuesToMatchRegex",
        "ExpectColumnValuesToNotBeNull",
    }
    frame = translation.frame()
    assert _results(frame, translation.expectations) == _results(frame, own)


def _plain(expectation: Any) -> Any:
    """The same expectation as Great Expectations' own class, of which ours is made."""
    own = next(base for base in type(expectation).__mro__ if "core.expect_" in base.__module__)
    return own(**{**expectation.configuration.kwargs, "meta": expectation.meta})


def _results(frame: Any, expectations: list[Any]) -> list[tuple[Any, ...]]:
    from great_expectations import ExpectationSuite  # noqa: PLC0415 seconds to import

    batch = whole_frame().get_batch({"dataframe": frame})
    suite = ExpectationSuite(name="both", expectations=expectations)
    outcome = batch.validate(suite, result_format=RESULT_FORMAT)
    found = [
        (
            one.expectation_config.meta["check"],
            one.success,
            *(one.result.get(name) for name in ("element_count", "missing_count")),
            *(one.result.get(name) for name in ("unexpected_count", "unexpected_percent")),
        )
        for one in outcome.results
        if one.expectation_config is not None and one.expectation_config.meta is not None
    ]
    assert len(found) == len(expectations)
    return sorted(found, key=str)
