"""Load: parse, map, judge, stage, compare once, guard, and apply in one transaction.

A retry of load reads the landed bytes again and never bothers the ERP; killing it anywhere and
running it again gives the same end state. A batch that a guard stops is *held*: that is an
outcome, not an error. This is the way in; `sync/run.py` does it. Must not talk to an ERP.
"""

from __future__ import annotations

from mappings.errors import Misconfigured, Transient
from mappings.fingerprint import fingerprint as fingerprint_of
from portal_db.ledger import interrupted_runs, read_batch
from portal_db.orphans import drop_orphans
from sync.context import Context, declared
from sync.job import Job
from sync.outcome import Kind, Order, Outcome
from sync.place import placed
from sync.progress import Progress, silent
from sync.pull import freshness_of
from sync.run import Run
from sync.scope import scope_from_json
from sync.turn import turn

__all__ = ["Kind", "Order", "Outcome", "load"]

_TURN_SECONDS = 600.0


def load(
    ctx: Context,
    batch_id: int,
    *,
    order: Order | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Judge a landed batch and apply it, or hold it.

    Raises Transient, Misconfigured, SourceChanged; the run is then `failed` with the reason and
    the batch stays as it was. A batch already applied gives its outcome again.
    """
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
    if batch is None:
        raise Misconfigured(
            f"there is no batch {batch_id}", code="batch", remedy="See `waybill batches`."
        )
    with (
        placed(batch.erp, batch.feed),
        turn(ctx, batch.erp, batch.feed, wait_seconds=_TURN_SECONDS) as mine,
    ):
        if not mine:
            raise Transient(
                "another load of this feed has been at it for ten minutes",
                code="busy",
                remedy="It is tried again by itself.",
            )
        with ctx.connection() as connection:
            interrupted_runs(connection, batch.erp, batch.feed)
            drop_orphans(connection, batch.erp, batch.feed)
            fresh = read_batch(connection, batch_id)
        batch = fresh or batch
        mapping = ctx.erp(batch.erp)
        job = Job(
            ctx=ctx,
            batch=batch,
            order=order or Order(),
            progress=progress,
            feed=declared(batch.feed),
            mapping=mapping,
            feed_mapping=ctx.feed(batch.erp, batch.feed),
            scope=scope_from_json(batch.scope_key, batch.scope),
            observed_at=freshness_of(batch.server_at, batch.pulled_at),
            fingerprint=fingerprint_of(mapping, batch.feed),
        )
        return Run(job).go()
