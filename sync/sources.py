"""What one feed of one ERP reads, ready for connectors and transforms.

Turns the mapping's light plans into the readers' plans. Must not open a connection or a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.formats.raw import ChildPlan, ReadPlan
from mappings.plans import Supply, plans, supplies
from mappings.spec import FeedMapping, FieldMapping
from mappings.vocabulary import Feed


@dataclass(frozen=True, slots=True)
class Reading:
    """One source of a feed: its plan, and for a child of its own source how it names its root."""

    plan: ReadPlan
    parent: FieldMapping | None

    @property
    def part(self) -> str:
        """The part whose records the pages hold."""
        return self.plan.part


def readings(feed: Feed, mapping: FeedMapping) -> list[Reading]:
    """Every source to pull, in the order in which it is pulled and loaded."""
    return [
        Reading(
            ReadPlan(
                part=plan.part,
                source=plan.source,
                paths=plan.paths,
                children=tuple(
                    ChildPlan(part, records, paths) for part, records, paths in plan.children
                ),
            ),
            plan.parent,
        )
        for plan in plans(feed, mapping)
    ]


def supplied(feed: Feed, mapping: FeedMapping) -> dict[str, Supply]:
    """Part name → how it is supplied, for every part that is not absent."""
    return supplies(feed, mapping)
