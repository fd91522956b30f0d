"""Gets a landed batch into staging: all of it, or only what the portal does not hold already.

Must not compare with the portal beyond that, and must not write to it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa

from connectors.formats.csv_lines import NotLineByLine
from mappings.errors import WaybillError
from mappings.vocabulary import Feed
from portal_db import first_load
from portal_db.identifiers import plain_name
from portal_db.ledger import PageRow
from portal_db.narrowed import add_stale, meets_skipped
from portal_db.staging import Staging
from portal_db.totals import live
from sync.corrections import Corrections
from sync.gone_keys import stage_gone
from sync.intake import Intake, take_in
from sync.job import Job
from sync.known_records import Known, old_pages
from sync.record_index import Doubt
from transforms.mapping import mappers


def may_be_first(job: Job, connection: psycopg.Connection[Any]) -> bool:
    """May the ERP's prices be built aside? Where there are none yet, and none are deleted."""
    return (
        job.feed.main == first_load.PART
        and job.order.kind in {"load", "release"}
        and len(job.feed.parts) == 1
        and job.feed_mapping.deleted is None
        and job.batch.mode == "snapshot"
        and first_load.is_first(connection, plain_name(job.batch.erp))
    )


def live_rows(job: Job) -> Future[int] | None:
    """How many rows of the main part live, counted while the records are read.

    Nobody else writes rows of this feed while the turn is ours. None where nothing is deleted.
    """
    part = job.feed.part(job.feed.main)
    deletes = job.scope.deletes(part)
    if deletes is None:
        return None

    def count() -> int:
        with job.ctx.connection() as connection:
            erp = plain_name(job.batch.erp)
            return live(connection, erp, part, deletes.condition, deletes.parameters)

    pool = ThreadPoolExecutor(1, "live")
    counted = pool.submit(count)
    pool.shutdown(wait=False)
    return counted


def live_before(
    staging: Staging, intake: Intake, counted: Future[int] | None
) -> Callable[[], int] | None:
    """How many rows of the main part lived, where that is known without counting now."""
    if staging.narrowed:  # each is that of a skipped record, or of one that did not come again
        known = intake.skipped[staging.feed.main] + staging.gone
        return lambda: known
    return None if counted is None else counted.result


def staging_of(job: Job, connection: psycopg.Connection[Any], *, first: bool = False) -> Staging:
    """The staging tables of a run, not yet made."""
    refers = job.ctx.refers(job.batch.erp, job.batch.feed)
    return Staging(
        connection,
        job.run_id,
        plain_name(job.batch.erp),
        job.feed,
        {part: plain_name(erp) for part, erp in refers.items()},
        first=first,
        constants=_constants(job),
    )


def _constants(job: Job) -> dict[str, dict[str, object]]:
    """What the mapping gives every record of a part: it need not travel with each."""
    return {
        part: {
            name: value
            for name, one in mapper.constants.items()
            if isinstance(value := one.as_py(), str | bool | int | Decimal | date)
        }
        for part, mapper in mappers(job.mapping, job.feed.name).items()
    }


def read_unknown(
    job: Job,
    connection: psycopg.Connection[Any],
    staging: Staging,
    pages: list[PageRow],
    known: Known,
) -> Intake | None:
    """Only what is not known; None where that cannot be told from the rest after all.

    What is wrong with a page is found, and said exactly, by reading all of it.
    """
    try:
        part = job.feed.part(job.feed.main)
        staging.narrowed = True
        before = old_pages(connection, known)
        with ThreadPoolExecutor(1, "gone") as pool:

            def beside() -> Future[None]:
                gone = (job.ctx, job.mapping, staging, known, before)
                return pool.submit(stage_gone, *gone)

            intake = read(job, staging, pages, known, beside)
        with job.timed("read"):
            add_stale(staging, part)
            doubt = meets_skipped(staging, part)
    except (NotLineByLine, Doubt, WaybillError):
        return None
    return None if doubt else intake


def read(
    job: Job,
    staging: Staging,
    pages: list[PageRow],
    known: Known | None = None,
    beside: Callable[[], Future[None]] | None = None,
) -> Intake:
    """Stage the batch; `beside` begins what is staged by another thread meanwhile."""
    manifest = job.ctx.landing.read_manifest(job.batch.landing or "")
    with job.timed("read"):
        corrections = Corrections.of(staging.connection, job.batch, job.fingerprint)
        made = first_load.add_empty_indexes if staging.first else None
        with staging.filling(made=made):
            also = None if beside is None else beside()
            intake = take_in(
                job.ctx,
                job.mapping,
                job.feed,
                job.batch,
                pages,
                staging,
                only=job.order.only,
                known=known,
                corrections=corrections,
                progress=job.progress,
            )
            if also is not None:
                also.result()
        staging.copy_files(_files(manifest, job.feed))
        pa.default_memory_pool().release_unused()  # what comes now needs none of it
        for part in job.feed.parts:
            staging.analyze(part)
    return intake


def _files(manifest: dict[str, Any], feed: Feed) -> list[dict[str, object]]:
    if all(part.name != "document" for part in feed.parts):
        return []
    return list(manifest.get("documents") or ())
