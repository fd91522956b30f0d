"""Old against new: jumps that look like a misread separator, and prices that moved much.

Works on pairs: one row per changed row, its columns twice, `old_<field>` and `new_<field>`.
Exact decimals; a missing side is no change of value and never a suspect. Must not decide what
happens to a suspect: the guards do.
"""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import ChangeCheck
from quality.checks import joined
from quality.verdicts import any_of, nowhere

_WIDE = pa.decimal256(60, 18)
"""Any of our decimals, times any factor or share, exactly."""
_NARROW = pa.decimal256(40, 12)


def suspects(check: ChangeCheck, pairs: pa.Table) -> pa.BooleanArray:
    """Rows whose new value is exactly one of the factors times the old one; no nulls.

    A row counts only if its `same` fields are unchanged (both missing is unchanged). 0 is never
    a suspect, old or new: a price that was or became 0 says nothing about a separator.
    """
    rows = len(pairs)
    old, new = _decimals(pairs, check.field)
    hits = [_exactly(old, factor, new) for factor in check.factors if factor != 1]
    was_something = pc.fill_null(pc.not_equal(old, _scalar(Decimal(0))), fill_value=False)
    found = pc.and_(any_of(hits, rows), was_something)
    for name in check.same:
        found = pc.and_(found, unchanged(pairs.column(f"old_{name}"), pairs.column(f"new_{name}")))
    return found


def moved_more_than(
    old: pa.Array | pa.ChunkedArray, new: pa.Array | pa.ChunkedArray, share: Decimal
) -> pa.BooleanArray:
    """Rows with |new - old| > share * |old|; no nulls.

    From 0 any other value is more than any share. A missing side is not compared.
    """
    before, after = joined(old).cast(_NARROW), joined(new).cast(_NARROW)
    distance = pc.abs(pc.subtract(after, before))
    allowed = pc.multiply(pc.abs(before), _scalar(share))
    return pc.fill_null(pc.greater(distance.cast(_WIDE), allowed.cast(_WIDE)), fill_value=False)


def unchanged(old: pa.Array | pa.ChunkedArray, new: pa.Array | pa.ChunkedArray) -> pa.BooleanArray:
    """Rows whose value is the same on both sides; two nulls are the same. No nulls."""
    before, after = joined(old), joined(new)
    if not len(before):
        return nowhere(0)
    both_missing = pc.and_(before.is_null(), after.is_null())
    return pc.or_(pc.fill_null(pc.equal(before, after), fill_value=False), both_missing)


def _decimals(pairs: pa.Table, field: str) -> tuple[pa.Array, pa.Array]:
    old, new = joined(pairs.column(f"old_{field}")), joined(pairs.column(f"new_{field}"))
    return old.cast(_NARROW), new.cast(_NARROW)


def _exactly(old: pa.Array, factor: Decimal, new: pa.Array) -> pa.BooleanArray:
    times = pc.multiply(old, _scalar(factor)).cast(_WIDE)
    return pc.fill_null(pc.equal(times, new.cast(_WIDE)), fill_value=False)


def _scalar(value: Decimal) -> pa.Scalar:
    """A factor or share with six decimal places; ValueError where it needs more."""
    try:
        return pa.scalar(value).cast(pa.decimal256(18, 6))
    except pa.ArrowInvalid as error:
        raise ValueError(f"{value} has more than six decimal places") from error
