"""A document's bytes, fed in pieces: its records one by one, or in stretches written alike.

The parser gets all but the stretches that `connectors.formats.xml_stretch` can read. Follows
nothing outward, refuses a DOCTYPE. Must not understand a record.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from lxml import etree

from connectors.formats.xml_paths import ANY
from connectors.formats.xml_stretch import Shape, Stretch, written

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from connectors.formats.xml_paths import Segment
    from connectors.formats.xml_stretch import Wanted

_HELD: Final = 1024 * 1024
"""A record that has not ended within so many bytes goes to the parser as it comes."""
_MISSES: Final = 64
"""After so many records that no pattern could read, as long as they are the most, none is tried."""
_SHAPES: Final = 64
_PROLOG: Final = 4096
ENCODING_ERRORS: Final = frozenset({31, 32, 81, 6000, 6003})
"""libxml2's codes for bytes that are not what was declared."""
UNKNOWN_ENCODING: Final = 32
"""libxml2's code for it."""
_PLACE: Final = re.compile(r", line \d+, column \d+$")
_known: OrderedDict[Hashable, Shape] = OrderedDict()
"""Shapes over pages: a list of many pages is written alike in all of them."""


class DoctypeError(Exception):
    """The document carries a DOCTYPE."""


class RecordFeed:
    """Feed it bytes, take what ended, then `close` it.

    `path`: from the document's root to a record. `tags`: further elements whose end is told, as
    lxml writes tags. `asked`: identifies `wanted` over pages, for shapes to be kept; without
    `wanted` every record comes as an element. Raises etree.XMLSyntaxError with the position in
    the whole document.
    """

    patterns = True
    """False: every record goes through the parser. For fuzzing one against the other."""

    def __init__(
        self,
        path: tuple[Segment, ...],
        *,
        tags: Iterable[str] = (),
        wanted: Wanted | None = None,
        asked: Hashable = None,
    ) -> None:
        self._path = path
        self._whole = path[-1].local == ANY  # the record is the root, or first in a SOAP body
        filters = {*tags} if self._whole else {*tags, path[-1].filter}
        self._parser = etree.XMLPullParser(
            events=("end",),
            tag=tuple(filters) or "{}none",
            # an entity that nobody declared is an error; left unresolved it would cut a text short
            resolve_entities="internal",
            no_network=True,
            load_dtd=False,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
        )
        self._wanted = wanted
        self._asked = asked
        self._names = "|".join(map(re.escape, path[-1].local.split("|"))).encode()
        self._start = re.compile(rb"<((?:[^\s<>/&=\"'!?]+:)?(?:%b))(?=[\s>])" % self._names)
        self._off = wanted is None or self._whole or not self.patterns
        self._list: etree._Element | None = None
        self._shape: Shape | None = None
        self._place: Hashable = None
        self._prolog = b""
        self._rest = b""
        self._next_to_record = False
        """The parser has just ended a record and got nothing since."""
        self._misses = 0
        self._cut = 0
        self._position = _Position()

    def feed(self, data: bytes) -> Iterator[etree._Element | Stretch]:
        """What ended within the next bytes, in order. Free an element before taking the next."""
        if self._off:
            yield from self._given(data)
            return
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        at = 0
        while at < len(buffer):
            if self._next_to_record and self._shape is not None:
                stretch, at = self._taken(self._shape, buffer, at)
                if stretch is not None:
                    yield stretch
            start = None if self._off else self._start.search(buffer, at)
            end = -1 if start is None else buffer.find(b"</%b>" % start[1], start.end())
            if start is None or end < 0:
                yield from self._left_over(buffer, at, start.start() if start else len(buffer))
                return
            end += len(start[1]) + 3
            if start.start() > at:
                yield from self._given(buffer[at : start.start()])
            yield from self._one(buffer[start.start() : end])
            at = end

    def rest(self) -> Iterator[etree._Element]:
        """What ended within bytes that were held back; to be asked for before `close`."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._given(rest)

    def close(self) -> Iterator[etree._Element]:
        """The record, where it is the root. Raises DoctypeError; an error here may be a cut."""
        try:
            root = self._parser.close()
        except etree.XMLSyntaxError as error:
            raise self._position.corrected(error) from None
        except LookupError as error:
            raise etree.XMLSyntaxError(str(error), UNKNOWN_ENCODING, 1, 1) from None
        if root.getroottree().docinfo.internalDTD is not None:
            raise DoctypeError
        self._remember()
        if self._whole:
            record = root if len(self._path) == 1 else self._first_of_body(root)
            if record is not None:
                yield record

    def is_record(self, element: etree._Element) -> bool:
        """Is an element that has just ended a record? Raises DoctypeError."""
        parent = element.getparent()
        if parent is not None and parent is self._list:
            return self._path[-1].matches(str(element.tag))
        one: etree._Element | None = element
        for segment in reversed(self._path):
            if one is None or not segment.matches(str(one.tag)):
                return False
            one = one.getparent()
        if one is not None:
            return False
        if element.getroottree().docinfo.internalDTD is not None:
            raise DoctypeError
        self._list = parent
        return True

    def free(self, record: etree._Element) -> None:
        """Forget a record that has been read, and what stood before it in its list."""
        parent = record.getparent()
        record.clear(keep_tail=False)
        if parent is not None:
            while record.getprevious() is not None:
                del parent[0]

    def _taken(self, shape: Shape, buffer: bytes, at: int) -> tuple[Stretch | None, int]:
        """The stretch that begins at `at`, and where it ends."""
        end = buffer.rfind(shape.end.encode(), at)
        if end < 0:
            return None, at
        region = buffer[at : end + len(shape.end.encode())]
        try:
            text = region.decode()
        except UnicodeDecodeError:
            self._off = True  # the parser will say where
            return None, at
        stretch, chars = shape.take(text)
        if not stretch.rows:
            return None, at
        self._cut += len(stretch.rows)
        size = chars if text.isascii() else len(text[:chars].encode())
        self._position.cut(region[:size])
        return stretch, at + size

    def _left_over(self, buffer: bytes, at: int, start: int) -> Iterator[etree._Element]:
        """Hold back the beginning of a record for the next bytes; the parser gets the rest."""
        if len(buffer) - start > _HELD:
            self._off = True
        if self._off:
            start = len(buffer)
        if start > at:
            yield from self._given(buffer[at:start])
        self._rest = buffer[start:]

    def _given(self, data: bytes) -> Iterator[etree._Element]:
        """Let the parser have these bytes."""
        if data.strip(b" \t\r\n"):
            self._next_to_record = False
        self._feed(data)
        for _, element in self._parser.read_events():
            yield element

    def _one(self, candidate: bytes) -> Iterator[etree._Element]:
        """What may be a record goes to the parser alone: is it one, and of which shape?"""
        self._next_to_record = False
        self._feed(candidate)
        ended = [element for _, element in self._parser.read_events()]
        # one end, and of a record: the last tag that was fed is the one that ended it, so the
        # parser stands behind it, in the content of the list
        if len(ended) == 1 and self.is_record(ended[0]):
            self._next_to_record = self._learnt(candidate, ended[0])
        self._misses += 1
        if self._misses >= _MISSES and self._misses > self._cut:
            self._off = True
        yield from ended

    def _learnt(self, candidate: bytes, record: etree._Element) -> bool:
        """Know this record's shape from now on; False where no pattern can read its like."""
        parent = record.getparent()
        encoding = record.getroottree().docinfo.encoding
        if (encoding or "UTF-8").upper() not in ("UTF-8", "UTF8") or parent is None:
            self._off = True
            return False
        seen = written(candidate.decode(errors="replace"))
        if seen is None or self._wanted is None:
            return False
        place = (self._asked, seen.start, frozenset(parent.nsmap.items()))
        if place != self._place:  # other namespaces, or another list: what was learnt is void
            self._place = place
            self._shape = _known.get(place) if self._asked is not None else None
        shape = self._shape or Shape(seen.start, seen.end, self._wanted)
        shape = shape.learnt(seen, record)
        if shape is None:
            return self._shape is not None
        self._shape = shape
        return True

    def _remember(self) -> None:
        """Keep the shape for further pages: not before this one has proved to be well-formed."""
        if self._asked is None or self._shape is None:
            return
        _known[self._place] = self._shape
        while len(_known) > _SHAPES:
            _known.popitem(last=False)

    def _feed(self, data: bytes) -> None:
        if len(self._prolog) < _PROLOG:
            self._prolog += data[:_PROLOG]
        try:
            self._parser.feed(data)
        except etree.XMLSyntaxError as error:
            if b"<!DOCTYPE" in self._prolog:  # its entities: too many, or from elsewhere
                raise DoctypeError from None
            raise self._position.corrected(error) from None
        except LookupError as error:  # the name of an encoding that nobody knows
            raise etree.XMLSyntaxError(str(error), UNKNOWN_ENCODING, 1, 1) from None
        self._position.fed(data)

    def _first_of_body(self, root: etree._Element) -> etree._Element | None:
        if not self._path[0].matches(str(root.tag)):
            return None
        for part in root:
            if self._path[1].matches(str(part.tag)) and len(part):
                return part[0]
        return None


class _Position:
    """Where in the whole document something is that the parser met, without the stretches."""

    def __init__(self) -> None:
        self._line = 1
        self._on_line = 0
        """Bytes of its present line that the parser has had."""
        self._cuts: list[tuple[int, int, int, int]] = []
        """(the parser's line, bytes of it before the cut, lines cut, bytes cut behind them)."""

    def fed(self, data: bytes) -> None:
        """The parser has had these bytes."""
        newline = data.rfind(b"\n")
        if newline < 0:
            self._on_line += len(data)
        else:
            self._line += data.count(b"\n")
            self._on_line = len(data) - newline - 1

    def cut(self, data: bytes) -> None:
        """These bytes were kept from it."""
        newline = data.rfind(b"\n")
        tail = len(data) - newline - 1
        self._cuts.append((self._line, self._on_line, data.count(b"\n"), tail))

    def corrected(self, error: etree.XMLSyntaxError) -> etree.XMLSyntaxError:
        """The error with its place in the whole document."""
        line, column = error.position
        lines = shift = 0
        for cut_line, before, newlines, tail in self._cuts:
            if (cut_line, before) >= (line, column):
                break
            lines += newlines
            if cut_line == line:
                shift = tail - before if newlines else shift + tail
        message = _PLACE.sub("", error.msg or "")
        return etree.XMLSyntaxError(message, error.code, line + lines, column + shift)
