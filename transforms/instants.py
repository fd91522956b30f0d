"""Steps that give instants, in UTC with microseconds. See `mappings/steps.py` for each.

Local time of the ERP's zone: a time that happens twice is the earlier instant, one that the clock
jumped over is rejected. Zones come from Python's `zoneinfo`, so that a machine without its own
time zone files gives the same answer.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.parsing import clocks, in_calendar, matched, split, trimmed
from transforms.registry import StepContext, StepResult, step
from transforms.types import INSTANT

_NAIVE = pa.timestamp("us")
_DAY = timedelta(days=1)
_OPEN = r"^\s*(?:0{8}|0{4}-00-00(?:[T ].*)?|00\.00\.0{4}.*|9999[.-]?12[.-]?31.*|31\.12\.9999.*)\s*$"


@step
def iso_instant(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """An offset or Z must be there: without one nobody knows when it was."""
    return as_instants(clocks(columns[0], offset=True))


@step
def local_instant(columns: list[pa.Array], context: StepContext) -> list[StepResult]:
    """An offset must not be there: it would contradict the zone."""
    return in_zone(clocks(columns[0], offset=False), context)


@step
def dotted_instant(columns: list[pa.Array], context: StepContext) -> list[StepResult]:
    """Day first, seconds or not."""
    pattern = r"^([0-9]{2})\.([0-9]{2})\.([0-9]{4}) ([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)$"
    return _rewritten(columns[0], pattern, r"\3-\2-\1T\4", context)


@step
def sap_instant(columns: list[pa.Array], context: StepContext) -> list[StepResult]:
    """Two columns, as SAP keeps them. 240000 is no time; a blank time with a date is midnight."""
    day, clock = trimmed(columns[0]), pc.fill_null(trimmed(columns[1]), "000000")
    joined = pc.binary_join_element_wise(_without_open(day), clock, "T")
    pattern = "^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})$"
    return _rewritten(joined, pattern, r"\1-\2-\3T\4:\5:\6", context)


@step
def sap_timestamp(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """Fourteen digits and perhaps a fraction; SAP's time stamps are UTC. 0 is NULL."""
    texts = trimmed(columns[0])
    texts = pc.if_else(pc.match_substring_regex(texts, r"^0+(?:\.0+)?$"), None, texts)
    pattern = r"^([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(\.[0-9]+)?$"
    found = matched(texts, pattern, "not_an_instant")
    read = clocks(
        pc.replace_substring_regex(found.values, pattern, r"\1-\2-\3T\4:\5:\6\7Z"), offset=True
    )
    return as_instants([found, *read])


@step
def odata_epoch(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """Milliseconds since 1970; an offset behind them says only where the server stands."""
    pattern = r"^/Date\((-?[0-9]{1,14})(?:[+-][0-9]{1,4})?\)/$"
    found = matched(columns[0], pattern, "not_an_instant")
    millis = pc.cast(pc.replace_substring_regex(found.values, pattern, r"\1"), pa.int64())
    known = in_calendar(millis.fill_null(0).to_numpy().astype("datetime64[ms]"))
    inside = split(pc.multiply(millis, 1000), pa.array(known), "not_an_instant")
    return as_instants([found, inside])


@step
def cut_to_micros(columns: list[pa.Array], _: StepContext) -> StepResult:
    """The mapping says that these digits may go; without it they are a rejection."""
    return StepResult(pc.replace_substring_regex(columns[0], r"(:[0-9]{2}\.[0-9]{6})[0-9]+", r"\1"))


@step
def midnight_of(columns: list[pa.Array], context: StepContext) -> StepResult:
    """The day's first instant: where the clock jumps over midnight, the instant it jumps to."""
    zone = ZoneInfo(context.time_zone)
    days = pc.cast(columns[0], _NAIVE)
    wanted = pc.dictionary_encode(days)
    instants = [
        None if day is None else _first_instant(day, zone) for day in wanted.dictionary.to_pylist()
    ]
    values = pc.take(pa.array(instants, INSTANT), wanted.indices)
    return split(values, pc.or_(pc.is_valid(values), pc.is_null(days)), "not_an_instant")


@step
def local_date(columns: list[pa.Array], context: StepContext) -> StepResult:
    """The calendar of the ERP's zone decides, not UTC's."""
    naive = pc.cast(columns[0], _NAIVE)
    shift, _ = _offsets(naive, ZoneInfo(context.time_zone), utc=True)
    local = (naive.fill_null(0).to_numpy() + shift).astype("datetime64[D]")
    outside = (local < np.datetime64("0001-01-01")) | (local >= np.datetime64("9999-12-31"))
    return StepResult(
        pa.array(local, mask=naive.is_null().to_numpy(zero_copy_only=False) | outside)
    )


def _rewritten(texts: pa.Array, pattern: str, iso: str, context: StepContext) -> list[StepResult]:
    found = matched(_without_open(texts), pattern, "not_an_instant")
    read = clocks(pc.replace_substring_regex(found.values, pattern, iso), offset=False)
    return in_zone([found, *read], context)


def _without_open(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, _OPEN), None, texts)


def as_instants(results: list[StepResult]) -> list[StepResult]:
    """The last result's naive UTC times as instants."""
    last = results[-1]
    return [*results[:-1], StepResult(pc.cast(last.values, INSTANT), last.bad, last.code)]


def in_zone(results: list[StepResult], context: StepContext) -> list[StepResult]:
    """The last result's naive times as instants of the ERP's zone. Bad: `no_such_local_time`."""
    naive = results[-1].values
    shift, real = _offsets(naive, ZoneInfo(context.time_zone), utc=False)
    instants = naive.fill_null(0).to_numpy() - shift
    mask = naive.is_null().to_numpy(zero_copy_only=False)
    values = pa.array(instants, type=_NAIVE, mask=mask)
    there = split(values, pa.array(real | mask), "no_such_local_time")
    inside = split(there.values, pa.array(in_calendar(instants) | mask), "not_an_instant")
    return as_instants([*results, there, inside])


def _offsets(naive: pa.Array, zone: ZoneInfo, *, utc: bool) -> tuple[np.ndarray, np.ndarray]:
    """Per row: the zone's offset from UTC as timedelta64[us], and whether that time exists.

    By day: nearly every day has one offset; only the rows of other days are asked one by one.
    """
    stamps = naive.fill_null(0).to_numpy().astype("datetime64[us]")
    distinct, day_of = np.unique(stamps.astype("datetime64[D]"), return_inverse=True)
    days = [_day_offset(day, zone, utc=utc) for day in distinct.tolist()]
    uniform = np.array([0 if one is None else one for one in days], dtype="timedelta64[s]")
    shift = uniform[day_of].astype("timedelta64[us]")
    real = np.ones(len(stamps), dtype=bool)
    odd = np.array([one is None for one in days], dtype=bool)[day_of] if days else real[:0]
    for row in np.nonzero(odd)[0]:
        seconds, real[row] = _offset(stamps[row].item(), zone, utc=utc)
        shift[row] = np.timedelta64(seconds, "s")
    return shift, real


@lru_cache(maxsize=200_000)
def _day_offset(day: date, zone: ZoneInfo, *, utc: bool) -> int | None:
    """The offset in seconds that holds all day, None where it changes."""
    begin = datetime.combine(day, time())
    try:
        moments = (begin - _DAY / 2, begin, begin + _DAY / 2, begin + _DAY, begin + _DAY * 1.5)
    except OverflowError:
        moments = (begin,)
    found = {_offset(moment, zone, utc=utc) for moment in moments}
    if len(found) != 1:
        return None
    seconds, real = found.pop()
    return seconds if real else None


def _offset(moment: datetime, zone: ZoneInfo, *, utc: bool) -> tuple[int, bool]:
    """Offset in seconds at a naive moment, and whether a local moment exists. Earlier of two."""
    if utc:
        try:
            there = moment.replace(tzinfo=UTC).astimezone(zone)
        except OverflowError:
            return 0, True
        return _seconds(there), True
    local = moment.replace(tzinfo=zone)
    first, second = _seconds(local), _seconds(local.replace(fold=1))
    return first, first >= second  # in a gap the offset before it is the smaller one


def _seconds(moment: datetime) -> int:
    return int((moment.utcoffset() or timedelta()).total_seconds())


def _first_instant(day: datetime, zone: ZoneInfo) -> datetime | None:
    seconds, _ = _offset(day, zone, utc=False)
    try:
        return (day - timedelta(seconds=seconds)).replace(tzinfo=UTC)
    except OverflowError:  # the first or last day of the calendar
        return None
