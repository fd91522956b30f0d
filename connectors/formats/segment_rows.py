"""Segments in order → groups → rows of text, one a record, for EDIFACT and DATANORM alike.

A group begins at its trigger segment and ends at the next one, or where a segment comes that
belongs above. A group without the inner one that `records` asks for still gives one record, with
nothing in it from there: no line falls away. Must not know a format's envelope or decode bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from connectors.formats.raw import RawChunk, ReadPlan
from connectors.formats.segment_paths import Group, Segment, compiled, triggers
from mappings.errors import Misconfigured

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Shape:
    """Where groups begin and what they hold. `inner`: trigger → what may follow (empty: all)."""

    records: tuple[str, ...]
    children: tuple[tuple[str, ...], ...]
    inner: Mapping[str, tuple[str, ...]]
    outer: frozenset[str]
    """Segments that belong to the whole again, wherever they come (UNS)."""

    @property
    def begins(self) -> dict[str, str | None]:
        """Trigger → the trigger of the group that holds it, None for the whole."""
        found: dict[str, str | None] = {}
        for way in (self.records, *(self.records + child for child in self.children)):
            above: str | None = None
            for tag in way:
                found[tag] = above
                above = tag
        return found


def shape(
    plan: ReadPlan,
    records: str,
    *,
    usual: tuple[str, ...] = (),
    inner: Mapping[str, tuple[str, ...]] | None = None,
    outer: Iterable[str] = (),
) -> Shape:
    """What a plan asks for. `usual`: triggers that begin a group even where nothing asks."""
    children = [triggers(child.records) for child in plan.children]
    if any(not child for child in children):
        raise Misconfigured(
            "`records: .` of a part inside a record names the record itself",
            code="path",
            remedy="Name the segment that begins it, as LIN.",
        )
    named = triggers(records)
    known = {tag for way in (named, *children) for tag in way}
    children += [(tag,) for tag in usual if tag not in known and not named]
    return Shape(named, tuple(children), inner or {}, frozenset(outer))


def grouped(segments: Iterable[Segment], of: Shape, above: Group | None) -> Group:
    """The segments of one message as a tree; its root group is held by `above`."""
    root = Group([], above, [])
    begins = of.begins
    open_groups: list[tuple[str, Group]] = []
    for segment in segments:
        tag = segment.tag
        if tag in of.outer:
            open_groups.clear()
        elif tag in begins:
            while open_groups and open_groups[-1][0] != begins[tag]:
                open_groups.pop()
            if begins[tag] is None or open_groups:
                holder = open_groups[-1][1] if open_groups else root
                group = Group([segment], holder, [])
                holder.below.append(group)
                open_groups.append((tag, group))
                continue
        else:
            while open_groups and not _may_hold(of.inner, open_groups[-1][0], tag):
                open_groups.pop()
        (open_groups[-1][1] if open_groups else root).own.append(segment)
    return root


def _may_hold(inner: Mapping[str, tuple[str, ...]], trigger: str, tag: str) -> bool:
    allowed = inner.get(trigger, ())
    return not allowed or tag in allowed


def records_of(holder: Group, way: tuple[str, ...], *, inside: bool = False) -> Iterator[Group]:
    """The groups that are records; an outer one without an inner one stands in with an empty."""
    if not way:
        yield holder
        return
    found = [group for group in holder.below if group.own and group.own[0].tag == way[0]]
    if inside and not found:
        empty = Group([], holder, [])
        for _ in way[1:]:
            empty = Group([], empty, [])
        yield empty
    for group in found:
        yield from records_of(group, way[1:], inside=True)


class Rows:
    """The rows of one page, filled message by message."""

    def __init__(self, plan: ReadPlan, of: Shape, page: int, first: dict[str, int]) -> None:
        """`first[part]` is the number of the next record; moved on as chunks are taken."""
        self.plan, self.of, self.page, self.first = plan, of, page, first
        self._flat: dict[str, list[list[str | None]]] = {}
        self._roots: dict[str, list[int]] = {}
        for part in (plan.part, *(child.part for child in plan.children)):
            first.setdefault(part, 1)
            self._flat[part] = []
            self._roots[part] = []
        self._paths = [compiled(path) for path in plan.paths]
        self._below = [[compiled(path) for path in child.paths] for child in plan.children]

    @property
    def full(self) -> bool:
        """Whether a chunk should be taken."""
        return any(len(rows) >= _CHUNK for rows in self._flat.values())

    def add(self, record: Group) -> None:
        """One record and the records in it."""
        part = self.plan.part
        number = self.first[part] + len(self._flat[part])
        self._flat[part].append([path.text(record) for path in self._paths])
        for child, paths, way in zip(
            self.plan.children, self._below, self.of.children, strict=False
        ):
            for group in records_of(record, way):
                self._flat[child.part].append([path.text(group) for path in paths])
                self._roots[child.part].append(number)

    def number(self) -> int:
        """The number of a record that could not be read; it is used up. Take chunks first."""
        number = self.first[self.plan.part]
        self.first[self.plan.part] = number + 1
        return number

    def chunks(self) -> Iterator[RawChunk]:
        """What has been added since the last call, the root's first."""
        names = {self.plan.part: self.plan.paths} | {c.part: c.paths for c in self.plan.children}
        for part, rows in self._flat.items():
            if not rows:
                continue
            start = self.first[part]
            self.first[part] = start + len(rows)
            columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
            table = pa.Table.from_arrays(columns, names=list(names[part]))
            roots = self._roots[part]
            yield RawChunk(
                part,
                self.page,
                table,
                pa.array(range(start, start + len(rows)), pa.int64()),
                None if part == self.plan.part else pa.array(roots, pa.int64()),
            )
            self._flat[part], self._roots[part] = [], []
