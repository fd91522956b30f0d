"""What a connector has to see in a page: next link, counts, largest cursor. No value is mapped.

Two texts of a cursor are compared as what they are, instants (any number of digits, any offset) or
numbers, and the text that is handed on is the ERP's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, cast

import msgspec

from connectors.formats import json_walk
from mappings.errors import BatchRefused, SourceChanged, Transient

_NEXT = ("@odata.nextLink", "@nextLink", "__next")
_DELTA = ("@odata.deltaLink", "@deltaLink")
_COUNT = ("@odata.count", "@count", "__count")
_ETAG = ("@odata.etag", "@etag")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d+))?(Z|[+-]\d{2}:\d{2})?)?"
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TICKS = re.compile(r"/Date\((-?\d{1,14})([+-]\d{1,4})?\)/")
_MARK = 10
"""Where an instant's T stands."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one page says about itself."""

    records: int
    next_link: str | None
    declared: int | None
    etag: str | None
    cursors: list[str]
    delta_link: str | None = None
    last_key: str | None = None
    """The last record's `key` as it stands in a filter."""


def look(
    content: bytes, records: str, cursor: str | None, what: str, key: str | None = None
) -> Seen:
    """Look into a page.

    Raises Transient (`truncated`: not whole JSON; `error_in_body`), SourceChanged
    (`missing_records`), BatchRefused (`encoding`).
    """
    path = tuple(records.split("/"))
    steps = tuple(cursor.split("/")) if cursor else ()
    key_steps = tuple(key.split("/")) if key else ()
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        page: Any = _decoder(path, steps).decode(content) if not key else None
    except UnicodeDecodeError as error:
        message = f"{what}: the page is not UTF-8: {error.reason}"
        raise BatchRefused(message, code="encoding") from None
    except (msgspec.DecodeError, RecursionError):
        return _walk(content, path, steps, key_steps, what)
    if key:
        return _walk(content, path, steps, key_steps, what)
    for _ in path[:-1]:
        page = None if page is None else page.inner
    if page is None or page.inner is None:
        raise _no_records(content, what)
    return Seen(
        len(page.inner),
        _text(page.next_1 or page.next_2 or page.next_3),
        _count(page.count_1, page.count_2, page.count_3),
        _text(page.etag_1 or page.etag_2),
        _cursors(page.inner, steps),
        _text(page.delta_1 or page.delta_2),
    )


def largest(texts: Collection[str]) -> str | None:
    """The largest cursor, as the text that came; None where there is none."""
    if not texts:
        return None
    (length, *others) = set(map(len, texts))
    if not others and length > _MARK:
        every = "".join(texts)
        if not every[_MARK::length].strip("T") and not every[length - 1 :: length].strip("Z"):
            return max(texts)  # instants of one form: as text
    return max(set(texts), key=_order)


def literal(cursor: str, version: str = "4") -> str:
    """A cursor as it stands in $filter: instants, dates and numbers bare, other text quoted.

    In version 2 instants are wrapped (`datetime'…'`, with an offset `datetimeoffset'…'`) and whole
    seconds: what a fraction cuts off is read twice, never missed.
    """
    ticks = _TICKS.fullmatch(cursor)
    if ticks:
        moment = _EPOCH + timedelta(seconds=int(ticks.group(1)) // 1000)
        if ticks.group(2):
            return f"datetimeoffset'{moment:%Y-%m-%dT%H:%M:%SZ}'"
        return f"datetime'{moment:%Y-%m-%dT%H:%M:%S}'"
    instant = _INSTANT.fullmatch(cursor)
    if version == "2" and instant and instant.group(2):
        day, clock, _, zone = instant.groups()
        kind = "datetimeoffset" if zone else "datetime"
        return f"{kind}'{day}T{clock}{zone or ''}'"
    if instant or _NUMBER.fullmatch(cursor):
        return cursor
    return "'" + cursor.replace("'", "''") + "'"


def _order(text: str) -> tuple[int, Decimal, Decimal, str]:
    """Sorts numbers before instants before other text; an instant without zone is UTC."""
    if _NUMBER.fullmatch(text):
        return 0, Decimal(text), Decimal(0), ""
    ticks = _TICKS.fullmatch(text)
    if ticks:
        milliseconds = Decimal(ticks.group(1))
        return 1, milliseconds // 1000, milliseconds % 1000 / 1000, ""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return 2, Decimal(0), Decimal(0), text
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone or '+00:00'}")
        seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except ValueError:
        return 2, Decimal(0), Decimal(0), text
    return 1, Decimal(seconds), Decimal(f"0.{fraction or 0}"), ""


@lru_cache(maxsize=256)
def _decoder(path: tuple[str, ...], steps: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    kind: Any = Any
    for name in reversed(steps):
        kind = msgspec.defstruct(
            "Record", [("inner", kind | None, None)], rename={"inner": name}, gc=False
        )
    if not steps:
        kind = msgspec.defstruct("Record", [], gc=False)
    kind = list[kind]
    for level, name in enumerate(reversed(path)):
        fields: list[tuple[str, Any, Any]] = [("inner", kind | None, None)]
        names = {"inner": name}
        if level == 0:
            for own, theirs in (
                ("next", _NEXT),
                ("count", _COUNT),
                ("etag", _ETAG),
                ("delta", _DELTA),
            ):
                for number, one in enumerate(theirs, start=1):
                    fields.append((f"{own}_{number}", Any, None))
                    names[f"{own}_{number}"] = one
        kind = msgspec.defstruct("Page", fields, rename=names)
    return msgspec.json.Decoder(kind, float_hook=str)


def _cursors(records: Sequence[Any], steps: tuple[str, ...]) -> list[str]:
    if not steps:
        return []
    if len(steps) == 1:
        values: Iterable[Any] = map(attrgetter("inner"), records)
    else:
        values = (_descend(record, len(steps)) for record in records)
    found = list(values)
    if set(map(type, found)) == {str} and "" not in found:  # as nearly every page has them
        return cast("list[str]", found)
    return [str(value) for value in found if value is not None and value != ""]


def _descend(value: object, depth: int) -> object:
    for _ in range(depth):
        value = getattr(value, "inner", None)
    return value


def _walk(
    content: bytes,
    path: tuple[str, ...],
    steps: tuple[str, ...],
    key_steps: tuple[str, ...],
    what: str,
) -> Seen:
    """The same for a page whose records are not all objects; the reader makes those Broken."""
    try:
        page = json_walk.parsed(content.decode("utf-8"))
    except (ValueError, RecursionError):
        message = f"{what}: the answer is not whole JSON"
        raise Transient(message, code="truncated") from None
    found = json_walk.records(page, path)
    if found is None:
        raise _no_records(content, what)
    parent: Any = page  # `records` found every step to be an object
    for name in path[:-1]:
        parent = parent[name]
    cursors: list[str] = []
    for record in found:
        value = _at(record, steps) if steps else None
        if value is not None and value != "":
            cursors.append(str(value))
    last_key = _at(found[-1], key_steps) if found and key_steps else None
    return Seen(
        len(found),
        _text(next((parent[name] for name in _NEXT if parent.get(name)), None)),
        _count(*(parent.get(name) for name in _COUNT)),
        _text(next((parent[name] for name in _ETAG if parent.get(name)), None)),
        cursors,
        _text(next((parent[name] for name in _DELTA if parent.get(name)), None)),
        None if last_key is None else _key_literal(last_key),
    )


def _at(record: object, steps: Iterable[str]) -> object:
    value = record
    for name in steps:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _key_literal(value: object) -> str:
    """Numbers bare, text quoted, whatever it looks like."""
    bare = isinstance(value, (json_walk.Literal, int)) and not isinstance(value, bool)
    return str(value) if bare else "'" + str(value).replace("'", "''") + "'"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(*values: object) -> int | None:
    for value in values:
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    return None


def _no_records(content: bytes, what: str) -> Transient | SourceChanged:
    try:
        page = cast("object", msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        page = None
    if isinstance(page, dict) and "error" in page:
        return Transient(f"{what}: an error inside a successful answer", code="error_in_body")
    message = f"{what}: the answer holds no array of records"
    return SourceChanged(message, code="missing_records", remedy="Check `records` in the mapping.")
