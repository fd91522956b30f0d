"""Where in the bytes of an XML page a record stands, for evidence. Must not read its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final
from xml.parsers import expat

from connectors.formats.mime import Envelope, envelope_of
from connectors.formats.xml_paths import Segment, namespaces_of, record_path, segments
from connectors.formats.xml_references import has_references, id_of, target_of
from mappings.errors import Misconfigured

if TYPE_CHECKING:
    from connectors.formats.raw import ReadPlan

_FEED: Final = 64 * 1024


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Byte range [start, end) of the `number`-th record (1 = first in this page) of `part`.

    Where the record is a reference: of what it refers to. Raises LookupError where the page has
    no such record, KeyError for a part outside the plan, Misconfigured (`evidence`) where its
    encoding is one that only the reader knows.
    """
    path = record_path(plan.source)
    if part != plan.part:
        records = {child.part: child.records for child in plan.children}[part]
        path += segments(records, namespaces_of(plan.source))
    search = _Search(path, number)
    if has_references(plan.source):
        begin = content.tell()
        named = target_of(envelope_of(content), path, number)
        content.seek(begin)
        if named is not None:
            search = _Named(named)
    size = 0
    envelope = Envelope(content)
    while search.end is None and (data := envelope.read(_FEED)):
        size += len(data)
        try:
            search.feed(data)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise Misconfigured(
                f"the record's place in its page cannot be told ({error})", code="evidence"
            ) from None
    if search.end is None and search.closing:
        search.end = size
    if search.start is None or search.end is None:
        message = f"the page has no {part} record number {number}"
        raise LookupError(message)
    return envelope.start + search.start, envelope.start + search.end


class _Search:
    """Follows the depth of the document; the end of a record is where the next event begins."""

    def __init__(self, path: tuple[Segment, ...], number: int) -> None:
        self._path = path
        self._left = number
        self._depth = 0
        self._on_path = 0
        self.start: int | None = None
        self.end: int | None = None
        self.closing = False
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.DefaultHandler = self._other

    def feed(self, data: bytes) -> None:
        self._parser.Parse(data, False)

    def _ended(self) -> None:
        if self.closing and self.end is None:
            self.end = self._parser.CurrentByteIndex

    def _opened(self, tag: str, attributes: dict[str, str]) -> None:
        del attributes
        self._ended()
        depth = self._depth
        self._depth += 1
        if depth == self._on_path < len(self._path) and self._path[depth].matches(tag):
            self._on_path += 1
            if self._on_path == len(self._path):
                self._left -= 1
                if self._left == 0:
                    self.start = self._parser.CurrentByteIndex

    def _closed(self, _: str) -> None:
        self._ended()
        if self._on_path == self._depth:
            if self._left == 0 and self._on_path == len(self._path):
                self.closing = True
            self._on_path -= 1
        self._depth -= 1

    def _other(self, _: str) -> None:
        self._ended()


class _Named(_Search):
    """Finds the one element with an id, wherever it stands."""

    def __init__(self, name: str) -> None:
        super().__init__((), 0)
        self._name = name
        self._at = -1

    def _opened(self, tag: str, attributes: dict[str, str]) -> None:
        del tag
        self._ended()
        self._depth += 1
        if self.start is None and id_of(attributes) == self._name:
            self.start = self._parser.CurrentByteIndex
            self._at = self._depth

    def _closed(self, _: str) -> None:
        self._ended()
        if self._depth == self._at:
            self.closing = True
            self._at = -1
        self._depth -= 1
