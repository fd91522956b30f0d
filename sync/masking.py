"""Personal values of a sample, replaced by others of the same shape: letter by letter, digit by
digit.

The same value always becomes the same text under one key, so that what belonged together still
does; without the key nobody gets back. Must not change anything but those values.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from sync.synonyms import PERSONAL
from sync.words import phrase, words

_PLAIN = {"true", "false", "null", "x", "y", "n", "0", "1", ""}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def personal(path: str) -> bool:
    """Does a column's name say that its values speak about a person?"""
    leaf = path.removesuffix("[]").rpartition("/")[2]
    text, there = phrase(leaf), set(words(leaf))
    return any(
        word == leaf.lower() or word == text or (set(word.split()) <= there) for word in PERSONAL
    )


def masked(value: str, key: bytes) -> str:
    """Another text of the same shape: `Ayşe Ok, +90 532` → `Qkwf Tz, +41 807`."""
    found = []
    digest = hmac.new(key, value.encode(), hashlib.sha256)
    stream = digest.digest()
    for index, letter in enumerate(value):
        if index % 32 == 0:
            stream = hmac.new(key, f"{value}\0{index}".encode(), hashlib.sha256).digest()
        number = stream[index % 32]
        if letter.isdigit():
            found.append(str(number % 10))
        elif letter.isalpha():
            other = _LETTERS[number % 26]
            found.append(other.upper() if letter.isupper() else other)
        else:
            found.append(letter)
    return "".join(found)


def masked_page(
    content: bytes, values: Iterable[str], key: bytes, encoding: str = "utf-8"
) -> bytes:
    """The page with every one of the values masked, where it stands as a whole value.

    Bytes that are not of the encoding stay as they are.
    """
    text = content.decode(encoding, "surrogateescape")
    for value in sorted({v for v in values if v.strip().lower() not in _PLAIN}, key=len)[::-1]:
        new = masked(value, key)
        forms = {
            value: new,
            escape(value): escape(new),
            json.dumps(value)[1:-1]: json.dumps(new)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1]: json.dumps(new, ensure_ascii=False)[1:-1],
        }
        for old, other in forms.items():
            whole = rf"(?<![^\s>\";,\t|]){re.escape(old)}(?![^\s<\";,\t|])"
            text = re.sub(whole, lambda _, other=other: other, text)
    return text.encode(encoding, "surrogateescape")
