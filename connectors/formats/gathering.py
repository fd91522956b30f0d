"""Small chunks of many pages put together, so that mapping costs per batch and not per file.

A source with one record a file (UBL invoices) gives a chunk a page; mapping eight hundred chunks of
one row takes a hundred times as long as one chunk of eight hundred. Must not reorder a part's
records or change a number: only where chunks end changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from connectors.formats.raw import Item, RawChunk

ROWS = 20_000
"""What waits is handed on once there are this many rows."""


def gathered(found: Iterable[Item], rows: int = ROWS) -> Iterator[Item]:
    """The same records in larger chunks; `page` is that of a chunk's first record.

    A root chunk and the children that followed it are handed on together, root first.
    """
    waiting: dict[str, list[RawChunk]] = {}
    count = 0
    for one in found:
        if not isinstance(one, RawChunk):
            yield one
            continue
        # a root begins a round: the children of those before it have all come
        if one.root_no is None and count >= rows:
            yield from _joined(waiting)
            waiting, count = {}, 0
        waiting.setdefault(one.part, []).append(one)
        count += len(one.record_no)
    yield from _joined(waiting)


def _joined(waiting: dict[str, list[RawChunk]]) -> Iterator[RawChunk]:
    for part, chunks in waiting.items():
        if len(chunks) == 1:
            yield chunks[0]
            continue
        roots = [chunk.root_no for chunk in chunks if chunk.root_no is not None]
        yield RawChunk(
            part,
            chunks[0].page,
            pa.concat_tables([chunk.columns for chunk in chunks]),
            pa.concat_arrays([chunk.record_no for chunk in chunks]),
            pa.concat_arrays(roots) if roots else None,
        )
