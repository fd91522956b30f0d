"""Reads a landed batch page by page: map, judge, stage the good, remember the bad.

Every record ends in exactly one place: a staging table, or the rejections. Must not compare with
the portal or write to it.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from connectors.ahead import ahead
from connectors.formats import read_page
from connectors.formats.gathering import gathered
from connectors.formats.raw import Broken, Declared, Item, RawChunk
from mappings.errors import BatchRefused, Transient
from mappings.sources.formats import CsvFormat, FixedFormat, FixedTrailer, Trailer
from mappings.sources.sftp import SftpSource
from mappings.spec import ErpMapping
from mappings.vocabulary import Feed, Field
from portal_db.ledger import Batch, PageRow
from portal_db.staging import Staging
from quality.checks import judge
from quality.quarantine import Judged, Rejection, broken, rejections
from quality.verdicts import Verdict
from sync.arrivals import fresh_pages, screened
from sync.chosen_records import read_unknown
from sync.context import Context
from sync.corrections import Corrections
from sync.known_records import Known
from sync.progress import Progress
from sync.remarks import Remarks
from sync.sources import Reading, readings
from transforms.column import column_of
from transforms.mapping import Mapper, mappers
from transforms.registry import StepContext

_READS = {
    "comma": "decimal_comma", "point": "decimal_point", "hundredths": "implied_hundredths",
}  # fmt: skip
"""How a trailer says that numbers are written → the step that reads them so."""

_TOTAL = Field("total", "price", "-", "a control total")

_LARGE = 16 * 1024 * 1024
"""Bytes from which on a thread of its own pays for reading."""
_PATIENCE = 3600.0

Only = Mapping[str, set[int]]
"""Root part → record numbers: a retry judges these records of a batch and no others."""


@dataclass(slots=True)
class Intake:
    """What one reading of a batch found, beside the staged rows."""

    read: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Part → records as they came."""
    roots: dict[str, list[Rejection]] = field(default_factory=lambda: defaultdict(list))
    """Root part → its rejected records."""
    children: dict[str, dict[int, list[Rejection]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """Child part → root_no → its rejected records; root_no 0: not known (a source of its own)."""
    unreadable: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Part → rejected records whose key (a child's: its root's) cannot be read: no deletes."""
    declared: dict[str, int] = field(default_factory=dict)
    """Part → how many records the ERP said there are."""
    declared_sums: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """(part, their column) → the ERP's control total."""
    sums: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """(part, their column) → what came and is a number adds up to."""
    pages: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Page → (first record_no of its part, records)."""
    starts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Part with a source → (first record_no, page) of each of its pages, ascending."""
    unproven: dict[str, str] = field(default_factory=dict)
    """Part → why its control total cannot be proven: the first record without a readable amount."""
    remarks: Remarks = field(default_factory=Remarks)
    skipped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Part → records that the portal holds byte for byte: counted, not staged."""
    repeated: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Part → further copies of skipped records."""
    own_sources: set[str] = field(default_factory=set)
    """Child parts that came from a source of their own."""

    def page_of(self, part: str, record_no: int) -> int | None:
        """The page on which a record of a part with a source lies."""
        starts = self.starts.get(part, [])
        place = bisect.bisect_right(starts, record_no, key=lambda one: one[0]) - 1
        return starts[place][1] if place >= 0 else None


def take_in(
    ctx: Context,
    mapping: ErpMapping,
    feed: Feed,
    batch: Batch,
    pages: list[PageRow],
    staging: Staging,
    *,
    only: Only | None,
    known: Known | None = None,
    corrections: Corrections | None = None,
    progress: Progress,
) -> Intake:
    """Read every page of a batch into staging; with `known`, only the records it does not know.

    `corrections` are laid over the records they were made for, before these are judged.

    Raises BatchRefused where a transfer contradicts itself, SourceChanged where the mapping's
    columns are not there, Misconfigured where the evidence is gone.
    """
    intake = Intake()
    maps = mappers(mapping, feed.name)
    total = sum(p.records or 0 for p in pages) or None
    for reading in readings(feed, mapping.feeds[feed.name]):
        part = feed.part(reading.part)
        if part.parent is not None:
            intake.own_sources.add(part.name)
        mine = [page for page in pages if page.part == reading.part]
        mine = fresh_pages(ctx, batch, reading, mine, intake.remarks)
        if known is None:
            items = _ahead(_items(ctx, batch, reading, mine, intake), mine)
        else:
            items = _unknown(ctx, batch, reading, mine, intake, known)
        for item in gathered(screened(ctx, batch, part.name, items, intake.remarks)):
            if isinstance(item, RawChunk):
                _add_up(reading, item, intake)
                _chunk(feed, maps, item, staging, intake, only, corrections)
                progress("read", sum(intake.read.values()), total)
            elif isinstance(item, Broken):
                _broken(feed, item, intake, only)
                says = f"record {item.record_no} cannot be read ({item.says})"
                intake.unproven.setdefault(item.part, says)
            elif isinstance(item, Declared):
                _declared(item, intake)
    if only is None:
        _compare_declared(batch, intake)
    return intake


def _ahead(items: Iterator[Item], pages: list[PageRow]) -> Iterator[Item]:
    """Records of a large batch are read by a thread while earlier ones are mapped and judged."""
    if sum(page.bytes for page in pages) < _LARGE:
        return items

    def too_late() -> Transient:
        return Transient(
            f"landed bytes were waited for longer than {_PATIENCE:.0f} s",
            code="landing",
            remedy="It is tried again by itself; look at the disk or store that holds the landing.",
        )

    return ahead(items, most=1, patience=_PATIENCE, too_late=too_late, name="reading")


def _items(
    ctx: Context, batch: Batch, reading: Reading, pages: list[PageRow], intake: Intake
) -> Iterator[Item]:
    """Everything the pages of one source hold, in order; notes which records lie on which page."""
    first = {reading.part: 1, **{child.part: 1 for child in reading.plan.children}}
    for page in pages:
        start = first[reading.part]
        with ctx.landing.open_page(batch.landing or "", page.file, page.sha256) as content:
            yield from read_page(content, reading.plan, page.page, first)
        count = first[reading.part] - start
        intake.pages[page.page] = (start, count)
        if count:
            intake.starts.setdefault(reading.part, []).append((start, page.page))


def _unknown(
    ctx: Context,
    batch: Batch,
    reading: Reading,
    pages: list[PageRow],
    intake: Intake,
    known: Known,
) -> Iterator[Item]:
    """As `_items`, without the records that are known; those are only counted."""
    intake.read[reading.part] += known.skipped + known.repeated
    intake.skipped[reading.part] = known.skipped
    intake.repeated[reading.part] = known.repeated
    places = {page: (first, count) for page, first, count in known.places.pages}
    for page in pages:
        first, count = intake.pages[page.page] = places[page.page]
        if count:
            intake.starts.setdefault(reading.part, []).append((first, page.page))
    yield from read_unknown(ctx, batch, pages, known)


def _chunk(
    feed: Feed,
    maps: Mapping[str, Mapper],
    chunk: RawChunk,
    staging: Staging,
    intake: Intake,
    only: Only | None,
    corrections: Corrections | None,
) -> None:
    part = feed.part(chunk.part)
    if only is not None:
        chunk = _selected(chunk, only, part.parent or part.name)
    if len(chunk.record_no) == 0:
        return
    mapper = maps[chunk.part]
    mapped = mapper.map(chunk)
    if corrections is not None:
        mapped = corrections.laid_over(part, mapper, chunk, mapped)
    table = mapped.table
    if "root_no" not in table.column_names:
        table = table.append_column("root_no", pa.nulls(len(table), pa.int64()))
    intake.read[part.name] += len(table)
    tombstone = pc.fill_null(table["deleted"].combine_chunks(), False)
    verdicts = judge(part, table, tombstone, mapper.constants)
    if part.parent is None:
        nameless = pc.and_(_keyless(part.key, table), tombstone)
        says = "a deletion must name what it deletes"
        key = part.key[0]
        verdicts = [*verdicts, Verdict("key_missing", says, key, nameless, frozenset(part.key))]
    judged = Judged(part, table, mapped.problems, verdicts)
    failed = judged.failed()
    if not failed.true_count:
        staging.copy(part, table)
        return
    found = rejections(judged, (), failed, chunk.page, lambda row: mapper.raw_json(chunk, row))
    staging.copy(part, table.filter(pc.invert(failed)))
    if part.parent is None:
        intake.roots[part.name] += found
        bad = table.filter(failed)
        readable = pc.invert(_keyless(part.key, bad))
        staging.copy_failed(part, bad.filter(readable))
        intake.unreadable[part.name] += len(bad) - readable.true_count
    else:
        bad = table.filter(failed)
        if part.name in intake.own_sources:
            staging.copy_failed(part, bad)
            intake.unreadable[part.name] += bad[part.parent_field].null_count
        for owner, rejection in zip(bad["root_no"].to_pylist(), found, strict=True):
            intake.children[part.name][owner or 0].append(rejection)


def _selected(chunk: RawChunk, only: Only, root: str) -> RawChunk:
    numbers = chunk.root_no if chunk.root_no is not None else chunk.record_no
    wanted = pa.array(sorted(only.get(root, ())), pa.int64())
    if chunk.root_no is None and chunk.part != root:
        return chunk  # a source of its own: joined to the selected roots by key, later
    mask = pc.is_in(numbers, value_set=wanted)
    return RawChunk(
        chunk.part,
        chunk.page,
        chunk.columns.filter(mask),
        chunk.record_no.filter(mask),
        None if chunk.root_no is None else chunk.root_no.filter(mask),
    )


def _keyless(key: tuple[str, ...], table: pa.Table) -> pa.BooleanArray:
    mask = pa.repeat(pa.scalar(False), len(table))
    for name in key:
        mask = pc.or_(mask, table[name].combine_chunks().is_null())
    return mask


def _broken(feed: Feed, record: Broken, intake: Intake, only: Only | None) -> None:
    part = feed.part(record.part)
    if only is not None and record.record_no not in only.get(part.parent or part.name, ()):
        return
    intake.read[part.name] += 1
    if part.parent is None:
        intake.roots[part.name].append(broken(record))
        intake.unreadable[part.name] += 1
    else:
        intake.children[part.name][0].append(broken(record))
        intake.unreadable[part.name] += 1


def _declared(item: Declared, intake: Intake) -> None:
    if item.count is not None:
        intake.declared[item.part] = intake.declared.get(item.part, 0) + item.count
    if item.total is not None and item.total_of is not None:
        key = (item.part, item.total_of)
        intake.declared_sums[key] = intake.declared_sums.get(key, Decimal(0)) + item.total


def _add_up(reading: Reading, chunk: RawChunk, intake: Intake) -> None:
    """The control total over everything that came, good or bad, in the file's own notation."""
    trailer = _trailer(reading)
    if chunk.part != reading.part or trailer is None or trailer.total_of is None:
        return
    key = (chunk.part, trailer.total_of)
    column = chunk.columns[trailer.total_of].combine_chunks()
    typed = column_of(
        _TOTAL,
        [column],
        (_READS[trailer.decimal],),
        None,
        StepContext("UTC", (trailer.total_of,)),
    )
    for code, mask in typed.bad:
        row = pc.index(mask, pa.scalar(True)).as_py()
        if row >= 0:
            says = f"{key[1]} of record {chunk.record_no[row]} is {column[row].as_py()!r} ({code})"
            intake.unproven.setdefault(chunk.part, says)
    intake.sums[key] = intake.sums.get(key, Decimal(0)) + (
        pc.sum(typed.values).as_py() or Decimal(0)
    )


def _trailer(reading: Reading) -> Trailer | FixedTrailer | None:
    source = reading.plan.source
    if isinstance(source, SftpSource) and isinstance(source.format, CsvFormat | FixedFormat):
        return source.format.trailer
    return None


def _compare_declared(batch: Batch, intake: Intake) -> None:
    """A transfer that ended properly but contradicts its own count is held, not guessed at."""
    for part, count in intake.declared.items():
        if intake.read.get(part, 0) != count:
            raise BatchRefused(
                f"{part}: the trailer declares {count} records, {intake.read.get(part, 0)} came",
                erp=batch.erp,
                feed=batch.feed,
                code="trailer",
                remedy="Ask for the file again; the portal keeps what it had.",
            )
    for key, total in intake.declared_sums.items():
        came = intake.sums.get(key, Decimal(0))
        if key[0] in intake.unproven:
            raise BatchRefused(
                f"{key[0]}: the trailer declares a total of {total} for {key[1]}, which cannot be "
                f"proven: {intake.unproven[key[0]]}",
                erp=batch.erp,
                feed=batch.feed,
                code="trailer",
                remedy="Have that record corrected and the file written again; the portal keeps "
                "what it had.",
            )
        if came != total:
            raise BatchRefused(
                f"{key[0]}: the trailer declares a total of {total} for {key[1]}, "
                f"{came.normalize():f} came",
                erp=batch.erp,
                feed=batch.feed,
                code="trailer",
                remedy="Ask for the file again; the portal keeps what it had.",
            )
