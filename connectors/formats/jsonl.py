"""JSON lines → columns of text: an object a line, read as JSON pages are.

A line that is no object is a broken record, and the next line is read: a line cut off at the end
of the file refuses the page. Must not map or type a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import msgspec

from connectors.formats import json_walk
from connectors.formats.control import empty_file
from connectors.formats.json import read_array
from connectors.formats.lines import Line, decoded, lines
from connectors.formats.raw import Broken, Item, ReadPlan
from mappings.errors import BatchRefused
from mappings.sources.formats import JsonLinesFormat
from mappings.sources.sftp import SftpSource

_CHUNK = 10_000
_RAW_CHARS = 20_000
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    """Chunks and broken records, in order. A page of nothing at all is refused.

    Raises BatchRefused (`empty_file`, `truncated`, `too_large`, `encoding`).
    """
    _check(plan)
    found = False
    for several in _batches(content):
        found = True
        yield from _together(several, plan, page, first)
    if not found:
        raise empty_file()


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Bytes [start, end) of the `number`-th record (1 = first). Raises LookupError."""
    _check(plan)
    left = number
    for line in lines(content, "utf-8"):
        if not line.data.strip():
            continue
        if part == plan.part:
            left -= 1
            if left == 0:
                return line.start, line.end
            continue
        first: dict[str, int] = {}
        for _ in _together([line], plan, 1, first):
            pass
        here = first.get(part, 1) - 1
        if left <= here:
            way = tuple({c.part: c.records for c in plan.children}[part].split("/"))
            place = json_walk.locate("[" + line.data.decode("latin-1") + "]", (), way, left)
            if place is not None:
                return line.start + place[0] - 1, line.start + place[1] - 1
        left -= here
    message = f"the page has no {part} record number {number}"
    raise LookupError(message)


def _check(plan: ReadPlan) -> None:
    if not (
        isinstance(plan.source, SftpSource) and isinstance(plan.source.format, JsonLinesFormat)
    ):
        message = f"{plan.part}: not a source of JSON lines"
        raise TypeError(message)


def _batches(content: BinaryIO) -> Iterator[list[Line]]:
    waiting: list[Line] = []
    for line in lines(content, "utf-8"):
        if line.data.strip():
            waiting.append(line)
        if len(waiting) >= _CHUNK:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _together(
    several: list[Line], plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[Item]:
    """Lines that are all objects are read in one go; others one by one."""
    sound = [_fault(line) for line in several]
    if sound[-1] is not None and not several[-1].ended:
        raise BatchRefused(
            "the file ends in the middle of a record",
            code="truncated",
            remedy="Ask for the file again; it was cut off.",
        )
    start = 0
    for index, fault in enumerate(sound):
        if fault is None:
            continue
        yield from _array(several[start:index], plan, page, first)
        number = first.setdefault(plan.part, 1)
        first[plan.part] = number + 1
        text = several[index].data.decode("utf-8", "backslashreplace")[:_RAW_CHARS]
        raw = text.replace("\0", "\N{SYMBOL FOR NULL}")
        yield Broken(plan.part, page, number, fault[0], fault[1], raw)
        start = index + 1
    yield from _array(several[start:], plan, page, first)


def _array(several: list[Line], plan: ReadPlan, page: int, first: dict[str, int]) -> Iterator[Item]:
    if several:
        data = b"[" + b",".join(line.data for line in several) + b"]"
        yield from read_array(data, plan, page, first, ())


def _fault(line: Line) -> tuple[str, str] | None:
    """(code, what is wrong) where a line is not one JSON object."""
    text, fault = decoded(line.data, line.start, "utf-8")
    if fault is not None:
        return "undecodable", fault
    with suppress(msgspec.DecodeError, RecursionError):
        _OBJECT.decode(line.data)
        return None
    try:
        value = json_walk.parsed(text)
    except (ValueError, RecursionError) as error:
        return "malformed", f"not JSON: {error}"
    return None if isinstance(value, dict) else ("not_an_object", "the line is not a JSON object")


__all__ = ["locate", "read"]
