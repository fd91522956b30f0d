"""A read plan as msgspec structs: a page is decoded into what is wanted, all else is skipped.

A value is decoded as it comes, a number with a fraction or exponent as `Literal`. This module must
not build columns, and must not give up on a page: what structs cannot hold is left to the walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from connectors.formats.json_walk import Literal
from mappings.errors import BatchRefused, SourceChanged


def segments(path: str) -> tuple[str, ...]:
    """A path of a plan as its names; `.` and the empty path name nothing."""
    return () if path in {"", "."} else tuple(path.split("/"))


@dataclass
class _Node:
    """What the plan wants below one object: values (column numbers), objects, children."""

    values: dict[str, list[int]] = field(default_factory=dict)
    objects: dict[str, _Node] = field(default_factory=dict)
    children: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Level:
    """A struct type and how its fields become columns: (field, column numbers), (field, level) …"""

    struct: type[msgspec.Struct]
    values: tuple[tuple[str, tuple[int, ...]], ...]
    objects: tuple[tuple[str, Level], ...]
    children: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Shape:
    """A compiled plan. `decoder` is None where structs cannot say it (a path above another)."""

    decoder: msgspec.json.Decoder[Any] | None
    records: tuple[str, ...]
    root: Level
    children: tuple[Level, ...]
    joined: tuple[bool, ...]
    child_joined: tuple[tuple[bool, ...], ...]


class _NotSayableError(Exception):
    """Structs cannot hold this plan: a value and something below it are both asked for."""


@lru_cache(maxsize=256)
def compiled(
    records: tuple[str, ...],
    paths: tuple[str, ...],
    children: tuple[tuple[str, tuple[str, ...]], ...],
) -> Shape:
    """The structs for a page: where its records are, their paths, children as (place, paths)."""
    child_nodes = [_tree(child_paths, ()) for _, child_paths in children]
    root_node = _tree(paths, tuple(segments(where) for where, _ in children))
    joined = tuple(path.endswith("[]") for path in paths)
    child_joined = tuple(tuple(p.endswith("[]") for p in ps) for _, ps in children)
    try:
        child_levels = tuple(_level(node, ()) for node in child_nodes)
        root = _level(root_node, child_levels)
        kind: Any = list[root.struct]
        for name in reversed(records):
            outer = msgspec.defstruct(
                "Page", [("inner", kind | None, None)], rename={"inner": name}
            )
            kind = outer
        decoder = msgspec.json.Decoder(kind, float_hook=Literal)
    except _NotSayableError:
        empty = Level(msgspec.Struct, (), (), ())
        return Shape(None, records, empty, (), joined, child_joined)
    return Shape(decoder, records, root, child_levels, joined, child_joined)


def _tree(paths: Sequence[str], children: Sequence[tuple[str, ...]]) -> _Node:
    root = _Node()
    for number, path in enumerate(paths):
        *above, last = segments(path.removesuffix("[]")) or ("",)
        _descend(root, above).values.setdefault(last, []).append(number)
    for number, (*above, last) in enumerate(children):
        _descend(root, above).children.setdefault(last, []).append(number)
    return root


def _descend(node: _Node, names: Iterable[str]) -> _Node:
    for name in names:
        node = node.objects.setdefault(name, _Node())
    return node


def _level(node: _Node, children: tuple[Level, ...]) -> Level:
    names = [*node.values, *node.objects, *node.children]
    if len(set(names)) < len(names) or "" in names:
        raise _NotSayableError
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}

    def add(name: str, kind: object) -> str:
        own = f"f{len(fields)}"
        fields.append((own, kind, None))
        rename[own] = name
        return own

    values = tuple((add(name, Any), tuple(numbers)) for name, numbers in node.values.items())
    objects = []
    for name, below in node.objects.items():
        level = _level(below, children)
        objects.append((add(name, level.struct | None), level))
    lists = []
    for name, numbers in node.children.items():
        if len(numbers) > 1:
            raise _NotSayableError
        lists.append((add(name, list[children[numbers[0]].struct] | None), tuple(numbers)))
    struct = msgspec.defstruct("Record", fields, rename=rename, gc=False)
    return Level(struct, values, tuple(objects), tuple(lists))


def decode(shape: Shape, data: bytes) -> list[Any] | None:
    """The page's record structs; None where the page has to be walked to know what it is.

    Raises BatchRefused (`encoding`), SourceChanged (`missing_records`).
    """
    if shape.decoder is None:
        return None
    try:
        page = shape.decoder.decode(data)
    except UnicodeDecodeError as error:
        raise bad_encoding(error) from error
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    for _ in shape.records:
        page = None if page is None else page.inner
    if page is None:
        raise no_records(shape.records)
    return page


def bad_encoding(error: UnicodeDecodeError) -> BatchRefused:
    """The page is in another encoding than JSON's."""
    message = f"the page is not UTF-8: {error.reason} at byte {error.start}"
    return BatchRefused(message, code="encoding", remedy="Ask the ERP's owner; JSON is UTF-8.")


def no_records(records: tuple[str, ...]) -> SourceChanged:
    """The page is JSON of another kind."""
    message = f'the page holds no array of records at "{"/".join(records)}"'
    return SourceChanged(message, code="missing_records", remedy="Check `records` in the mapping.")
