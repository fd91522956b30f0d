"""Text in a one-byte encoding → UTF-8 where few different letters are not ASCII.

Prices and codes are ASCII but for a unit here and there: putting a handful of letters in their
places takes a tenth of what decoding and encoding all of it takes. Must not decide what a byte
means that the encoding does not have.
"""

from __future__ import annotations

from functools import cache

import numpy as np

_ASCII = 128
_MOST_LETTERS = 6


def plain_utf8(text: bytes, encoding: str) -> bytes | None:
    """The text in UTF-8; None where it has to be decoded as a whole.

    That is where many letters, or a byte that `encoding` does not have, are in it.
    """
    letters = _letters(encoding)
    if letters is None:
        return None
    if text.isascii():
        return text
    codes = np.frombuffer(text, np.uint8)
    used = np.flatnonzero(np.bincount(codes[codes >= _ASCII], minlength=256)).tolist()
    if len(used) > _MOST_LETTERS or not all(code in letters for code in used):
        return None
    for place, code in enumerate(used, start=1):
        if set(letters[code]) & set(used[place:]):
            return None  # what is put in for this letter would be taken for a later one
    for code in used:
        text = text.replace(bytes([code]), letters[code])
    return text


@cache
def _letters(encoding: str) -> dict[int, bytes] | None:
    """Byte from 128 on → its letter in UTF-8; None where bytes below are not those of ASCII."""
    below = bytes(range(_ASCII))
    if below.decode(encoding, "replace") != below.decode("ascii"):
        return None  # as in EBCDIC
    found: dict[int, bytes] = {}
    for code in range(_ASCII, 256):
        try:
            found[code] = bytes([code]).decode(encoding).encode("utf-8")
        except UnicodeDecodeError:
            continue
    return found
