"""Carries fix jobs on, piece by piece, under a lease: kill it anywhere, and the next one goes on.

A piece is: write the corrections, commit; load the records again from their landed bytes (a run of
kind `retry`); then read from quarantine what became of them. Each of these may be done again: a
correction that is there is not written twice, a record that was let in is not open any more.
Nothing is taken out of quarantine but by the run that put its record into the portal. Must not
judge: the load does.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mappings.errors import Misconfigured, Transient, WaybillError
from mappings.reading import MappingSet, parse_mapping
from portal_db.audit import record
from sync.context import Context
from sync.fix_correct import correct
from sync.fix_items import came_back, counted, mark, next_items, note
from sync.fix_lease import LEASE, Job, LostLease, claim, end, kept, let_go, renewed
from sync.load import Order, load

log = logging.getLogger(__name__)
Row = dict[str, Any]

PIECE = 2_000
_LATER_SECONDS = 20


def carry_on(
    ctx: Context,
    *,
    worker: str,
    piece: int = PIECE,
    lease: float = LEASE,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Do what is due until nothing is, or `stop` says so; returns how many pieces were done."""
    pieces = 0
    while not stop():
        with ctx.connection() as connection:
            job = claim(connection, worker, lease)
        if job is None:
            return pieces
        try:
            with kept(ctx, job, worker, lease):
                while not stop() and _piece(ctx, job, worker, piece):
                    pieces += 1
                    with ctx.connection() as connection:
                        job = renewed(connection, job.id, worker, lease)
        except LostLease:
            continue
        except Transient as error:
            end(ctx, job, worker, "waiting", str(error), later=_LATER_SECONDS)
            log.info("fix job %d waits: %s", job.id, error)
        except WaybillError as error:
            end(ctx, job, worker, "stopped", str(error))
        except Exception as error:
            log.exception("fix job %d failed", job.id)
            end(ctx, job, worker, "stopped", f"{type(error).__name__}: {error}")
        else:
            let_go(ctx, job, worker)
    return pieces


def _piece(ctx: Context, job: Job, worker: str, most: int) -> bool:
    """The next items of a job; False where it is at its end."""
    trying = bool(job.canary) and job.done < job.canary
    if trying:
        most = min(most, job.canary - job.done)
    with ctx.connection() as connection:
        items = next_items(connection, job.id, most)
    if not items:
        end(ctx, job, worker, "done", None)
        return False
    settled = [one for one in items if one["state"] != "open"]
    todo = [one for one in items if one["state"] == "open"]
    if settled:
        note(ctx, job, settled, None)
    if todo and job.kind == "discard":
        _discard(ctx, job, todo)
    elif todo:
        for sha256, some in _by_mapping(job, todo).items():
            _load_again(_under(ctx, job.erp, sha256), job, some)
    if trying and job.done + len(items) >= job.canary:
        back = came_back(ctx, job)
        if back:
            end(
                ctx,
                job,
                worker,
                "stopped",
                f"{back} of the first {job.canary} came back with the same trouble; "
                "the rest was not touched",
            )
            return False
    return True


def _load_again(ctx: Context, job: Job, items: list[Row]) -> None:
    if job.correction is not None:
        items = correct(ctx, job, items)
    batches: dict[int, list[Row]] = defaultdict(list)
    for one in items:
        batches[int(one["batch_id"])].append(one)
    for batch_id, some in sorted(batches.items()):
        only: dict[str, set[int]] = defaultdict(set)
        for one in some:
            only[one["part"]].add(int(one["record_no"]))
        order = Order(
            kind="retry", only=only, reason=f"fix job {job.id}: {job.reason}", actor=job.actor
        )
        outcome = load(ctx, batch_id, order=order)
        note(ctx, job, some, outcome.run_id)


def _discard(ctx: Context, job: Job, items: list[Row]) -> None:
    with ctx.connection() as connection, connection.transaction():
        rows = connection.execute(
            "UPDATE sync.quarantine SET state = 'discarded', resolved_at = clock_timestamp(), "
            "resolved_by = %s, resolved_reason = %s, version = version + 1 "
            "WHERE id = ANY(%s) AND state = 'open' RETURNING id",
            (job.actor, job.reason, [one["id"] for one in items]),
        ).fetchall()
        for (item_id,) in rows:
            record(
                connection,
                job.actor,
                "discard",
                f"quarantine {item_id}",
                {"reason": job.reason, "job": job.id},
            )
            mark(connection, job.id, item_id, "succeeded", None, "discarded")
        counted(connection, job.id)


def _by_mapping(job: Job, items: list[Row]) -> dict[str | None, list[Row]]:
    if job.mapping == "now":
        return {None: items}
    found: dict[str | None, list[Row]] = defaultdict(list)
    for one in items:
        found[one["mapping_sha256"]].append(one)
    return found


def _under(ctx: Context, erp: str, sha256: str | None) -> Context:
    """The same context with an ERP's mapping as its text was then; today's for None."""
    if sha256 is None:
        return ctx
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT text FROM sync.mapping WHERE sha256 = %s", (sha256,)
        ).fetchone()
    if row is None:
        raise Misconfigured(
            f"the mapping {sha256[:12]} of {erp} was not kept",
            code="mapping",
            remedy="Use the mapping of now.",
        )
    then = parse_mapping(str(row[0]), Path(f"{erp}.yaml"))
    known = ctx.mappings
    mappings = MappingSet(
        {**known.mappings, erp: then}, known.broken, known.files, {**known.texts, erp: str(row[0])}
    )
    return replace(ctx, mappings=mappings)
