"""Valid documents made bad, byte by byte, the same way for the same seed.

Must not know any format; a format's own tokens are given as `words`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_INTERESTING = (0x00, 0x09, 0x0A, 0x0D, 0x1A, 0x1F, 0x22, 0x26, 0x27, 0x3C, 0x3E, 0x7F, 0x80, 0xFF)
_ROUNDS = (1, 1, 1, 2, 3, 8)
"""How many mutations one case gets: mostly one, so that most of the document stays valid."""


def cases(
    documents: Sequence[bytes], count: int, seed: int, words: Sequence[bytes] = ()
) -> Iterator[bytes]:
    """`count` mutated documents. `words`: pieces that mean something in this format."""
    for number in range(count):
        yield one(documents, f"{seed}-{number}", words)


def one(documents: Sequence[bytes], seed: str, words: Sequence[bytes] = ()) -> bytes:
    """The case of one seed, so that a finding can be made again."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(documents))
    for _ in range(chance.choice(_ROUNDS)):
        _mutate(data, chance, documents, words)
    return bytes(data)


def _mutate(
    data: bytearray, chance: random.Random, documents: Sequence[bytes], words: Sequence[bytes]
) -> None:
    kinds = ["flip", "byte", "cut", "delete", "duplicate", "swap", "splice"] + ["word", "seam"] * 3
    kind = chance.choice(kinds if words else kinds[:7])
    at = chance.randrange(len(data) + 1)
    length = min(chance.choice((1, 2, 5, 20, 100, 1000)), len(data) - at)
    piece = bytes(data[at : at + length])
    if kind == "flip" and length:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "byte" and length:
        data[at] = chance.choice((*_INTERESTING, chance.randrange(256)))
    elif kind == "cut":
        del data[at:]
    elif kind == "delete":
        del data[at : at + length]
    elif kind == "duplicate":
        data[at:at] = piece * chance.choice((1, 1, 2, 50))
    elif kind == "swap":
        other = chance.randrange(len(data) + 1)
        data[other : other + length], data[at : at + length] = piece, data[other : other + length]
    elif kind == "splice":
        donor = chance.choice(documents)
        start = chance.randrange(len(donor) + 1)
        data[at:] = donor[start : start + 100_000]
    elif kind == "word":
        data[at : at + chance.choice((0, 0, length))] = chance.choice(words)
    elif kind == "seam":  # between two of the format's own pieces: often still a valid document
        seam = chance.choice(words)[-1:]
        found = data.find(seam, at)
        at = found + 1 if found >= 0 else at
        data[at:at] = b"".join(chance.choices(words, k=chance.choice((1, 1, 2))))
