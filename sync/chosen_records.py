"""Reads some records of a landed batch, at their places, through their format's own reader.

Each keeps its own number. Must not decide which records: `known_records` did.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa

from connectors.formats import read_page
from connectors.formats.csv_lines import NotLineByLine
from connectors.formats.raw import Broken, Item, RawChunk, ReadPlan
from connectors.formats.stretches import Stretches
from portal_db.ledger import Batch, PageRow
from sync.context import Context
from sync.known_records import Known
from sync.record_places import Places


def read_unknown(ctx: Context, batch: Batch, pages: list[PageRow], known: Known) -> Iterator[Item]:
    """The unknown records of a batch through their format's own reader, with their own numbers.

    Raises NotLineByLine where the reader counts otherwise.
    """
    found = {page: (first, records) for page, first, records in known.places.pages}
    for page in pages:
        first, count = found[page.page]
        low, high = np.searchsorted(known.unknown, [first, first + count])
        numbers = known.unknown[low:high]
        if len(numbers):
            yield from _chosen(ctx, batch, page, known.plan, known.places, numbers)
        else:  # what stands around the records is read all the same
            frame = known.frames[page.page]
            text = b"\n".join(part for part in (frame.header, frame.trailer) if part) + b"\n"
            yield from _renumbered(io.BytesIO(text), known.plan, page, numbers)


def read_gone(ctx: Context, known: Known, pages: list[PageRow]) -> Iterator[RawChunk]:
    """The records of the old batch that did not come again, as they were landed then."""
    if [(p.page, p.first_record_no, p.records) for p in pages] != [*known.old_places.pages]:
        raise NotLineByLine
    for page, (_, first, count) in zip(pages, known.old_places.pages, strict=True):
        low, high = np.searchsorted(known.gone, [first, first + count])
        numbers = known.gone[low:high]
        if not len(numbers):
            continue
        for one in _chosen(ctx, known.old, page, known.plan, known.old_places, numbers):
            if isinstance(one, Broken):
                raise NotLineByLine
            if isinstance(one, RawChunk):
                yield one


def _chosen(
    ctx: Context,
    batch: Batch,
    page: PageRow,
    plan: ReadPlan,
    places: Places,
    numbers: np.ndarray,
) -> Iterator[Item]:
    starts, stops = places.stretches(page.page, numbers)
    with ctx.landing.open_page(batch.landing or "", page.file) as content:
        chosen = cast("BinaryIO", io.BufferedReader(Stretches(content, starts, stops)))
        yield from _renumbered(chosen, plan, page, numbers)


def _renumbered(
    content: BinaryIO, plan: ReadPlan, page: PageRow, numbers: np.ndarray
) -> Iterator[Item]:
    counter = {plan.part: 1}
    for one in read_page(content, plan, page.page, counter):
        if isinstance(one, RawChunk):
            places = one.record_no.to_numpy() - 1
            if len(places) and places[-1] >= len(numbers):
                raise NotLineByLine
            own = pa.array(numbers[places], pa.int64())
            yield RawChunk(one.part, one.page, one.columns, own)
        elif isinstance(one, Broken):
            if one.record_no > len(numbers):
                raise NotLineByLine
            number = int(numbers[one.record_no - 1])
            yield Broken(one.part, one.page, number, one.code, one.says, one.raw)
        else:
            yield one
    if counter[plan.part] - 1 != len(numbers):
        raise NotLineByLine
