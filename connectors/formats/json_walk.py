"""JSON walked value by value: pages of unusual shape, texts of values, places of records.

Finds the same as the structs of `formats/json.py`, for any JSON. Numbers are `Literal`: a text that
is written back without quotes. This module must not build columns or number records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from connectors.formats.raw import LIST_SEPARATOR

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
"""A value of a page; a number is an int or a Literal, never a float."""

_SPACE = re.compile(r"[ \t\n\r]*")


class Literal(str):
    """A number, as the text it came in."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read as one; `raw` is its JSON."""

    code: str
    says: str
    raw: str


@dataclass(frozen=True, slots=True)
class Walked:
    """One record: a text per path, and for each child part its rows."""

    values: list[str | None]
    children: list[list[list[str | None]]]


def parsed(page: str) -> Json:
    """A page with its numbers as Literal. ValueError: not whole JSON."""
    numbers = Literal
    found = json.loads(page, parse_float=numbers, parse_int=numbers, parse_constant=_constant)
    return cast("Json", found)


def records(page: Json, path: Sequence[str]) -> list[Json] | None:
    """The array at `path` of a parsed page; None where there is none."""
    value = page
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, list) else None


def record(
    value: Json,
    paths: Sequence[str],
    children: Sequence[tuple[str, Sequence[str]]],
    *,
    escapes: bool,
) -> Walked | Unreadable:
    """One record's texts; a child that is no object makes the whole record unreadable.

    `escapes`: the page holds escaped surrogates, so texts must be looked at for lone ones.
    """
    if escapes and not _is_unicode(raw := compact(value)):
        says = "a text holds half of a surrogate pair"
        return Unreadable("encoding", says, raw.encode("utf-8", "backslashreplace").decode())
    if not isinstance(value, dict):
        return Unreadable("not_an_object", "the record is not an object", compact(value))
    found: list[list[list[str | None]]] = []
    for where, child_paths in children:
        came = _children(value, where.split("/"))
        objects = [child for child in came if isinstance(child, dict)]
        if len(objects) < len(came):
            says = f"{where} holds what is not an object"
            return Unreadable("not_an_object", says, compact(value))
        found.append([[_at(child, path) for path in child_paths] for child in objects])
    return Walked([_at(value, path) for path in paths], found)


def text(value: Json) -> str | None:
    """What a path that ends at `value` gives: compact JSON for objects and arrays."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value) if isinstance(value, int) else compact(value)


def joined(value: Json) -> str | None:
    """What a path that ends in `[]` gives: every element's text; null and absent give null."""
    if not isinstance(value, list):
        return text(value)
    return LIST_SEPARATOR.join(one for one in map(text, value) if one is not None)


def compact(value: Json) -> str:
    """JSON without spaces, numbers as they came."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    return "null" if value is None else str(text(value))


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _is_unicode(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _matches(value: Json, names: Sequence[str]) -> Iterator[Json]:
    """Every value at a path, arrays on the way gone through element by element."""
    if isinstance(value, list) and names:
        for one in value:
            yield from _matches(one, names)
    elif not names:
        yield value
    elif isinstance(value, dict) and names[0] in value:
        yield from _matches(value[names[0]], names[1:])


def _at(value: dict[str, Json], path: str) -> str | None:
    names = path.removesuffix("[]").split("/")
    if not path.endswith("[]"):
        return text(next(_matches(value, names), None))
    texts = [one for one in map(joined, _matches(value, names)) if one is not None]
    return LIST_SEPARATOR.join(texts) if texts else None


def _children(value: Json, names: Sequence[str]) -> list[Json]:
    came: list[Json] = []
    for one in _matches(value, names):
        if isinstance(one, list):
            came += one
        elif one is not None:
            came.append(one)
    return came


# --- places -------------------------------------------------------------------------------------


def locate(
    page: str, path: Sequence[str], below: Sequence[str] | None, number: int
) -> tuple[int, int] | None:
    """Where the number-th record (1 = first) stands, in characters; None where there are fewer.

    `below`: path of a child part inside the record; None: the records themselves.
    """
    spans = _spans(page, _skip(page, 0), path)
    if below is not None:
        spans = (inner for start, _ in spans for inner in _spans(page, start, below))
    for count, span in enumerate(spans, start=1):
        if count == number:
            return span
    return None


def _spans(page: str, at: int, names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of the records a path leads to: the elements of an array, or the one thing there."""
    if page[at] == "[" and names:
        for start, _ in _elements(page, at):
            yield from _spans(page, start, names)
    elif page[at] == "[":
        yield from _elements(page, at)
    elif not names:
        end = _end(page, at)
        if page[at:end] != "null":
            yield at, end
    elif page[at] == "{":
        last: tuple[int, int] | None = None
        for name, start, end in _members(page, at):
            if name == names[0]:
                last = start, end
        if last is not None:
            yield from _spans(page, last[0], names[1:])


def _members(page: str, at: int) -> Iterator[tuple[str, int, int]]:
    at = _skip(page, at + 1)
    while page[at] != "}":
        name, at = _decoder.raw_decode(page, at)
        start = _skip(page, _skip(page, at) + 1)
        end = _end(page, start)
        yield name.encode("latin-1", "replace").decode("utf-8", "replace"), start, end
        at = _skip(page, end)
        if page[at] == ",":
            at = _skip(page, at + 1)


def _elements(page: str, at: int) -> Iterator[tuple[int, int]]:
    at = _skip(page, at + 1)
    while page[at] != "]":
        end = _end(page, at)
        yield at, end
        at = _skip(page, end)
        if page[at] == ",":
            at = _skip(page, at + 1)


_decoder = json.JSONDecoder(strict=False)


def _end(page: str, at: int) -> int:
    return _decoder.raw_decode(page, at)[1]


def _skip(page: str, at: int) -> int:
    found = _SPACE.match(page, at)
    return at if found is None else found.end()
