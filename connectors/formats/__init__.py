"""Bytes of one page to columns of text: chooses the reader by what the source says.

Readers are imported when first used; a packed page is opened first. This module must not look into
the bytes, and no reader may understand a value: text stays the ERP's text until `transforms` maps
it.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from mappings.sources import ODataSource, RestSource, SoapSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.formats.raw import Item, ReadPlan
    from mappings.sources import Source
    from mappings.sources.formats import Unpack


_PIECE = 1 << 20


class Reader(Protocol):
    """What each module of this package offers."""

    def read(
        self, content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
    ) -> Iterator[Item]:
        """See `read_page`."""
        ...

    def locate(self, content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
        """See `locate`."""
        ...


def read_page(
    content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[Item]:
    """The records of one page as columns of text, in the order in which they came.

    `first[part]` is the record number that the next record of that part gets; it is advanced in
    place. Raises BatchRefused (`truncated`, `encoding`, `malformed`, `doctype`, `too_large`,
    `trailer`, `empty_file`, `archive`, `encrypted`, `nested_archive` …) and SourceChanged
    (`missing_column`).
    """
    reader = _reader(plan.source)
    for opened in _opened(content, plan.source):
        yield from reader.read(opened, plan, page, first)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Byte range [start, end) of the `number`-th record (1 = first in this page) of `part`.

    It counts in what `plain` gives. Raises LookupError where the page has no such record.
    """
    reader = _reader(plan.source)
    if _packing(plan.source) is None:
        return reader.locate(content, plan, part, number)
    base = 0
    for opened in _opened(content, plan.source):
        data = _whole(opened)
        first: dict[str, int] = {}
        for _ in reader.read(io.BytesIO(data), plan, 1, first):
            pass
        here = first.get(part, 1) - 1
        if number <= here:
            start, end = reader.locate(io.BytesIO(data), plan, part, number)
            return base + start, base + end
        number -= here
        base += len(_plain_of(io.BytesIO(data), plan).read())
    message = f"the page holds no such record of {part}"
    raise LookupError(message)


def plain(content: BinaryIO, plan: ReadPlan) -> BinaryIO:
    """The page's bytes as the places of its records count them: unpacked, taken out of its PDF."""
    if _packing(plan.source) is None:
        return _plain_of(content, plan)
    return io.BytesIO(
        b"".join(_whole(_plain_of(opened, plan)) for opened in _opened(content, plan.source))
    )


def _whole(content: BinaryIO) -> bytes:
    """All of it, in pieces as large as the readers': a damaged archive then ends as there."""
    return b"".join(iter(lambda: content.read(_PIECE), b""))


def _plain_of(content: BinaryIO, plan: ReadPlan) -> BinaryIO:
    made = getattr(_reader(plan.source), "plain", None)
    return content if made is None else cast("BinaryIO", made(content, plan))


def _packing(source: Source) -> Unpack | None:
    return None if isinstance(source, SoapSource | ODataSource | RestSource) else source.unpack


def _opened(content: BinaryIO, source: Source) -> Iterator[BinaryIO]:
    words = _packing(source)
    if words is None:
        yield content
        return
    # the standard library's own archive readers load when needed
    from connectors.formats.unpacked import members  # noqa: PLC0415

    yield from members(content, words, nested=_kind(source) == "excel")


def _kind(source: Source) -> str:
    if isinstance(source, SoapSource):
        return "xml" if source.payload is None else "payload"
    if isinstance(source, RestSource) and source.speaks == "xml_rpc":
        return "xmlrpc"
    return "json" if isinstance(source, ODataSource | RestSource) else source.format.kind


def _reader(source: Source) -> Reader:
    return cast("Reader", import_module(f"connectors.formats.{_kind(source)}"))
