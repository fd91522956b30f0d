"""Pages of entity sets over one data set: sorted by key, continued after the last key sent.

A page begins after a key, not after a number of rows: rows that appear or vanish between two pages
neither double nor hide others. Knows no HTTP.
"""

import base64
import binascii
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import key_texts
from sandbox.odata import query as queries
from sandbox.odata.entities import ENTITIES, Entity
from sandbox.odata.query import MisunderstoodError, Query
from sandbox.odata.rows import Record, attach, records, removed

_LIVE, _GONE = "L", "D"


@dataclass(frozen=True)
class Found:
    """One page: records, how many there are in all, where the next page begins (None: nowhere)."""

    records: list[Record]
    total: int
    skiptoken: str | None


class Pages:
    """All entity sets of one data set."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._sorted = lru_cache(maxsize=None)(self._sort)
        self._children = lru_cache(maxsize=None)(self._index_children)
        # A delta is walked page by page with the same filter.
        self._selected = lru_cache(maxsize=8)(self._select)

    def page(
        self, entity: Entity, query: Query, size: int, *, markers: bool, decimals_as_text: bool
    ) -> Found:
        """The next page of a query; `markers`: with deletion markers, after the live rows."""
        table, keys, gone = self._selected(entity, query.comparisons, markers and query.is_delta)
        kind, after = _token(query.skiptoken)
        start = bisect_right(keys, after) if kind == _LIVE and after else 0
        live = table.slice(start, size) if kind == _LIVE else table.slice(0, 0)
        found = records(live, entity, decimals_as_text=decimals_as_text)
        own = keys[start : start + live.num_rows]
        for navigation in query.expand:
            child = ENTITIES[entity.navigation[navigation]]
            attach(found, own, navigation, self._children_of(own, child, decimals_as_text))
        total = table.num_rows + gone.num_rows
        if kind == _LIVE and start + live.num_rows < table.num_rows:
            return Found(found, total, _skiptoken(_LIVE, own[-1]))
        begin = int(after) if kind == _GONE else 0
        room = size - len(found)
        marks = gone.slice(begin, room)
        found += removed(marks, entity)
        more = begin + marks.num_rows < gone.num_rows
        return Found(found, total, _skiptoken(_GONE, str(begin + marks.num_rows)) if more else None)

    def total(self, entity: Entity, query: Query, *, markers: bool) -> int:
        """How many records a query has in all."""
        table, _, gone = self._selected(entity, query.comparisons, markers and query.is_delta)
        return table.num_rows + gone.num_rows

    def _select(
        self,
        entity: Entity,
        comparisons: tuple[queries.Comparison, ...],
        markers: bool,  # noqa: FBT001  part of a cache key
    ) -> tuple[pa.Table, list[str], pa.Table]:
        table, keys = self._sorted(entity)
        if comparisons:
            table = queries.selected(table, entity, comparisons)
            keys = key_texts(entity.table, table).to_pylist()
        gone = self._dataset["deleted"]
        gone = gone.filter(pc.equal(gone["table"], entity.table if markers else ""))
        return table, keys, queries.selected_removed(gone, comparisons)

    def _sort(self, entity: Entity) -> tuple[pa.Table, list[str]]:
        table = self._dataset[entity.table]
        keys = key_texts(entity.table, table)
        order = pc.sort_indices(keys)
        return table.take(order).combine_chunks(), keys.take(order).to_pylist()

    def _index_children(self, child: Entity) -> tuple[pa.Table, dict[str, tuple[int, int]]]:
        """The child rows sorted by their parent's key, and each parent's range of them."""
        table = self._dataset[child.table]
        table = table.take(pc.sort_indices(table[child.parent_column])).combine_chunks()
        parents = table[child.parent_column].to_numpy()
        names, starts = np.unique(parents.astype(str), return_index=True)
        ranges = np.stack([starts, np.append(starts[1:], table.num_rows)[: len(starts)]], axis=1)
        return table, dict(zip(names.tolist(), map(tuple, ranges.tolist()), strict=True))

    def _children_of(
        self,
        keys: list[str],
        child: Entity,
        decimals_as_text: bool,  # noqa: FBT001  handed on
    ) -> dict[str, list[Record]]:
        table, places = self._children(child)
        ranges = {key: places[key] for key in keys if key in places}
        rows = [np.arange(start, end) for start, end in ranges.values()]
        if not rows:
            return {}
        found = records(
            table.take(pa.array(np.concatenate(rows))), child, decimals_as_text=decimals_as_text
        )
        grouped: dict[str, list[Record]] = {}
        at = 0
        for key, (start, end) in ranges.items():
            grouped[key] = found[at : at + end - start]
            at += end - start
        return grouped


def _skiptoken(kind: str, after: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}{after}".encode()).decode().rstrip("=")


def _token(skiptoken: str | None) -> tuple[str, str]:
    if not skiptoken:
        return _LIVE, ""
    try:
        text = base64.urlsafe_b64decode(skiptoken + "=" * (-len(skiptoken) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise MisunderstoodError("$skiptoken is not one of ours.") from error
    if text[:1] not in {_LIVE, _GONE} or (text[:1] == _GONE and not text[1:].isdecimal()):
        raise MisunderstoodError("$skiptoken is not one of ours.")
    return text[0], text[1:]
