"""The bytes of one whole answer, kept until they are landed: small ones in memory, large ones in a
temporary file, so that an answer may be larger than memory.

Must not parse: what is volatile in an answer is told by who looked through it.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import tempfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_IN_MEMORY: Final = 4 * 1024 * 1024
_PIECE: Final = 256 * 1024
_AROUND: Final = 512
"""Bytes before and behind a text in which its tags must stand."""


class Body:
    """Write it with `add`, then read it by iterating."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed below
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Keep the next bytes."""
        self._file.write(piece)
        self.size += len(piece)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def __del__(self) -> None:
        """Forget the bytes."""
        self._file.close()

    def same_as(self, volatile: Iterable[tuple[str, str]], record: str) -> str | None:
        """SHA-256 of the answer with some element's texts left out; None where that is not safe.

        `volatile`: (local name, text) of elements that are made anew for each answer. Each must
        stand once in the whole answer, plainly as `<name>text</name>`, before or behind all
        elements `record` (a local name): then two answers of one hash differ in those texts and
        in nothing else, since a NUL, which is put in their place, can stand in no XML.
        """
        texts = list(volatile)
        if not texts or not self.size:
            return None
        self._file.seek(0)
        if self.size <= _IN_MEMORY:
            return _digest(self._file.read(), texts, record)
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _digest(content, texts, record)


def _digest(content: bytes | mmap.mmap, texts: list[tuple[str, str]], record: str) -> str | None:
    places: list[tuple[int, int]] = []
    for name, text in texts:
        place = _place(content, name, text.encode(), record.encode())
        if place is None:
            return None
        places.append(place)
    digest = hashlib.sha256()
    at = 0
    for start, end in sorted(places):
        if start < at:
            return None
        _update(digest, content, at, start)
        digest.update(b"\x00")
        at = end
    _update(digest, content, at, len(content))
    return digest.hexdigest()


def _place(
    content: bytes | mmap.mmap, name: str, text: bytes, record: bytes
) -> tuple[int, int] | None:
    """Where the text of the one element of that name stands."""
    start = content.find(text)
    if start < 0 or content.find(text, start + 1) >= 0:
        return None
    end = start + len(text)
    before = content[max(0, start - _AROUND) : start]
    behind = content[end : end + _AROUND]
    opened = re.search(
        rb"<((?:[^\s<>/:]+:)?%b)(?:\s[^<>]*)?>\s*\Z" % re.escape(name.encode()), before
    )
    if opened is None or re.match(rb"\s*</%b\s*>" % re.escape(opened[1]), behind) is None:
        return None
    tags = re.compile(rb"</?(?:[^\s<>/:]+:)?%b[\s/>]" % re.escape(record))
    among = tags.search(content, end) and _any(tags, content, start)
    return None if among else (start, end)


def _any(tags: re.Pattern[bytes], content: bytes | mmap.mmap, end: int) -> bool:
    found = tags.search(content)
    return found is not None and found.start() < end


def _update(digest: hashlib._Hash, content: bytes | mmap.mmap, start: int, end: int) -> None:
    for at in range(start, end, _PIECE * 4):
        digest.update(content[at : min(at + _PIECE * 4, end)])
