"""Records that are a text inside an XML answer, escaped or CDATA: XML or CSV within XML.

The page is landed as it came; here its text is taken out, streamed to a temporary file, and read
by the reader of its form. Must not understand a record.
"""

from __future__ import annotations

import re
import tempfile
from importlib import import_module
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast
from xml.parsers import expat

from connectors.formats import mime, xml_place
from connectors.formats.raw import Item, ReadPlan
from connectors.formats.xml_paths import Segment, record_path
from connectors.formats.xml_refused import doctype
from mappings.errors import BatchRefused, SourceChanged
from mappings.sources import SftpSource, SoapSource
from mappings.sources.sftp import CsvFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.formats import Reader

_FEED: Final = 64 * 1024
_IN_MEMORY: Final = 4 * 1024 * 1024
_DECLARATION: Final = re.compile(rb"\s*<\?xml[\s][^>]*\?>")
"""Says an encoding that the text no longer has."""


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """As the reader of the text's form. Raises SourceChanged (`missing_payload`) too."""
    source = plan.source
    if not isinstance(source, SoapSource) or source.payload is None:
        message = "a source without a payload has no text to read"
        raise TypeError(message)
    form = source.payload
    if isinstance(form, CsvFormat):
        form = form.model_copy(update={"encoding": "utf-8"})
    inner = SftpSource(protocol="sftp", files=source.records, format=form)
    reader = cast("Reader", import_module(f"connectors.formats.{form.kind}"))
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as text:
        _extract(mime.envelope_of(content), record_path(source), cast("IO[bytes]", text))
        text.seek(0)
        declared = _DECLARATION.match(text.read(_FEED))
        text.seek(declared.end() if declared else 0)
        told = ReadPlan(plan.part, inner, plan.paths, plan.children)
        yield from reader.read(cast("BinaryIO", text), told, page, first)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Where the element with the text stands: in an escaped text, records have no bytes of their
    own. Raises LookupError where there is no such element.
    """
    del part, number
    whole = ReadPlan(plan.part, plan.source, plan.paths)
    return xml_place.locate(content, whole, plan.part, 1)


def _extract(content: BinaryIO, path: tuple[Segment, ...], target: IO[bytes]) -> None:
    """Write the text of the one element at `path`, as UTF-8."""
    search = _Text(path, target)
    try:
        while data := content.read(_FEED):
            search.parser.Parse(data, False)
        search.parser.Parse(b"", True)
    except (LookupError, ValueError) as error:
        raise BatchRefused(
            f"the XML is in an encoding that cannot be read here ({error})",
            code="encoding",
            remedy="Ask the ERP's owner for UTF-8.",
        ) from None
    except expat.ExpatError as error:
        raise BatchRefused(
            f"the XML is not well-formed (line {error.lineno}, column {error.offset + 1}): "
            f"{expat.ErrorString(error.code)}",
            code="malformed",
            remedy="Look at the landed page, then ask the ERP's owner.",
        ) from None
    if search.found != 1:
        raise SourceChanged(
            f"the answer holds {search.found} texts where the mapping reads one",
            code="missing_payload",
            remedy="Correct `records` of the source: it names the element that holds the text.",
        )


class _Text:
    """Follows the depth of the document and keeps the text at one path."""

    def __init__(self, path: tuple[Segment, ...], target: IO[bytes]) -> None:
        self._path = path
        self._target = target
        self._depth = 0
        self._on_path = 0
        self.found = 0
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._opened
        self.parser.EndElementHandler = self._closed
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _opened(self, tag: str, _: object) -> None:
        depth = self._depth
        self._depth += 1
        if depth == self._on_path < len(self._path) and self._path[depth].matches(tag):
            self._on_path += 1
            self.found += self._on_path == len(self._path)

    def _closed(self, _: str) -> None:
        if self._on_path == self._depth:
            self._on_path -= 1
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._on_path == len(self._path) == self._depth and self.found == 1:
            self._target.write(text.encode())

    def _doctype(self, *_: object) -> None:
        raise doctype()
