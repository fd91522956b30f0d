"""XML pages to columns of text, streamed: constant memory whatever the size of the page.

Three things on the wire stay three: an element that is absent or `xsi:nil` is null, one that is
there but empty is ''. A DOCTYPE is refused, so no entity is ever expanded or fetched. Must not
trim, type or judge a value; must not skip a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa
from lxml import etree

from connectors.formats.raw import LIST_SEPARATOR, RawChunk
from connectors.formats.xml_paths import (
    ANY,
    Node,
    Segment,
    Slot,
    compile_paths,
    namespaces_of,
    record_path,
)
from connectors.formats.xml_place import locate
from mappings.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.formats.raw import ReadPlan

__all__ = ["locate", "read"]

_FEED: Final = 64 * 1024
_CHUNK: Final = 20_000
RECORD_BYTES: Final = 64 * 1024 * 1024
"""No record, and nothing between two records, may be longer than this."""

_XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_CUT_ERRORS: Final = frozenset({4, 77})
"""libxml2: document empty, tag not finished. Other errors at the very end of a page are a cut too,
unless the page ends as a whole one does."""
_ENCODING_ERRORS: Final = frozenset({31, 32, 81, 6000, 6003})


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[RawChunk]:
    """The page's records, root part first, each chunk followed by its children.

    Raises BatchRefused: `truncated`, `encoding`, `malformed` (with line and column), `doctype`,
    `too_large`; Misconfigured for a path with an undeclared prefix.
    """
    rows = _Rows(plan, page, first)
    for record in _records(content, record_path(plan.source)):
        rows.add(record)
        if rows.full:
            yield from rows.chunks()
    yield from rows.chunks()


class _Rows:
    """The chunk being filled: one builder a part, the root's first."""

    def __init__(self, plan: ReadPlan, page: int, first: dict[str, int]) -> None:
        prefixes = namespaces_of(plan.source)
        self._page = page
        self._first = first
        inside = tuple(child.records for child in plan.children)
        self._root = _Builder(plan.paths, compile_paths(plan.paths, prefixes, inside))
        self._children = [
            _Builder(c.paths, compile_paths(c.paths, prefixes)) for c in plan.children
        ]
        self._parts = (plan.part, *(child.part for child in plan.children))
        for part in self._parts:
            first.setdefault(part, 1)

    @property
    def full(self) -> bool:
        return self._root.count >= _CHUNK or any(c.count >= 2 * _CHUNK for c in self._children)

    def add(self, record: etree._Element) -> None:
        """Take one root record and the child records in it."""
        root = self._root
        number = self._first[self._parts[0]] + root.count
        root.add(record)
        if root.found:
            for index, child in root.found:
                self._children[index].add(child)
                self._children[index].roots.append(number)
            root.found.clear()

    def chunks(self) -> Iterator[RawChunk]:
        """What has been taken since the last call; nothing where there is nothing."""
        for part, builder in zip(self._parts, (self._root, *self._children), strict=True):
            if builder.count == 0:
                continue
            start = self._first[part]
            self._first[part] = start + builder.count
            record_no = pa.array(range(start, self._first[part]), pa.int64())
            root_no = None if builder is self._root else pa.array(builder.roots, pa.int64())
            yield RawChunk(part, self._page, builder.take(), record_no, root_no)


class _Builder:
    """Rows of one part, kept as one flat list: a list a row would keep the collector busy."""

    def __init__(self, paths: tuple[str, ...], top: Node) -> None:
        if not paths:
            message = "a plan without paths cannot say how many records there are"
            raise ValueError(message)
        self._paths = paths
        self._top = top
        self._itself = bool(top.texts or top.attributes or top.records)
        self._blank: list[str | None] = [None] * len(paths)
        self._row = self._blank
        self._flat: list[str | None] = []
        self._nils: list[int] = []
        self.count = 0
        self.roots: list[int] = []
        self.found: list[tuple[int, etree._Element]] = []
        """Child records of the row just added: (index of the child part, element)."""

    def add(self, record: etree._Element) -> None:
        self._row = self._blank.copy()
        if self._itself:
            self._take(record, self._top)
        self._below(record, self._top)
        if self._nils:
            for column in self._nils:
                self._row[column] = None
            self._nils.clear()
        self._flat.extend(self._row)
        self.count += 1

    def take(self) -> pa.Table:
        """The rows so far as a table of text; begins anew."""
        flat, width = self._flat, len(self._paths)
        columns = [pa.array(flat[i::width], pa.string()) for i in range(width)]
        self._flat, self.roots, self.count = [], [], 0
        return pa.Table.from_arrays(columns, names=list(self._paths))

    def _below(self, element: etree._Element, node: Node) -> None:
        """Fill the row from the element's children, walking them once."""
        row, columns, nodes = self._row, node.columns, node.nodes
        for child in element:
            tag = child.tag
            column = columns.get(tag)
            if column is not None:
                if row[column] is None:
                    text = child.text
                    row[column] = text if text is not None else self._blank_text(child, column)
                continue
            below = nodes.get(tag)
            if below is None:
                node.resolve(tag)
                below = nodes.get(tag)
                if below is None:  # a plain text child, seen for the first time
                    column = columns[tag]
                    if row[column] is None:
                        text = child.text
                        row[column] = text if text is not None else self._blank_text(child, column)
                    continue
            for one in below:
                self._take(child, one)
                if one.children:
                    self._below(child, one)

    def _blank_text(self, element: etree._Element, column: int) -> str:
        """'' for an empty element; a nil holds its place as '' until the row is done."""
        if element.get(_XSI_NIL) in ("true", "1"):
            self._nils.append(column)
        return ""

    def _take(self, element: etree._Element, node: Node) -> None:
        """The element's own text and attributes, and itself where it is a child record."""
        for slot in node.texts:
            text = element.text
            if text is None:
                if slot.many and element.get(_XSI_NIL) in ("true", "1"):
                    continue
                if self._row[slot.column] is None or slot.many:
                    text = self._blank_text(element, slot.column)
            if text is not None:
                self._put(slot, text)
        for segment, slot in node.attributes:
            for name, text in element.attrib.items():
                if segment.matches(str(name)):
                    self._put(slot, str(text))
        self.found.extend((index, element) for index in node.records)

    def _put(self, slot: Slot, text: str) -> None:
        there = self._row[slot.column]
        if there is None:
            self._row[slot.column] = text
        elif slot.many:
            self._row[slot.column] = f"{there}{LIST_SEPARATOR}{text}"


def _records(content: BinaryIO, path: tuple[Segment, ...]) -> Iterator[etree._Element]:
    """Record elements, each freed once the consumer asks for the next."""
    whole = path[-1].local == ANY  # the record is the root, or the first element of a SOAP body
    parser = _parser("{}none" if whole else path[-1].filter)
    tail = b""
    try:
        since = 0
        while data := content.read(_FEED):
            parser.feed(data)
            tail = data
            since += len(data)
            for record in _ended(parser, path):
                yield record
                since = 0
            if since > RECORD_BYTES:
                raise BatchRefused(
                    f"no end of a record within {since:,} bytes",
                    code="too_large",
                    remedy="Check `records` of the source, or ask the ERP for smaller records.",
                )
    except etree.XMLSyntaxError as error:
        raise _refused(error) from None
    root = _closed(parser, tail)
    _refuse_doctype(root)
    if whole:
        record = root if len(path) == 1 else _body_element(root, path)
        if record is not None:
            yield record


def _parser(tag: str) -> etree.XMLPullParser:
    """A parser that tells the end of elements with this tag and follows nothing outward."""
    return etree.XMLPullParser(
        events=("end",),
        tag=tag,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
    )


def _ended(parser: etree.XMLPullParser, path: tuple[Segment, ...]) -> Iterator[etree._Element]:
    """The records that ended in what was fed last."""
    above: etree._Element | None = None
    for _, record in parser.read_events():
        parent = record.getparent()
        if above is None or parent is not above:
            if not _matches(record, path):
                continue
            _refuse_doctype(record)
            above = parent
        yield record
        record.clear(keep_tail=False)
        if parent is not None:
            while record.getprevious() is not None:
                del parent[0]


def _closed(parser: etree.XMLPullParser, tail: bytes) -> etree._Element:
    """The root once all was fed. `tail`: the last bytes, to tell a cut from a fault."""
    try:
        return parser.close()
    except etree.XMLSyntaxError as error:
        cut = error.code in _CUT_ERRORS or not tail.rstrip().endswith(b">")
        if error.code in _ENCODING_ERRORS or not cut:
            raise _refused(error) from None
        raise BatchRefused(
            f"the XML ends in the middle: {error.msg}",
            code="truncated",
            remedy="Pull the page again.",
        ) from None


def _matches(record: etree._Element, path: tuple[Segment, ...]) -> bool:
    element: etree._Element | None = record
    for segment in reversed(path):
        if element is None or not segment.matches(str(element.tag)):
            return False
        element = element.getparent()
    return element is None


def _body_element(root: etree._Element, path: tuple[Segment, ...]) -> etree._Element | None:
    if not path[0].matches(str(root.tag)):
        return None
    for part in root:
        if path[1].matches(str(part.tag)) and len(part):
            return part[0]
    return None


def _refuse_doctype(element: etree._Element) -> None:
    if element.getroottree().docinfo.internalDTD is not None:
        raise BatchRefused(
            "the XML carries a DOCTYPE, which is never read",
            code="doctype",
            remedy="Ask the ERP's owner to send it without one.",
        )


def _refused(error: etree.XMLSyntaxError) -> BatchRefused:
    line, column = error.position
    if error.code in _ENCODING_ERRORS:
        return BatchRefused(
            f"the bytes are not in the declared encoding (line {line}, column {column})",
            code="encoding",
            remedy="Ask the ERP's owner to declare the encoding it writes.",
        )
    return BatchRefused(
        f"the XML is not well-formed (line {line}, column {column}): {error.msg}",
        code="malformed",
        remedy="Look at the landed page, then ask the ERP's owner.",
    )
