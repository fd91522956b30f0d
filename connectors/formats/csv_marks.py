"""Marks put into decoded text where its bytes cannot be trusted, so that one record pays, not all.

A mark is a character that no text has (U+FDD0); what it means, and the byte's place in the file,
waits in the same order. Must not know what a record is.
"""

from __future__ import annotations

import codecs
import re
from collections import deque

from connectors.formats.csv_letters import plain_utf8
from mappings.errors import BatchRefused

MARK = "\ufdd0"
MARK_BYTES = MARK.encode()
_LEAD = MARK_BYTES[:1]
MOST_UNDECODABLE = 100
"""More bytes than this, and it is the encoding that is wrong, not a record."""

_LOST = "\ufdd1"
_HANDLER = "waybill.mark"

codecs.register_error(_HANDLER, lambda error: (_LOST * (error.end - error.start), error.end))  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]  errors of decoding have both


def marked(piece: bytes) -> bool:
    """Does UTF-8 hold a mark? One byte is looked for first: that takes a tenth of the time."""
    return _LEAD in piece and MARK_BYTES in piece


class Marks:
    """What is waiting for the record that holds it: (code, what is wrong), in order."""

    def __init__(self, misread: tuple[str, ...]) -> None:
        texts = sorted((text for text in misread if text), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, (_LOST, MARK, *texts))))
        self._longest = max((len(text) for text in texts), default=1)
        self._looks = bool(texts)
        self._waiting: deque[tuple[str, str]] = deque()
        self._lost = 0
        self._kept = ""
        self._kept_bytes = b""
        self._at = 0

    def take(self, count: int) -> tuple[str, str]:
        """The first of `count` marks of one record; all of them are told by it."""
        told = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        return told[0] if told else ("undecodable", "holds a character that no text has")

    def utf8(self, piece: bytes, encoding: str, *, final: bool) -> bytes:
        """A piece in a one-byte encoding as UTF-8, marked. Raises BatchRefused (`encoding`)."""
        if not self._looks:  # then nothing of an earlier piece is kept
            plain = plain_utf8(piece, encoding)
            if plain is not None:
                self._at += len(piece)
                return plain
        return self.one_byte(piece, encoding, final=final).encode("utf-8")

    def one_byte(self, piece: bytes, encoding: str, *, final: bool) -> str:
        """A piece in a one-byte encoding as text, marked. Raises BatchRefused (`encoding`)."""
        data = self._kept_bytes + piece
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            text = data.decode(encoding, _HANDLER)
        return self._marked(text, data, encoding, final=final)

    def wide(self, text: str, encoding: str, *, final: bool) -> str:
        """A decoded piece of another encoding, marked. `encoding` writes no byte order mark."""
        return self._marked(self._kept + text, None, encoding, final=final)

    def begin(self, offset: int) -> None:
        """The text begins at this byte of the file."""
        self._at = offset

    def _marked(self, text: str, data: bytes | None, encoding: str, *, final: bool) -> str:
        if not self._looks and _LOST not in text and MARK not in text:
            self._at += len(text) if data is not None else len(text.encode(encoding))
            return text
        keep = 0 if final or not self._looks else min(self._longest - 1, len(text))
        limit = len(text) - keep
        found: list[str] = []
        done = 0
        for hit in self._pattern.finditer(text):
            if hit.start() >= limit:
                break
            found += (text[done : hit.start()], MARK, self._told(hit, text, data, encoding))
            done = hit.end()
        limit = max(limit, done)
        found.append(text[done:limit])
        self._kept = text[limit:]
        self._kept_bytes = b"" if data is None else data[limit:]
        self._at += limit if data is not None else len(text[:limit].encode(encoding))
        return "".join(found)

    def _told(self, hit: re.Match[str], text: str, data: bytes | None, encoding: str) -> str:
        if data is not None:
            offset = self._at + hit.start()
        else:
            offset = self._at + len(text[: hit.start()].encode(encoding))
        if hit.group() != _LOST or data is None:
            says = f"{hit.group()!r} at offset {offset} betrays another encoding"
            self._waiting.append(("misread", says))
            return hit.group().strip(MARK)
        byte = data[hit.start()]
        self._lost += 1
        says = f"byte {byte:#04x} at offset {offset} does not exist in {encoding}"
        if self._lost > MOST_UNDECODABLE:
            raise BatchRefused(
                f"more than {MOST_UNDECODABLE} bytes do not exist in {encoding}: {says}",
                code="encoding",
                remedy="Ask for the declared encoding, or correct `encoding` in the mapping.",
            )
        self._waiting.append(("undecodable", says))
        return f"\\x{byte:02x}"
