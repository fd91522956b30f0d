"""A mapping's corrections laid over a column of text. Whole columns; must not judge or store."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from mappings.corrections import ColumnCorrection
from mappings.errors import Misconfigured
from transforms.parsing import FALSE


def corrected(text: pa.Array, corrections: Iterable[ColumnCorrection]) -> pa.Array:
    """The texts after each correction in turn; null is absent.

    Raises Misconfigured (code `mapping`) for a pattern that cannot be read.
    """
    for one in corrections:
        text = _corrected(text, one)
    return text


def _corrected(text: pa.Array, one: ColumnCorrection) -> pa.Array:
    new = pa.scalar(one.new, pa.string())
    if one.kind == "trim":
        return pc.utf8_trim_whitespace(text)
    if one.kind == "replace":
        return pc.if_else(pc.fill_null(pc.equal(text, one.old), FALSE), new, text)
    if one.kind == "default":
        blank = pc.equal(pc.fill_null(pc.utf8_trim_whitespace(text), ""), "")
        return pc.if_else(blank, new, text)
    if one.kind == "map":
        place = pc.index_in(text, value_set=pa.array(one.values.keys(), pa.string()))
        return pc.coalesce(pa.array(one.values.values(), pa.string()).take(place), text)
    try:
        return pc.replace_substring_regex(text, pattern=one.old, replacement=one.new)
    except pa.ArrowInvalid as error:
        raise Misconfigured(
            f"the correction of {one.column} has a pattern that cannot be read: {error}",
            code="mapping",
            remedy="Correct it under `corrections` in the mapping.",
        ) from None
