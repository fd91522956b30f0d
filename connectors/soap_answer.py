"""One SOAP answer looked through while it streams in: is it whole, and what does it say of itself?

Counts records and picks out the next token, the declared count, the business error and the
largest cursor, holding no record. Must not keep bytes and must not read values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxml import etree

from connectors.formats.xml_paths import Segment, namespaces_of, record_path, segments

if TYPE_CHECKING:
    from mappings.sources import SoapSource

_XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_ANSWER_DEPTH: Final = 3  # Envelope/Body/answer
_FAULT: Final = Segment(None, "Fault")
_CODE_PATHS: Final = ("faultcode", "{*}Code/{*}Subcode/{*}Value", "{*}Code/{*}Value")
_TEXT_PATHS: Final = ("faultstring", "{*}Reason/{*}Text")


class NotWholeError(Exception):
    """The answer is no well-formed XML document; its message says where it stops being one."""


class ForbiddenError(Exception):
    """The answer carries a DOCTYPE."""


@dataclass(slots=True)
class Answer:
    """What an answer says. Texts as sent; None where the element is absent, nil or empty."""

    records: int = 0
    token: str | None = None
    declared: str | None = None
    error: str | None = None
    error_text: str | None = None
    cursor: str | None = None
    fault_code: str | None = None
    fault_text: str | None = None


class Scan:
    """Feed it the bytes as they come, then `close` it. Raises NotWholeError and ForbiddenError."""

    def __init__(self, source: SoapSource) -> None:
        self.answer = Answer()
        prefixes = namespaces_of(source)
        self._record = record_path(source)
        above = self._record[:_ANSWER_DEPTH]
        self._itself = self._record == above
        self._list: etree._Element | None = None
        named = {
            "token": source.page.response if source.page else None,
            "declared": source.count,
            "error": source.error,
            "error_text": source.error_text,
        }
        self._wanted = {
            name: above + segments(path, prefixes) for name, path in named.items() if path
        }
        self._cursor = None
        if source.cursor:
            self._cursor = "/".join(s.filter for s in segments(source.cursor, prefixes))
        filters = {_FAULT.filter, *(path[-1].filter for path in self._wanted.values())}
        if not self._itself:
            filters.add(self._record[-1].filter)
        self._parser = etree.XMLPullParser(
            events=("end",),
            tag=tuple(filters),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        try:
            self._parser.feed(data)
            for _, element in self._parser.read_events():
                self._look(element)
        except etree.XMLSyntaxError as error:
            raise NotWholeError(str(error.msg)) from None

    def close(self) -> Answer:
        """What was found, once all bytes were fed."""
        try:
            root = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise NotWholeError(str(error.msg)) from None
        if root.getroottree().docinfo.internalDTD is not None:
            raise ForbiddenError
        if self._itself:
            self.answer.records = 0 if self.answer.fault_code else 1
        return self.answer

    def _look(self, element: etree._Element) -> None:
        parent = element.getparent()
        if parent is not None and not self._itself:
            if parent is self._list and self._record[-1].matches(str(element.tag)):
                self._count(element)
                return
            if len(self._record) > _ANSWER_DEPTH + 1 and not self._near(element, parent):
                return
        path = _path_of(element)
        if not self._itself and _same(path, self._record):
            self._list = parent
            self._count(element)
            return
        for name, wanted in self._wanted.items():
            if _same(path, wanted):
                setattr(self.answer, name, _text(element))
        if len(path) == _ANSWER_DEPTH and _FAULT.matches(path[-1]):
            self.answer.fault_code = _first(element, _CODE_PATHS) or "unnamed"
            self.answer.fault_text = _first(element, _TEXT_PATHS) or ""

    def _near(self, element: etree._Element, parent: etree._Element) -> bool:
        """False for an element of the record's name inside a record: not worth its whole path."""
        tag = str(element.tag)
        if not self._record[-1].matches(tag) or self._record[-2].matches(str(parent.tag)):
            return True
        return any(path[-1].matches(tag) for path in self._wanted.values())

    def _count(self, record: etree._Element) -> None:
        self.answer.records += 1
        if self._cursor is not None:
            found = record.find(self._cursor)
            text = _text(found) if found is not None else None
            if text and (self.answer.cursor is None or later(text, self.answer.cursor)):
                self.answer.cursor = text
        parent = record.getparent()
        record.clear(keep_tail=False)
        if parent is not None:
            while record.getprevious() is not None:
                del parent[0]


def later(text: str, other: str) -> bool:
    """Is a cursor text after another? Numbers by their size, all else letter by letter."""
    if text.isdecimal() and other.isdecimal():
        return int(text) > int(other)
    return text > other


def _path_of(element: etree._Element) -> list[str]:
    path: list[str] = []
    one: etree._Element | None = element
    while one is not None:
        path.append(str(one.tag))
        one = one.getparent()
    path.reverse()
    return path


def _same(path: list[str], wanted: tuple[Segment, ...]) -> bool:
    return len(path) == len(wanted) and all(
        segment.matches(tag) for segment, tag in zip(wanted, path, strict=True)
    )


def _text(element: etree._Element) -> str | None:
    if element.get(_XSI_NIL) in ("true", "1"):
        return None
    return (element.text or "").strip() or None


def _first(element: etree._Element, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        text = element.findtext(path)
        if text and text.strip():
            return text.strip()
    return None
