"""What is wrong with what a mapping's corrections mean. Must not apply them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from mappings.lines import Place, Tree
from mappings.vocabulary import Feed


def correction_faults(
    feed: Feed, raw: dict[str, Tree], place: Place
) -> Iterator[tuple[Place, str]]:
    """(place, what to correct): each must speak about a column that a field of its part reads."""
    given, parts = raw.get("corrections"), raw.get("parts")
    known = parts if isinstance(parts, dict) else {}
    for index, one in enumerate(given if isinstance(given, list) else []):
        if not isinstance(one, dict):
            continue
        here = (*place, "corrections", index)
        name, column = one.get("part", feed.main), one.get("column")
        part = raw if name == feed.main else known.get(str(name))
        if not isinstance(part, dict):
            yield (*here, "part"), f"this mapping has no part {name!r}. Correct the word."
            continue
        fields = part.get("fields")
        read = {
            path
            for field in (fields.values() if isinstance(fields, dict) else ())
            for path in _paths(field)
        }
        if isinstance(column, str) and column not in read:
            close = difflib.get_close_matches(column, read, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            says = f"no field of {name} is made of {column!r}; {hint}Correct the word."
            yield (*here, "column"), says


def _paths(field: Tree) -> list[str]:
    given = field.get("from") if isinstance(field, dict) else None
    if isinstance(given, str):
        return [given]
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
