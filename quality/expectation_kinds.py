"""The expectations that a check becomes: Great Expectations' own, each at the price of one metric.

Its column expectations ask for four metrics each, which stand on nine more, and evaluate a row
condition anew for every one of them: 8 ms a check, however few the rows. Here each condition is
evaluated once, by its engine, and each expectation asks for one metric, which applies its own
comparison to the rows in question and counts. What passes, and what a result says, stays with
Great Expectations' classes. Must not compare a value or know a check of ours.
Imports Great Expectations, which takes seconds: import this module inside functions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.core.expect_column_pair_values_a_to_be_greater_than_b import (
    ExpectColumnPairValuesAToBeGreaterThanB,
)
from great_expectations.expectations.core.expect_column_values_to_be_between import (
    ExpectColumnValuesToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
    ExpectColumnValuesToBeInSet,
)
from great_expectations.expectations.core.expect_column_values_to_be_null import (
    ExpectColumnValuesToBeNull,
)
from great_expectations.expectations.core.expect_column_values_to_match_regex import (
    ExpectColumnValuesToMatchRegex,
)
from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
    ExpectColumnValuesToNotBeNull,
)
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.expectations.registry import get_metric_provider
from great_expectations.expectations.row_conditions import (
    AndCondition,
    ComparisonCondition,
    Condition,
    NullityCondition,
)
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

if TYPE_CHECKING:
    import pandas as pd

_ROWS = "waybill.rows"
_COUNTS = "waybill.counts"
_DOMAIN = ("batch_id", "row_condition")
_COLUMNS = ("column", "column_A", "column_B", "ignore_row_if")


class RowsWhere(MetricProvider):
    """Metric `waybill.rows`: the index of the rows for which a condition holds."""

    metric_name = _ROWS
    domain_keys = _DOMAIN

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 the engine names the class itself
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        **_: object,
    ) -> pd.Index:
        condition = metric_domain_kwargs["row_condition"]
        frame = _batch(execution_engine, metric_domain_kwargs)
        narrow = _engine_of(_only(frame, _columns(condition)))
        return narrow.get_domain_records({"row_condition": condition}).index

    @classmethod
    def _get_evaluation_dependencies(
        cls, *_: object, **__: object
    ) -> dict[str, MetricConfiguration]:
        return {}


class CountsOf(MetricProvider):
    """Metric `waybill.counts`: (rows, rows compared, rows unexpected) of a map condition.

    Values: `condition`, the name of Great Expectations' map metric, its `columns`, and what it
    takes `besides`. Rows with a value missing are not compared, if the condition leaves them out.
    """

    metric_name = _COUNTS
    domain_keys = _DOMAIN
    value_keys = ("condition", "columns", "besides")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 the engine names the class itself
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> tuple[int, int, int]:
        domain: dict[str, Any] = metric_value_kwargs["columns"]
        names = [name for key, name in domain.items() if key.startswith("column")]
        rows = _only(_batch(execution_engine, metric_domain_kwargs), names)
        if _ROWS in metrics:
            rows = rows.loc[metrics[_ROWS]]
        provider, evaluated = get_metric_provider(
            f"{metric_value_kwargs['condition']}.condition", execution_engine
        )
        unexpected, _, _ = evaluated(
            provider,
            execution_engine=_engine_of(rows),
            metric_domain_kwargs=domain,
            metric_value_kwargs=metric_value_kwargs["besides"],
            metrics={"table.columns": names},
            runtime_configuration=runtime_configuration,
        )
        return len(rows), len(unexpected), int(np.count_nonzero(unexpected))

    @classmethod
    def _get_evaluation_dependencies(
        cls, metric: MetricConfiguration, *_: object, **__: object
    ) -> dict[str, MetricConfiguration]:
        if "row_condition" not in metric.metric_domain_kwargs:
            return {}
        return {_ROWS: MetricConfiguration(_ROWS, metric.metric_domain_kwargs)}


class _Counted:
    """An expectation of Great Expectations that asks for the one metric `waybill.counts`.

    Counts are all that its result tells: result formats beyond BASIC, which name rows, it cannot.
    """

    def get_validation_dependencies(
        self: Any,
        execution_engine: ExecutionEngine | None = None,
        runtime_configuration: dict[str, Any] | None = None,
        **_: object,
    ) -> ValidationDependencies:
        del execution_engine
        domain = {key: getattr(self, key) for key in _DOMAIN if getattr(self, key) is not None}
        columns = {key: getattr(self, key) for key in _COLUMNS if key in self.__fields__}
        besides = {
            key: getattr(self, key)
            for key in self.success_keys
            if key not in columns and key != "mostly"
        }
        values = {"condition": self.map_metric, "columns": columns, "besides": besides}
        return ValidationDependencies(
            metric_configurations={_COUNTS: MetricConfiguration(_COUNTS, domain, values)},
            result_format=(runtime_configuration or {})["result_format"],
        )

    def _validate(
        self: Any,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: ExecutionEngine | None = None,
    ) -> dict[str, Any]:
        rows, compared, unexpected = metrics[_COUNTS]
        counts = {
            "table.row_count": rows,
            "column_values.nonnull.unexpected_count": rows - compared,
            f"{self.map_metric}.filtered_row_count": compared,
            f"{self.map_metric}.unexpected_count": unexpected,
        }
        theirs: Any = super()
        return theirs._validate(  # noqa: SLF001 the parent's: a mixin has none by type
            counts, runtime_configuration, execution_engine
        )


class ExpectCountedNotNull(_Counted, ExpectColumnValuesToNotBeNull):
    """Every value is there."""


class ExpectCountedNull(_Counted, ExpectColumnValuesToBeNull):
    """No value is there."""


class ExpectCountedInSet(_Counted, ExpectColumnValuesToBeInSet):
    """Every value is in a closed list."""


class ExpectCountedMatch(_Counted, ExpectColumnValuesToMatchRegex):
    """Every value matches a pattern."""


class ExpectCountedBetween(_Counted, ExpectColumnValuesToBeBetween):
    """Every value lies within bounds."""


class ExpectCountedGreater(_Counted, ExpectColumnPairValuesAToBeGreaterThanB):
    """Every value of A is greater than that of B, or as great."""


def _batch(engine: PandasExecutionEngine, domain: dict[str, Any]) -> pd.DataFrame:
    return engine.get_domain_records({"batch_id": domain["batch_id"]})


def _only(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """These columns; by their places, since finding a list of names takes longer than a check."""
    return frame.take([frame.columns.get_loc(name) for name in dict.fromkeys(names)], axis=1)


def _engine_of(rows: pd.DataFrame) -> PandasExecutionEngine:
    """An engine that holds these rows alone: those of a condition, and no column too many."""
    return PandasExecutionEngine(caching=False, batch_data_dict={"rows": rows})


def _columns(condition: Condition) -> Iterator[str]:
    if isinstance(condition, AndCondition):
        for one in condition.conditions:
            yield from _columns(one)
    elif isinstance(condition, ComparisonCondition | NullityCondition):
        yield condition.column.name
    else:
        raise TypeError(f"no condition of a check: {condition}")
