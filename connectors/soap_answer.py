"""One SOAP answer looked through while it streams in: is it whole, and what does it say of itself?

Counts records and picks out the next token, the declared count, the business error and the
largest cursor, holding no record. Must not keep bytes, but those of an
answer with references till its end, and must not read values.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lxml import etree

from connectors.formats.xml_feed import ENCODING_ERRORS, DoctypeError, RecordFeed
from connectors.formats.xml_paths import Segment, namespaces_of, record_path, segments
from connectors.formats.xml_references import has_references, in_place
from connectors.formats.xml_stretch import SKIP, XSI_NIL, Stretch
from mappings.errors import BatchRefused

if TYPE_CHECKING:
    from mappings.sources import SoapSource

_ANSWER_DEPTH: Final = 3  # Envelope/Body/answer
_FAULT: Final = Segment(None, "Fault")
_CODE_PATHS: Final = ("faultcode", "{*}Code/{*}Subcode/{*}Value", "{*}Code/{*}Value")
_TEXT_PATHS: Final = ("faultstring", "{*}Reason/{*}Text")


class NotWholeError(Exception):
    """The answer is no well-formed XML document; its message says where it stops being one."""


class EncodingError(Exception):
    """The answer's bytes are not in the encoding that it declares."""


@dataclass(slots=True)
class Answer:
    """What an answer says. Texts as sent; None where the element is absent, nil or empty."""

    records: int = 0
    token: str | None = None
    declared: str | None = None
    error: str | None = None
    error_text: str | None = None
    pages: str | None = None
    cursor: str | None = None
    fault_code: str | None = None
    fault_text: str | None = None
    children: set[str] = field(default_factory=set)
    """Tags of the records' children, for what nobody knows yet."""
    references: bool = False
    """Records are empty and point at others (`href`): SOAP encoding with multiRef."""
    volatile: dict[str, str] = field(default_factory=dict)
    """Path of an element that is made anew for each answer → its text."""


class Scan:
    """Feed it the bytes as they come, then `close` it.

    Raises NotWholeError, EncodingError, DoctypeError; BatchRefused (`too_large`, `reference`)
    where the answer holds references, which is then kept till its end.
    """

    def __init__(self, source: SoapSource) -> None:
        self.answer = Answer()
        self._kept = bytearray() if has_references(source) else None
        prefixes = namespaces_of(source)
        self._record = record_path(source)
        above = self._record[:_ANSWER_DEPTH]
        self._itself = self._record == above
        named = {
            "token": source.page.response if source.page else None,
            "pages": source.page.pages if source.page else None,
            "declared": source.count,
            "error": source.error,
            "error_text": source.error_text,
        }
        self._wanted = {name: _absolute(path, source) for name, path in named.items() if path}
        self._volatile = {path: _absolute(path, source) for path in source.volatile}
        self._cursor = segments(source.cursor, prefixes) if source.cursor else ()
        self._cursor_path = "/".join(segment.filter for segment in self._cursor)
        asked = (*self._wanted.values(), *self._volatile.values())
        inside = any(path[: len(self._record)] == self._record for path in asked)
        self._named = frozenset(path[-1] for path in asked)
        self._feed = RecordFeed(
            self._record,
            tags={_FAULT.filter, *(path[-1].filter for path in asked)},
            # no shape of another page: `children` is to hold what this one has
            wanted=None if inside else self._column,
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._kept is not None:
            self._kept += data
            return
        self._scan(data)

    def _scan(self, data: bytes) -> None:
        try:
            for found in self._feed.feed(data):
                self._look(found)
        except etree.XMLSyntaxError as error:
            raise _broken(error) from None

    def close(self) -> Answer:
        """What was found, once all bytes were fed."""
        if self._kept is not None:
            self._scan(_placed(self._kept))
        try:
            for found in (*self._feed.rest(), *self._feed.close()):
                self._look(found)
        except etree.XMLSyntaxError as error:
            raise _broken(error) from None
        if self._itself:
            self.answer.records = 0 if self.answer.fault_code else 1
        return self.answer

    def _look(self, found: etree._Element | Stretch) -> None:
        if isinstance(found, Stretch):
            self._count_all(found)
            return
        parent = found.getparent()
        if not self._itself:
            if self._feed.is_record(found):
                self._count(found)
                self._feed.free(found)
                return
            if parent is not None and not self._near(found, parent):
                return
        path = _path_of(found)
        for name, wanted in self._wanted.items():
            if _same(path, wanted):
                setattr(self.answer, name, _text(found))
        for name, wanted in self._volatile.items():
            if _same(path, wanted):
                self.answer.volatile[name] = _text(found) or ""
        if len(path) == _ANSWER_DEPTH and _FAULT.matches(path[-1]):
            self.answer.fault_code = _first(found, _CODE_PATHS) or "unnamed"
            self.answer.fault_text = _first(found, _TEXT_PATHS) or ""

    def _near(self, element: etree._Element, parent: etree._Element) -> bool:
        """False for an element of the record's name inside a record: not worth its whole path."""
        tag = str(element.tag)
        if not self._record[-1].matches(tag) or self._record[-2].matches(str(parent.tag)):
            return True
        return any(segment.matches(tag) for segment in self._named)

    def _column(self, tag: str) -> int | None:
        """The cursor is the one text of a record that is asked for."""
        if not self._cursor or not self._cursor[0].matches(tag):
            return SKIP
        return 0 if len(self._cursor) == 1 else None

    def _count(self, record: etree._Element) -> None:
        self.answer.records += 1
        self.answer.children.update(str(child.tag) for child in record)
        if self._kept is None and not len(record) and record.get("href", "").startswith("#"):
            self.answer.references = True
        if self._cursor:
            found = record.find(self._cursor_path)
            self._move(_text(found) if found is not None else None)

    def _count_all(self, stretch: Stretch) -> None:
        self.answer.records += len(stretch.rows)
        self.answer.children.update(stretch.shape.tags)
        for column in stretch.columns().values():
            for text in column.unique().to_pylist():
                self._move(text and text.strip())

    def _move(self, text: str | None) -> None:
        if text and (self.answer.cursor is None or later(text, self.answer.cursor)):
            self.answer.cursor = text


def _placed(data: bytearray) -> bytes:
    try:
        return in_place(io.BytesIO(data)).read()
    except BatchRefused as error:
        match error.code:
            case "truncated" | "malformed":
                raise NotWholeError(str(error)) from None
            case "encoding":
                raise EncodingError(str(error)) from None
            case "doctype":
                raise DoctypeError from None
        raise


def _broken(error: etree.XMLSyntaxError) -> NotWholeError | EncodingError:
    line, column = error.position
    said = f"{error.msg}, line {line}, column {column}"
    return EncodingError(said) if error.code in ENCODING_ERRORS else NotWholeError(said)


def later(text: str, other: str) -> bool:
    """Is a cursor text after another? Numbers by their size, all else letter by letter."""
    if text.isdecimal() and other.isdecimal():
        return int(text) > int(other)
    return text > other


def _absolute(path: str, source: SoapSource) -> tuple[Segment, ...]:
    """From the document's root: a path that begins with `/` at the envelope, else in the answer."""
    prefixes = namespaces_of(source)
    if path.startswith("/"):
        return (Segment(None, "Envelope"), *segments(path[1:], prefixes))
    return record_path(source)[:_ANSWER_DEPTH] + segments(path, prefixes)


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
    if element.get(XSI_NIL) in ("true", "1"):
        return None
    return (element.text or "").strip() or None


def _first(element: etree._Element, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        text = element.findtext(path)
        if text and text.strip():
            return text.strip()
    return None
