"""How a run ends: applied in one transaction, held, or failed. Every end is on record.

Must not judge: it writes what was decided.
"""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from mappings.errors import BatchRefused, NotNow, Transient, WaybillError
from portal_db import apply, quarantine
from portal_db.counts import Counts
from portal_db.failures import as_waybill_error
from portal_db.incidents import close_incidents, join_incident
from portal_db.ledger import (
    RunEnd,
    end_run,
    move_cursor,
    note_page_records,
    read_cursor,
    set_batch_state,
    supersede_open,
)
from portal_db.staging import Staging
from sync import sweep
from sync.guarding import Judgement
from sync.job import Job
from sync.outcome import Outcome
from sync.settle import Settling


def still_staged(staging: Staging, settling: Settling) -> None:
    """Unlogged tables are empty after a crash, and then every row would look vanished."""
    feed = settling.feed
    narrow = not staging.narrowed or staging.count_gone(feed.part(feed.main)) == staging.gone
    if not narrow or staging.raw_counts(feed.parts) != settling.accepted():
        raise Transient(
            "the staging tables do not hold what was accepted (the database restarted)",
            code="staging_lost",
            remedy="The load is tried again from the landed bytes.",
        )


def apply_all(
    job: Job,
    connection: psycopg.Connection[Any],
    staging: Staging,
    settling: Settling,
    judgement: Judgement,
    digest: str,
    complete: dict[str, bool],
) -> None:
    """The one transaction: data, change log, quarantine, checks, run, cursor."""
    batch, feed = job.batch, job.feed
    with connection.transaction():
        lock_cursor(job, connection)
        still_staged(staging, settling)
        for part in feed.parts:
            apply.apply(
                connection,
                staging,
                part,
                batch_id=batch.id,
                observed_at=job.observed_at,
                log_changes=judgement.had_previous,
            )
            job.progress("apply", feed.parts.index(part) + 1, len(feed.parts))
        for part in feed.parts if not staging.first else ():
            apply.mark_stale(connection, staging, part, job.observed_at)
        if batch.feed == "customers":
            apply.open_accounts(connection, staging)
        for part in feed.parts:
            quarantine.resolve_accepted(connection, staging, part, batch)
        for name, keys in settling.fates.overtaken.items():
            quarantine.resolve_overtaken(connection, staging, name, keys, batch)
        quarantine.put(connection, batch, job.run_id, job.fingerprint, settling.fates.items)
        for part in feed.parts:
            if complete.get(part.parent or part.name) and job.scope.field is None:
                quarantine.resolve_gone(connection, staging, part, batch)
        judgement.store(connection, job.run_id)
        if batch.sweep is not None and job.order.only is None:
            sweep.record(job.ctx, connection, staging, batch, complete, judgement.parts)
        if job.order.only is None:
            note_page_records(connection, batch.id, settling.intake.pages)
        close(job, connection, judgement.parts, confirmed=job.order.only is None, digest=digest)


def lock_cursor(job: Job, connection: psycopg.Connection[Any]) -> None:
    """Applied in order only: the cursor must stand where this batch's pull found it."""
    batch = job.batch
    cursor = read_cursor(connection, batch.erp, batch.feed, batch.scope_key, lock=True)
    if job.order.kind in {"retry", "replay"}:
        return
    overtaken = cursor.batch_id is not None and cursor.batch_id >= batch.id
    moved = batch.mode == "delta" and cursor.cursor != batch.cursor_from
    if overtaken or moved:
        with job.ctx.connection() as other:
            set_batch_state(other, batch.id, "superseded", "a later batch was applied first")
        raise NotNow(
            f"batch {batch.id} was overtaken by batch {cursor.batch_id}",
            code="overtaken",
            remedy="Nothing to do: the later batch speaks for the feed.",
        )


def close(
    job: Job,
    connection: psycopg.Connection[Any],
    parts: dict[str, Counts],
    *,
    confirmed: bool,
    digest: str | None = None,
) -> None:
    """The run is done: run, batch, incidents and cursor say so. In the caller's transaction."""
    batch = job.batch
    end_run(
        connection,
        job.run_id,
        RunEnd("done", parts, delta_sha256=digest, timings=job.order.timings),
    )
    if job.order.kind in {"load", "release"}:
        set_batch_state(connection, batch.id, "applied")
        supersede_open(connection, batch)
        close_incidents(connection, batch)
        move_cursor(
            connection,
            batch,
            job.run_id,
            confirmed_at=job.observed_at if confirmed else None,
        )
    elif job.order.kind == "replay" and job.order.only is None:
        connection.execute(
            "UPDATE sync.cursor SET run_id = %s WHERE erp = %s AND feed = %s "
            "AND scope_key = %s AND batch_id = %s",
            (job.run_id, batch.erp, batch.feed, batch.scope_key, batch.id),
        )


def hold(
    job: Job, connection: psycopg.Connection[Any], judgement: Judgement, digest: str
) -> Outcome:
    """A guard stopped the batch: nothing is applied, and what would change is on record."""
    stops = [stop.as_json() for stop in judgement.stops]
    with connection.transaction():
        end_run(
            connection,
            job.run_id,
            RunEnd(
                "held",
                judgement.parts,
                stops=stops,
                delta_sha256=digest,
                movements=judgement.movements,
                timings=job.order.timings,
            ),
        )
        judgement.store(connection, job.run_id)
        _stop_batch(job, connection, stops)
    return job.outcome("held", judgement.parts, stops)


def hold_refused(job: Job, connection: psycopg.Connection[Any], refused: BatchRefused) -> Outcome:
    """A transfer that contradicts itself is held with its reason; nothing of it is counted."""
    stop = {
        "guard": refused.code or "refused",
        "says": str(refused),
        "measured": None,
        "limit": None,
    }
    with connection.transaction():
        end_run(connection, job.run_id, RunEnd("held", {}, stops=[stop]))
        _stop_batch(job, connection, [stop])
    return job.outcome("held", {}, [stop])


def fail(job: Job, error: BaseException) -> None:
    """Put a failed run on record, as far as the database is there."""
    known = error if isinstance(error, WaybillError) else as_waybill_error(error)
    says = f"{type(error).__name__}: {error}" if known is None else str(known)
    code = "bug" if known is None else known.code
    try:
        with job.ctx.connection() as connection:
            end_run(connection, job.run_id, RunEnd("failed", error={"says": says, "code": code}))
    except (psycopg.Error, DBAPIError):
        return  # the database is gone: the next start marks this run as interrupted


def _stop_batch(job: Job, connection: psycopg.Connection[Any], stops: list[dict[str, Any]]) -> None:
    """Hold the batch; one that was applied before stays so, only this run of it is held."""
    if job.order.kind in {"retry", "replay"}:
        return
    set_batch_state(connection, job.batch.id, "held", stops[0]["says"])
    for stop in stops:
        join_incident(connection, job.batch, stop["guard"], stop["says"])
