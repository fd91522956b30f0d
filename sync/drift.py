"""Drift: rows of the portal that are not what the last extract said, because somebody edited them.

A load of known records does not look at the table. This compares every record of the last applied
extract with the portal, from the landed bytes, and repairs what differs. Must not ask an ERP.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.fingerprint import fingerprint as fingerprint_of
from portal_db.ledger import Batch, read_batch
from sync.context import Context
from sync.load import Order, Outcome, load
from sync.progress import Progress, silent

REASON = "drift check"


@dataclass(frozen=True, slots=True)
class Checked:
    """One feed (or one scope of it). `outcome` is None where it was left out, and `says` why."""

    erp: str
    feed: str
    scope_key: str
    outcome: Outcome | None
    says: str

    @property
    def repaired(self) -> int:
        """Rows that were not what the extract says: written again, or taken out."""
        if self.outcome is None or self.outcome.state != "done":
            return 0
        counts = self.outcome.counts
        return counts.inserted + counts.updated + counts.deleted


def check_drift(
    ctx: Context, erp: str, feed: str, *, actor: str = "waybill", progress: Progress = silent
) -> list[Checked]:
    """Compare the last applied extract of a feed with the portal, scope by scope, and repair.

    A feed of deltas is left out: its sweep does this. So is an extract that was loaded under
    another mapping: the next load compares it all. Raises what `load` raises.
    """
    mapping = ctx.erp(erp)
    if ctx.feed(erp, feed).mode == "delta":
        return [Checked(erp, feed, "", None, "a feed of deltas: its sweep compares everything")]
    with ctx.connection() as connection:
        rows = connection.execute(
            "SELECT c.scope_key, c.batch_id, r.fingerprint FROM sync.cursor c "
            "JOIN sync.run r ON r.id = c.run_id WHERE c.erp = %s AND c.feed = %s ORDER BY 1",
            (erp, feed),
        ).fetchall()
        batches = [(str(key), read_batch(connection, int(n)), found) for key, n, found in rows]
    if not batches:
        return [Checked(erp, feed, "", None, "not loaded yet")]
    now = fingerprint_of(mapping, feed)
    return [
        _one(ctx, batch, key, same=found == now, actor=actor, progress=progress)
        for key, batch, found in batches
        if batch is not None
    ]


def _one(
    ctx: Context, batch: Batch, key: str, *, same: bool, actor: str, progress: Progress
) -> Checked:
    if not batch.complete:
        return Checked(batch.erp, batch.feed, key, None, "the last extract is not complete")
    if not same:
        says = "the mapping or Waybill changed since: the next load compares everything"
        return Checked(batch.erp, batch.feed, key, None, says)
    order = Order(kind="replay", everything=True, reason=REASON, actor=actor)
    outcome = load(ctx, batch.id, order=order, progress=progress)
    found = Checked(batch.erp, batch.feed, key, outcome, "")
    if outcome.state == "held":
        says = f"held: see `waybill run {outcome.run_id}`"
    elif found.repaired:
        says = f"{found.repaired} rows were not what the extract says, and are again"
    else:
        says = "as the extract says"
    return Checked(batch.erp, batch.feed, key, outcome, says)
