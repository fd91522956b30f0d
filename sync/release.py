"""Release or refuse a held batch: a person's decision, with its reason, on record.

A release is a new run that names the guards it overrides, and applies exactly what was shown.
Must not change the held run: its counts are history.
"""

from __future__ import annotations

from mappings.errors import Misconfigured
from portal_db.audit import record
from portal_db.ledger import read_batch, read_cursor, refuse_held
from sync.context import Context
from sync.load import Kind, Order, Outcome, load
from sync.progress import Progress, silent
from sync.turn import turn


def release(
    ctx: Context, run_id: int, *, reason: str, actor: str, progress: Progress = silent
) -> Outcome:
    """Let a held run's batch in.

    Raises Misconfigured where the run is not held, its batch was superseded or refused, what
    would change differs from what was shown, or the transfer itself was broken.
    """
    batch_id, guards, digest, kind = _held(ctx, run_id, reason)
    if digest is None:
        raise Misconfigured(
            f"run {run_id} was held because its transfer contradicts itself: there is nothing "
            "that could be applied",
            code="not_releasable",
            remedy="Ask the ERP's side for the file again, or refuse it with `waybill refuse`.",
        )
    audit(
        ctx,
        actor,
        "release",
        f"run {run_id}",
        {"batch": batch_id, "guards": guards, "reason": reason},
    )
    order = Order(
        kind=kind,
        overrides=frozenset(guards),
        expected_delta=digest,
        reason=reason,
        actor=actor,
    )
    return load(ctx, batch_id, order=order, progress=progress)


def refuse(ctx: Context, run_id: int, *, reason: str, actor: str) -> None:
    """Keep a held batch out for good; the next pull is judged afresh. Raises as `release`."""
    batch_id, guards, _, kind = _held(ctx, run_id, reason)
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
    if kind == "replay" or batch is None:
        raise Misconfigured(
            f"run {run_id} is a held replay: the portal keeps what it has without a decision",
            code="run",
            remedy="Release it, or leave it.",
        )
    with turn(ctx, batch.erp, batch.feed, wait_seconds=60) as mine, ctx.connection() as connection:
        refused = mine and refuse_held(connection, batch_id, f"refused by {actor}: {reason}")
    if not refused:
        raise Misconfigured(
            f"batch {batch_id} is being decided on by somebody else",
            code="batch",
            remedy="See `waybill runs`.",
        )
    audit(
        ctx,
        actor,
        "refuse",
        f"run {run_id}",
        {"batch": batch_id, "guards": guards, "reason": reason},
    )


def audit(ctx: Context, actor: str, action: str, subject: str, detail: dict[str, object]) -> None:
    """Put a person's action on record, where it has no transaction of its own."""
    with ctx.connection() as connection:
        record(connection, actor, action, subject, detail)


def _held(ctx: Context, run_id: int, reason: str) -> tuple[int, list[str], str | None, Kind]:
    if not reason.strip():
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why with --reason.")
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT batch_id, state, stops, delta_sha256, kind FROM sync.run WHERE id = %s",
            (run_id,),
        ).fetchone()
        batch = read_batch(connection, int(row[0])) if row else None
        last = None
        if batch is not None:
            last = read_cursor(connection, batch.erp, batch.feed, batch.scope_key).batch_id
    if row is None or batch is None:
        raise Misconfigured(f"there is no run {run_id}", code="run", remedy="See `waybill runs`.")
    if row[1] != "held":
        raise Misconfigured(
            f"run {run_id} is {row[1]}, not held",
            code="run",
            remedy="See `waybill runs --state held`.",
        )
    replayed = row[4] == "replay" and batch.state == "applied" and last == batch.id
    if batch.state != "held" and not replayed:
        raise Misconfigured(
            f"batch {batch.id} of run {run_id} is {batch.state} ({batch.state_reason})",
            code="batch",
            remedy="A newer batch speaks for the feed now: see `waybill runs`.",
        )
    guards = [str(stop["guard"]) for stop in row[2] or []]
    return batch.id, guards, row[3], "replay" if replayed else "release"
