"""The lease of a fix job: who carries it on, for how long, and how it ends.

A worker that is killed leaves its lease behind, and the next one takes the job when it is over.
Must not touch a job's items.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from portal_db.audit import record
from sync.context import Context

log = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

LEASE = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of sync.fix_job, as far as work needs it."""

    id: int
    kind: str
    erp: str
    feed: str
    shape: str | None
    correction: dict[str, Any] | None
    mapping: str
    reason: str
    actor: str
    canary: int
    done: int


class LostLease(Exception):
    """Somebody else holds the job now, or it was paused, cancelled."""


_JOB = (
    "id, kind, erp, feed, shape, correction, mapping, reason, actor, canary, "
    "(succeeded + failed + skipped)::int AS done"
)


def claim(connection: Connection, worker: str, lease: float) -> Job | None:
    """A job that is due and nobody holds, the oldest first, held from now on; None for none."""
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        return cursor.execute(
            "UPDATE sync.fix_job SET state = 'running', worker = %s, says = NULL, "
            "lease_until = now() + make_interval(secs => %s), "
            "started_at = coalesce(started_at, now()) WHERE id = (SELECT id FROM sync.fix_job "
            "WHERE state IN ('waiting', 'running') AND next_at <= now() "
            "AND (lease_until IS NULL OR lease_until < now()) ORDER BY id LIMIT 1 "
            f"FOR UPDATE SKIP LOCKED) RETURNING {_JOB}",
            (worker, lease),
        ).fetchone()


def renewed(connection: Connection, job_id: int, worker: str, lease: float) -> Job:
    """The job as it stands, held for another `lease` seconds. Raises LostLease."""
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        job = cursor.execute(
            "UPDATE sync.fix_job SET lease_until = now() + make_interval(secs => %s) "
            f"WHERE id = %s AND worker = %s AND state = 'running' RETURNING {_JOB}",
            (lease, job_id, worker),
        ).fetchone()
    if job is None:
        raise LostLease
    return job


@contextmanager
def kept(ctx: Context, job: Job, worker: str, lease: float) -> Iterator[None]:
    """Keep the lease while a piece takes its time."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease / 3):
            try:
                with ctx.connection() as connection:
                    renewed(connection, job.id, worker, lease)
            except LostLease:
                return
            except Exception:
                log.exception("the lease of fix job %d could not be renewed", job.id)

    thread = threading.Thread(target=keep, name=f"fix-job-{job.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def end(
    ctx: Context, job: Job, worker: str, state: str, says: str | None, *, later: int = 0
) -> None:
    """Leave a held job in a state; `later`: seconds until it is due again."""
    with ctx.connection() as connection, connection.transaction():
        done = connection.execute(
            "UPDATE sync.fix_job SET state = %(state)s, says = %(says)s, worker = NULL, "
            "lease_until = NULL, next_at = now() + make_interval(secs => %(later)s), "
            "ended_at = CASE WHEN %(state)s = 'done' THEN now() END "
            "WHERE id = %(id)s AND worker = %(worker)s AND state = 'running' RETURNING 1",
            {"state": state, "says": says, "later": later, "id": job.id, "worker": worker},
        ).fetchone()
        if done and state != "waiting":
            row = connection.execute(
                "SELECT succeeded, failed, skipped FROM sync.fix_job WHERE id = %s", (job.id,)
            ).fetchone() or (0, 0, 0)
            counts = dict(zip(("succeeded", "failed", "skipped"), row, strict=True))
            record(
                connection, "waybill", f"fix job {state}", f"fix job {job.id}",
                {**counts, "says": says},
            )  # fmt: skip


def let_go(ctx: Context, job: Job, worker: str) -> None:
    """Told to stop in between: whoever comes next need not wait for the lease."""
    with ctx.connection() as connection:
        connection.execute(
            "UPDATE sync.fix_job SET lease_until = NULL, worker = NULL, state = 'waiting' "
            "WHERE id = %s AND worker = %s AND state = 'running'",
            (job.id, worker),
        )
