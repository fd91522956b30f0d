"""Where a delta starts behind its cursor, and what a sweep found that deltas had missed.

The start is the ERP's own text moved back: by the overlap, and by as long as the pull took that
brought the cursor, for what changed while it read may lie behind its last value. Must not read a
clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

import psycopg
import pyarrow as pa

from mappings.plans import Supply
from mappings.spec import ErpMapping
from mappings.trust import overlap_minutes
from mappings.vocabulary import Field
from portal_db.counts import Counts
from portal_db.ledger import Batch, read_batch, read_cursor
from portal_db.staging import Staging
from portal_db.sweeps import Caught, caught, record_sweep
from sync.context import Context
from sync.cursors import earlier, split_cursors
from sync.sources import supplied
from transforms.column import column_of
from transforms.registry import StepContext

_STAMP = Field("version", "instant", "-", "instant of the last change")


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the next delta of a part would start, as the ERP's text."""

    text: str
    erp: ErpMapping

    def instant(self, supply: Supply) -> datetime | None:
        """The same as an instant, read as the mapping reads the record's stamp; None: unknown."""
        stamp = supply.version
        source = supply.source
        cursor = getattr(source, "cursor", None)
        if stamp is None or cursor is None or stamp.paths != (cursor,):
            return None
        lookup = None if stamp.lookup is None else self.erp.lookups[stamp.lookup]
        context = StepContext(self.erp.time_zone, stamp.paths)
        return column_of(
            _STAMP, [pa.array([self.text])], stamp.through, lookup, context
        ).values[0].as_py()  # fmt: skip


def starts_at(cursor: str, erp: ErpMapping, feed: str, last: Batch | None) -> str:
    """The text from which a delta asks. `last`: the batch that brought the cursor."""
    read = 0 if last is None or last.read_seconds is None else math.ceil(last.read_seconds)
    back = timedelta(minutes=overlap_minutes(erp.feeds[feed]), seconds=read)
    return earlier(cursor, back, erp.time_zone)


def record(
    ctx: Context,
    connection: psycopg.Connection[Any],
    staging: Staging,
    batch: Batch,
    complete: dict[str, bool],
    parts: dict[str, Counts],
) -> None:
    """Count what a sweep found, in the transaction that applies it."""
    erp, mapping = ctx.erp(batch.erp), ctx.feed(batch.erp, batch.feed)
    cursor = read_cursor(connection, batch.erp, batch.feed, batch.scope_key)
    last = None if cursor.batch_id is None else read_batch(connection, cursor.batch_id)
    cursors = split_cursors(batch.cursor_from)
    supplies = supplied(staging.feed, mapping)
    found: list[Caught] = []
    for part in staging.feed.parts:
        root = part.parent or part.name
        starts = None
        if root in cursors and root in supplies:
            text = starts_at(cursors[root], erp, batch.feed, last)
            starts = _Start(text, erp).instant(supplies[root])
        found.append(caught(connection, staging, part, starts))
    record_sweep(
        connection,
        run_id=staging.run_id,
        batch_id=batch.id,
        erp=batch.erp,
        feed=batch.feed,
        cause=batch.sweep or "asked",
        misses=mapping.misses,
        complete=all(complete.values()),
        compared=sum(c.inserted + c.updated + c.unchanged + c.deleted for c in parts.values()),
        found=reduce(add, found, Caught()),
    )
