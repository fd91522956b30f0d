"""A row's key as one text, in SQL: the same text that `quality.quarantine.keys` makes in Arrow.

One key column: its value. Several: joined by `|`, with a backslash before a `|` or backslash.
Must not be used to join large tables: real key columns are there for that.
"""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import Part


def key_text(part: Part, alias: LiteralString) -> LiteralString:
    """SQL expression over the columns of `alias`."""
    texts: list[LiteralString] = [f"{alias}.{name}::text" for name in part.key]
    if len(texts) == 1:
        return texts[0]
    escaped: list[LiteralString] = [
        rf"replace(replace({text}, '\', '\\'), '|', '\|')" for text in texts
    ]
    return " || '|' || ".join(escaped)
