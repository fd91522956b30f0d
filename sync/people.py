"""Which values speak about people: fields that are declared so, and columns that must be taken so.

A column of an ERP that a field of ours is made of is what the field is declared. Of a column that
nothing declares (unmapped, or kept in a JSON of leftovers) its name decides, in many languages:
better one too many than one too few. Must not mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.feeds import FEEDS, PARTS
from mappings.plans import supplies
from mappings.spec import ErpMapping, FieldMapping
from sync.masking import personal

DECLARED = frozenset(one.name for part in PARTS.values() for one in part.fields if one.personal)
"""Names of fields that speak about people in some part of ours."""


def speaks_of_people(part: str, name: str) -> bool:
    """Is a field declared personal, or does its name say so where it is no field of ours?"""
    known = {one.name: one for one in PARTS[part].fields} if part in PARTS else {}
    return known[name].personal if name in known else personal(name)


@dataclass(frozen=True, slots=True)
class Columns:
    """The ERP's columns of one part: path → does it speak about people, where a field says so."""

    declared: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: ErpMapping | None, feed: str, part: str) -> Columns:
        """As today's mapping has it; without one every column is judged by its name."""
        if mapping is None or feed not in mapping.feeds:
            return cls()
        supply = supplies(FEEDS[feed], mapping.feeds[feed]).get(part)
        known = {one.name: one for one in PARTS[part].fields}
        declared: dict[str, bool] = {}
        for name, given in supply.fields.items() if supply else ():
            if not isinstance(given, FieldMapping) or known[name].type == "json":
                continue
            for path in given.paths:
                declared[path] = declared.get(path, False) or known[name].personal
        return cls(declared)

    @classmethod
    def anywhere(cls, mapping: ErpMapping | None, feed: str) -> Columns:
        """Of all parts of a feed: a column speaks about people if it does so in one of them."""
        declared: dict[str, bool] = {}
        for part in FEEDS[feed].parts:
            for path, said in cls.of(mapping, feed, part.name).declared.items():
                declared[path] = declared.get(path, False) or said
        return cls(declared)

    def personal(self, path: str) -> bool:
        """Does a column speak about people?"""
        return self.declared[path] if path in self.declared else personal(path)
