"""What a judge says about the rows of a table. Plain data; must not judge anything itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check over a whole table.

    `failed`: one bool per row, never null. `reads`: every field that the check looked at, so
    that a field which could not be read is not reported a second time as missing.
    """

    check_id: str
    says: str
    field: str
    failed: pa.BooleanArray
    reads: frozenset[str]

    @property
    def any_failed(self) -> bool:
        """True where at least one row failed."""
        return self.failed.true_count > 0


def nowhere(rows: int) -> pa.BooleanArray:
    """A mask that is false in each of so many rows."""
    return pa.repeat(pa.scalar(value=False), rows)


def any_of(masks: Sequence[pa.BooleanArray], rows: int) -> pa.BooleanArray:
    """Rows that are true in at least one mask; all false without a mask. Masks hold no null."""
    result = nowhere(rows)
    for mask in masks:
        if mask.true_count:
            result = pc.or_(result, mask)
    return result
