"""One run of a batch, from its id to its end: read, settle, compare, judge, apply or hold.

Records that the portal holds byte for byte are skipped where that is provably the same. Must not
talk to an ERP; the transaction that writes is `sync/run_end.py`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg

from connectors.formats.csv_lines import NotLineByLine
from mappings.errors import BatchRefused, Misconfigured, NotNow, WaybillError
from mappings.vocabulary import Feed
from portal_db import apply, delta, first_load
from portal_db.counts import Counts
from portal_db.identifiers import plain_name
from portal_db.ledger import (
    PageRow,
    begin_run,
    read_cursor,
    read_pages,
    remember_mapping,
    run_counts,
)
from portal_db.narrowed import meets_skipped
from portal_db.staging import Staging
from sync.corrections import Corrections
from sync.gone_keys import stage_gone
from sync.guarding import judge_delta
from sync.intake import Intake, take_in
from sync.job import Job
from sync.known_records import Known, KnownRecords
from sync.mapping_text import mapping_text
from sync.outcome import Outcome
from sync.record_index import Doubt
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
                staging = self._staging(connection)
                try:
                    intake = self._read_unknown(connection, staging, pages, known)
                    if intake is not None:
                        return self._staged(connection, staging, intake)
                finally:
                    _drop(connection, staging)
        for first in (self._first(connection), False):
            staging = self._staging(connection, first=first)
            try:
                intake = self._read(connection, staging, pages, None)
                if records is not None:
                    records.prepare(pages)
                return self._staged(connection, staging, intake)
            except _KeyTwice:  # settled the ordinary way
                continue
            finally:
                _drop(connection, staging)
        message = "the ordinary way does not end so"
        raise RuntimeError(message)

    def _first(self, connection: psycopg.Connection[Any]) -> bool:
        """May the ERP's prices be built aside? Where there are none yet, and none are deleted."""
        job = self.job
        return (
            job.feed.main == first_load.PART
            and job.order.kind in {"load", "release"}
            and len(job.feed.parts) == 1
            and job.feed_mapping.deleted is None
            and job.batch.mode == "snapshot"
            and first_load.is_first(connection, plain_name(job.batch.erp))
        )

    def _staging(self, connection: psycopg.Connection[Any], *, first: bool = False) -> Staging:
        job = self.job
        refers = job.ctx.refers(job.batch.erp, job.batch.feed)
        return Staging(
            connection,
            job.run_id,
            plain_name(job.batch.erp),
            job.feed,
            {part: plain_name(erp) for part, erp in refers.items()},
            first=first,
        )

    def _read_unknown(
        self,
        connection: psycopg.Connection[Any],
        staging: Staging,
        pages: list[PageRow],
        known: Known,
    ) -> Intake | None:
        """Only what is not known; None where that cannot be told from the rest after all.

        What is wrong with a page is found, and said exactly, by reading all of it.
        """
        job = self.job
        try:
            intake = self._read(connection, staging, pages, known)
            with job.timed("read"):
                stage_gone(job.ctx, connection, job.mapping, staging, known)
                doubt = meets_skipped(staging, job.feed.part(job.feed.main))
        except (NotLineByLine, Doubt, WaybillError):
            return None
        return None if doubt else intake

    def _read(
        self,
        connection: psycopg.Connection[Any],
        staging: Staging,
        pages: list[PageRow],
        known: Known | None,
    ) -> Intake:
        job = self.job
        manifest = job.ctx.landing.read_manifest(job.batch.landing or "")
        with job.timed("read"):
            staging.create(job.feed.parts)
            staging.copy_files(_files(manifest, job.feed))
            intake = take_in(
                job.ctx,
                job.mapping,
                job.feed,
                job.batch,
                pages,
                staging,
                only=job.order.only,
                known=known,
                corrections=Corrections.of(connection, job.batch, job.fingerprint),
                progress=job.progress,
            )
            for part in job.feed.parts:
                staging.analyze(part)
        return intake

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
        if staging.first:
            with job.timed("key"):
                self._build(staging)
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
        for part in job.feed.parts:
            found = judgement.parts[part.name]
            apply.gather_statistics(connection, staging, part, found.inserted + found.updated)
        if self.known_records is not None and complete.get(job.feed.main):
            refused = settling.fates.refused[job.feed.main]
            self.known_records.remember(job.run_id, job.fingerprint, refused)
        return job.outcome("done", judgement.parts, [])

    def _build(self, staging: Staging) -> None:
        job = self.job
        part = job.feed.part(job.feed.main)
        if not first_load.finish(staging, part, batch_id=job.batch.id, observed_at=job.observed_at):
            raise _KeyTwice

    def _compare(self, staging: Staging, settling: Settling, complete: dict[str, bool]) -> None:
        """The delta of every part, roots before their children."""
        job = self.job
        older_only = job.order.kind in {"retry", "replay"} and not job.order.replaces_newer
        for root in job.feed.roots:
            if older_only:
                settling.overtaken(root, delta.overtaken(staging, root, job.batch.id))
        for part in job.feed.parts:
            deletes = job.scope.deletes(part) if complete.get(part.name) else None
            readable = not settling.intake.unreadable.get(part.name)
            delta.compute(staging, part, deletes=deletes, whole=readable)
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


def _files(manifest: dict[str, Any], feed: Feed) -> list[dict[str, object]]:
    if all(part.name != "document" for part in feed.parts):
        return []
    return list(manifest.get("documents") or ())
