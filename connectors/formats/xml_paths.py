"""Paths of a mapping, compiled once per page into what the XML reader walks.

Matching is by local name, or by namespace URI where the mapping gives the path a prefix: the
prefix that the ERP happens to write never matters. Must not read a byte of XML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mappings.errors import Misconfigured
from mappings.sources import SftpSource, SoapSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mappings.sources import Source

ANY: Final = "*"
"""A segment that any element matches."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path. `uri` None matches every namespace; `A|B` matches either name."""

    uri: str | None
    local: str

    def matches(self, tag: str) -> bool:
        """True for `{uri}local` or `local` as lxml and expat write tags."""
        uri, _, local = tag.rpartition("}")
        if self.local not in (ANY, local) and local not in self.local.split("|"):
            return False
        return self.uri is None or self.uri == uri.lstrip("{")

    @property
    def filter(self) -> str:
        """The segment as lxml's tag filters write it."""
        return f"{{{self.uri or ANY}}}{self.local}"


@dataclass(slots=True)
class Slot:
    """Where a matched text goes: a column, and whether all matches are wanted or the first."""

    column: int
    many: bool


@dataclass(slots=True)
class Node:
    """What is wanted below one element: its text, attributes, children, child records."""

    texts: list[Slot] = field(default_factory=list)
    attributes: list[tuple[Segment, Slot]] = field(default_factory=list)
    children: list[tuple[Segment, Node]] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    """Tag → column, for children that are one plain text and nothing else; filled when met."""
    nodes: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    """Tag → where to go on, for all other children; empty for one that no path names."""

    def below(self, segment: Segment) -> Node:
        """The node one step down, made where there is none."""
        for known, node in self.children:
            if known == segment:
                return node
        node = Node()
        self.children.append((segment, node))
        return node

    def resolve(self, tag: str) -> None:
        """Remember in `columns` or `nodes` what a child with this tag means."""
        nodes = tuple(node for segment, node in self.children if segment.matches(tag))
        if len(nodes) == 1:
            only = nodes[0]
            plain = not (only.attributes or only.children or only.records)
            if plain and len(only.texts) == 1 and not only.texts[0].many:
                self.columns[tag] = only.texts[0].column
                return
        self.nodes[tag] = nodes


def namespaces_of(source: Source) -> dict[str, str]:
    """Prefix → URI as the mapping declares them for this source's paths."""
    if isinstance(source, SoapSource):
        return source.namespaces
    if isinstance(source, SftpSource) and source.format.kind == "xml":
        return source.format.namespaces
    return {}


def record_path(source: Source) -> tuple[Segment, ...]:
    """Segments from the document's root element (included) down to the record.

    In a SOAP answer the path begins at the first element of the body; a file's at its root.
    """
    prefixes = namespaces_of(source)
    if isinstance(source, SoapSource):
        above = (Segment(None, "Envelope"), Segment(None, "Body"), Segment(None, ANY))
        return above + segments(source.records, prefixes)
    if isinstance(source, SftpSource) and source.format.kind == "xml":
        return (Segment(None, ANY), *segments(source.format.records, prefixes))
    message = f"the source {type(source).__name__} is not written in XML"
    raise TypeError(message)


def segments(path: str, prefixes: Mapping[str, str]) -> tuple[Segment, ...]:
    """The steps of a path; `.` has none. Raises Misconfigured for an undeclared prefix."""
    if path == ".":
        return ()
    return tuple(_segment(word, path, prefixes) for word in path.split("/"))


def compile_paths(
    paths: Iterable[str], prefixes: Mapping[str, str], children: Iterable[str] = ()
) -> Node:
    """One tree for all paths of a record and for the child records in it, columns in order."""
    top = Node()
    for column, path in enumerate(paths):
        many = path.endswith("[]")
        words = path[:-2] if many else path
        above, _, last = words.rpartition("/")
        slot = Slot(column, many)
        if last.startswith("@"):
            node = _descend(top, above or ".", prefixes)
            node.attributes.append((_segment(last[1:], path, prefixes), slot))
        else:
            _descend(top, words, prefixes).texts.append(slot)
    for index, records in enumerate(children):
        _descend(top, records, prefixes).records.append(index)
    return top


def _descend(top: Node, path: str, prefixes: Mapping[str, str]) -> Node:
    node = top
    for segment in segments(path, prefixes):
        node = node.below(segment)
    return node


def _segment(word: str, path: str, prefixes: Mapping[str, str]) -> Segment:
    prefix, colon, local = word.rpartition(":")
    if not colon:
        return Segment(None, local)
    if prefix not in prefixes:
        raise Misconfigured(
            f"the path {path!r} uses the prefix {prefix!r}, which the mapping does not declare",
            code="unknown_prefix",
            remedy=f"Add {prefix!r} with its URI to `namespaces` of the source.",
        )
    return Segment(prefixes[prefix], local)
