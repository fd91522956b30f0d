"""A name cut into words, for comparing what two sides call the same thing. Knows no field."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_LETTERS = str.maketrans({"ı": "i", "İ": "I", "ß": "ss", "ø": "o", "ł": "l"})


def phrase(name: str) -> str:
    """`UnitPriceExclVAT` → `unit price excl vat`; accents and case fall away."""
    return " ".join(words(name))


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words of a name, cut at capitals, underlines and digits."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    return tuple(piece.lower() for piece in _PIECES.findall(plain))
