"""SOAP-encoded answers whose elements point at others (multiRef): each put in its place.

`<item href="#id7"/>` becomes `<item href="#id7">…what id7 holds…</item>`: the attribute stays, as
the place of the evidence. A page is held whole for this, so it has a limit. Must not read a value,
and must not follow a reference out of the page.
"""

from __future__ import annotations

import io
from copy import deepcopy
from typing import TYPE_CHECKING, BinaryIO, Final

from lxml import etree

from connectors.formats.xml_refused import cut, doctype, is_cut, refused
from mappings.errors import BatchRefused
from mappings.sources import SoapSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.formats.xml_paths import Segment
    from mappings.sources import Source

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a page that is held whole; an operation that sends more is to be paged."""
_GROWTH: Final = 1_000_000
"""Elements that references may add: one that many point at is copied for each of them."""
_SOAP_12: Final = "{http://www.w3.org/2003/05/soap-encoding}"
_PIECE: Final = 1024 * 1024


def has_references(source: Source) -> bool:
    """Whether the mapping says that its answers hold references."""
    return isinstance(source, SoapSource) and source.references


def in_place(content: BinaryIO) -> BinaryIO:
    """The same page with every reference put in its place, to read from.

    Raises BatchRefused: `truncated`, `encoding`, `malformed`, `doctype`, `too_large`,
    `reference` (to nothing, or to an element around itself).
    """
    return io.BytesIO(etree.tostring(_resolved(_whole(content)), encoding="UTF-8"))


def target_of(content: BinaryIO, path: tuple[Segment, ...], number: int) -> str | None:
    """The id that the `number`-th element of `path` (1 = first) lies at; None: where it stands.

    Raises what `in_place` does, and LookupError where there is no such element.
    """
    root = _resolved(_whole(content))
    for found in _along(root, path):
        number -= 1
        if number == 0:
            for one in (found, *found.iterancestors()):
                if (name := _points_at(one)) is not None:
                    return name
            return None
    message = "the page has no such record"
    raise LookupError(message)


def id_of(attributes: Mapping[str, str]) -> str | None:
    """What those that point at an element call it. `attributes`: names as expat writes them."""
    return attributes.get("id") or attributes.get(f"{_SOAP_12}id"[1:])


def _whole(content: BinaryIO) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := content.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise BatchRefused(
                f"the answer holds references and is larger than {LARGEST:,} bytes",
                code="too_large",
                remedy="Let the source read it page by page (`page`), or have the ERP send "
                "records in their place.",
            )
    return b"".join(pieces)


def _resolved(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise (cut if is_cut(error, data) else refused)(error) from None
    if root.getroottree().docinfo.doctype:
        raise doctype()
    _Places(root).fill()
    return root


class _Places:
    """The elements that point, and what they point at."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._targets: dict[str, etree._Element] = {}
        self._twice: set[str] = set()
        for one in root.iter(etree.Element):
            name = one.get("id") or one.get(f"{_SOAP_12}id")
            if name is not None and self._targets.setdefault(name, one) is not one:
                self._twice.add(name)
        self._left = _GROWTH

    def fill(self) -> None:
        # What is pointed at is filled before it is copied, so each is filled once.
        done: set[str] = set()
        pointers = self._pointers(self._root)
        for pointer in pointers:
            self._settle(_points_at(pointer) or "", done)
        for pointer in pointers:
            if len(pointer) == 0:
                self._put(pointer)

    def _settle(self, first: str, done: set[str]) -> None:
        """Fill a target after those that it points at; a stack, for chains of any depth."""
        stack: list[tuple[str, bool]] = [(first, False)]
        open_ones: set[str] = set()
        while stack:
            name, ready = stack.pop()
            if name in done:
                continue
            pointers = list(self._pointers(self._target(name)))
            if ready:
                for pointer in pointers:
                    self._put(pointer)
                done.add(name)
                open_ones.discard(name)
                continue
            open_ones.add(name)
            stack.append((name, True))
            for pointer in pointers:
                asked = _points_at(pointer) or ""
                if asked in open_ones:
                    raise _broken(f"#{asked} is referred to from inside itself")
                stack.append((asked, False))

    def _pointers(self, below: etree._Element) -> list[etree._Element]:
        return [
            one
            for one in below.iter(etree.Element)
            if one is not below and len(one) == 0 and _points_at(one) is not None
        ]

    def _target(self, name: str) -> etree._Element:
        found = self._targets.get(name)
        if found is None:
            raise _broken(f"nothing is called #{name}")
        if name in self._twice:
            raise _broken(f"two elements are called #{name}")
        return found

    def _put(self, pointer: etree._Element) -> None:
        target = self._target(_points_at(pointer) or "")
        self._left -= sum(1 for _ in target.iter())
        if self._left < 0:
            raise BatchRefused(
                f"its references would make the answer grow by more than {_GROWTH:,} elements",
                code="too_large",
                remedy="Look at the landed page, then ask the ERP's owner.",
            )
        pointer.text = target.text
        for name, value in target.attrib.items():
            if name not in {"id", f"{_SOAP_12}id"} and name not in pointer.attrib:
                pointer.set(name, value)
        pointer.extend(deepcopy(child) for child in target)


def _points_at(element: etree._Element) -> str | None:
    href = element.get("href", "")
    if href.startswith("#"):
        return href[1:]
    return element.get(f"{_SOAP_12}ref")


def _along(root: etree._Element, path: tuple[Segment, ...]) -> list[etree._Element]:
    level = [root] if path[0].matches(str(root.tag)) else []
    for segment in path[1:]:
        level = [
            child
            for one in level
            for child in one.iterchildren(etree.Element)
            if segment.matches(str(child.tag))
        ]
    return level


def _broken(what: str) -> BatchRefused:
    return BatchRefused(
        f"the answer's references do not lead to records: {what}",
        code="reference",
        remedy="Look at the landed page, then ask the ERP's owner.",
    )
