"""Pull: ask the connector for pages and land the bytes that the ERP sent, unchanged.

Ends with a sealed batch. Nothing is mapped or judged here, and no transaction is open while the
network is in use. A pull that was interrupted is gone on with by the next one where that is safe
(`sync/unfinished.py`); any other that fails leaves an abandoned batch and no half evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import open_connector
from connectors.protocol import Connector, End, Page, Resumable
from mappings.errors import Misconfigured, NotNow, SourceChanged, WaybillError
from mappings.spec import ErpMapping
from portal_db.ledger import (
    Batch,
    PageRow,
    batch_landed,
    begin_batch,
    done_run_exists,
    interrupted_runs,
    read_batch,
    read_cursor,
    read_pages,
    remember_mapping,
    set_batch_state,
    supersede_open,
)
from portal_db.orphans import drop_orphans
from sync import documents
from sync.budget import erp_budget
from sync.connection import resolve
from sync.context import Context, declared
from sync.cursors import join_cursors, later, split_cursors
from sync.mapping_text import mapping_text
from sync.order import required
from sync.place import placed
from sync.progress import Progress, silent
from sync.scope import scope_of
from sync.sources import Reading, readings
from sync.sweep import starts_at
from sync.turn import take_wish, turn, want
from sync.unfinished import (
    Began,
    Wanted,
    forget,
    going_on,
    left_to_go_on,
    note_ends,
    note_place,
)
from sync.windows import closed_until


def pull(
    ctx: Context,
    erp: str,
    feed: str,
    *,
    sweep: str | None = None,
    progress: Progress = silent,
    now: datetime | None = None,
) -> int | None:
    """Land one batch and return its id; None where another process is at it (it was told).

    `sweep`: why a delta feed is to be read as a whole and compared (`asked`, `schedule`); a feed
    of snapshots has no use for it. A cursor that the ERP has forgotten leads to such a read too.
    Raises NotNow (closed window, required feed missing), Transient, Misconfigured,
    SourceChanged, BatchRefused; the batch is then abandoned with the reason, or waits for the
    next pull to go on with it.
    """
    mapping = ctx.erp(erp)
    feed_mapping = ctx.feed(erp, feed)
    at = now or datetime.now(UTC)
    scope = scope_of(feed_mapping, mapping.time_zone, at)
    wanted = Wanted(mapping, feed, feed_mapping, scope, _sweeping(mapping, feed, sweep))
    with placed(erp, feed):
        _refuse_now(ctx, mapping, feed, at)
        with turn(ctx, erp, feed) as mine:
            if not mine:
                want(ctx, erp, feed, scope.key)
                return None
            take_wish(ctx, erp, feed, scope.key)
            _clean_up(ctx, erp, feed)
            batch_id = _pull_or_sweep(ctx, wanted, progress)
            if take_wish(ctx, erp, feed, scope.key):
                batch_id = _pull_or_sweep(ctx, wanted, progress)
            return batch_id


def _sweeping(mapping: ErpMapping, feed: str, sweep: str | None) -> str | None:
    if sweep is not None and mapping.feeds[feed].mode == "snapshot":
        raise Misconfigured(
            f"{mapping.erp}/{feed} sends complete extracts: every pull compares everything",
            code="no_sweep",
            remedy="Run it without --sweep.",
        )
    return sweep


def _pull_or_sweep(ctx: Context, wanted: Wanted, progress: Progress) -> int:
    try:
        return _pull_once(ctx, wanted, progress)
    except WaybillError as error:
        if error.code != "cursor_expired" or wanted.sweep is not None:
            raise
    return _pull_once(ctx, replace(wanted, sweep="cursor_expired"), progress)


def _refuse_now(ctx: Context, mapping: ErpMapping, feed: str, at: datetime) -> None:
    until = closed_until(mapping.windows, mapping.time_zone, at)
    if until is not None:
        raise NotNow(
            f"{mapping.erp} is closed until {until:%H:%M} ({mapping.time_zone})",
            code="window",
            remedy="Nothing to do: the next schedule takes it.",
        )
    with ctx.connection() as connection:
        for needed_erp, needed_feed in required(ctx, mapping.erp, feed):
            if not done_run_exists(connection, needed_erp, needed_feed):
                raise NotNow(
                    f"{needed_erp}/{needed_feed} has not been loaded yet",
                    code="required_feed",
                    remedy=f"Run `waybill sync {needed_erp} {needed_feed}` first; "
                    "the next schedule takes this one.",
                )


def _clean_up(ctx: Context, erp: str, feed: str) -> None:
    """What a killed process left but its pull: running runs and staging tables."""
    with ctx.connection() as connection:
        interrupted_runs(connection, erp, feed)
        drop_orphans(connection, erp, feed)


def _pull_once(ctx: Context, wanted: Wanted, progress: Progress) -> int:
    mapping, feed, scope = wanted.mapping, wanted.feed, wanted.scope
    text, sha256 = mapping_text(ctx, mapping.erp)
    with ctx.connection() as connection:
        remember_mapping(connection, sha256, mapping.erp, text)
        cursor = read_cursor(connection, mapping.erp, feed, scope.key)
        last = None if cursor.batch_id is None else read_batch(connection, cursor.batch_id)
    began = going_on(ctx, wanted, cursor.cursor, sha256)
    if began is None:
        with ctx.connection() as connection:
            began = Began(
                begin_batch(
                    connection,
                    erp=mapping.erp,
                    feed=feed,
                    mode=wanted.mode,
                    scope_key=scope.key,
                    scope=scope.as_json(),
                    cursor_from=cursor.cursor,
                    mapping_sha256=sha256,
                    sweep=wanted.sweep,
                )
            )
    folder = ctx.landing.folder(mapping.erp, feed, began.batch_id)
    landed = _Landed(cursor.cursor, began)
    if last is not None and last.landing is not None and wanted.mode == "snapshot":
        with ctx.connection() as connection:
            pages = read_pages(connection, last.id)
        landed.before = {page.page: (last.landing, page.file) for page in pages}
    try:
        _land(ctx, wanted, folder, landed, last, progress)
        _seal(ctx, began.batch_id, folder, wanted, landed)
    except BaseException as error:
        if not left_to_go_on(ctx, began, error, landed.pages, landed.declared, landed.fresh):
            _abandon(ctx, began.batch_id, folder, error)
        raise
    return began.batch_id


class _Landed:
    """What came: pages, how each source ended, documents. Begins with what was noted before."""

    def __init__(self, cursor: str | None, began: Began) -> None:
        self.began = began
        self.pages: list[PageRow] = list(began.pages)
        self.declared: list[int | None] = list(began.declared)
        self.same = [page.sha256 for page in began.pages]
        """Per page, what decides whether its records are those of another night."""
        self.ends: dict[str, End] = {}
        self.files: list[dict[str, Any]] = []
        self.cursor_from = cursor
        self.started_at = datetime.now(UTC)
        self.before: dict[int, tuple[str, str]] = {}
        """Page → folder and file of the same page of the last applied batch."""
        self.fresh = 0
        """Pages that this process landed."""


def _land(
    ctx: Context,
    wanted: Wanted,
    folder: str,
    landed: _Landed,
    last: Batch | None,
    progress: Progress,
) -> None:
    mapping, feed_mapping = wanted.mapping, wanted.feed_mapping
    since = split_cursors(landed.cursor_from)
    sources = readings(declared(wanted.feed), feed_mapping)
    connection = resolve(ctx.settings, mapping.connection)
    with ExitStack() as stack:
        open_connectors: dict[str, Connector] = {}

        def opened(protocol: str) -> Connector:
            if protocol not in open_connectors:
                budget = erp_budget(ctx, mapping.erp, "bulk")
                cache = ctx.settings.cache
                open_connectors[protocol] = stack.enter_context(
                    open_connector(connection, protocol, mapping.erp, cache=cache, budget=budget)
                )
            return open_connectors[protocol]

        for reading in sources:
            if landed.ends:  # another source follows: what is whole need not be read again
                note_ends(ctx, landed.began, landed.pages, landed.declared, landed.ends)
            if reading.part in landed.began.ends:
                landed.ends[reading.part] = landed.began.ends[reading.part]
                continue
            start = None
            if wanted.mode == "delta" and reading.part in since:
                start = starts_at(since[reading.part], mapping, wanted.feed, last)
            landed.ends[reading.part] = _land_source(
                ctx, opened(reading.plan.source.protocol), reading, folder, start, landed, progress
            )
        if wanted.feed == "invoices":
            for reading in sources:
                if reading.part == "document":  # its source may have been read before
                    opened(reading.plan.source.protocol)
            landed.files = documents.fetch(
                ctx, mapping, folder, sources, landed.pages, open_connectors, progress
            )


def _land_source(
    ctx: Context,
    connector: Connector,
    reading: Reading,
    folder: str,
    since: str | None,
    landed: _Landed,
    progress: Progress,
) -> End:
    """All pages of one source, or the rest of them where an interrupted pull had some."""
    after = landed.began.places.get(reading.part)
    if after is None or not isinstance(connector, Resumable):
        _drop_pages(ctx, folder, reading.part, landed)
        pages = connector.read(reading.plan.source, since)
        return _land_pages(ctx, reading, pages, folder, landed, progress)
    before = landed.fresh
    try:
        pages = connector.resume(reading.plan.source, since, after)
        return _land_pages(ctx, reading, pages, folder, landed, progress)
    except (SourceChanged, Misconfigured):
        if landed.fresh > before:
            raise
        _drop_pages(ctx, folder, reading.part, landed)  # the ERP has forgotten the place
    pages = connector.read(reading.plan.source, since)
    return _land_pages(ctx, reading, pages, folder, landed, progress)


def _land_pages(
    ctx: Context,
    reading: Reading,
    pages: Generator[Page, None, End],
    folder: str,
    landed: _Landed,
    progress: Progress,
) -> End:
    total: int | None = None
    mine = [page for page in landed.pages if page.part == reading.part]
    records = sum(page.records or 0 for page in mine)
    while True:
        try:
            page = next(pages)
        except StopIteration as stop:
            end: End = stop.value
            return end
        if page.restart:
            total, records = None, 0
            _drop_pages(ctx, folder, reading.part, landed)
        number = len(landed.pages) + 1
        written = ctx.landing.write_page(
            folder, number, page.name, _counted(page.content), like=landed.before.get(number)
        )
        row = PageRow(
            page=number,
            part=reading.part,
            name=page.name,
            file=written.file,
            sha256=written.sha256,
            bytes=written.bytes,
            records=page.records,
        )
        landed.pages.append(row)
        landed.declared.append(page.declared)
        landed.same.append(page.same or written.sha256)
        landed.fresh += 1
        if page.after is not None:
            note_place(ctx, landed.began, landed.pages, landed.declared, page.after)
        total = page.declared if page.declared is not None else total
        records += page.records or 0
        progress("pull", records or number, total if records else None)


def _drop_pages(ctx: Context, folder: str, part: str, landed: _Landed) -> None:
    """A source that is read from its beginning leaves no page of an earlier try."""
    kept = [page for page in landed.pages if page.part != part]
    if len(kept) == len(landed.pages):
        return
    for page in landed.pages[len(kept) :]:
        ctx.landing.remove_page(folder, page.file)
    del landed.pages[len(kept) :], landed.declared[len(kept) :], landed.same[len(kept) :]
    forget(ctx, landed.began, len(kept))


def _counted(content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        if piece:
            yield piece


def _seal(ctx: Context, batch_id: int, folder: str, wanted: Wanted, landed: _Landed) -> None:
    ends, scope = landed.ends, wanted.scope
    complete = wanted.mode == "snapshot" and all(end.complete for end in ends.values())
    reason = "; ".join(f"{part}: {end.reason}" for part, end in ends.items())
    cursors = split_cursors(landed.cursor_from)
    for part, end in ends.items():
        if end.cursor is not None:
            cursors[part] = later(cursors.get(part, end.cursor), end.cursor)
    server_at = min((e.server_at for e in ends.values() if e.server_at), default=None)
    content = hashlib.sha256()
    for page, same in zip(landed.pages, landed.same, strict=True):
        content.update(f"{page.part}\n{same}\n".encode())
    manifest = {
        "erp": wanted.mapping.erp,
        "batch": batch_id,
        "mode": wanted.mode,
        "sweep": wanted.sweep,
        "scope": scope.as_json(),
        "cursor_from": landed.cursor_from,
        "cursor_to": join_cursors(cursors),
        "started_at": landed.started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "server_at": server_at.isoformat() if server_at else None,
        "complete": complete,
        "complete_reason": reason,
        "declared": {part: end.declared for part, end in ends.items()},
        "notes": {part: list(end.notes) for part, end in ends.items() if end.notes},
        "pages": [
            {
                "page": p.page,
                "part": p.part,
                "name": p.name,
                "file": p.file,
                "sha256": p.sha256,
                "bytes": p.bytes,
                "records": p.records,
                "declared": declared_count,
                "same": same,
            }
            for p, declared_count, same in zip(
                landed.pages, landed.declared, landed.same, strict=True
            )
        ],
        "documents": landed.files,
    }
    manifest_sha256 = ctx.landing.write_manifest(folder, manifest)
    with ctx.connection() as connection, connection.transaction():
        batch_landed(
            connection,
            batch_id,
            pages=landed.pages,
            cursor_to=join_cursors(cursors),
            complete=complete,
            complete_reason=reason,
            landing=folder,
            content_sha256=content.hexdigest(),
            manifest_sha256=manifest_sha256,
            server_at=server_at,
            documents=len(landed.files),
        )
        batch = read_batch(connection, batch_id)
        if batch is not None:
            supersede_open(connection, batch)


def _abandon(ctx: Context, batch_id: int, folder: str, error: BaseException) -> None:
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
        if batch is None or batch.state != "pulling":
            return
        says = str(error) if isinstance(error, WaybillError) else type(error).__name__
        ctx.landing.remove(folder)
        set_batch_state(connection, batch_id, "abandoned", says)


def freshness_of(server_at: datetime | None, pulled_at: datetime) -> datetime:
    """When the values of a batch were observed: the ERP's clock if it is near ours, else ours."""
    if server_at is not None and abs(server_at - pulled_at) < timedelta(minutes=5):
        return min(server_at, pulled_at)
    return pulled_at
