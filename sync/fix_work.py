"""Carries fix jobs on, piece by piece, under a lease: kill it anywhere, and the next one goes on.

A piece is: write the corrections, commit; load the records again from their landed bytes (a run of
kind `retry`); then read from quarantine what became of them. Each of these may be done again: a
correction that is there is not written twice, a record that was let in is not open any more.
Nothing is taken out of quarantine but by the run that put its record into the portal. Must not
judge: the load does.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from mappings.errors import Misconfigured, Transient, WaybillError
from mappings.fingerprint import fingerprint
from mappings.reading import MappingSet, parse_mapping
from portal_db.audit import record
from sync.context import Context
from sync.corrections import hash_of
from sync.fix_jobs import audited
from sync.fix_preview import Place, record_texts
from sync.fix_rules import Rule
from sync.load import Order, load

log = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]
Row = dict[str, Any]

PIECE = 2_000
LEASE = 60.0
_LATER_SECONDS = 20


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


class _LostLease(Exception):
    """Somebody else holds the job now, or it was paused, cancelled."""


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
            job = _claim(connection, worker, lease)
        if job is None:
            return pieces
        try:
            with _kept(ctx, job, worker, lease):
                while not stop() and _piece(ctx, job, worker, piece):
                    pieces += 1
                    with ctx.connection() as connection:
                        job = _renewed(connection, job.id, worker, lease)
        except _LostLease:
            continue
        except Transient as error:
            _end(ctx, job, worker, "waiting", str(error), later=_LATER_SECONDS)
            log.info("fix job %d waits: %s", job.id, error)
        except WaybillError as error:
            _end(ctx, job, worker, "stopped", str(error))
        except Exception as error:
            log.exception("fix job %d failed", job.id)
            _end(ctx, job, worker, "stopped", f"{type(error).__name__}: {error}")
        else:
            _let_go(ctx, job, worker)
    return pieces


def _piece(ctx: Context, job: Job, worker: str, most: int) -> bool:
    """The next items of a job; False where it is at its end."""
    trying = bool(job.canary) and job.done < job.canary
    if trying:
        most = min(most, job.canary - job.done)
    with ctx.connection() as connection:
        items = _next(connection, job.id, most)
    if not items:
        _end(ctx, job, worker, "done", None)
        return False
    settled = [one for one in items if one["state"] != "open"]
    todo = [one for one in items if one["state"] == "open"]
    if settled:
        _note(ctx, job, settled, None)
    if todo and job.kind == "discard":
        _discard(ctx, job, todo)
    elif todo:
        for sha256, some in _by_mapping(job, todo).items():
            _load_again(_under(ctx, job.erp, sha256), job, some)
    if trying and job.done + len(items) >= job.canary:
        back = _came_back(ctx, job)
        if back:
            _end(
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
        items = _correct(ctx, job, items)
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
        _note(ctx, job, some, outcome.run_id)


def _correct(ctx: Context, job: Job, items: list[Row]) -> list[Row]:
    """Make the corrections durable; returns the items that have one."""
    rule = Rule.of(job.correction or {})
    places = {one["id"]: Place.of(one) for one in items}
    texts = record_texts(ctx, list(places.values()), job.erp, job.feed)
    mark = fingerprint(ctx.erp(job.erp), job.feed)
    rows, untouched = [], []
    for one in items:
        own = texts.get(one["id"])
        changes = rule.changes(own) if own else {}
        if own is None or not changes:
            untouched.append((one["id"], own is None))
            continue
        place = places[one["id"]]
        was = {path: own.get(path) for path in changes}
        rows.append(
            (
                one["id"],
                job.erp,
                job.feed,
                place.part,
                one["key"] if place.root else None,
                place.record_no,
                place.batch_id,
                hash_of(own),
                mark,
                json.dumps(changes, ensure_ascii=False),
                json.dumps(was, ensure_ascii=False),
                job.actor,
                job.reason,
                job.id,
            )
        )
    with ctx.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_CORRECTION, rows)
        for item_id, gone in untouched:
            says = (
                "its raw record cannot be read" if gone else "the correction changes nothing in it"
            )
            _mark(connection, job.id, item_id, "skipped", None, says)
        _counted(connection, job.id)
        if rows:
            detail = {
                "job": job.id,
                "items": len(rows),
                "correction": audited(ctx, job.erp, job.feed, rule),
            }
            record(connection, job.actor, "correct", f"fix job {job.id}", detail)
    corrected = {row[0] for row in rows}
    return [one for one in items if one["id"] in corrected]


# what an earlier correction of the same record changed stays, unless this one says otherwise
_CORRECTION = (
    "INSERT INTO sync.correction (item_id, erp, feed, part, key, record_no, batch_id, raw_hash, "
    "fingerprint, changes, was, actor, reason, job_id) "
    "SELECT i.item_id, i.erp, i.feed, i.part, i.key, i.record_no, i.batch_id, i.raw_hash, i.mark, "
    "coalesce(o.changes, '{}') || i.changes, coalesce(o.was, '{}') || i.was, i.actor, i.reason, "
    "i.job_id FROM (VALUES (%s::bigint, %s, %s, %s, %s::text, %s::bigint, %s::bigint, %s::bigint, "
    "%s, %s::jsonb, %s::jsonb, %s, %s, %s::bigint)) AS i(item_id, erp, feed, part, key, record_no, "
    "batch_id, raw_hash, mark, changes, was, actor, reason, job_id) "
    "LEFT JOIN LATERAL (SELECT c.changes, c.was FROM sync.correction c WHERE c.item_id = i.item_id "
    "AND c.raw_hash = i.raw_hash AND c.fingerprint = i.mark ORDER BY c.id DESC LIMIT 1) o ON true "
    "WHERE NOT EXISTS (SELECT FROM sync.correction c WHERE c.job_id = i.job_id "
    "AND c.item_id = i.item_id AND c.raw_hash = i.raw_hash)"
)


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
            _mark(connection, job.id, item_id, "succeeded", None, "discarded")
        _counted(connection, job.id)


def _note(ctx: Context, job: Job, items: list[Row], run_id: int | None) -> None:
    """Write down what became of items, as quarantine has it now."""
    with ctx.connection() as connection, connection.transaction():
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(
                "SELECT id, state, resolved_run, resolved_by, reasons, retry_until "
                "FROM sync.quarantine WHERE id = ANY(%s)",
                ([one["id"] for one in items],),
            ).fetchall()
        for row in rows:
            if row["state"] == "open":
                says = str(row["reasons"][0]["says"])
                _mark(connection, job.id, row["id"], "failed", run_id, says)
            elif row["resolved_run"] is not None:
                _mark(connection, job.id, row["id"], "succeeded", row["resolved_run"], row["state"])
            else:
                says = f"{row['state']} by {row['resolved_by']}"
                own = job.kind == "discard" and row["state"] == "discarded"
                _mark(connection, job.id, row["id"], "succeeded" if own else "skipped", None, says)
        _counted(connection, job.id)


def _came_back(ctx: Context, job: Job) -> int:
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM sync.fix_item i JOIN sync.quarantine q ON q.id = i.item_id "
            "WHERE i.job_id = %s AND i.state = 'failed' AND q.state = 'open' AND q.shape = %s",
            (job.id, job.shape),
        ).fetchone()
    return int(row[0]) if row else 0


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


_ITEMS = (
    "SELECT q.id, q.erp, q.feed, q.part, q.key, q.state, q.batch_id, q.record_no, q.reasons, "
    "q.raw, r.mapping_sha256 FROM sync.fix_item i JOIN sync.quarantine q ON q.id = i.item_id "
    "LEFT JOIN sync.run r ON r.id = q.run_id WHERE i.job_id = %s AND i.state = 'waiting' "
    "ORDER BY q.batch_id, q.id LIMIT %s"
)
_JOB = (
    "id, kind, erp, feed, shape, correction, mapping, reason, actor, canary, "
    "(succeeded + failed + skipped)::int AS done"
)


def _next(connection: Connection, job_id: int, most: int) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ITEMS, (job_id, most)).fetchall()


def _claim(connection: Connection, worker: str, lease: float) -> Job | None:
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


def _renewed(connection: Connection, job_id: int, worker: str, lease: float) -> Job:
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        job = cursor.execute(
            "UPDATE sync.fix_job SET lease_until = now() + make_interval(secs => %s) "
            f"WHERE id = %s AND worker = %s AND state = 'running' RETURNING {_JOB}",
            (lease, job_id, worker),
        ).fetchone()
    if job is None:
        raise _LostLease
    return job


@contextmanager
def _kept(ctx: Context, job: Job, worker: str, lease: float) -> Iterator[None]:
    """Keep the lease while a piece takes its time."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(lease / 3):
            try:
                with ctx.connection() as connection:
                    _renewed(connection, job.id, worker, lease)
            except _LostLease:
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


def _end(
    ctx: Context, job: Job, worker: str, state: str, says: str | None, *, later: int = 0
) -> None:
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


def _let_go(ctx: Context, job: Job, worker: str) -> None:
    """Told to stop in between: whoever comes next need not wait for the lease."""
    with ctx.connection() as connection:
        connection.execute(
            "UPDATE sync.fix_job SET lease_until = NULL, worker = NULL, state = 'waiting' "
            "WHERE id = %s AND worker = %s AND state = 'running'",
            (job.id, worker),
        )


def _mark(
    connection: Connection, job_id: int, item_id: int, state: str, run_id: int | None, says: str
) -> None:
    connection.execute(
        "UPDATE sync.fix_item SET state = %s, run_id = %s, says = %s "
        "WHERE job_id = %s AND item_id = %s AND state = 'waiting'",
        (state, run_id, says, job_id, item_id),
    )


def _counted(connection: Connection, job_id: int) -> None:
    rows = connection.execute(
        "SELECT state, count(*) FROM sync.fix_item WHERE job_id = %s GROUP BY state", (job_id,)
    ).fetchall()
    counts: Counter[str] = Counter({str(state): int(n) for state, n in rows})
    connection.execute(
        "UPDATE sync.fix_job SET succeeded = %s, failed = %s, skipped = %s WHERE id = %s",
        (counts["succeeded"], counts["failed"], counts["skipped"], job_id),
    )
