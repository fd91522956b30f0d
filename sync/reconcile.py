"""Reconcile: what the ERP said, what landed, what was read, what the portal now has.

Asks `quality.reconcile` with the totals of one done run and keeps the answers. Must not change
data; a disagreement is shown, never repaired here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from mappings.errors import Misconfigured
from portal_db.counts import Counts
from portal_db.delta import DeleteScope
from portal_db.identifiers import plain_name
from portal_db.ledger import Batch, read_batch, read_pages, run_counts
from quality.reconcile import Comparison, Total, compare
from sync.context import Context, declared
from sync.scope import scope_from_json


def reconcile(ctx: Context, run_id: int) -> list[dict[str, Any]]:
    """Compare the control totals of a run; returns and stores a row per comparison."""
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT batch_id, state, kind FROM sync.run WHERE id = %s", (run_id,)
        ).fetchone()
        batch = read_batch(connection, int(row[0])) if row else None
        if row is None or batch is None or row[1] != "done":
            raise Misconfigured(
                f"run {run_id} is not done: there is nothing to reconcile",
                code="run",
                remedy="See `waybill runs`.",
            )
        whole = row[2] != "retry"
        counts = run_counts(connection, run_id)
        manifest = ctx.landing.read_manifest(batch.landing or "")
        totals = _totals(connection, batch, run_id, manifest, counts) if whole else []
        found = [_row(one) for one in compare(totals, complete=batch.complete)]
        with connection.transaction(), connection.cursor() as cursor:
            connection.execute("DELETE FROM sync.reconciliation WHERE run_id = %s", (run_id,))
            cursor.executemany(
                "INSERT INTO sync.reconciliation (run_id, part, name, sides, left_value, "
                "right_value, agrees, says) VALUES (%(run)s, %(part)s, %(name)s, %(sides)s, "
                "%(left)s, %(right)s, %(agrees)s, %(says)s)",
                [{**one, "run": run_id} for one in found],
            )
    return found


def _totals(
    connection: psycopg.Connection[Any],
    batch: Batch,
    run_id: int,
    manifest: dict[str, Any],
    counts: dict[str, Counts],
) -> list[Total]:
    feed = declared(batch.feed)
    scope = scope_from_json(batch.scope_key, batch.scope)
    landed: dict[str, int | None] = {}
    for page in read_pages(connection, batch.id):
        known = landed.get(page.part, 0)
        landed[page.part] = None if known is None or page.records is None else known + page.records
    totals: list[Total] = []
    for part in feed.parts:
        said = (manifest.get("declared") or {}).get(part.name)
        count = counts.get(part.name)
        if count is None:
            continue
        if said is not None:
            totals.append(Total("erp", part.name, "count", Decimal(said)))
        in_pages = landed.get(part.name)
        if in_pages is not None:
            totals.append(Total("landed", part.name, "count", Decimal(in_pages)))
        totals.append(Total("read", part.name, "count", Decimal(count.read)))
        deletes = scope.deletes(part)
        if part.parent is None and deletes is not None and batch.complete:
            totals += _portal(connection, batch, run_id, part.name, deletes, count)
    return totals


def _portal(
    connection: psycopg.Connection[Any],
    batch: Batch,
    run_id: int,
    part: str,
    deletes: DeleteScope,
    count: Counts,
) -> list[Total]:
    """Live rows against what this run accepted plus the last good rows of what it did not.

    Runs that ended after this one (a record that had waited, let in by its parent's run) have
    changed the portal since: their rows are taken into account, in the same snapshot.
    """
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE t.stale_since IS NOT NULL), "
        f"(SELECT coalesce(sum(p.inserted - p.deleted), 0) FROM sync.run mine "
        f"JOIN sync.run later ON later.erp = mine.erp AND later.feed = mine.feed "
        f"AND later.finished_at > mine.finished_at AND later.state = 'done' "
        f"JOIN sync.run_part p ON p.run_id = later.id AND p.part = '{plain_name(part)}' "
        f"WHERE mine.id = %s) "
        f"FROM portal.{plain_name(part)} t WHERE t.erp = %s AND t.deleted_at IS NULL "
        f"AND {deletes.condition}",
        (run_id, batch.erp, *deletes.parameters),
    ).fetchone()
    live, stale, later = (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)
    accepted = count.inserted + count.updated + count.unchanged + later
    return [
        Total("accepted", part, "count", Decimal(accepted + stale)),
        Total("portal", part, "count", Decimal(live)),
    ]


def _row(one: Comparison) -> dict[str, Any]:
    right = one.right
    return {
        "part": one.part,
        "name": one.name,
        "sides": f"{one.left.side}={right.side if right else '?'}",
        "left": one.left.value,
        "right": right.value if right else None,
        "agrees": one.agrees,
        "says": one.says,
    }
