"""Pulls that were interrupted: what the next pull keeps of them, and when it may.

Landed pages that something can go on behind are noted with their SHA-256, every fifth of a second
and when a pull fails, and so is the end of each source. The next pull of the same feed, from the
same cursor and under the same mapping, goes on there if that was within the hour and the bytes are
still those that were noted; every other unsealed pull is abandoned. Must not ask an ERP.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors.protocol import End
from mappings.errors import Transient
from mappings.spec import ErpMapping, FeedMapping
from portal_db.failures import as_waybill_error
from portal_db.ledger import Batch, PageRow, set_batch_state
from portal_db.unfinished import (
    NotedPage,
    forget_pages,
    note_interruption,
    note_pages,
    noted_pages,
    unsealed,
)
from sync.context import Context
from sync.scope import Scope

GO_ON_WITHIN = timedelta(hours=1)
"""An older beginning is not worth more than a new read: too much has changed since."""

_NOTE_EVERY = 0.2
"""Seconds, what a kill may cost twice: a note is a transaction, dearer than a small page."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one pull is about. `sweep`: why a delta feed is read as a whole; None: it is not."""

    mapping: ErpMapping
    feed: str
    feed_mapping: FeedMapping
    scope: Scope
    sweep: str | None = None

    @property
    def mode(self) -> Literal["snapshot", "delta"]:
        """What the batch will be: a sweep is a snapshot of a delta feed."""
        return "snapshot" if self.sweep is not None else self.feed_mapping.mode


@dataclass(slots=True)
class Began:
    """A batch that is being pulled, with what an earlier process had landed of it."""

    batch_id: int
    pages: list[PageRow] = field(default_factory=list)
    declared: list[int | None] = field(default_factory=list)
    ends: dict[str, End] = field(default_factory=dict)
    """Part → how its source ended, for sources that are whole."""
    places: dict[str, str] = field(default_factory=dict)
    """Part → where its connector goes on."""
    noted_pages: int = 0
    """So many of the first pages stand in the database."""
    noted_at: float = 0.0
    waiting: tuple[int, str] | None = None
    """A place that is not noted yet, and behind how many pages it lies."""

    @property
    def noted(self) -> bool:
        """True where there is something to go on behind."""
        return bool(self.ends or self.places)


def going_on(ctx: Context, wanted: Wanted, cursor: str | None, mapping_sha256: str) -> Began | None:
    """The interrupted pull to go on with, or None; all others of the feed are abandoned."""
    erp, feed = wanted.mapping.erp, wanted.feed
    with ctx.connection() as connection:
        batches = unsealed(connection, erp, feed)
        notes = {batch.id: noted_pages(connection, batch.id) for batch in batches}
    chosen: Began | None = None
    for batch in batches:
        folder = ctx.landing.folder(erp, feed, batch.id)
        if chosen is None and _same(batch, wanted, cursor, mapping_sha256):
            began = _began(ctx, folder, batch, notes[batch.id])
            if began is not None and began.noted:
                chosen = began
                continue
        ctx.landing.remove(folder)
        with ctx.connection() as connection:
            forget_pages(connection, batch.id)
            set_batch_state(connection, batch.id, "abandoned", "the pull was interrupted")
    return chosen


def _same(batch: Batch, wanted: Wanted, cursor: str | None, mapping_sha256: str) -> bool:
    return (
        batch.mode == wanted.mode
        and batch.sweep == wanted.sweep
        and batch.scope_key == wanted.scope.key
        and batch.scope == wanted.scope.as_json()
        and batch.cursor_from == cursor
        and batch.mapping_sha256 == mapping_sha256
        and datetime.now(UTC) - batch.pulled_at < GO_ON_WITHIN
    )


def _began(ctx: Context, folder: str, batch: Batch, notes: list[NotedPage]) -> Began | None:
    """What is whole of it; None where the landing store does not hold what was noted."""
    began = Began(batch.id)
    for number, note in enumerate(notes, start=1):
        if note.row.page != number:
            break  # pages of a source that cannot go on were not noted: read it again
        if not ctx.landing.verify(folder, note.row.file, note.row.sha256):
            return None
        began.pages.append(note.row)
        began.declared.append(note.declared)
        end = note.going_on.get("end")
        if end is not None:
            began.ends[note.row.part] = _end(end)
            began.places.pop(note.row.part, None)
        elif "after" in note.going_on:
            began.places[note.row.part] = str(note.going_on["after"])
    ctx.landing.keep_pages(folder, {page.file for page in began.pages})
    began.noted_pages = len(began.pages)
    return began


def note_place(
    ctx: Context, began: Began, pages: list[PageRow], declared: list[int | None], after: str
) -> None:
    """The pull can go on behind the last of these pages; those before it are kept with it."""
    began.waiting = (len(pages), after)
    if time.monotonic() - began.noted_at >= _NOTE_EVERY:
        note_waiting(ctx, began, pages, declared)


def note_waiting(
    ctx: Context, began: Began, pages: list[PageRow], declared: list[int | None]
) -> None:
    """Note the place that `note_place` was told last, if it is not noted."""
    waiting, began.waiting = began.waiting, None
    if waiting is None or waiting[0] <= began.noted_pages:
        return
    count, after = waiting
    fresh = range(began.noted_pages, count)
    notes = [NotedPage(pages[index], declared[index], {}) for index in fresh]
    notes[-1] = NotedPage(pages[count - 1], declared[count - 1], {"after": after})
    with ctx.connection() as connection:
        note_pages(connection, began.batch_id, notes)
    began.noted_pages = count
    began.noted_at = time.monotonic()
    began.places[pages[count - 1].part] = after


def note_ends(
    ctx: Context,
    began: Began,
    pages: list[PageRow],
    declared: list[int | None],
    ends: dict[str, End],
) -> None:
    """These sources are whole: an interrupted pull need not read them again."""
    began.waiting = None
    notes: list[NotedPage] = []
    for part, end in ends.items():
        mine = [index for index, page in enumerate(pages) if page.part == part]
        if part in began.ends or not mine:
            continue
        notes += [NotedPage(pages[index], declared[index], {}) for index in mine[:-1]]
        notes.append(NotedPage(pages[mine[-1]], declared[mine[-1]], {"end": _told(end)}))
        began.ends[part] = end
        began.noted_pages = max(began.noted_pages, mine[-1] + 1)
    if notes:
        with ctx.connection() as connection, connection.transaction():
            note_pages(connection, began.batch_id, notes)


def forget(ctx: Context, began: Began, after: int) -> None:
    """The pages behind number `after` are read again."""
    with ctx.connection() as connection:
        forget_pages(connection, began.batch_id, after)
    began.noted_pages = min(began.noted_pages, after)
    began.places.clear()
    began.waiting = None


def left_to_go_on(
    ctx: Context,
    began: Began,
    error: BaseException,
    pages: list[PageRow],
    declared: list[int | None],
    fresh: int,
) -> bool:
    """After a failure: does the batch wait for the next pull? `fresh`: pages landed this time,
    the last ones of `pages`.

    Only what may work in a moment is waited for, and only a pull that came further than before.
    """
    known = as_waybill_error(error) or error
    if not isinstance(known, Transient) or not fresh:
        return False
    note_waiting(ctx, began, pages, declared)
    if not began.noted:
        return False
    with ctx.connection() as connection:
        note_interruption(
            connection, began.batch_id, f"interrupted, the next pull goes on: {known}"
        )
    return True


def _told(end: End) -> dict[str, Any]:
    at = end.server_at
    return {**dataclasses.asdict(end), "server_at": at.isoformat() if at else None}


def _end(told: dict[str, Any]) -> End:
    at = told.get("server_at")
    return End(
        complete=bool(told["complete"]),
        reason=str(told["reason"]),
        cursor=told.get("cursor"),
        declared=told.get("declared"),
        server_at=datetime.fromisoformat(at) if at else None,
        notes=tuple(told.get("notes") or ()),
    )
