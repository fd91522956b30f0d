"""Great Expectations' own Data Docs of a period, made on request out of the kept results.

A folder of HTML, a page a run: some tenths of a second each, which is why no run waits for it.
What is shown is what `sync.check_result` holds; nothing is judged again. Must not write to the
database, save the line that says that somebody asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from mappings.errors import Misconfigured
from portal_db.audit import note_reading
from sync.context import Context
from sync.progress import Progress, silent

Row = dict[str, Any]
_EXPECTATION = "expect_waybill_check_to_hold"

_RESULTS = """
SELECT r.id, r.erp, r.feed, r.kind, r.state, r.started_at, r.batch_id, c.part, c.check_id, c.judge,
       c.success, c.evaluated, c.failed, c.population, c.says,
       (SELECT jsonb_agg(coalesce(f.key, f.field) ORDER BY f.n) FROM sync.check_failure f
        WHERE f.run_id = c.run_id AND f.part = c.part AND f.check_id = c.check_id
          AND f.judge = c.judge AND f.n <= 20) AS failing
FROM sync.run r JOIN sync.check_result c ON c.run_id = r.id
WHERE r.started_at >= %(since)s AND r.started_at < %(until)s
ORDER BY r.id, c.part, c.check_id, c.judge
"""


@dataclass(frozen=True, slots=True)
class DataDocs:
    """What was written: the index page, and how many runs and results it shows."""

    index: Path
    runs: int
    results: int


def build(
    ctx: Context,
    since: datetime,
    until: datetime,
    out: Path,
    *,
    actor: str,
    progress: Progress = silent,
) -> DataDocs:
    """Write the Data Docs of [since, until) into `out`, which must be empty or not there.

    Raises Misconfigured (`exists`, `period`).
    """
    if since >= until:
        raise Misconfigured("the period is empty", code="period", remedy="Give --from before --to.")
    if out.exists() and any(out.iterdir()):
        raise Misconfigured(
            f"{out} is not empty", code="exists", remedy="Name an empty folder, or a new one."
        )
    with ctx.connection() as connection:
        note_reading(connection, actor, "data docs", {"from": since, "to": until})
        rows = _rows(connection, since, until)
    runs = [(key, list(found)) for key, found in groupby(rows, key=lambda r: r["id"])]
    out.mkdir(parents=True, exist_ok=True)
    _write(runs, out.absolute(), progress)
    return DataDocs(out / "index.html", len(runs), len(rows))


def _rows(connection: psycopg.Connection[Any], since: datetime, until: datetime) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_RESULTS, {"since": since, "until": until}).fetchall()


def _write(runs: list[tuple[int, list[Row]]], out: Path, progress: Progress) -> None:
    import great_expectations as gx  # noqa: PLC0415 - seconds to import
    from great_expectations.data_context.types.base import (  # noqa: PLC0415 - as above
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    from review import data_docs_check  # noqa: PLC0415 - as above, and registers itself

    del data_docs_check
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
            analytics_enabled=False,
            data_docs_sites={
                "waybill": {
                    "class_name": "SiteBuilder",
                    "show_how_to_buttons": False,
                    "store_backend": {
                        "class_name": "TupleFilesystemStoreBackend",
                        "base_directory": str(out),
                    },
                    "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                }
            },
        ),
    )
    for done, (_, rows) in enumerate(runs, start=1):
        key, result = _validation(rows)
        context.validation_results_store.set(key, result)
        progress("data docs", done, len(runs))
    context.build_data_docs(site_names=["waybill"])


def _validation(rows: list[Row]) -> tuple[Any, Any]:
    """One run as Great Expectations keeps a validation: its key and its result."""
    from great_expectations.core import (  # noqa: PLC0415 - seconds to import
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.core.run_identifier import RunIdentifier  # noqa: PLC0415 - as above
    from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415 - as above
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415 - as above
        ExpectationConfiguration,
    )

    first = rows[0]
    suite = f"{first['erp']}.{first['feed']}"
    results = [
        ExpectationValidationResult(
            success=bool(row["success"]),
            expectation_config=ExpectationConfiguration(
                type=_EXPECTATION,
                kwargs={"column": row["part"], "check": row["check_id"], "judge": row["judge"]},
                description=_note(row),
            ),
            result={
                "element_count": row["evaluated"],
                "unexpected_count": row["failed"],
                "unexpected_percent": 100 * row["failed"] / row["evaluated"],
                "partial_unexpected_list": row["failing"] or [],
                "observed_value": f"{row['failed']} of {row['evaluated']} failed",
            },
            exception_info={
                "raised_exception": False,
                "exception_message": None,
                "exception_traceback": None,
            },
        )
        for row in _evaluated(rows)
    ]
    passed = sum(bool(one.success) for one in results)
    run_id = RunIdentifier(run_name=f"run-{first['id']}", run_time=first["started_at"])
    result = ExpectationSuiteValidationResult(
        suite_name=suite,
        success=passed == len(results),
        results=results,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results) if results else None,
        },
        meta={
            "run_id": run_id,
            "great_expectations_version": _version(),
            "batch_kwargs": {"batch": first["batch_id"]},
            "waybill": {
                "run": first["id"],
                "kind": first["kind"],
                "state": first["state"],
                "not evaluated": [r["check_id"] for r in rows if r["success"] is None],
            },
        },
    )
    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name=suite),
        run_id=run_id,
        batch_identifier=f"batch-{first['batch_id']}",
    )
    return key, result


def _evaluated(rows: list[Row]) -> Iterator[Row]:
    """Great Expectations knows no third answer: what saw nothing is named in the meta, not here."""
    return (row for row in rows if row["success"] is not None and row["evaluated"])


def _note(row: Row) -> str:
    return f"{row['part']}: {row['check_id']} ({row['judge']}, {row['population']}): {row['says']}"


def _version() -> str:
    import great_expectations  # noqa: PLC0415 - seconds to import

    return str(great_expectations.__version__)
