"""Small changes of a few rows: patch them in place, add some, find the next free keys."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Row = dict[str, Any]


def patched(table: pa.Table, changes: Mapping[int, Row]) -> pa.Table:
    """The table with some columns of some rows (by position) replaced."""
    positions = sorted(changes)
    for name in {name for change in changes.values() for name in change}:
        field = table.schema.field(name)
        chosen = [p for p in positions if name in changes[p]]
        values = pa.array([changes[p][name] for p in chosen], field.type)
        # Behind the old values lie the new ones, and each row takes one of them.
        taken = np.arange(table.num_rows)
        taken[chosen] = table.num_rows + np.arange(len(chosen))
        column = pa.chunked_array([*table[name].chunks, values], field.type).take(pa.array(taken))
        table = table.set_column(table.schema.get_field_index(name), field, column)
    return table


def added(table: pa.Table, rows: Sequence[Row]) -> pa.Table:
    """The table with rows behind its own; columns that a row leaves out are null."""
    if not rows:
        return table
    return pa.concat_tables([table, pa.Table.from_pylist(list(rows), schema=table.schema)])


def rows_at(table: pa.Table, positions: Sequence[int]) -> list[Row]:
    """Some rows as dictionaries."""
    return table.take(pa.array(positions, pa.int64())).to_pylist()


def where(table: pa.Table, erp: str, **equal: str) -> list[int]:
    """Positions of an ERP's rows whose columns have the given values."""
    mask = pc.equal(table["erp"], erp)
    for name, value in equal.items():
        mask = pc.and_(mask, pc.fill_null(pc.equal(table[name], value), fill_value=False))
    return np.flatnonzero(np.asarray(mask)).tolist()


def children(table: pa.Table, erp: str, column: str, keys: Sequence[str]) -> list[Row]:
    """An ERP's rows whose `column` is one of `keys`, as dictionaries."""
    wanted = pc.is_in(table[column], pa.array(keys, pa.string()))
    return table.filter(pc.and_(wanted, pc.equal(table["erp"], erp))).to_pylist()


def next_keys(keys: pa.ChunkedArray, n: int) -> list[str]:
    """`n` keys behind the highest one: its last digits counted on, at least as long."""
    last = max(keys.to_pylist(), key=lambda key: (len(key), key))
    found = re.search(r"\d+$", last)
    stem, digits = (last[: found.start()], found.group()) if found else (last, "0")
    return [f"{stem}{int(digits) + i:0{len(digits)}d}" for i in range(1, n + 1)]


def a_few(rng: np.random.Generator, positions: Sequence[int], n: int) -> list[int]:
    """Up to `n` of the positions, in their order."""
    chosen = rng.choice(len(positions), min(n, len(positions)), replace=False)
    return [positions[i] for i in sorted(chosen.tolist())]
