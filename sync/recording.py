"""What a run's record says about its checks: the first judge's verdicts beside the second's.

Row masks decide what is let in; what they refused is counted here per check, with the rows.
Must not judge, and must not write: `portal_db/check_results.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from mappings.vocabulary import Feed
from portal_db.check_results import FailingRow, Result
from quality.batch import BatchCheck
from quality.expectations import CheckResult
from quality.quarantine import Reason
from sync.settle import Settling

MASK = "mask"


def mask_results(
    feed: Feed, settling: Settling, suspects: Mapping[str, Mapping[int, list[Reason]]]
) -> tuple[list[Result], list[FailingRow]]:
    """The first judge's result per check and part, and every row that failed.

    `suspects`: part → record_no → reasons of those that were too many to refuse one by one.

    `evaluated` counts the records that were looked at: those known to be unchanged are not. A
    check of a part of which nothing was looked at is not evaluated.
    """
    failing = [*_failing(settling), *_suspected(suspects)]
    seen: dict[tuple[str, str], set[int]] = {}
    says: dict[tuple[str, str], str] = {}
    for row in failing:
        seen.setdefault((row.part, row.check_id), set()).add(row.record_no or 0)
        says.setdefault((row.part, row.check_id), row.says)
    results: list[Result] = []
    for part in feed.parts:
        if part.name not in settling.intake.read:
            continue
        judged = settling.intake.read[part.name] - settling.intake.skipped[part.name]
        declared = {check.id: check.says for check in (*part.row_checks, *part.sums)}
        found = {code: says[p, code] for p, code in says if p == part.name}
        for check_id, told in {**found, **declared}.items():
            failed = len(seen.get((part.name, check_id), ()))
            evaluated = max(judged, failed)
            success = None if not evaluated else not failed
            results.append(
                Result(
                    part.name, check_id, MASK, success, evaluated, failed, f"batch {judged}", told
                )
            )
    return results, failing


def _failing(settling: Settling) -> Iterator[FailingRow]:
    for item in settling.fates.items:
        for reason in item.reasons:
            yield FailingRow(
                reason["part"],
                reason["code"],
                MASK,
                reason["record_no"],
                item.key,
                reason["field"],
                reason["raw"],
                reason["says"],
            )


def _suspected(suspects: Mapping[str, Mapping[int, list[Reason]]]) -> Iterator[FailingRow]:
    for part, found in suspects.items():
        for number, reasons in found.items():
            for one in reasons:
                yield FailingRow(part, one.code, MASK, number, None, one.field, one.raw, one.says)


def result(part: str, judge: str, one: CheckResult) -> Result:
    """A result of the second judge as it is kept."""
    return Result(
        part,
        one.check_id,
        judge,
        one.success,
        one.evaluated,
        one.failed,
        one.population,
        one.says,
    )


def failing_statistics(
    part: str,
    checks: tuple[BatchCheck, ...],
    results: list[CheckResult],
    measured: dict[str, Decimal | int | None],
) -> list[FailingRow]:
    """The figure of every batch check that failed."""
    statistic = {check.id: check.statistic for check in checks}
    return [
        FailingRow(
            part, r.check_id, "batch", None, None, statistic[r.check_id],
            str(measured[statistic[r.check_id]]), r.says,
        )
        for r in results
        if r.success is False
    ]  # fmt: skip
