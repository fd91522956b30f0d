"""Bytes of one page to columns of text: chooses the reader by what the source says.

Readers are imported when first used. This module must not look into the bytes, and no reader may
understand a value: text stays the ERP's text until `transforms` maps it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from mappings.sources import ODataSource, RestSource, SoapSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.formats.raw import Broken, Declared, RawChunk, ReadPlan
    from mappings.sources import Source


class Reader(Protocol):
    """What each module of this package offers."""

    def read(
        self, content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
    ) -> Iterator[RawChunk | Broken | Declared]:
        """See `read_page`."""
        ...

    def locate(self, content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
        """See `locate`."""
        ...


def read_page(
    content: BinaryIO, plan: ReadPlan, page: int, first: dict[str, int]
) -> Iterator[RawChunk | Broken | Declared]:
    """The records of one page as columns of text, in the order in which they came.

    `first[part]` is the record number that the next record of that part gets; it is advanced in
    place. Raises BatchRefused (`truncated`, `encoding`, `malformed`, `doctype`, `too_large`,
    `trailer`) and SourceChanged (`missing_column`).
    """
    return _reader(plan.source).read(content, plan, page, first)


def locate(content: BinaryIO, plan: ReadPlan, part: str, number: int) -> tuple[int, int]:
    """Byte range [start, end) of the `number`-th record (1 = first in this page) of `part`.

    Raises LookupError where the page has no such record.
    """
    return _reader(plan.source).locate(content, plan, part, number)


def _reader(source: Source) -> Reader:
    if isinstance(source, SoapSource):
        kind = "xml"
    elif isinstance(source, ODataSource | RestSource):
        kind = "json"
    else:
        kind = source.format.kind
    return cast("Reader", import_module(f"connectors.formats.{kind}"))
