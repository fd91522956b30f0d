"""One feed from the ERP to the portal without a scheduler: pull, load, reconcile, retry.

The same steps as the DAG's tasks, in one process. Must not hold a turn between the steps.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mappings.errors import NotNow
from sync.context import Context
from sync.load import Outcome, load
from sync.progress import Progress, silent
from sync.pull import pull
from sync.reconcile import reconcile
from sync.retry import retry_waiting
from sync.scope import scope_of
from sync.turn import take_wish


def sync_feed(ctx: Context, erp: str, feed: str, *, progress: Progress = silent) -> Outcome | None:
    """Run one feed; None where another process is at it and was told to go once more.

    Raises what `pull` and `load` raise. A held batch is an outcome; nothing follows it.
    """
    batch_id = pull(ctx, erp, feed, progress=progress)
    if batch_id is None:
        return None
    outcome = finish(ctx, batch_id, progress=progress)
    if wanted_again(ctx, erp, feed):
        batch_id = pull(ctx, erp, feed, progress=progress)
        if batch_id is not None:
            outcome = finish(ctx, batch_id, progress=progress)
    return outcome


def sweep_feed(
    ctx: Context, erp: str, feed: str, *, cause: str = "asked", progress: Progress = silent
) -> Outcome | None:
    """Read a delta feed as a whole and compare: what differs, the deltas have missed.

    None where another process is at it. Raises what `pull_sweep` and `load` raise.
    """
    batch_id = pull_sweep(ctx, erp, feed, cause=cause, progress=progress)
    return None if batch_id is None else finish(ctx, batch_id, progress=progress)


def pull_sweep(
    ctx: Context, erp: str, feed: str, *, cause: str, progress: Progress = silent
) -> int | None:
    """Land a full read of a delta feed; first the delta, for what it brings was not missed.

    None where another process is at it. Raises what `pull` and `load` raise, and NotNow (code
    `held`) where the delta is held: a person decides first.
    """
    if ctx.feed(erp, feed).mode == "delta":
        outcome = sync_feed(ctx, erp, feed, progress=progress)
        if outcome is None:
            return None
        if outcome.state == "held":
            raise NotNow(
                f"run {outcome.run_id} is held: the sweep waits for a decision about it",
                erp=erp,
                feed=feed,
                code="held",
                remedy=f"`waybill run {outcome.run_id}` shows why.",
            )
    return pull(ctx, erp, feed, sweep=cause, progress=progress)


def finish(ctx: Context, batch_id: int, *, progress: Progress = silent) -> Outcome:
    """Load a landed batch and do what follows a done load."""
    outcome = load(ctx, batch_id, progress=progress)
    if outcome.state == "done":
        reconcile(ctx, outcome.run_id)
        retry_waiting(ctx, outcome.erp, outcome.feed, progress=progress)
    return outcome


def wanted_again(ctx: Context, erp: str, feed: str) -> bool:
    """Did someone ask for the feed while it was being loaded? Clears the note."""
    mapping = ctx.erp(erp)
    scope = scope_of(ctx.feed(erp, feed), mapping.time_zone, datetime.now(UTC))
    return take_wish(ctx, erp, feed, scope.key)
