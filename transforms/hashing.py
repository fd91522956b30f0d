"""A fingerprint of each record as it came: equal exactly where all source texts are equal.

Null differs from '', and no text can be moved from one column into the next without a change.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from transforms.parsing import held_bytes

_AT_A_TIME = 8_192
"""Rows hashed at once: few enough for their texts to stay in the processor's cache."""
_BETWEEN, _NULL, _ESCAPE = "\x1e", "\x1d", "\x1b"


def raw_hash(columns: list[pa.Array], rows: int) -> pa.Int64Array:
    """xxh3-64 per row over string columns in the given order, as int64."""
    if not columns:
        return pa.array(np.full(rows, _signed(xxhash.xxh3_64_intdigest(b""))), pa.int64())
    parts = [pc.fill_null(_escaped(column), _NULL) for column in columns]
    joined = pc.binary_join_element_wise(*parts, _BETWEEN)
    texts = joined.cast(pa.binary())
    digests = np.empty(rows, np.uint64)
    for start in range(0, rows, _AT_A_TIME):
        some = texts.slice(start, _AT_A_TIME).to_pylist()
        hashed = map(xxhash.xxh3_64_intdigest, some)
        digests[start : start + len(some)] = np.fromiter(hashed, np.uint64, len(some))
    return pa.array(digests.view(np.int64))


def _escaped(column: pa.Array) -> pa.Array:
    """Text without our marks in it; nearly always it holds none, which its bytes tell at once."""
    held = held_bytes(column)
    if not len(held) or held.min() > ord(_BETWEEN):
        return column
    for mark, letter in ((_ESCAPE, "A"), (_BETWEEN, "B"), (_NULL, "C")):
        column = pc.replace_substring(column, mark, _ESCAPE + letter)
    return column


def _signed(digest: int) -> int:
    return digest - 2**64 if digest >= 2**63 else digest
