"""Judge landed bytes again, under today's mapping, without asking the ERP.

The last applied batch is reloaded as a whole. An older one writes only the keys that still have
an open quarantine item from that very batch. Must not pull.
"""

from __future__ import annotations

from mappings.errors import Misconfigured
from portal_db.ledger import Batch, read_batch, read_cursor
from portal_db.quarantine import of_batch
from sync.context import Context
from sync.load import Order, Outcome, load
from sync.progress import Progress, silent
from sync.release import audit


def replay(ctx: Context, batch_id: int, *, actor: str, progress: Progress = silent) -> Outcome:
    """One batch again. Raises Misconfigured where there is no such applied batch."""
    batch = _batch(ctx, batch_id)
    with ctx.connection() as connection:
        last = read_cursor(connection, batch.erp, batch.feed, batch.scope_key).batch_id
        only = None if last == batch.id else of_batch(connection, batch.id)
    if batch.state != "applied":
        raise Misconfigured(
            f"batch {batch.id} is {batch.state}: only an applied batch is replayed",
            code="batch",
            remedy="A held one is released (`waybill release`), a landed one is loaded by its DAG.",
        )
    audit(ctx, actor, "replay", f"batch {batch_id}", {"last_applied": last})
    return load(
        ctx, batch.id, order=Order(kind="replay", only=only, actor=actor), progress=progress
    )


def replay_since(
    ctx: Context, batch_id: int, *, actor: str, progress: Progress = silent
) -> list[Outcome]:
    """The last complete extract up to a batch and everything applied after it, in order."""
    batch = _batch(ctx, batch_id)
    with ctx.connection() as connection:
        rows = connection.execute(
            "SELECT id FROM sync.batch WHERE erp = %(erp)s AND feed = %(feed)s "
            "AND scope_key = %(scope)s AND state = 'applied' AND id >= coalesce((SELECT max(id) "
            "FROM sync.batch WHERE erp = %(erp)s AND feed = %(feed)s AND scope_key = %(scope)s "
            "AND state = 'applied' AND complete AND id <= %(batch)s), %(batch)s) ORDER BY id",
            {"erp": batch.erp, "feed": batch.feed, "scope": batch.scope_key, "batch": batch.id},
        ).fetchall()
    audit(ctx, actor, "replay since", f"batch {batch_id}", {"batches": [int(n) for (n,) in rows]})
    return [
        load(
            ctx,
            int(number),
            order=Order(kind="replay", replaces_newer=True, actor=actor),
            progress=progress,
        )
        for (number,) in rows
    ]


def _batch(ctx: Context, batch_id: int) -> Batch:
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
    if batch is None:
        raise Misconfigured(
            f"there is no batch {batch_id}", code="batch", remedy="See `waybill batches`."
        )
    return batch
