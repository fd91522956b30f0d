"""XML pages to columns of text, streamed: constant memory whatever the size of the page.

Three things on the wire stay three: an element that is absent or `xsi:nil` is null, one that is
there but empty is ''. A DOCTYPE is refused, so no entity is ever expanded or fetched. Must not
trim, type or judge a value; must not skip a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa
from lxml import etree

from connectors.formats.mime import envelope_of
from connectors.formats.raw import LIST_SEPARATOR, RawChunk
from connectors.formats.xml_feed import DoctypeError, RecordFeed
from connectors.formats.xml_paths import (
    Node,
    Slot,
    compile_paths,
    namespaces_of,
    record_path,
)
from connectors.formats.xml_place import locate
from connectors.formats.xml_references import has_references, in_place
from connectors.formats.xml_refused import cut, doctype, endless, is_cut, refused
from connectors.formats.xml_stretch import SKIP, XSI_NIL, Stretch, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.formats.raw import ReadPlan

__all__ = ["locate", "read"]

_FEED: Final = 64 * 1024
_CHUNK: Final = 20_000
RECORD_BYTES: Final = 64 * 1024 * 1024
"""No record, and nothing between two records, may be longer than this."""


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[RawChunk]:
    """The page's records, root part first, each chunk followed by its children.

    Raises BatchRefused: `truncated`, `encoding`, `malformed` (with line and column), `doctype`,
    `too_large`, `reference`; Misconfigured for a path with an undeclared prefix.
    """
    rows = _Rows(plan, page, first)
    envelope = envelope_of(content)
    if has_references(plan.source):
        envelope = in_place(envelope)
    feed = RecordFeed(record_path(plan.source), wanted=rows.wanted, asked=rows.asked)
    try:
        for found in _records(envelope, feed):
            rows.add(found)
            if rows.full:
                yield from rows.chunks()
    except etree.XMLSyntaxError as error:
        raise refused(error) from None
    except DoctypeError:
        raise doctype() from None
    yield from rows.chunks()


class _Rows:
    """The chunk being filled: one builder a part, the root's first."""

    def __init__(self, plan: ReadPlan, page: int, first: dict[str, int]) -> None:
        prefixes = namespaces_of(plan.source)
        self._page = page
        self._first = first
        inside = tuple(child.records for child in plan.children)
        self._root = _Builder(plan.paths, compile_paths(plan.paths, prefixes, inside))
        self.asked = (plan.paths, inside, tuple(sorted(prefixes.items())))
        """What is asked for: the same for all pages of a plan."""
        self._children = [
            _Builder(c.paths, compile_paths(c.paths, prefixes)) for c in plan.children
        ]
        self._parts = (plan.part, *(child.part for child in plan.children))
        for part in self._parts:
            first.setdefault(part, 1)

    @property
    def full(self) -> bool:
        return self._root.count >= _CHUNK or any(c.count >= 2 * _CHUNK for c in self._children)

    @property
    def wanted(self) -> Wanted | None:
        """The column of a record's child; None where the record itself holds some."""
        return self._root.wanted

    def add(self, record: etree._Element | Stretch) -> None:
        """Take one root record and the child records in it, or many that have none."""
        root = self._root
        if isinstance(record, Stretch):
            root.add_stretch(record)
            return
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
    """Rows of one part, those that came one by one as one flat list: a list a row costs more."""

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
        self._tables: list[pa.Table] = []
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

    def add_stretch(self, stretch: Stretch) -> None:
        """Take records without looking at each."""
        self._close_rows()
        filled = stretch.columns()
        size = len(stretch.rows)
        columns = [filled[i] if i in filled else _nulls(size) for i in range(len(self._paths))]
        self._tables.append(pa.Table.from_arrays(columns, names=list(self._paths)))
        self.count += size

    @property
    def wanted(self) -> Wanted | None:
        """See `connectors.formats.xml_stretch`."""
        return None if self._itself else self._column

    def take(self) -> pa.Table:
        """The rows so far as a table of text; begins anew."""
        self._close_rows()
        tables, self._tables, self.roots, self.count = self._tables, [], [], 0
        return pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0]

    def _close_rows(self) -> None:
        """Make a table of the rows that came one by one."""
        flat, width = self._flat, len(self._paths)
        if flat:
            columns = [pa.array(flat[i::width], pa.string()) for i in range(width)]
            self._flat = []
            self._tables.append(pa.Table.from_arrays(columns, names=list(self._paths)))

    def _column(self, tag: str) -> int | None:
        node = self._top
        if tag not in node.columns and tag not in node.nodes:
            node.resolve(tag)
        column = node.columns.get(tag)
        if column is not None:
            return column
        return None if node.nodes[tag] else SKIP

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
        if element.get(XSI_NIL) in ("true", "1"):
            self._nils.append(column)
        return ""

    def _take(self, element: etree._Element, node: Node) -> None:
        """The element's own text and attributes, and itself where it is a child record."""
        for slot in node.texts:
            text = element.text
            if text is None:
                if slot.many and element.get(XSI_NIL) in ("true", "1"):
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


def _records(content: BinaryIO, feed: RecordFeed) -> Iterator[etree._Element | Stretch]:
    """Record elements, each freed once the consumer asks for the next, and stretches of them."""
    tail = b""
    since = 0
    while data := content.read(_FEED):
        tail = data
        since += len(data)
        for found in feed.feed(data):
            if isinstance(found, Stretch):
                yield found
            elif feed.is_record(found):
                yield found
                feed.free(found)
            else:
                continue
            since = 0
        if since > RECORD_BYTES:
            raise endless(since)
    for found in feed.rest():
        if feed.is_record(found):
            yield found
            feed.free(found)
    for found in _ended(feed, tail):
        if feed.is_record(found):
            yield found


def _nulls(size: int) -> pa.Array:
    return pa.nulls(size, pa.string())


def _ended(feed: RecordFeed, tail: bytes) -> Iterator[etree._Element]:
    """What ended with the last bytes. `tail`: those bytes, to tell a cut from a fault."""
    try:
        yield from feed.close()
    except etree.XMLSyntaxError as error:
        if not is_cut(error, tail):
            raise
        raise cut(error) from None
