"""What a correction would do to quarantined records, judged by the checks of new data.

Only what a record's own columns tell is judged here: whether its parent exists, or how it compares
with the portal, is seen when it is loaded. Must not store anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.formats import read_page
from connectors.formats.raw import RawChunk
from mappings.errors import WaybillError
from mappings.spec import ErpMapping
from portal_db.ledger import read_batch, read_pages
from quality.checks import judge
from quality.quarantine import Judged, rejections
from sync.context import Context, declared
from sync.corrections import Texts, chunk_of, texts_of, with_texts
from sync.fix_rules import Rule
from sync.sources import readings
from transforms.mapping import Mapper, mappers


@dataclass(frozen=True, slots=True)
class Place:
    """The one record of an item that its first reason speaks of: its own root, or a child."""

    item_id: int
    batch_id: int
    part: str
    record_no: int
    raw: str
    root: bool

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Place:
        """Of a row of sync.quarantine."""
        first = item["reasons"][0]
        part = str(first.get("part") or item["part"])
        root = part == item["part"]
        number = item["record_no"] if root else first.get("record_no", item["record_no"])
        return cls(int(item["id"]), int(item["batch_id"]), part, int(number), item["raw"], root)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One record as the checks see it: our fields as text, and what is wrong with them."""

    fields: dict[str, str | None]
    reasons: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Preview:
    """One item before and after. `changes`: path → (old text, new text)."""

    item_id: int
    texts: Texts
    changes: dict[str, tuple[str | None, str]]
    before: Judgement
    after: Judgement
    unreadable: bool = False

    @property
    def passes(self) -> bool:
        """Would the record's own checks let it in?"""
        return bool(self.changes) and not self.after.reasons and not self.unreadable

    @property
    def fields(self) -> list[tuple[str, str | None, str | None]]:
        """(our field, before, after) where the two differ."""
        return [
            (name, old, self.after.fields.get(name))
            for name, old in self.before.fields.items()
            if old != self.after.fields.get(name)
        ]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of items: looked at, changed by the correction, passing with it, without bytes."""

    looked: int
    changed: int
    passing: int
    unreadable: int


@dataclass(slots=True)
class _Records:
    places: list[Place] = field(default_factory=list)
    texts: list[Texts] = field(default_factory=list)


def record_texts(ctx: Context, places: Sequence[Place], erp: str, feed: str) -> dict[int, Texts]:
    """Item → the texts of its record; from its landed page where the item itself keeps none.

    An item whose bytes are gone, or whose structure could not be read, is not in it.
    """
    found: dict[int, Texts] = {}
    missing: dict[int, dict[tuple[str, int], int]] = {}
    for one in places:
        texts = texts_of(one.raw)
        if texts:
            found[one.item_id] = texts
        else:
            wanted = missing.setdefault(one.batch_id, {})
            wanted[one.part, one.record_no] = one.item_id
    for batch_id, wanted in missing.items():
        try:
            found |= _landed(ctx, erp, feed, batch_id, wanted)
        except WaybillError:
            continue  # its evidence has expired: there is nothing to correct
    return found


def preview(
    ctx: Context, erp: str, feed: str, items: Sequence[Mapping[str, Any]], rule: Rule | None
) -> list[Preview]:
    """Each item before and after the correction; `None`: as it stands, under today's mapping."""
    places = [Place.of(item) for item in items]
    texts = record_texts(ctx, places, erp, feed)
    by_part: dict[str, _Records] = {}
    for one in places:
        if one.item_id in texts:
            records = by_part.setdefault(one.part, _Records())
            records.places.append(one)
            records.texts.append(texts[one.item_id])
    shown: dict[int, Preview] = {}
    mapping = ctx.erp(erp)
    for part, records in by_part.items():
        before = judge_texts(mapping, feed, part, records.texts)
        changed = [rule.changes(one) if rule else {} for one in records.texts]
        after = judge_texts(
            mapping, feed, part, records.texts, dict(enumerate(changed)) if rule else None
        )
        for place, own, new, old_view, new_view in zip(
            records.places, records.texts, changed, before, after, strict=True
        ):
            pairs = {path: (own.get(path), text) for path, text in new.items()}
            shown[place.item_id] = Preview(place.item_id, own, pairs, old_view, new_view)
    nothing = Judgement({}, [])
    return [
        shown.get(one.item_id) or Preview(one.item_id, {}, {}, nothing, nothing, unreadable=True)
        for one in places
    ]


def tally(
    ctx: Context, erp: str, feed: str, pieces: Iterable[Sequence[Mapping[str, Any]]], rule: Rule
) -> Tally:
    """What a correction would do to all of these items, without a list of them."""
    mapping = ctx.erp(erp)
    found: Counter[str] = Counter()
    for items in pieces:
        places = [Place.of(item) for item in items]
        texts = record_texts(ctx, places, erp, feed)
        found["looked"] += len(places)
        found["unreadable"] += len(places) - len(texts)
        for part in {one.part for one in places}:
            own = [texts[p.item_id] for p in places if p.part == part and p.item_id in texts]
            changes = {row: new for row, one in enumerate(own) if (new := rule.changes(one))}
            changed = [own[row] for row in changes]
            after = judge_texts(mapping, feed, part, changed, dict(enumerate(changes.values())))
            found["changed"] += len(changed)
            found["passing"] += sum(not one.reasons for one in after)
    return Tally(**{name: found[name] for name in ("looked", "changed", "passing", "unreadable")})


def judge_texts(
    mapping: ErpMapping,
    feed: str,
    part_name: str,
    records: Sequence[Texts],
    changes: Mapping[int, Mapping[str, str]] | None = None,
) -> list[Judgement]:
    """Records of one part, mapped and judged as a load does it; `changes`: row → new texts."""
    found = mappers(mapping, feed).get(part_name)
    if found is None or not records:
        return [Judgement({}, []) for _ in records]
    chunk = chunk_of(part_name, list(records))
    if changes:
        chunk = with_texts(chunk, {row: texts for row, texts in changes.items() if texts})
    return _judged(declared(feed).part(part_name).name, feed, found, chunk)


def _judged(part_name: str, feed: str, mapper: Mapper, chunk: RawChunk) -> list[Judgement]:
    part = declared(feed).part(part_name)
    mapped = mapper.map(chunk)
    table = mapped.table
    tombstone = pc.fill_null(table["deleted"].combine_chunks(), False)
    judged = Judged(part, table, mapped.problems, judge(part, table, tombstone))
    failed = rejections(judged, (), judged.failed(), 0, lambda row: mapper.raw_json(chunk, row))
    reasons = {
        one.record_no: [
            {"field": r.field, "code": r.code, "says": r.says, "raw": r.raw} for r in one.reasons
        ]
        for one in failed
    }
    columns = {one.name: _texts(table.column(one.name)) for one in part.fields}
    return [
        Judgement({name: column[row] for name, column in columns.items()}, reasons.get(row + 1, []))
        for row in range(len(table))
    ]


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    return [None if value is None else str(value) for value in column.to_pylist()]


def _landed(
    ctx: Context, erp: str, feed: str, batch_id: int, wanted: Mapping[tuple[str, int], int]
) -> dict[int, Texts]:
    with ctx.connection() as connection:
        batch = read_batch(connection, batch_id)
        pages = read_pages(connection, batch_id)
    found: dict[int, Texts] = {}
    if batch is None:
        return found
    for reading in readings(declared(feed), ctx.feed(erp, feed)):
        parts = {reading.part, *(child.part for child in reading.plan.children)}
        if not parts & {part for part, _ in wanted}:
            continue
        first = dict.fromkeys(parts, 1)
        for page in (one for one in pages if one.part == reading.part):
            with ctx.landing.open_page(batch.landing or "", page.file) as content:
                for piece in read_page(content, reading.plan, page.page, first):
                    if isinstance(piece, RawChunk):
                        found |= _taken(piece, wanted)
    return found


def _taken(chunk: RawChunk, wanted: Mapping[tuple[str, int], int]) -> dict[int, Texts]:
    numbers = pa.array([number for part, number in wanted if part == chunk.part], pa.int64())
    mask = pc.is_in(chunk.record_no, value_set=numbers)
    if not mask.true_count:
        return {}
    rows = chunk.columns.filter(mask).to_pylist()
    return {
        wanted[chunk.part, number]: row
        for number, row in zip(chunk.record_no.filter(mask).to_pylist(), rows, strict=True)
    }
