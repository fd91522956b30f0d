"""One run of a batch, from its id to its end: read, settle, compare, judge, apply or hold.

Records that the portal holds byte for byte are skipped where that is provably the same. Must not
talk to an ERP; the transaction that writes is `sync/run_end.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg

from mappings.errors import BatchRefused, Misconfigured, NotNow
from portal_db import apply, delta, first_load
from portal_db.counts import Counts
from portal_db.ledger import (
    begin_run,
    read_cursor,
    read_pages,
    remember_mapping,
    run_counts,
)
from portal_db.staging import Staging
from sync.fill import live_before, live_rows, may_be_first, read, read_unknown, staging_of
from sync.guarding import judge_delta
from sync.intake import Intake
from sync.job import Job
from sync.known_records import KnownRecords
from sync.mapping_text import mapping_text
from sync.outcome import Outcome
from sync.run_end import apply_all, close, fail, hold, hold_refused, lock_cursor, still_staged
from sync.same_bytes import unchanged_since
from sync.settle import Settling


class _KeyTwice(Exception):
    """A first load holds a key twice."""


class Run:
    """One run, from its id to its end."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.known_records: KnownRecords | None = None
        if job.order.only is None and job.ctx.landing.local:
            self.known_records = KnownRecords.of(job.ctx, job.batch, job.feed, job.feed_mapping)
        self._live: Future[int] | None = None
        """How many rows of the main part live: counted while the records are read."""

    def go(self) -> Outcome:
        """Begin the run, do it, close it; a failure closes it as failed."""
        done = self._already()
        if done is not None:
            return done
        job = self.job
        text, sha256 = mapping_text(job.ctx, job.batch.erp)
        with job.ctx.connection() as connection:
            remember_mapping(connection, sha256, job.batch.erp, text)
            job.run_id = begin_run(
                connection,
                job.batch,
                kind=job.order.kind,
                mapping_sha256=sha256,
                fingerprint=job.fingerprint,
                reason=job.order.reason,
                actor=job.order.actor,
                overrides=sorted(job.order.overrides) or None,
            )
            try:
                same = None
                again = job.order.everything or job.batch.sweep is not None  # a sweep is counted
                if job.order.kind == "load" and not again:
                    same = unchanged_since(connection, job.batch, job.fingerprint)
                if same is not None:
                    return self._same_bytes(connection, same)
                return self._load(connection)
            except BatchRefused as refused:
                return hold_refused(job, connection, refused)
            except BaseException as error:
                fail(job, error)
                raise
            finally:
                if self.known_records is not None:
                    self.known_records.close()
                if self._live is not None:
                    wait([self._live])

    def _already(self) -> Outcome | None:
        """A retried task finds its work done: applied batches are not applied again."""
        batch, order = self.job.batch, self.job.order
        if order.kind == "release" and batch.state != "held":
            raise Misconfigured(
                f"batch {batch.id} is {batch.state} ({batch.state_reason})",
                code="batch",
                remedy="Somebody else decided meanwhile: see `waybill runs`.",
            )
        if order.kind != "load":
            return None
        if batch.state == "landed":
            return None
        if batch.state in {"applied", "held"}:
            return self._recorded()
        if batch.state == "superseded":
            raise NotNow(
                f"batch {batch.id} is superseded ({batch.state_reason})",
                code="overtaken",
                remedy="Nothing to do: the later batch speaks for the feed.",
            )
        raise Misconfigured(
            f"batch {batch.id} is {batch.state} ({batch.state_reason})",
            code="batch",
            remedy="Pull the feed again.",
        )

    def _recorded(self) -> Outcome:
        """The outcome that the batch's own newest done or held run has on record."""
        job = self.job
        with job.ctx.connection() as connection:
            row = connection.execute(
                "SELECT id, state, stops, seconds FROM sync.run WHERE batch_id = %s "
                "AND state IN ('done', 'held') AND kind IN ('load', 'release') "
                "ORDER BY id DESC LIMIT 1",
                (job.batch.id,),
            ).fetchone()
            if row is None:
                message = f"batch {job.batch.id} is {job.batch.state} without a run"
                raise RuntimeError(message)
            job.run_id = int(row[0])
            parts = run_counts(connection, job.run_id)
        state: Literal["done", "held"] = "done" if row[1] == "done" else "held"
        return job.outcome(state, parts, row[2] or [])

    def _same_bytes(self, connection: psycopg.Connection[Any], parts: dict[str, Counts]) -> Outcome:
        with connection.transaction():
            lock_cursor(self.job, connection)
            close(self.job, connection, parts, confirmed=True)
        if self.known_records is not None:
            self.known_records.confirm(self.job.run_id)
        return self.job.outcome("done", parts, [], same_bytes=True)

    def _load(self, connection: psycopg.Connection[Any]) -> Outcome:
        """Skip what is known, if that can be told; else compare everything."""
        job, records = self.job, self.known_records
        pages = read_pages(connection, job.batch.id)
        if records is not None and job.order.kind == "load" and not job.order.everything:
            with job.timed("known"):
                known = records.compare(connection, pages, job.fingerprint)
            if known is not None:
                staging = staging_of(job, connection)
                try:
                    intake = read_unknown(job, connection, staging, pages, known)
                    if intake is not None:
                        return self._staged(connection, staging, intake)
                finally:
                    _drop(connection, staging)
        if records is not None and job.order.kind == "load":
            self._live = live_rows(job)
        for first in (may_be_first(job, connection), False):
            staging = staging_of(job, connection, first=first)
            try:
                intake = read(job, staging, pages)
                if records is not None:
                    records.prepare(pages)
                return self._staged(connection, staging, intake)
            except _KeyTwice:  # settled the ordinary way
                continue
            finally:
                _drop(connection, staging)
        message = "the ordinary way does not end so"
        raise RuntimeError(message)

    def _staged(
        self, connection: psycopg.Connection[Any], staging: Staging, intake: Intake
    ) -> Outcome:
        job, order, batch = self.job, self.job.order, self.job.batch
        manifest = job.ctx.landing.read_manifest(batch.landing or "")
        settling = Settling(
            staging,
            job.feed,
            intake,
            retry_until=datetime.now(UTC) + timedelta(days=job.feed_mapping.defer_days),
            selected=order.only is not None,
        )
        with job.timed("settle"):
            settling.before_diff(last_wins=batch.mode == "delta")
        complete = self._complete(manifest, intake)
        still_staged(staging, settling)
        with self._keyed(staging):
            with job.timed("compare"):
                self._compare(staging, settling, complete)
                settling.after_diff()
            still_staged(staging, settling)
            with job.timed("judge"):
                judgement = judge_delta(
                    connection,
                    staging,
                    settling,
                    batch=batch,
                    guards=job.ctx.guards(batch.erp, batch.feed),
                    scope=job.scope,
                    complete=complete,
                    declared=manifest["declared"],
                    overrides=order.overrides,
                    run_id=job.run_id,
                    compare_values=not order.everything,
                    live_before=live_before(staging, intake, self._live),
                )
                digest = delta.digest(connection, staging, job.feed.parts)
        if order.expected_delta is not None and digest != order.expected_delta:
            raise Misconfigured(
                "what this batch would change is not what was shown when it was held",
                code="delta_changed",
                remedy="Look at it again (`waybill run`), or pull the feed anew.",
            )
        if judgement.stops:
            return hold(job, connection, judgement, digest)
        with job.timed("apply"):
            apply_all(job, connection, staging, settling, judgement, digest, complete)
        with ThreadPoolExecutor(1, "statistics") as pool:
            gathered = pool.submit(self._gather_statistics, staging, judgement.parts)
            if self.known_records is not None and complete.get(job.feed.main):
                refused = settling.fates.refused[job.feed.main]
                self.known_records.remember(job.run_id, job.fingerprint, refused)
            staging.drop()
            gathered.result()
        return job.outcome("done", judgement.parts, [])

    def _gather_statistics(self, staging: Staging, parts: dict[str, Counts]) -> None:
        """The planner sees what was written, while the caller tidies up."""
        with self.job.ctx.connection() as beside:
            for part in self.job.feed.parts:
                written = parts[part.name].inserted + parts[part.name].updated
                apply.gather_statistics(beside, staging, part, written)

    @contextmanager
    def _keyed(self, staging: Staging) -> Iterator[None]:
        """A first list is sorted for its key and its indexes at the same time; else nothing."""
        if not staging.first:
            yield
            return
        job = self.job
        part = job.feed.part(job.feed.main)
        with job.ctx.connection() as beside, ThreadPoolExecutor(1, "indexes") as pool:
            with job.timed("key"):
                first_load.complete_columns(
                    staging, part, batch_id=job.batch.id, observed_at=job.observed_at
                )
                indexes = pool.submit(first_load.add_indexes, beside, staging, part)
                if not first_load.add_key(staging, part):
                    raise _KeyTwice
            yield
            with job.timed("key"):
                indexes.result()
                first_load.name_key(staging, part)

    def _compare(self, staging: Staging, settling: Settling, complete: dict[str, bool]) -> None:
        """The delta of every part, roots before their children."""
        job = self.job
        older_only = job.order.kind in {"retry", "replay"} and not job.order.replaces_newer
        cursor = read_cursor(staging.connection, job.batch.erp, job.batch.feed, job.batch.scope_key)
        logged = cursor.batch_id is not None  # as `judge_delta` will say
        for root in job.feed.roots:
            if older_only:
                settling.overtaken(root, delta.overtaken(staging, root, job.batch.id))
        for part in job.feed.parts:
            deletes = job.scope.deletes(part) if complete.get(part.name) else None
            readable = not settling.intake.unreadable.get(part.name)
            delta.compute(staging, part, deletes=deletes, whole=readable, logged=logged)
            job.progress("compare", job.feed.parts.index(part) + 1, len(job.feed.parts))

    def _complete(self, manifest: dict[str, Any], intake: Intake) -> dict[str, bool]:
        """Root part → may this batch say that what it does not hold is gone?"""
        job = self.job
        with job.ctx.connection() as connection:
            cursor = read_cursor(connection, job.batch.erp, job.batch.feed, job.batch.scope_key)
        whole = (
            job.batch.complete
            and job.order.only is None
            and (cursor.batch_id is None or cursor.batch_id <= job.batch.id)
        )
        found = {}
        for root in job.feed.roots:
            said = (manifest["declared"] or {}).get(root.name)
            met = said is None or said == intake.read.get(root.name, 0)
            supplied = root.name in manifest["declared"]
            found[root.name] = whole and met and supplied and not intake.unreadable[root.name]
        return found


def _drop(connection: psycopg.Connection[Any], staging: Staging) -> None:
    if not connection.closed:
        staging.drop()
