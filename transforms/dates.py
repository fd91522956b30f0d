"""Steps that give dates. Zeros and everything from 9999-12-31 on are open ends: NULL.

See `mappings/steps.py` for each.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import any_of, dates, integers, iso_dates, matched, split, trimmed
from transforms.registry import StepContext, StepResult, step

_MIDNIGHT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?$"
_MOST_DAYS = 36_525
_NO_DAY = 60
_LAST_SERIAL = 2_958_465  # 9999-12-31, from which on dates are open
_SERIAL_EPOCH = -25_569  # 1970-01-01 is Excel's day 25569


@step
def yyyymmdd(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Eight digits."""
    return dates(columns[0], "^[0-9]{8}$", (0, 4, 6))


@step
def iso_date(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Year first, with hyphens."""
    return iso_dates(columns[0])


@step
def dotted_date(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Day first; a year of two digits is refused."""
    return dates(columns[0], r"^[0-9]{2}\.[0-9]{2}\.[0-9]{4}$", (6, 3, 0))


@step
def us_date(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Month first, with slashes."""
    return dates(columns[0], "^[0-9]{2}/[0-9]{2}/[0-9]{4}$", (6, 0, 3))


@step
def excel_serial_date(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """Excel's calendar has a 29 February 1900: day 60 is refused, and so is what is before 1."""
    found = matched(columns[0], r"^[0-9]{1,7}(?:\.0+)?$", "not_a_date")
    number = pc.cast(pc.replace_substring_regex(found.values, r"\..*$", ""), pa.int32())
    real = pc.and_(
        pc.and_(pc.greater_equal(number, 1), pc.not_equal(number, _NO_DAY)),
        pc.less(number, _LAST_SERIAL),
    )
    read = split(number, real, "not_a_date")
    early, late = (pa.scalar(_SERIAL_EPOCH + more, pa.int32()) for more in (1, 0))
    days = pc.add(read.values, pc.if_else(pc.less(read.values, _NO_DAY), early, late))
    return [found, StepResult(pc.cast(days, pa.date32()), read.bad, read.code)]


@step
def midnight_date(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The day as written: an offset is a decoration of the wire format and moves nothing."""
    texts = trimmed(columns[0])
    at_midnight = split(texts, pc.match_substring_regex(texts, _MIDNIGHT), "not_a_date")
    read = iso_dates(pc.utf8_slice_codeunits(at_midnight.values, 0, 10))
    bad = any_of([mask for mask in (at_midnight.bad, read.bad) if mask is not None])
    return StepResult(read.values, bad, "not_a_date")


@step
def date_end_inclusive(columns: list[pa.Array], _: StepContext) -> StepResult:
    """Validity is half-open here. Open ends are NULL before this step and stay so."""
    return StepResult(_moved(columns[0], pa.scalar(1, pa.int32())))


@step
def plus_days(columns: list[pa.Array], context: StepContext) -> StepResult:
    """For an ERP that gives terms and no due date."""
    return _plus(iso_date(columns[:1], context), columns[1])


@step
def yyyymmdd_plus_days(columns: list[pa.Array], context: StepContext) -> StepResult:
    """As `plus_days`."""
    return _plus(yyyymmdd(columns[:1], context), columns[1])


@step
def dotted_plus_days(columns: list[pa.Array], context: StepContext) -> StepResult:
    """As `plus_days`."""
    return _plus(dotted_date(columns[:1], context), columns[1])


def _plus(day: StepResult, days: pa.Array) -> StepResult:
    *earlier, last = integers(days)
    within = pc.less_equal(pc.abs_checked(last.values), _MOST_DAYS)
    number = split(last.values, within, "not_an_integer")
    masks = [one.bad for one in (*earlier, last, number) if one.bad is not None]
    values = _moved(day.values, pc.cast(number.values, pa.int32()))
    if day.bad is not None:
        return StepResult(values, any_of([day.bad, *masks]), day.code)
    return StepResult(values, any_of(masks), "not_an_integer")


def _moved(days: pa.Array, by: pa.Array | pa.Scalar) -> pa.Array:
    """Days moved; out of the calendar (before year 1, from 9999-12-31 on) becomes NULL."""
    moved = pc.add(pc.cast(days, pa.int32()), by)
    first, last = (
        int(np.datetime64(text, "D").astype(int)) for text in ("0001-01-01", "9999-12-30")
    )
    inside = pc.and_(pc.greater_equal(moved, first), pc.less_equal(moved, last))
    return pc.cast(pc.if_else(inside, moved, None), pa.date32())
