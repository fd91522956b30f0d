"""Which records of a landed batch does the portal hold already, byte for byte? Those are skipped.

Only where nothing could end differently: the index of records is that of the last applied batch,
under the same fingerprint, and nothing else wrote since. Any doubt means that everything is
compared. Must not judge a record or write to the database.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from connectors.formats.csv_lines import Frame, NotLineByLine, form_of, record_lines
from connectors.formats.raw import ReadPlan
from mappings.sources.sftp import CsvFormat
from mappings.spec import FeedMapping
from mappings.vocabulary import Feed
from portal_db.ledger import Batch, PageRow, changed_since, read_batch, read_cursor, read_pages
from portal_db.quarantine import open_items_of_others
from sync.context import Context
from sync.record_digests import Gathered
from sync.record_index import Binding, Doubt, RecordIndex
from sync.record_places import Pages, Places
from sync.sources import readings, supplied


@dataclass(slots=True)
class Known:
    """What comparing a batch with the index found."""

    plan: ReadPlan
    places: Places
    """Where the batch's records lie."""
    frames: dict[int, Frame]
    unknown: np.ndarray
    """Numbers of the records to read, ascending."""
    gone: np.ndarray
    """Numbers, in the old batch, of the records that did not come again."""
    old: Batch
    old_places: Places
    skipped: int
    """Records that the portal holds, each counted once."""
    repeated: int
    """Further copies of those."""


@dataclass(slots=True)
class _Lines:
    """All lines of a batch, gathered."""

    gathered: Gathered
    places: Places
    frames: dict[int, Frame] = field(default_factory=dict)

    @property
    def header(self) -> str:
        """The one header of all pages. Raises Doubt where they have several."""
        found = {frame.header for frame in self.frames.values()}
        if len(found) > 1:
            raise Doubt
        return found.pop().hex() if found else ""


class KnownRecords:
    """The index of one feed for one load: compared with before it, replaced after it."""

    def __init__(self, ctx: Context, batch: Batch, plan: ReadPlan, form: CsvFormat) -> None:
        self._ctx = ctx
        self._batch = batch
        self._plan = plan
        self._form = form
        self._index = RecordIndex(ctx.settings.home, batch.erp, batch.feed, batch.scope_key)
        self._header: str | None = None
        self._pages: Pages = ()
        self._thread: threading.Thread | None = None

    @classmethod
    def of(
        cls, ctx: Context, batch: Batch, feed: Feed, mapping: FeedMapping
    ) -> KnownRecords | None:
        """None where records of this feed are not told apart by their bytes alone.

        One part from one source, complete extracts of the whole feed, no tombstones: then a
        record's fate depends on its own bytes, its key and what it names.
        """
        sources = readings(feed, mapping)
        parts = supplied(feed, mapping)
        if (
            len(sources) != 1
            or set(parts) != {feed.main}
            or parts[feed.main].deleted is not None
            or not batch.complete
            or batch.mode != "snapshot"
            or mapping.mode != "snapshot"
            or batch.scope is not None
        ):
            return None
        form = form_of(sources[0].plan)
        return None if form is None else cls(ctx, batch, sources[0].plan, form)

    def compare(
        self, connection: psycopg.Connection[Any], pages: list[PageRow], fingerprint: str
    ) -> Known | None:
        """Hold the batch against the index; None where the index says nothing."""
        binding = self._index.binding()
        old = None if binding is None else self._valid(connection, binding, fingerprint)
        if binding is None or old is None:
            return None
        try:
            lines = self._gather(pages)
            if lines.header != binding.header:
                return None
            found = self._index.compare(lines.gathered, binding)
            self._header, self._pages = lines.header, lines.places.pages
        except (Doubt, NotLineByLine, OSError):
            return None
        return Known(
            self._plan,
            lines.places,
            lines.frames,
            found.unknown,
            found.gone,
            old,
            self._index.places(binding),
            found.known,
            found.repeated,
        )

    def _valid(
        self, connection: psycopg.Connection[Any], binding: Binding, fingerprint: str
    ) -> Batch | None:
        """The batch of the index, if the portal is as its run left it."""
        batch = self._batch
        cursor = read_cursor(connection, batch.erp, batch.feed, batch.scope_key)
        if (cursor.batch_id, cursor.run_id) != (binding.batch_id, binding.run_id):
            return None
        if binding.fingerprint != fingerprint or binding.batch_id >= batch.id:
            return None
        old = read_batch(connection, binding.batch_id)
        if old is None or old.content_sha256 != binding.content_sha256 or old.scope is not None:
            return None
        if changed_since(connection, batch.erp, batch.feed, binding.run_id):
            return None
        if open_items_of_others(connection, batch.erp, batch.feed, binding.batch_id):
            return None
        return old

    def prepare(self, pages: list[PageRow]) -> None:
        """Begin to read the digests of a batch that is loaded the long way, in the background."""

        def work() -> None:
            try:
                lines = self._gather(pages)
                header = lines.header
                self._index.prepare(lines.gathered)
                self._header, self._pages = header, lines.places.pages
            except Exception:  # noqa: BLE001  a cache: without it the next load compares everything
                self._header = None

        self._header = None
        self._thread = threading.Thread(target=work, name="record-index", daemon=True)
        self._thread.start()

    def remember(self, run_id: int, fingerprint: str, refused: set[int]) -> None:
        """The batch is applied: what it holds, but for `refused`, is known from now on."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        batch = self._batch
        if self._header is None:
            self._index.forget()
            return
        bound = Binding(
            batch.id,
            run_id,
            batch.content_sha256 or "",
            fingerprint,
            self._header,
            records=0,
            pages=self._pages,
        )
        try:
            self._index.replace(bound, refused)
        except OSError:
            self._index.forget()

    def confirm(self, run_id: int) -> None:
        """The same bytes were applied again."""
        binding = self._index.binding()
        if binding is not None and binding.content_sha256 == self._batch.content_sha256:
            self._index.rebind(binding, batch_id=self._batch.id, run_id=run_id)

    def close(self) -> None:
        """Leave nothing that a load did not finish."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._index.clear_waiting()

    def _gather(self, pages: list[PageRow]) -> _Lines:
        """Read every page once. Raises NotLineByLine, Misconfigured (`evidence`)."""
        gathered = self._index.gather(sum(page.bytes for page in pages))
        frames: dict[int, Frame] = {}
        counted: list[tuple[int, int, int]] = []
        number = 1
        with closing(self._index.placing()) as placing:
            for page in pages:
                first, frame = number, Frame()
                folder = self._batch.landing or ""
                with self._ctx.landing.open_page(folder, page.file, page.sha256) as content:
                    for lines in record_lines(content, self._form, frame):
                        gathered.add(lines.each())
                        placing.add(lines.starts + lines.at, lines.ends + lines.at)
                        number += len(lines)
                placing.end_page()
                counted.append((page.page, first, number - first))
                frames[page.page] = frame
        return _Lines(gathered, self._index.placed(tuple(counted)), frames)


def old_pages(connection: psycopg.Connection[Any], known: Known) -> list[PageRow]:
    """The pages of the batch that the index speaks for."""
    return [page for page in read_pages(connection, known.old.id) if page.part == known.plan.part]
