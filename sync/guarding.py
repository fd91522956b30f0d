"""Judges a delta as a whole: change checks, guards, and the auditor's second judge.

Asks `quality` with plain numbers and gathers what the run's record keeps. Must not write to
`portal`; suspects that are too few to hold the batch leave it one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa

from mappings.vocabulary import Guards, Part
from portal_db import check_results, delta
from portal_db.counts import Counts
from portal_db.ledger import Batch, read_cursor
from portal_db.pairs import biggest_movements, changed_values, delta_rows
from portal_db.similar import similar_keys
from portal_db.staging import Staging
from portal_db.totals import live
from quality.batch import checks_of, statistics
from quality.change import moved_more_than, suspects
from quality.expectations import SAMPLE_ROWS, CheckResult, evaluate, evaluate_batch
from quality.guards import DeltaStats, Stop, stopped, suspects_are_single
from quality.quarantine import Reason
from sync.recording import failing_statistics, mask_results, result
from sync.scope import Scope
from sync.settle import Settling


@dataclass(frozen=True, slots=True)
class ShownStop:
    """A guard's stop as run and desk keep it."""

    stop: Stop

    def as_json(self) -> dict[str, Any]:
        """guard, says, measured, limit; numbers as exact text."""
        return {
            "guard": self.stop.guard,
            "says": self.stop.says,
            "measured": str(self.stop.measured),
            "limit": str(self.stop.limit),
        }


Second = tuple[list[tuple[str, str, CheckResult]], list[check_results.FailingRow]]
"""What the second judge found: (part, judge, result), and the figures that failed."""


@dataclass(slots=True)
class Judgement:
    """What was found about the delta: its ledger, what stops it, every check's result."""

    parts: dict[str, Counts] = field(default_factory=dict)
    stops: list[ShownStop] = field(default_factory=list)
    movements: list[dict[str, Any]] = field(default_factory=list)
    results: list[tuple[str, str, CheckResult]] = field(default_factory=list)
    """(part, judge, result); judge is gx or batch."""
    masks: list[check_results.Result] = field(default_factory=list)
    """The first judge's results, who decided what is let in."""
    failing: list[check_results.FailingRow] = field(default_factory=list)
    had_previous: bool = False
    second: list[Future[Second]] = field(default_factory=list)
    """What the second judge will have found: it records and decides nothing, so nobody waits."""

    def store(self, connection: psycopg.Connection[Any], run_id: int) -> None:
        """Write every result and the rows that failed, in the caller's transaction."""
        while self.second:
            results, failing = self.second.pop().result()
            self.results += results
            self.failing += failing
        told = [result(part, judge, one) for part, judge, one in self.results]
        check_results.put(connection, run_id, [*self.masks, *told], self.failing)


def judge_delta(
    connection: psycopg.Connection[Any],
    staging: Staging,
    settling: Settling,
    *,
    batch: Batch,
    guards: Guards,
    scope: Scope,
    complete: dict[str, bool],
    declared: dict[str, int | None],
    overrides: frozenset[str],
    run_id: int,
    compare_values: bool = True,
    live_before: Callable[[], int] | None = None,
) -> Judgement:
    """Change checks, ledger, guards and expectations of one run.

    `compare_values=False`: old values are not the ERP's (drift), so none is a jump.
    `live_before`: the live rows of the main part, where they have been counted already.
    """
    feed = staging.feed
    main = feed.part(feed.main)
    judgement = Judgement()
    previous = read_cursor(connection, batch.erp, batch.feed, batch.scope_key).batch_id
    judgement.had_previous = previous is not None
    whole = settling.intake.read and not settling.selected
    changes = None
    if judgement.had_previous and compare_values:
        changes = _Changes(staging, settling, guards)
    stats = _stats(staging, main, scope, judgement, complete, settling, changes, live_before)
    if changes is not None and (settling.selected or suspects_are_single(guards, stats)):
        for root in feed.roots:
            settling.refuse_suspects(root, changes.reasons.get(root.name, {}))
    for part in feed.parts:
        found = delta.counts(staging, part)
        judgement.parts[part.name] = settling.counts(
            part,
            inserted=found["I"],
            updated=found["U"],
            tombstones=found["T"],
            vanished=found["V"],
        )
    roots = sum((judgement.parts[root.name] for root in feed.roots), Counts())
    if whole or not settling.selected:
        stops = stopped(guards, roots, stats, what=feed.name, run=run_id, released=overrides)
        stops += _emptied(staging, settling, scope, complete, guards, run_id, overrides)
        judgement.stops = [ShownStop(stop) for stop in stops]
    if judgement.stops:
        for root in feed.roots:
            judgement.movements += biggest_movements(staging, root)
    _expect(staging, settling, judgement, stats, declared)
    for part in feed.roots:
        for pair in similar_keys(staging, part.name):
            says = f"{pair} differ by letters' case alone"
            settling.intake.remarks.add(part.name, "similar_keys", says)
    judgement.results += settling.intake.remarks.results()
    single = changes is None or settling.selected or suspects_are_single(guards, stats)
    held = {} if single or changes is None else changes.reasons
    judgement.masks, failing = mask_results(feed, settling, held)
    judgement.failing += failing
    return judgement


def _emptied(
    staging: Staging,
    settling: Settling,
    scope: Scope,
    complete: dict[str, bool],
    guards: Guards,
    run_id: int,
    overrides: frozenset[str],
) -> list[Stop]:
    """An empty extract of a further root stops the batch too, where the portal has rows of it."""
    found: list[Stop] = []
    for root in staging.feed.roots:
        deletes = scope.deletes(root)
        came = settling.intake.read.get(root.name, 0)
        if root.name == staging.feed.main or came or not complete.get(root.name) or not deletes:
            continue
        before = live(staging.connection, staging.erp, root, deletes.condition, deletes.parameters)
        stats = DeltaStats(live_before=before, complete=True, had_records=False)
        if before:
            found += stopped(
                guards, Counts(), stats, what=root.name, run=run_id, released=overrides
            )
    return found


class _Changes:
    """The suspects of every change check, and how many prices moved much."""

    def __init__(self, staging: Staging, settling: Settling, guards: Guards) -> None:
        self.reasons: dict[str, dict[int, list[Reason]]] = {}
        self.suspects = 0
        self.changed_rows = 0
        self.moved = 0
        self.compared = 0
        for part in staging.feed.roots:
            for check in part.changes:
                changed = changed_values(staging, part, check, guards.changed_by)
                pairs = changed.notable
                self.changed_rows += changed.rows
                moved = moved_more_than(
                    pairs[f"old_{check.field}"], pairs[f"new_{check.field}"], guards.changed_by
                )
                self.moved += moved.true_count
                found = delta.counts(staging, part)
                unchanged = staging.count(part) - found["I"] - found["U"] - found["T"]
                unchanged += settling.intake.skipped[part.name]
                self.compared += changed.both + max(unchanged, 0)
                mask = suspects(check, pairs)
                self.suspects += mask.true_count
                hit = pairs.filter(mask)
                for number, old, new in zip(
                    hit["record_no"].to_pylist(),
                    hit[f"old_{check.field}"].to_pylist(),
                    hit[f"new_{check.field}"].to_pylist(),
                    strict=True,
                ):
                    says = f"{check.says} ({old} → {new})"
                    reason = Reason(check.field, check.id, says, str(new), part.name, number)
                    self.reasons.setdefault(part.name, {}).setdefault(number, []).append(reason)


def _stats(
    staging: Staging,
    main: Part,
    scope: Scope,
    judgement: Judgement,
    complete: dict[str, bool],
    settling: Settling,
    changes: _Changes | None,
    live_before: Callable[[], int] | None,
) -> DeltaStats:
    deletes = scope.deletes(main)
    before = 0
    if deletes is not None:
        counted = (staging.erp, main, deletes.condition, deletes.parameters)
        before = live(staging.connection, *counted) if live_before is None else live_before()
    found = delta.counts(staging, main)
    return DeltaStats(
        live_before=before,
        live_after=before + found["I"] - found["T"] - found["V"],
        prices_changed_much=changes.moved if changes else 0,
        prices_compared=changes.compared if changes else 0,
        suspects=changes.suspects if changes else 0,
        changed_rows=changes.changed_rows if changes else 0,
        had_previous=judgement.had_previous,
        complete=bool(complete.get(main.name)),
        had_records=settling.intake.read.get(main.name, 0) > 0,
    )


def _expect(
    staging: Staging,
    settling: Settling,
    judgement: Judgement,
    stats: DeltaStats,
    declared: dict[str, int | None],
) -> None:
    """Great Expectations over the accepted delta (or a stated sample) and the batch's figures."""
    feed = staging.feed
    rows_of: list[tuple[Part, pa.Table, str]] = []
    touched = False
    for part in feed.parts:
        rows, total = delta_rows(staging, part, SAMPLE_ROWS)
        touched = touched or total > 0
        population = f"delta {total}" if len(rows) == total else f"sample {len(rows)} of {total}"
        if total or part.name in settling.intake.read:
            rows_of.append((part, rows, population))
    main = judgement.parts[feed.main]
    found = None
    if touched:
        figures = _portal_figures(staging, judgement)
        found = statistics(main, stats, declared.get(feed.main), figures)

    def results() -> Second:
        told = [
            (part.name, "gx", one)
            for part, rows, population in rows_of
            for one in evaluate(part, rows, population)
        ]
        failing: list[check_results.FailingRow] = []
        if found is not None:
            checks = checks_of(feed.name)
            of_batch = evaluate_batch(checks, found)
            told += [(feed.main, "batch", one) for one in of_batch]
            failing = failing_statistics(feed.main, checks, of_batch, found)
        return told, failing

    judge = ThreadPoolExecutor(1, "second-judge")
    judgement.second.append(judge.submit(results))
    judge.shutdown(wait=False)


def _portal_figures(staging: Staging, judgement: Judgement) -> dict[str, Decimal | int | None]:
    """Statistics that need more than this run's own numbers; one not measured is left out."""
    del judgement
    if staging.feed.name == "invoices":
        row = staging.connection.execute(
            f"SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM "
            f"({staging.source(staging.feed.part('document'))}) d WHERE d.subject = 'invoice' "
            f"AND d.subject_key = i.key)) FROM {staging.table('invoice')} i WHERE NOT i.deleted"
        ).fetchone()
        if row and row[0]:
            return {"undocumented_share": (Decimal(row[1]) / row[0]).quantize(Decimal("1E-9"))}
    return {}
