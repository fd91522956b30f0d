"""Records that waited for a missing parent, tried again when the parent's feed has run.

Each batch's waiting records are judged again from the landed bytes by a run of kind `retry`,
whose `read` is the number retried. Must not pull.
"""

from __future__ import annotations

from portal_db.ledger import read_batch
from portal_db.quarantine import ready_to_retry
from sync.context import Context, declared
from sync.load import Order, Outcome, load
from sync.progress import Progress, silent


def retry_waiting(
    ctx: Context, erp: str, feed: str, *, progress: Progress = silent
) -> list[Outcome]:
    """Retry what waited for rows of this ERP's feed, whichever ERP's record it is."""
    parts = {root.name: root.name for root in declared(feed).roots if "key" in root.key}
    with ctx.connection() as connection:
        found = ready_to_retry(connection, erp, parts)
        batches = {batch_id: read_batch(connection, batch_id) for batch_id in found}
    outcomes = []
    for batch_id in sorted(found):
        batch = batches[batch_id]
        if batch is None or batch.erp not in ctx.mappings.mappings:
            continue  # its mapping is broken or gone: the items stay open and say so
        order = Order(kind="retry", only=found[batch_id], reason=f"{erp}/{feed} has run")
        outcomes.append(load(ctx, batch_id, order=order, progress=progress))
    return outcomes
