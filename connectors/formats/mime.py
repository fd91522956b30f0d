"""Answers of several parts (MTOM, SOAP with attachments): the envelope, then what it points at.

The first part is the envelope; others are told by their Content-ID. Must not parse any part.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO, Final, cast

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from mappings.errors import BatchRefused

_PEEK: Final = 8 * 1024
_PIECE: Final = 64 * 1024


class MultipartError(Exception):
    """The parts are not those of a whole multipart answer."""


class Multipart:
    """Feed it the bytes as they come; it gives (number of the part, bytes of its content)."""

    def __init__(self, boundary: bytes) -> None:
        self._found: list[tuple[int, bytes]] = []
        self._name = b""
        self._value = b""
        self.headers: list[dict[str, str]] = []
        """Of each part so far, names in lower case."""
        self.ended = False
        """The closing boundary was seen."""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": lambda: self.headers.append({}),
                    "on_header_field": self._field,
                    "on_header_value": self._content,
                    "on_header_end": self._header,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MultipartError(str(error)) from None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """What these bytes add. Raises MultipartError."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise MultipartError(str(error)) from None
        found, self._found = self._found, []
        yield from found

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _content(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        name, value = self._name.decode("latin-1").lower(), self._value.decode("latin-1").strip()
        self.headers[-1][name] = value
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._found.append((len(self.headers) - 1, data[start:end]))

    def _end(self) -> None:
        self.ended = True


def boundary_of(media_type: str) -> bytes | None:
    """The boundary of a `multipart/related` whose first part is its envelope; else None."""
    message = Message()
    message["content-type"] = media_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        return None
    return boundary.encode("latin-1", errors="replace")


class Envelope:
    """The envelope of a landed page: the page itself, or the first of its parts.

    Reads as a file does. Raises BatchRefused (`truncated`) where the parts are not whole.
    """

    def __init__(self, page: BinaryIO) -> None:
        self._page = page
        self._multipart: Multipart | None = None
        first = page.read(_PEEK)
        self._kept = first
        self.start = 0
        """Bytes of the page before the envelope."""
        opened = first.lstrip(b"\r\n")
        if opened.startswith(b"--"):
            boundary = opened[2:].split(b"\r\n", 1)[0]
            self._multipart = _multipart(boundary)
            self.start = first.find(b"\r\n\r\n") + 4
            self._kept = b"".join(self._of(first))

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the envelope; b"" at its end."""
        while self._multipart is not None and not self._kept:
            data = self._page.read(_PIECE)
            if not data:
                if not self._multipart.ended:
                    raise _cut()
                return b""
            self._kept = b"".join(self._of(data))
        kept, self._kept = self._kept, b""
        if self._multipart is None and not kept:
            return self._page.read(size)
        if 0 <= size < len(kept):
            kept, self._kept = kept[:size], kept[size:]
        return kept

    def _of(self, data: bytes) -> Iterator[bytes]:
        if self._multipart is None:
            return
        try:
            for part, piece in self._multipart.feed(data):
                if part == 0:
                    yield piece
        except MultipartError:
            raise _cut() from None


def _multipart(boundary: bytes) -> Multipart:
    try:
        return Multipart(boundary)
    except MultipartError:
        raise _cut() from None


def envelope_of(page: BinaryIO) -> BinaryIO:
    """The envelope of a landed page as something to read from."""
    return cast("BinaryIO", Envelope(page))


def _cut() -> BatchRefused:
    return BatchRefused(
        "the answer's parts end in the middle", code="truncated", remedy="Pull the page again."
    )
