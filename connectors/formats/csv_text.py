r"""Bytes in a declared encoding → UTF-8 in large pieces, with the exact place of what is wrong.

Nothing is guessed or left out: a byte that a one-byte encoding does not have is shown as `\x81`
and marked, so that its record is refused; one that a longer encoding does not have ends the page.
Must not know what a record is; that is `csv_records.py` and `csv.py`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from connectors.formats.csv_marks import Marks
from mappings.errors import BatchRefused, Misconfigured

PIECE_BYTES = 2 * 1024 * 1024
"""How much is decoded, and later parsed, at a time; memory follows this, not the file.

Of 1, 2 and 4 MB this was the fastest: what is made of it stays in the processor's cache.
"""

MISREAD_SEQUENCES = 10
"""So many multi-byte sequences, and no byte that is not part of one: this text is UTF-8."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def utf8_pieces(
    content: BinaryIO, encoding: str, marks: Marks, piece_bytes: int = PIECE_BYTES
) -> Iterator[bytes]:
    """The text of `content` as UTF-8, without byte order mark, in pieces of about `piece_bytes`.

    Raises BatchRefused (code `encoding`) with the offset of the first byte that does not exist in
    `encoding` (of a one-byte encoding: where there are many), or when a one-byte encoding is
    declared and the bytes are plainly UTF-8 or UTF-16; Misconfigured (code `encoding`) for an
    encoding that does not exist.
    """
    try:
        codec = codecs.lookup(encoding)
    except LookupError as error:
        message = f"there is no encoding {encoding!r}"
        raise Misconfigured(
            message, code="encoding", remedy="Correct `encoding` in the mapping."
        ) from error
    one_byte = _is_one_byte(codec)
    wide = None if one_byte else _Wide(codec, encoding, marks)
    offset = 0
    judged = not one_byte
    while True:
        piece = content.read(piece_bytes)
        if offset == 0 and one_byte:
            _refuse_marked(piece, encoding)
        if not judged and not piece.isascii():
            judged = _refuse_misread(piece, offset, encoding)
        if wide is None:
            text = marks.utf8(piece, encoding, final=not piece)
        else:
            text = wide.text(piece, offset).encode("utf-8")
        offset += len(piece)
        if text:
            yield text
        if not piece:
            return


class _Wide:
    """An encoding of more than one byte a character, decoded strictly."""

    def __init__(self, codec: codecs.CodecInfo, encoding: str, marks: Marks) -> None:
        self._decoder = codec.incrementaldecoder("strict")
        self._encoding = encoding
        self._markless = _markless(codec, encoding)
        self._marks = marks

    def text(self, piece: bytes, offset: int) -> str:
        """The next piece, its byte order mark taken off. Raises BatchRefused (`encoding`)."""
        try:
            text = self._decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            at = offset + len(piece) - len(error.object) + error.start
            byte = error.object[error.start]
            message = f"byte {byte:#04x} at offset {at} does not exist in {self._encoding}"
            raise BatchRefused(
                message,
                code="encoding",
                remedy="Ask for the declared encoding, or correct `encoding` in the mapping.",
            ) from error
        except UnicodeError as error:  # no byte is wrong, the byte order mark is missing
            message = f"the text is not {self._encoding}: {error}"
            raise BatchRefused(
                message,
                code="encoding",
                remedy="Name the byte order in the mapping, as in `encoding: utf-16-le`.",
            ) from error
        if offset == 0:
            text = text.removeprefix("\ufeff")
            self._marks.begin(_mark_bytes(piece))
        return self._marks.wide(text, self._markless, final=not piece)


def _mark_bytes(piece: bytes) -> int:
    return next((len(mark) for mark, _ in _MARKS if piece.startswith(mark)), 0)


def _markless(codec: codecs.CodecInfo, encoding: str) -> str:
    """A codec of the same width that writes no byte order mark of its own."""
    short = codec.name.removesuffix("-sig")
    return f"{short}-le" if short in {"utf-16", "utf-32"} else short or encoding


def is_ascii_compatible(encoding: str) -> bool:
    """True where delimiters, quotes and line ends are the same single bytes as in ASCII."""
    probe = ';,"\t|\r\n0Aa'
    return probe.encode(encoding) == probe.encode("ascii")


def _is_one_byte(codec: codecs.CodecInfo) -> bool:
    return codec.name.startswith(
        ("cp125", "iso8859", "latin", "koi8", "mac", "cp437", "cp85", "ascii")
    )


def _refuse_marked(piece: bytes, encoding: str) -> None:
    for mark, really in _MARKS:
        if piece.startswith(mark):
            message = f"the file has the byte order mark of {really}, the mapping says {encoding}"
            raise BatchRefused(
                message, code="encoding", remedy=f"Write `encoding: {really}` in the mapping."
            )


def _refuse_misread(piece: bytes, offset: int, encoding: str) -> bool:
    """True when the question is settled: some byte cannot be UTF-8. Raises when it plainly is."""
    try:
        text, used = codecs.utf_8_decode(piece, "strict")
    except UnicodeDecodeError:
        return True
    if used - len(text) >= MISREAD_SEQUENCES:
        at = offset + next(i for i, byte in enumerate(piece) if byte > 0x7F)  # noqa: PLR2004  not ASCII
        message = f"the text is UTF-8 (from offset {at} on), the mapping says {encoding}"
        raise BatchRefused(
            message,
            code="encoding",
            remedy="Write `encoding: utf-8` in the mapping, or ask for the file as declared.",
        )
    return False
