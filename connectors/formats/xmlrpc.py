"""XML-RPC answers to columns of text: the same records and paths as JSON pages have.

An answer becomes `{"result": …}`, or `{"fault": {"faultCode": …, "faultString": …}}` where the ERP
says no; numbers keep the text they came in. Read by expat without any declaration of a document
type, so that no entity is ever defined. This module must not map or type a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final
from xml.parsers import expat

from connectors.formats.json import read_records
from connectors.formats.json_structs import no_records, segments
from connectors.formats.json_walk import Json, Literal, records
from connectors.formats.xml_refused import doctype
from mappings.errors import BatchRefused
from mappings.sources import RestSource

if TYPE_CHECKING:
    from connectors.formats.raw import Broken, RawChunk, ReadPlan

_DEEPEST: Final = 400
"""Elements inside each other: of values some hundred."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NUMBERS = frozenset({"int", "i1", "i2", "i4", "i8", "double", "bigdecimal", "biginteger"})
_NILS = frozenset({"nil", "ex:nil"})


class NotXmlRpcError(ValueError):
    """Whole XML, but no answer of XML-RPC."""


class NotWholeError(ValueError):
    """The bytes are not whole XML."""


@dataclass(slots=True)
class _Element:
    name: str
    start: int
    end: int = 0
    texts: list[str] = field(default_factory=list)
    below: list[_Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def only(self, name: str) -> _Element:
        """The one element of that name. Raises NotXmlRpcError."""
        found = [one for one in self.below if one.name == name]
        if len(found) != 1:
            message = f"{self.name} has {len(found)} elements {name}"
            raise NotXmlRpcError(message)
        return found[0]


def parsed(data: bytes) -> Json:
    """An answer as JSON has it. Raises NotWholeError, NotXmlRpcError, BatchRefused (`doctype`)."""
    name, value = _answer(_tree(data))
    return {name: _json(value)}


def read(
    content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[RawChunk | Broken]:
    """As `json.read`. Raises BatchRefused (`truncated`, `malformed`, `doctype`) for bytes that are
    no whole answer, SourceChanged (`missing_records`) where the array of records is not there.
    """
    path = _records_path(plan)
    try:
        found = records(parsed(content.read()), path)
    except NotWholeError as error:
        raise BatchRefused(str(error), code="truncated", remedy="Pull the feed again.") from error
    except NotXmlRpcError as error:
        message = f"the page is no answer of XML-RPC: {error}"
        remedy = "Look at the landed page, then ask the ERP's owner."
        raise BatchRefused(message, code="malformed", remedy=remedy) from error
    if found is None:
        raise no_records(path)
    yield from read_records(found, plan, page, first, escapes=False)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """The bytes [start, end) of the number-th record's `value` element (1 = first).

    Raises KeyError where the plan has no such part, IndexError where the page holds fewer records.
    """
    name, value = _answer(_tree(content.read()))
    path = _records_path(plan)
    spans = _spans(value, path[1:]) if path[:1] == (name,) else iter(())
    if part != plan.part:
        below = {c.part: segments(c.records) for c in plan.children}[part]
        spans = (inner for one in spans for inner in _spans(one, below))
    for count, one in enumerate(spans, start=1):
        if count == number:
            return one.start, one.end
    message = f"the page holds no record {number} of {part}"
    raise IndexError(message)


def _records_path(plan: ReadPlan) -> tuple[str, ...]:
    if not isinstance(plan.source, RestSource):
        message = f"not an XML-RPC source: {type(plan.source).__name__}"
        raise TypeError(message)
    return segments(plan.source.records)


def _answer(root: _Element) -> tuple[str, _Element]:
    """`result` or `fault`, with its value."""
    if root.name != "methodResponse":
        message = f"it begins with {root.name[:40]}"
        raise NotXmlRpcError(message)
    if any(one.name == "fault" for one in root.below):
        return "fault", root.only("fault").only("value")
    return "result", root.only("params").only("param").only("value")


def _json(value: _Element) -> Json:
    """What a `value` element stands for."""
    if not value.below:
        return value.text  # a text without a type
    (kind, *more) = value.below
    if more:
        message = "a value holds more than one element"
        raise NotXmlRpcError(message)
    if kind.name == "array":
        return [_json(one) for one in _values(kind)]
    if kind.name == "struct":
        return {name: _json(one) for name, one in _members(kind)}
    if kind.below:
        message = f"{kind.name} holds elements"
        raise NotXmlRpcError(message)
    if kind.name in _NILS:
        return None
    text = kind.text
    if kind.name == "boolean" and text.strip() in {"0", "1"}:
        return text.strip() == "1"
    if kind.name in _NUMBERS and _NUMBER.fullmatch(text.strip()):
        return Literal(text.strip())
    return text


def _values(array: _Element) -> list[_Element]:
    return [one for one in array.only("data").below if one.name == "value"]


def _members(struct: _Element) -> list[tuple[str, _Element]]:
    members = [one for one in struct.below if one.name == "member"]
    return [(one.only("name").text, one.only("value")) for one in members]


def _spans(value: _Element, names: tuple[str, ...]) -> Iterator[_Element]:
    """The records a path leads to: the elements of an array, or the one thing there."""
    kind = value.below[0] if value.below else None
    if kind is not None and kind.name == "array":
        for one in _values(kind):
            if names:
                yield from _spans(one, names)
            else:
                yield one
    elif not names:
        if kind is None or kind.name not in _NILS:
            yield value
    elif kind is not None and kind.name == "struct":
        found = dict(_members(kind)).get(names[0])
        if found is not None:
            yield from _spans(found, names[1:])


def _tree(data: bytes) -> _Element:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or data[:4].count(0):
        message = "the page is in UTF-16 or UTF-32"
        raise BatchRefused(message, code="encoding", remedy="Ask the ERP's owner for UTF-8.")
    tree = _Tree(data)
    try:
        tree.parser.Parse(data, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        message = f"the page is not whole XML: {error}"
        raise NotWholeError(message) from None
    return tree.root.below[0]


class _Tree:
    """Elements with their places in the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.root = _Element("", 0)
        self._open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._opened
        self.parser.EndElementHandler = self._closed
        self.parser.CharacterDataHandler = self._text

    def _doctype(self, *_: object) -> None:
        raise doctype()

    def _opened(self, name: str, _: object) -> None:
        if len(self._open) > _DEEPEST:
            message = f"elements more than {_DEEPEST} deep"
            raise NotXmlRpcError(message)
        one = _Element(name, self.parser.CurrentByteIndex)
        self._open[-1].below.append(one)
        self._open.append(one)

    def _closed(self, name: str) -> None:
        at = self.parser.CurrentByteIndex
        closing = self._data.startswith(b"</" + name.encode("utf-8", "replace"), at)
        # of an empty element expat tells the place behind it
        self._open.pop().end = self._data.index(b">", at) + 1 if closing else at

    def _text(self, text: str) -> None:
        self._open[-1].texts.append(text)


__all__ = ["NotWholeError", "NotXmlRpcError", "locate", "parsed", "read"]
