"""What has to be read for a feed: each source once, with its part, its children and their paths.

Plain data; `sync` turns it into the connectors' ReadPlan. Must not import connectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.corrections import ColumnCorrection
from mappings.sources import SftpSource, Source
from mappings.spec import Absent, FeedMapping, FieldMapping
from mappings.vocabulary import Feed


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source. `children`: (part, path of its records below the part's record, paths in it)."""

    part: str
    source: Source
    paths: tuple[str, ...]
    children: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    parent: FieldMapping | None = None
    """Set for a child with a source of its own: how it names its root's key."""


@dataclass(frozen=True, slots=True)
class Supply:
    """How one part is supplied: what its Mapper needs, wherever in the mapping it was written."""

    part: str
    fields: Mapping[str, FieldMapping | Absent]
    deleted: str | None = None
    version: FieldMapping | None = None
    parent: FieldMapping | None = None
    records: str | None = None
    source: Source | None = None
    corrections: tuple[ColumnCorrection, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that anything reads, each once, in the order of the mapping."""
        found: dict[str, None] = {}
        for field in (*self.fields.values(), self.version, self.parent):
            if isinstance(field, FieldMapping):
                found.update(dict.fromkeys(field.paths))
        if self.deleted is not None:
            found[self.deleted] = None
        total_of = _total_of(self.source)
        if total_of is not None:
            found[total_of] = None
        return tuple(found)


def supplies(feed: Feed, mapping: FeedMapping) -> dict[str, Supply]:
    """Part name → how it is supplied, for every part that is not absent, in loading order."""
    found: dict[str, Supply] = {}
    corrections: dict[str, tuple[ColumnCorrection, ...]] = {}
    for one in mapping.corrections:
        name = one.part or feed.main
        corrections[name] = (*corrections.get(name, ()), one)
    for part in feed.parts:
        if part.name == feed.main:
            found[part.name] = Supply(
                part.name,
                mapping.fields,
                mapping.deleted,
                mapping.version,
                source=mapping.source,
                corrections=corrections.get(part.name, ()),
            )
            continue
        given = mapping.parts.get(part.name, "absent")
        if given != "absent":
            found[part.name] = Supply(
                part.name,
                given.fields,
                given.deleted,
                given.version,
                given.parent,
                given.records,
                given.source,
                corrections.get(part.name, ()),
            )
    return found


def plans(feed: Feed, mapping: FeedMapping) -> list[SourcePlan]:
    """Every source to read, roots before children that have a source of their own."""
    supplied = supplies(feed, mapping)
    roots: list[SourcePlan] = []
    late: list[SourcePlan] = []
    for part in feed.parts:
        supply = supplied.get(part.name)
        if supply is None or supply.source is None:
            continue
        children = tuple(
            (child.name, below.records, below.paths)
            for child in feed.children(part.name)
            if (below := supplied.get(child.name)) is not None and below.records is not None
        )
        plan = SourcePlan(part.name, supply.source, supply.paths, children, supply.parent)
        (late if part.parent else roots).append(plan)
    return roots + late


def _total_of(source: Source | None) -> str | None:
    if isinstance(source, SftpSource) and source.format.kind == "csv" and source.format.trailer:
        return source.format.trailer.total_of
    return None
