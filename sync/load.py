"""Load: parse, map, judge, stage, compare once, guard, and apply in one transaction.

A retry of load reads the landed bytes again and never bothers the ERP; killing it anywhere and
running it again gives the same end state. A batch that a guard stops is *held*: that is an
outcome, not an error. Must not talk to an ERP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
from sqlalchemy.exc import DBAPIError

from mappings.errors import BatchRefused, Misconfigured, NotNow, Transient, WaybillError
from mappings.fingerprint import fingerprint as fingerprint_of
from mappings.vocabulary import Feed
from portal_db import apply, delta, quarantine
from portal_db.counts import Counts
from portal_db.failures import as_waybill_error
from portal_db.identifiers import plain_name
from portal_db.incidents import close_incidents, join_incident
from portal_db.ledger import (
    Batch,
    RunEnd,
    begin_run,
    end_run,
    interrupted_runs,
    move_cursor,
    note_page_records,
    read_batch,
    read_cursor,
    read_pages,
    remember_mapping,
    run_counts,
    set_batch_state,
    supersede_open,
)
from portal_db.staging import Staging, drop_orphans
from sync import sweep
from sync.context import Context, declared
from sync.guarding import Judgement, judge_delta
from sync.intake import Intake, Only, take_in
from sync.mapping_text import mapping_text
from sync.place import placed
from sync.progress import Progress, silent
from sync.pull import freshness_of
from sync.same_bytes import unchanged_since
from sync.scope import scope_from_json
from sync.settle import Settling
from sync.turn import turn

Kind = Literal["load", "retry", "replay", "release"]
_TURN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended. `parts` and `counts` obey the ledger's law."""

    run_id: int
    batch_id: int
    erp: str
    feed: str
    state: Literal["done", "held"]
    parts: dict[str, Counts]
    stops: list[dict[str, Any]]
    seconds: float
    as_of: datetime | None
    same_bytes: bool = False

    @property
    def counts(self) -> Counts:
        """The run's ledger: the sum over its parts."""
        return sum(self.parts.values(), Counts())


@dataclass(slots=True)
class Order:
    """What kind of run this is and what it may do; the defaults are a first load of a batch."""

    kind: Kind = "load"
    only: Only | None = None
    overrides: frozenset[str] = frozenset()
    expected_delta: str | None = None
    reason: str | None = None
    actor: str | None = None
    replaces_newer: bool = False
    """A replay of everything since a batch: later rows are reloaded, so nothing is overtaken."""
    timings: dict[str, float] = field(default_factory=dict)


def load(
    ctx: Context,
    batch_id: int,
    *,
    order: Order | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Judge a landed batch and apply it, or hold it.

    Raises Transient, Misconfigured, SourceChanged; the run is then `failed` with the reason and
    the batch stays as it was. A batch already applied gives its outcome again.
    """
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
    if batch is None:
        raise Misconfigured(
            f"there is no batch {batch_id}", code="batch", remedy="See `waybill batches`."
        )
    with (
        placed(batch.erp, batch.feed),
        turn(ctx, batch.erp, batch.feed, wait_seconds=_TURN_SECONDS) as mine,
    ):
        if not mine:
            raise Transient(
                "another load of this feed has been at it for ten minutes",
                code="busy",
                remedy="It is tried again by itself.",
            )
        with ctx.connection() as connection:
            interrupted_runs(connection, batch.erp, batch.feed)
            drop_orphans(connection, batch.erp, batch.feed)
            fresh = read_batch(connection, batch_id)
        return _Run(ctx, fresh or batch, order or Order(), progress).go()


class _Run:
    """One run, from its id to its end."""

    def __init__(self, ctx: Context, batch: Batch, order: Order, progress: Progress) -> None:
        self.ctx = ctx
        self.batch = batch
        self.order = order
        self.progress = progress
        self.feed: Feed = declared(batch.feed)
        self.mapping = ctx.erp(batch.erp)
        self.feed_mapping = ctx.feed(batch.erp, batch.feed)
        self.scope = scope_from_json(batch.scope_key, batch.scope)
        self.observed_at = freshness_of(batch.server_at, batch.pulled_at)
        self.started = time.monotonic()
        self.run_id = 0
        self.fingerprint = fingerprint_of(self.mapping, batch.feed)

    def go(self) -> Outcome:
        """Begin the run, do it, close it; a failure closes it as failed."""
        done = self._already()
        if done is not None:
            return done
        text, sha256 = mapping_text(self.ctx, self.batch.erp)
        with self.ctx.connection() as connection:
            remember_mapping(connection, sha256, self.batch.erp, text)
            self.run_id = begin_run(
                connection,
                self.batch,
                kind=self.order.kind,
                mapping_sha256=sha256,
                fingerprint=self.fingerprint,
                reason=self.order.reason,
                actor=self.order.actor,
                overrides=sorted(self.order.overrides) or None,
            )
            try:
                same = None
                if self.order.kind == "load" and self.batch.sweep is None:
                    same = unchanged_since(connection, self.batch, self.fingerprint)
                if same is not None:
                    return self._same_bytes(connection, same)
                return self._load(connection)
            except BatchRefused as refused:
                return self._hold_refused(connection, refused)
            except BaseException as error:
                self._fail(error)
                raise

    def _already(self) -> Outcome | None:
        """A retried task finds its work done: applied batches are not applied again."""
        if self.order.kind == "release" and self.batch.state != "held":
            raise Misconfigured(
                f"batch {self.batch.id} is {self.batch.state} ({self.batch.state_reason})",
                code="batch",
                remedy="Somebody else decided meanwhile: see `waybill runs`.",
            )
        if self.order.kind != "load":
            return None
        state = self.batch.state
        if state == "landed":
            return None
        if state in {"applied", "held"}:
            return self._recorded()
        if state == "superseded":
            raise NotNow(
                f"batch {self.batch.id} is superseded ({self.batch.state_reason})",
                code="overtaken",
                remedy="Nothing to do: the later batch speaks for the feed.",
            )
        raise Misconfigured(
            f"batch {self.batch.id} is {state} ({self.batch.state_reason})",
            code="batch",
            remedy="Pull the feed again.",
        )

    def _recorded(self) -> Outcome:
        """The outcome that the batch's own newest done or held run has on record."""
        with self.ctx.connection() as connection:
            row = connection.execute(
                "SELECT id, state, stops, seconds FROM sync.run WHERE batch_id = %s "
                "AND state IN ('done', 'held') AND kind IN ('load', 'release') "
                "ORDER BY id DESC LIMIT 1",
                (self.batch.id,),
            ).fetchone()
            if row is None:
                message = f"batch {self.batch.id} is {self.batch.state} without a run"
                raise RuntimeError(message)
            self.run_id = int(row[0])
            parts = run_counts(connection, self.run_id)
        state: Literal["done", "held"] = "done" if row[1] == "done" else "held"
        return self._outcome(state, parts, row[2] or [])

    def _same_bytes(self, connection: psycopg.Connection[Any], parts: dict[str, Counts]) -> Outcome:
        with connection.transaction():
            self._lock_cursor(connection)
            self._close(connection, parts, confirmed=True)
        return self._outcome("done", parts, [], same_bytes=True)

    def _load(self, connection: psycopg.Connection[Any]) -> Outcome:
        staging = Staging(
            connection,
            self.run_id,
            plain_name(self.batch.erp),
            self.feed,
            {
                part: plain_name(erp)
                for part, erp in self.ctx.refers(self.batch.erp, self.batch.feed).items()
            },
        )
        try:
            return self._staged(connection, staging)
        finally:
            if not connection.closed:
                staging.drop()

    def _staged(self, connection: psycopg.Connection[Any], staging: Staging) -> Outcome:
        order, batch = self.order, self.batch
        manifest = self.ctx.landing.read_manifest(batch.landing or "")
        with self._timed("read"):
            staging.create(self.feed.parts)
            staging.copy_files(_files(manifest, self.feed))
            intake = take_in(
                self.ctx,
                self.mapping,
                self.feed,
                batch,
                read_pages(connection, batch.id),
                staging,
                only=order.only,
                progress=self.progress,
            )
            for part in self.feed.parts:
                staging.analyze(part)
        settling = Settling(
            staging,
            self.feed,
            intake,
            retry_until=datetime.now(UTC) + timedelta(days=self.feed_mapping.defer_days),
            selected=order.only is not None,
        )
        with self._timed("settle"):
            settling.before_diff(last_wins=batch.mode == "delta")
        complete = self._complete(manifest, intake)
        self._still_staged(staging, settling)
        with self._timed("compare"):
            self._compare(staging, settling, complete)
            settling.after_diff()
        self._still_staged(staging, settling)
        with self._timed("judge"):
            judgement = judge_delta(
                connection,
                staging,
                settling,
                batch=batch,
                guards=self.ctx.guards(batch.erp, batch.feed),
                scope=self.scope,
                complete=complete,
                declared=manifest["declared"],
                overrides=order.overrides,
                run_id=self.run_id,
            )
            digest = delta.digest(connection, staging, self.feed.parts)
        if order.expected_delta is not None and digest != order.expected_delta:
            raise Misconfigured(
                "what this batch would change is not what was shown when it was held",
                code="delta_changed",
                remedy="Look at it again (`waybill run`), or pull the feed anew.",
            )
        if judgement.stops:
            return self._hold(connection, judgement, digest)
        with self._timed("apply"):
            self._apply(connection, staging, settling, judgement, digest, complete)
        return self._outcome("done", judgement.parts, [])

    def _still_staged(self, staging: Staging, settling: Settling) -> None:
        """Unlogged tables are empty after a crash, and then every row would look vanished."""
        if staging.raw_counts(self.feed.parts) != settling.accepted():
            raise Transient(
                "the staging tables do not hold what was accepted (the database restarted)",
                code="staging_lost",
                remedy="The load is tried again from the landed bytes.",
            )

    def _compare(self, staging: Staging, settling: Settling, complete: dict[str, bool]) -> None:
        """The delta of every part, roots before their children."""
        older_only = self.order.kind in {"retry", "replay"} and not self.order.replaces_newer
        for root in self.feed.roots:
            if older_only:
                settling.overtaken(root, delta.overtaken(staging, root, self.batch.id))
        for part in self.feed.parts:
            deletes = self.scope.deletes(part) if complete.get(part.name) else None
            readable = not settling.intake.unreadable.get(part.name)
            delta.compute(staging, part, deletes=deletes, whole=readable)
            self.progress("compare", self.feed.parts.index(part) + 1, len(self.feed.parts))

    def _complete(self, manifest: dict[str, Any], intake: Intake) -> dict[str, bool]:
        """Root part → may this batch say that what it does not hold is gone?"""
        cursor_batch = self._last_applied()
        whole = (
            self.batch.complete
            and self.order.only is None
            and (cursor_batch is None or cursor_batch <= self.batch.id)
        )
        found = {}
        for root in self.feed.roots:
            said = (manifest["declared"] or {}).get(root.name)
            met = said is None or said == intake.read.get(root.name, 0)
            supplied = root.name in manifest["declared"]
            found[root.name] = whole and met and supplied and not intake.unreadable[root.name]
        return found

    def _last_applied(self) -> int | None:
        with self.ctx.connection() as connection:
            return read_cursor(
                connection, self.batch.erp, self.batch.feed, self.batch.scope_key
            ).batch_id

    def _apply(
        self,
        connection: psycopg.Connection[Any],
        staging: Staging,
        settling: Settling,
        judgement: Judgement,
        digest: str,
        complete: dict[str, bool],
    ) -> None:
        """The one transaction: data, change log, quarantine, checks, run, cursor."""
        batch, feed = self.batch, self.feed
        with connection.transaction():
            self._lock_cursor(connection)
            self._still_staged(staging, settling)
            for part in feed.parts:
                apply.apply(
                    connection,
                    staging,
                    part,
                    batch_id=batch.id,
                    observed_at=self.observed_at,
                    log_changes=judgement.had_previous,
                )
                self.progress("apply", feed.parts.index(part) + 1, len(feed.parts))
            for part in feed.parts:
                apply.mark_stale(connection, staging, part, self.observed_at)
            if batch.feed == "customers":
                apply.open_accounts(connection, staging)
            for part in feed.parts:
                quarantine.resolve_accepted(connection, staging, part, batch)
            for name, keys in settling.fates.overtaken.items():
                quarantine.resolve_overtaken(connection, staging, name, keys, batch)
            quarantine.put(connection, batch, self.run_id, self.fingerprint, settling.fates.items)
            for part in feed.parts:
                if complete.get(part.parent or part.name) and self.scope.field is None:
                    quarantine.resolve_gone(connection, staging, part, batch)
            judgement.store(connection, self.run_id)
            if batch.sweep is not None and self.order.only is None:
                sweep.record(self.ctx, connection, staging, batch, complete, judgement.parts)
            if self.order.only is None:
                note_page_records(connection, batch.id, settling.intake.pages)
            self._close(
                connection,
                judgement.parts,
                confirmed=self.order.only is None,
                digest=digest,
            )

    def _lock_cursor(self, connection: psycopg.Connection[Any]) -> None:
        """Applied in order only: the cursor must stand where this batch's pull found it."""
        batch = self.batch
        cursor = read_cursor(connection, batch.erp, batch.feed, batch.scope_key, lock=True)
        if self.order.kind in {"retry", "replay"}:
            return
        overtaken = cursor.batch_id is not None and cursor.batch_id >= batch.id
        moved = batch.mode == "delta" and cursor.cursor != batch.cursor_from
        if overtaken or moved:
            with self.ctx.connection() as other:
                set_batch_state(other, batch.id, "superseded", "a later batch was applied first")
            raise NotNow(
                f"batch {batch.id} was overtaken by batch {cursor.batch_id}",
                code="overtaken",
                remedy="Nothing to do: the later batch speaks for the feed.",
            )

    def _close(
        self,
        connection: psycopg.Connection[Any],
        parts: dict[str, Counts],
        *,
        confirmed: bool,
        digest: str | None = None,
    ) -> None:
        batch = self.batch
        end_run(
            connection,
            self.run_id,
            RunEnd("done", parts, delta_sha256=digest, timings=self.order.timings),
        )
        if self.order.kind in {"load", "release"}:
            set_batch_state(connection, batch.id, "applied")
            supersede_open(connection, batch)
            close_incidents(connection, batch)
            move_cursor(
                connection,
                batch,
                self.run_id,
                confirmed_at=self.observed_at if confirmed else None,
            )
        elif self.order.kind == "replay" and self.order.only is None:
            connection.execute(
                "UPDATE sync.cursor SET run_id = %s WHERE erp = %s AND feed = %s "
                "AND scope_key = %s AND batch_id = %s",
                (self.run_id, batch.erp, batch.feed, batch.scope_key, batch.id),
            )

    def _hold(
        self, connection: psycopg.Connection[Any], judgement: Judgement, digest: str
    ) -> Outcome:
        stops = [stop.as_json() for stop in judgement.stops]
        with connection.transaction():
            end_run(
                connection,
                self.run_id,
                RunEnd(
                    "held",
                    judgement.parts,
                    stops=stops,
                    delta_sha256=digest,
                    movements=judgement.movements,
                    timings=self.order.timings,
                ),
            )
            judgement.store(connection, self.run_id)
            self._stop_batch(connection, stops)
        return self._outcome("held", judgement.parts, stops)

    def _stop_batch(self, connection: psycopg.Connection[Any], stops: list[dict[str, Any]]) -> None:
        """Hold the batch; one that was applied before stays so, only this run of it is held."""
        if self.order.kind in {"retry", "replay"}:
            return
        set_batch_state(connection, self.batch.id, "held", stops[0]["says"])
        for stop in stops:
            join_incident(connection, self.batch, stop["guard"], stop["says"])

    def _hold_refused(self, connection: psycopg.Connection[Any], refused: BatchRefused) -> Outcome:
        """A transfer that contradicts itself is held with its reason; nothing of it is counted."""
        stop = {
            "guard": refused.code or "refused",
            "says": str(refused),
            "measured": None,
            "limit": None,
        }
        with connection.transaction():
            end_run(connection, self.run_id, RunEnd("held", {}, stops=[stop]))
            self._stop_batch(connection, [stop])
        return self._outcome("held", {}, [stop])

    def _fail(self, error: BaseException) -> None:
        known = error if isinstance(error, WaybillError) else as_waybill_error(error)
        says = f"{type(error).__name__}: {error}" if known is None else str(known)
        code = "bug" if known is None else known.code
        try:
            with self.ctx.connection() as connection:
                end_run(
                    connection, self.run_id, RunEnd("failed", error={"says": says, "code": code})
                )
        except (psycopg.Error, DBAPIError):
            return  # the database is gone: the next start marks this run as interrupted

    def _outcome(
        self,
        state: Literal["done", "held"],
        parts: dict[str, Counts],
        stops: list[dict[str, Any]],
        *,
        same_bytes: bool = False,
    ) -> Outcome:
        return Outcome(
            run_id=self.run_id,
            batch_id=self.batch.id,
            erp=self.batch.erp,
            feed=self.batch.feed,
            state=state,
            parts=parts,
            stops=stops,
            seconds=round(time.monotonic() - self.started, 3),
            as_of=self.observed_at,
            same_bytes=same_bytes,
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.order.timings[step] = time.monotonic() - began


def _files(manifest: dict[str, Any], feed: Feed) -> list[dict[str, object]]:
    if all(part.name != "document" for part in feed.parts):
        return []
    return list(manifest.get("documents") or ())
