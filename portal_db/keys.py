"""A row's key as one text, in SQL: the same text that `quality.quarantine.keys` makes in Arrow.

One key column: its value. Several: joined by `|`, with a backslash before a `|` or backslash.
Must not be used to join large tables: real key columns are there for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from mappings.vocabulary import Part

_SPEAKS = {"text", "code", "ccy"}
"""Field types whose text may hold the separator."""


def key_text(part: Part, of: LiteralString | Mapping[str, LiteralString]) -> LiteralString:
    """SQL expression over the columns of an alias, or over an expression for each key column."""
    texts: list[LiteralString] = []
    for name in part.key:
        value = f"{of}.{name}" if isinstance(of, str) else of[name]
        text: LiteralString = f"{value}::text"
        if len(part.key) > 1 and part.field(name).type in _SPEAKS:  # a number holds neither
            text = rf"replace(replace({text}, '\', '\\'), '|', '\|')"
        texts.append(text)
    return " || '|' || ".join(texts)
