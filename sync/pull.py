"""Pull: ask the connector for pages and land the bytes that the ERP sent, unchanged.

Ends with a sealed batch. Nothing is mapped or judged here, and no transaction is open while the
network is in use. A pull that fails leaves an abandoned batch and no half evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import open_connector
from connectors.protocol import Connector, End
from mappings.errors import NotNow, WaybillError
from mappings.spec import ErpMapping, FeedMapping
from portal_db.ledger import (
    PageRow,
    batch_landed,
    begin_batch,
    done_run_exists,
    interrupted_runs,
    read_batch,
    read_cursor,
    remember_mapping,
    set_batch_state,
    supersede_open,
)
from portal_db.staging import drop_orphans
from sync import documents
from sync.connection import resolve
from sync.context import Context, declared
from sync.cursors import earlier, join_cursors, later, split_cursors
from sync.mapping_text import mapping_text
from sync.order import required
from sync.place import placed
from sync.progress import Progress, silent
from sync.scope import Scope, scope_of
from sync.sources import Reading, readings
from sync.turn import take_wish, turn, want
from sync.windows import closed_until


def pull(
    ctx: Context,
    erp: str,
    feed: str,
    *,
    progress: Progress = silent,
    now: datetime | None = None,
) -> int | None:
    """Land one batch and return its id; None where another process is at it (it was told).

    Raises NotNow (closed window, required feed missing), Transient, Misconfigured,
    SourceChanged, BatchRefused; the batch is then abandoned with the reason.
    """
    mapping = ctx.erp(erp)
    feed_mapping = ctx.feed(erp, feed)
    at = now or datetime.now(UTC)
    scope = scope_of(feed_mapping, mapping.time_zone, at)
    with placed(erp, feed):
        _refuse_now(ctx, mapping, feed, at)
        with turn(ctx, erp, feed) as mine:
            if not mine:
                want(ctx, erp, feed, scope.key)
                return None
            take_wish(ctx, erp, feed, scope.key)
            _clean_up(ctx, erp, feed)
            batch_id = _pull_once(ctx, mapping, feed, feed_mapping, scope, progress)
            if take_wish(ctx, erp, feed, scope.key):
                batch_id = _pull_once(ctx, mapping, feed, feed_mapping, scope, progress)
            return batch_id


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
    """What a killed process left: running runs, staging tables, unsealed pulls."""
    with ctx.connection() as connection:
        interrupted_runs(connection, erp, feed)
        drop_orphans(connection, erp, feed)
        rows = connection.execute(
            "SELECT id FROM sync.batch WHERE erp = %s AND feed = %s AND state = 'pulling'",
            (erp, feed),
        ).fetchall()
        for (batch_id,) in rows:
            ctx.landing.remove(ctx.landing.folder(erp, feed, batch_id))
            set_batch_state(connection, batch_id, "abandoned", "the pull was interrupted")


def _pull_once(
    ctx: Context,
    mapping: ErpMapping,
    feed: str,
    feed_mapping: FeedMapping,
    scope: Scope,
    progress: Progress,
) -> int:
    text, sha256 = mapping_text(ctx, mapping.erp)
    with ctx.connection() as connection:
        remember_mapping(connection, sha256, mapping.erp, text)
        cursor = read_cursor(connection, mapping.erp, feed, scope.key)
        batch_id = begin_batch(
            connection,
            erp=mapping.erp,
            feed=feed,
            mode=feed_mapping.mode,
            scope_key=scope.key,
            scope=scope.as_json(),
            cursor_from=cursor.cursor,
            mapping_sha256=sha256,
        )
    folder = ctx.landing.folder(mapping.erp, feed, batch_id)
    try:
        landed = _land(ctx, mapping, feed, feed_mapping, folder, cursor.cursor, progress)
        _seal(ctx, batch_id, folder, mapping, feed_mapping, scope, landed)
    except BaseException as error:
        _abandon(ctx, batch_id, folder, error)
        raise
    return batch_id


class _Landed:
    """What came: pages, how each source ended, documents."""

    def __init__(self) -> None:
        self.pages: list[PageRow] = []
        self.declared: list[int | None] = []
        self.same: list[str] = []
        self.ends: dict[str, End] = {}
        self.files: list[dict[str, Any]] = []
        self.cursor_from: str | None = None
        self.started_at = datetime.now(UTC)


def _land(
    ctx: Context,
    mapping: ErpMapping,
    feed: str,
    feed_mapping: FeedMapping,
    folder: str,
    cursor: str | None,
    progress: Progress,
) -> _Landed:
    landed = _Landed()
    landed.cursor_from = cursor
    since = split_cursors(cursor)
    sources = readings(declared(feed), feed_mapping)
    connection = resolve(ctx.settings, mapping.connection)
    with ExitStack() as stack:
        open_connectors: dict[str, Connector] = {}
        for reading in sources:
            protocol = reading.plan.source.protocol
            if protocol not in open_connectors:
                open_connectors[protocol] = stack.enter_context(
                    open_connector(connection, protocol, mapping.erp, cache=ctx.settings.cache)
                )
            start = None
            if feed_mapping.mode == "delta" and reading.part in since:
                start = earlier(since[reading.part], feed_mapping.overlap_minutes)
            landed.ends[reading.part] = _land_source(
                ctx, open_connectors[protocol], reading, folder, start, landed, progress
            )
        if feed == "invoices":
            landed.files = documents.fetch(
                ctx, mapping, folder, sources, landed.pages, open_connectors, progress
            )
    return landed


def _land_source(
    ctx: Context,
    connector: Connector,
    reading: Reading,
    folder: str,
    since: str | None,
    landed: _Landed,
    progress: Progress,
) -> End:
    pages = connector.read(reading.plan.source, since)
    total: int | None = None
    records = 0
    while True:
        try:
            page = next(pages)
        except StopIteration as stop:
            end: End = stop.value
            return end
        if page.restart:
            total, records = None, 0
            _forget(ctx, folder, reading.part, landed)
        number = len(landed.pages) + 1
        written = ctx.landing.write_page(folder, number, page.name, _counted(page.content))
        landed.pages.append(
            PageRow(
                page=number,
                part=reading.part,
                name=page.name,
                file=written.file,
                sha256=written.sha256,
                bytes=written.bytes,
                records=page.records,
            )
        )
        landed.declared.append(page.declared)
        landed.same.append(page.same or written.sha256)
        total = page.declared if page.declared is not None else total
        records += page.records or 0
        progress("pull", records or number, total if records else None)


def _forget(ctx: Context, folder: str, part: str, landed: _Landed) -> None:
    """The connector began anew: what it had handed out of this part comes once more."""
    while landed.pages and landed.pages[-1].part == part:
        ctx.landing.remove_page(folder, landed.pages.pop().file)
        landed.declared.pop()
        landed.same.pop()


def _counted(content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        if piece:
            yield piece


def _seal(
    ctx: Context,
    batch_id: int,
    folder: str,
    mapping: ErpMapping,
    feed_mapping: FeedMapping,
    scope: Scope,
    landed: _Landed,
) -> None:
    ends = landed.ends
    complete = feed_mapping.mode == "snapshot" and all(end.complete for end in ends.values())
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
        "erp": mapping.erp,
        "batch": batch_id,
        "mode": feed_mapping.mode,
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
