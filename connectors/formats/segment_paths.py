"""Paths into records made of segments: `PRI/1.2`, `PIA[2.2=SA]/2.1`, `../CUX[2]/1.2`.

    path     = { "../" } , tag , { filter } , "/" , element , [ "." , component ] , [ "[]" ]
    filter   = "[" , [ element , [ "." , component ] , "=" ] , text , "]"

Elements are counted behind the tag, from 1; a filter without a place looks at 1.1. `../` goes from
a group to the one that holds it. Must not read a byte of a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from connectors.formats.raw import LIST_SEPARATOR
from mappings.errors import Misconfigured

_PATH = re.compile(
    r"(?P<up>(?:\.\./)*)(?P<tag>[A-Za-z0-9]+)(?P<filters>(?:\[[^\]]*\])*)"
    r"/(?P<element>[1-9][0-9]*)(?:\.(?P<component>[1-9][0-9]*))?(?P<many>\[\])?"
)
_FILTER = re.compile(r"\[(?:([1-9][0-9]*)(?:\.([1-9][0-9]*))?=)?([^\]]*)\]")
_GROUPS = re.compile(r"\.|[A-Za-z0-9]+(?:/[A-Za-z0-9]+)*")

ENVELOPE = frozenset({"UNA", "UNB", "UNH"})
"""Segments that there is one of around every record: found without `../`."""

Elements: TypeAlias = "tuple[tuple[str, ...], ...]"
"""What follows the tag: elements of components, all text."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `start` and `end` are its place in the page's bytes, terminator left out."""

    tag: str
    elements: Elements
    start: int = 0
    end: int = 0

    def at(self, element: int, component: int = 1) -> str | None:
        """A component's text; None where the segment ends before it. '' is there but empty."""
        if element > len(self.elements):
            return None
        parts = self.elements[element - 1]
        return parts[component - 1] if component <= len(parts) else None


@dataclass(slots=True)
class Group:
    """A segment that begins a group, with what follows in it: segments and further groups."""

    own: list[Segment]
    above: Group | None
    below: list[Group]

    @property
    def end(self) -> int:
        """Where its last byte is."""
        last = self.own[-1].end if self.own else 0
        return max(last, *(group.end for group in self.below)) if self.below else last


@dataclass(frozen=True, slots=True)
class Path:
    """One path, compiled."""

    up: int
    tag: str
    filters: tuple[tuple[int, int, str], ...]
    element: int
    component: int
    many: bool

    def text(self, group: Group) -> str | None:
        """What it finds from a record's group; None where there is nothing."""
        for _ in range(self.up):
            if group.above is None:
                return None
            group = group.above
        if self.tag in ENVELOPE:
            while group.above is not None and all(one.tag != self.tag for one in group.own):
                group = group.above
        found: list[str] = []
        for segment in group.own:
            if segment.tag != self.tag or not self._fits(segment):
                continue
            text = segment.at(self.element, self.component)
            if not self.many:
                return text
            if text is not None:
                found.append(text)
        return LIST_SEPARATOR.join(found) if found else None

    def _fits(self, segment: Segment) -> bool:
        return all(segment.at(e, c) == text for e, c, text in self.filters)


@lru_cache(maxsize=1024)
def compiled(path: str) -> Path:
    """A path of a mapping. Raises Misconfigured (`path`)."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise Misconfigured(
            f"{path!r} is no path into a segment",
            code="path",
            remedy="Write it as TAG/element.component, as PRI/1.2, PIA[2.2=SA]/2.1, ../CUX/1.2.",
        )
    filters = tuple(
        (int(e or 1), int(c or 1), text) for e, c, text in _FILTER.findall(found["filters"])
    )
    component = int(found["component"] or 1)
    up = len(found["up"]) // 3
    return Path(up, found["tag"], filters, int(found["element"]), component, bool(found["many"]))


def triggers(path: str) -> tuple[str, ...]:
    """`LIN/PRI` as its segments, from the outside; `.` has none. Raises Misconfigured (`path`)."""
    if not _GROUPS.fullmatch(path):
        raise Misconfigured(
            f"`records: {path}` names no segments",
            code="path",
            remedy="Write . for the whole, or the segments that begin a group, as LIN/PRI.",
        )
    return () if path == "." else tuple(path.split("/"))
