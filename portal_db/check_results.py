"""The record of a run's checks: every result, and the first rows that failed each of them.

Written in the run's own transaction, two COPYs whatever their number; the rates per day follow by
a trigger. Must not judge: it is told what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

KEPT = 100
"""At most this many failing rows of one check are kept with a run; the true total stands beside."""

_VALUE_CHARS = 500


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one part in one run; `success` None: not evaluated."""

    part: str
    check_id: str
    judge: str
    success: bool | None
    evaluated: int
    failed: int
    population: str
    says: str


@dataclass(frozen=True, slots=True)
class FailingRow:
    """One row (or statistic) that failed a check. `value` is the ERP's text or the figure."""

    part: str
    check_id: str
    judge: str
    record_no: int | None
    key: str | None
    field: str
    value: str | None
    says: str


def put(
    connection: psycopg.Connection[Any],
    run_id: int,
    results: Iterable[Result],
    failing: Iterable[FailingRow],
) -> None:
    """Write a run's results and, of each check, its first `KEPT` failing rows."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY sync.check_result (run_id, part, check_id, judge, success, evaluated, failed, "
            "population, says) FROM STDIN"
        ) as copy,
    ):
        for one in results:
            copy.write_row(
                (
                    run_id,
                    one.part,
                    one.check_id,
                    one.judge,
                    one.success,
                    one.evaluated,
                    one.failed,
                    one.population,
                    _clean(one.says),
                )
            )
    numbered: dict[tuple[str, str, str], int] = {}
    rows: list[tuple[object, ...]] = []
    for row in failing:
        check = (row.part, row.check_id, row.judge)
        n = numbered.get(check, 0) + 1
        if n > KEPT:
            continue
        numbered[check] = n
        says, value = _clean(row.says), _short(row.value)
        rows.append((run_id, *check, n, row.record_no, _short(row.key), row.field, value, says))
    if not rows:
        return
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY sync.check_failure (run_id, part, check_id, judge, n, record_no, key, field, "
            "value, says) FROM STDIN"
        ) as copy,
    ):
        for row in rows:
            copy.write_row(row)


def _short(text: str | None) -> str | None:
    return None if text is None else _clean(text)[:_VALUE_CHARS]


def _clean(text: str) -> str:
    """PostgreSQL's text cannot hold a NUL; it is shown as its symbol instead."""
    return text.replace("\x00", "\u2400")
