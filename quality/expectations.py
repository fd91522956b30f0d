"""The second judge: the same checks as a Great Expectations suite, kept as the auditor's record.

Runs on the accepted delta, or on a stated sample of a first load, and on one row of batch
statistics. It decides nothing: the masks of `quality/checks.py` quarantine, and a property test
holds both against each other. Nothing is written to disk, nothing leaves the process. Great
Expectations takes seconds to import, so it is imported when there is something to judge.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mappings.vocabulary import Part, RowCheck
from quality.batch import BatchCheck

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.result_format import ResultFormatUnion

    from quality.frames import Translation

SAMPLE_ROWS = 10_000
"""At most this many rows of a first load are run through Great Expectations."""

RESULT_FORMAT: ResultFormatUnion = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""How much a result says: counts, and none of the rows."""

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2**64 divided by the golden ratio: multiples of it are spread evenly and share no period."""

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What Great Expectations found for one check.

    `success` is None where nothing was evaluated (never True then). `evaluated` counts the rows
    that could have failed: the condition held and the check's values were there. `population`
    says what was looked at: `delta n`, `sample n of m` or `batch`.
    """

    check_id: str
    says: str
    success: bool | None
    evaluated: int
    failed: int
    population: str


def sampled(table: pa.Table, most: int = SAMPLE_ROWS) -> tuple[pa.Table, str]:
    """The rows to evaluate and how to call them: all (`delta n`) or `sample n of m`.

    The sample depends on the number of rows alone, so the same batch gives the same sample; it is
    spread over the whole table and follows no period of it (three breaks to a price, say).
    """
    rows = len(table)
    if rows <= most:
        return table, f"delta {rows}"
    with np.errstate(over="ignore"):
        scattered = np.arange(rows, dtype=np.uint64) * _SPREAD
    chosen = np.sort(np.argsort(scattered, kind="stable")[:most])
    return table.take(pa.array(chosen)), f"sample {most} of {rows}"


def evaluate(part: Part, table: pa.Table, population: str) -> list[CheckResult]:
    """One result per row check of the part, in their order; `table` has its typed columns.

    Costs about 5 s once per process where Great Expectations was not imported yet, then about
    2 ms a check and 0.3 us a check and row. Document sums are judged in SQL, by portal_db.totals.
    """
    return _evaluate(part.row_checks, table, population)


def evaluate_batch(
    checks: Iterable[BatchCheck], statistics: Mapping[str, Decimal | int | None]
) -> list[CheckResult]:
    """One result per batch check, on one row of statistics; one that is None is not evaluated.

    KeyError where a check asks for a statistic that nobody worked out.
    """
    wanted = tuple(checks)
    row = {check.statistic: _exact(statistics[check.statistic]) for check in wanted}
    table = pa.table({name: pa.array([value], pa.decimal128(38, 9)) for name, value in row.items()})
    return _evaluate([check.as_row_check() for check in wanted], table, "batch")


def _evaluate(checks: Sequence[RowCheck], table: pa.Table, population: str) -> list[CheckResult]:
    failed: Counter[str] = Counter()
    evaluated: Counter[str] = Counter()
    if len(table) and checks:
        from quality.frames import Translation  # noqa: PLC0415 seconds to import

        translation = Translation(table)
        translation.add(checks)
        failed, evaluated = _run(translation)
    return [
        CheckResult(
            check.id,
            check.says,
            None if not evaluated[check.id] else not failed[check.id],
            evaluated[check.id],
            failed[check.id],
            population,
        )
        for check in checks
    ]


def _run(translation: Translation) -> tuple[Counter[str], Counter[str]]:
    """Failed and evaluated rows per check id."""
    from great_expectations import ExpectationSuite  # noqa: PLC0415 seconds to import

    failed: Counter[str] = Counter()
    evaluated: Counter[str] = Counter()
    with _ONE_AT_A_TIME:
        suite = ExpectationSuite(name="checks", expectations=translation.expectations)
        batch = whole_frame().get_batch({"dataframe": translation.frame()})
        outcome = batch.validate(suite, result_format=RESULT_FORMAT)
    for one in outcome.results:
        config = one.expectation_config
        if config is None or "element_count" not in one.result:
            raise RuntimeError(f"Great Expectations could not evaluate: {one.exception_info}")
        check_id: str = config.meta["check"]
        result: dict[str, Any] = one.result
        failed[check_id] += result["unexpected_count"]
        looked_at = result["element_count"] - result.get("missing_count", 0)
        evaluated[check_id] = max(evaluated[check_id], looked_at)
    return failed, evaluated


@cache
def whole_frame() -> BatchDefinition[Any]:
    """One context in memory per process: no project folder, no Data Docs, no progress bar."""
    import great_expectations as gx  # noqa: PLC0415 seconds to import
    from great_expectations.data_context.types.base import (  # noqa: PLC0415 seconds to import
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
            analytics_enabled=False,
        ),
    )
    asset = context.data_sources.add_pandas("waybill").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _exact(value: Decimal | int | None) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(Decimal("1E-9"))
