"""Strict reading of columns of text: numbers, dates, clock times. Exact, whole columns at once.

Every function takes a string array and gives typed values and the rows it could not read; none
raises for any text. Blank is null everywhere. Only ASCII digits are digits; no float anywhere.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import DECIMALS
from transforms.registry import StepResult

NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)$"
_ISO_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_EPOCH_YEAR = 1970
_OPEN_END = 9999_12_31
_SPACE, _DELETE = 0x20, 0x7F
FALSE = pa.scalar(value=False)


def trimmed(texts: pa.Array) -> pa.Array:
    """Without white space at the ends, blank as null."""
    cut = texts if printed(texts) else pc.utf8_trim_whitespace(texts)
    blank = pc.equal(cut, "")
    return pc.if_else(blank, None, cut) if pc.any(blank).as_py() else cut


def true_rows(mask: pa.Array) -> pa.BooleanArray:
    """A mask without nulls: null is false."""
    return pc.fill_null(mask, FALSE) if mask.null_count else mask


def any_of(masks: list[pa.BooleanArray]) -> pa.BooleanArray | None:
    """Rows that any mask names; None where there is no mask."""
    return reduce(pc.or_, masks) if masks else None


def matched(texts: pa.Array, pattern: str, code: str) -> StepResult:
    """Texts that match a pattern, the others null and bad. Blank is null and not bad."""
    texts = trimmed(texts)
    fits = pc.match_substring_regex(texts, pattern)
    return split(texts, fits, code)


def split(values: pa.Array, fits: pa.Array, code: str) -> StepResult:
    """`values` where `fits` (or null); elsewhere null and bad."""
    if pc.all(fits).as_py() is not False:
        return StepResult(values)
    bad = true_rows(pc.invert(fits))
    return StepResult(pc.if_else(bad, pa.scalar(None, values.type), values), bad, code)


def replaced(texts: pa.Array, mark: str, pattern: str, replacement: str) -> pa.Array:
    """A regular expression replaced, looked for only where some text holds `mark` at all."""
    if not seen(texts, mark):
        return texts
    return pc.replace_substring_regex(texts, pattern, replacement)


def seen(texts: pa.Array, *marks: str) -> bool:
    """Whether any text holds one of the marks; far cheaper than a regular expression.

    May be True of texts that a slice left out.
    """
    held = held_bytes(texts).tobytes()
    return any(mark.encode() in held for mark in marks)


def printed(texts: pa.Array) -> bool:
    """Whether every character is a visible one of ASCII: nothing to trim, nothing forbidden."""
    held = held_bytes(texts)
    return not len(held) or bool(held.min() > _SPACE and held.max() < _DELETE)


def held_bytes(texts: pa.Array) -> np.ndarray:
    """The UTF-8 of all texts, one after the other, as uint8, not copied."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)
    first, last = ends[texts.offset], ends[texts.offset + len(texts)]
    return np.frombuffer(data, np.uint8)[first:last]


def decimals(texts: pa.Array, type_name: str, *, canonical: bool = False) -> list[StepResult]:
    """Decimal text as decimal128 of the type; the last result holds the values.

    `canonical`: a step has seen to it that every text is a number. Bad rows: `not_a_number`,
    `too_many_digits`.
    """
    precision, scale = DECIMALS[type_name]
    first = StepResult(texts) if canonical else matched(texts, NUMBER, "not_a_number")
    target = pa.decimal128(precision, scale)
    try:
        return [first, StepResult(pc.cast(first.values, target))]
    except pa.ArrowInvalid:  # some value has too many digits: find out which
        held = rf"^[+-]?0*[0-9]{{0,{precision - scale}}}(?:\.[0-9]{{0,{scale}}}0*)?$"
        second = split(
            first.values, pc.match_substring_regex(first.values, held), "too_many_digits"
        )
    cut = pc.replace_substring_regex(second.values, r"^([+-]?)0+([0-9])", r"\1\2")
    cut = pc.replace_substring_regex(cut, rf"(\.[0-9]{{{scale}}})0+$", r"\1")
    return [first, StepResult(pc.cast(cut, target), second.bad, second.code)]


def integers(texts: pa.Array) -> list[StepResult]:
    """Whole numbers as int64; `5.000` is one. Bad rows: `not_an_integer`, `too_many_digits`."""
    first = matched(texts, r"^[+-]?[0-9]+(?:\.0+)?$", "not_an_integer")
    plain = pc.replace_substring_regex(first.values, r"^(?:\+|(-))?0*([0-9]+?)(?:\.0+)?$", r"\1\2")
    try:
        return [first, StepResult(pc.cast(plain, pa.int64()))]
    except pa.ArrowInvalid:
        second = split(plain, pc.match_substring_regex(plain, "^-?[0-9]{1,18}$"), "too_many_digits")
        return [first, StepResult(pc.cast(second.values, pa.int64()), second.bad, second.code)]


def dates(texts: pa.Array, pattern: str, layout: tuple[int, int, int]) -> StepResult:
    """Fixed-width dates as date32. `layout`: where year (4), month (2) and day (2) begin.

    All zeros and everything from 9999-12-31 on are open ends: null. Bad rows: `not_a_date`.
    """
    found = matched(texts, pattern, "not_a_date")
    year, month, day = (
        _digits(found.values, begin, width) for begin, width in zip(layout, (4, 2, 2), strict=True)
    )
    days, real = civil_days(year, month, day)
    valid = found.values.is_valid().to_numpy(zero_copy_only=False)
    open_end = ((year == 0) & (month == 0) & (day == 0)) | (
        year * 10_000 + month * 100 + day >= _OPEN_END
    )
    bad = valid & ~real & ~open_end
    values = pa.array(days.astype("datetime64[D]"), mask=~(valid & real) | open_end)
    if not bad.any():
        return StepResult(values, found.bad, found.code)
    rows = pa.array(bad)
    return StepResult(values, pc.or_(rows, found.bad) if found.bad else rows, "not_a_date")


def iso_dates(texts: pa.Array) -> StepResult:
    """`2026-01-31` as date32; open ends and errors as in `dates`."""
    return dates(texts, _ISO_DATE, (0, 5, 8))


def civil_days(
    year: np.ndarray, month: np.ndarray, day: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Days as datetime64[D], and which of them exist (years 1 to 9999)."""
    inside = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)  # noqa: PLR2004  a year's months
    months = np.where(inside, (year - _EPOCH_YEAR) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (np.where(inside, day, 1) - 1)
    return days, inside & (days.astype("datetime64[M]") == months)


def in_calendar(instants: np.ndarray) -> np.ndarray:
    """Which datetime64 lie in the years 1 to 9999, beyond which nobody downstream can go."""
    return (instants >= np.datetime64("0001-01-01", "us")) & (
        instants < np.datetime64("10000-01-01", "us")
    )


def _digits(texts: pa.Array, begin: int, width: int) -> np.ndarray:
    """The digits from `begin` on as int64; 0 where null. The text must hold digits there."""
    cut = pc.utf8_slice_codeunits(pc.fill_null(texts, "0" * 40), begin, begin + width)
    return pc.cast(cut, pa.int64()).to_numpy()


_CLOCK = (
    r"^(?P<y>[0-9]{4})-(?P<mo>[0-9]{2})-(?P<d>[0-9]{2})[T ](?P<h>[0-9]{2}):(?P<mi>[0-9]{2})"
    r"(?::(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,12}))?)?(?P<z>Z|z|[+-][0-9]{2}:?[0-9]{2})?$"
)


def clocks(texts: pa.Array, *, offset: bool) -> list[StepResult]:
    """ISO 8601 date and time as naive timestamp[us]; with `offset` as UTC.

    `offset` says whether one (or Z) must be there or must not. Seconds and their fraction may be
    missing; more than six digits of it must be zeros. Bad rows: `not_an_instant`,
    `too_many_digits`.
    """
    texts = trimmed(texts)
    parts = pc.extract_regex(texts, _CLOCK)
    names = ("y", "mo", "d", "h", "mi", "s", "f", "z")
    group = {name: pc.fill_null(pc.struct_field(parts, name), "") for name in names}
    read = parts.is_valid().to_numpy(zero_copy_only=False)

    def number(name: str) -> np.ndarray:
        text = group[name]
        return pc.cast(pc.if_else(pc.equal(text, ""), "0", text), pa.int64()).to_numpy()

    days, real = civil_days(number("y"), number("mo"), number("d"))
    hour, minute, second = number("h"), number("mi"), number("s")
    fraction = pc.utf8_rpad(group["f"], 12, "0")
    micros = pc.cast(pc.utf8_slice_codeunits(fraction, 0, 6), pa.int64()).to_numpy()
    finer = pc.not_equal(pc.utf8_slice_codeunits(fraction, 6, 12), "000000").to_numpy(
        zero_copy_only=False
    )
    zoned = pc.not_equal(group["z"], "").to_numpy(zero_copy_only=False)
    shift, shift_real = _shift(group["z"])
    real &= (hour < 24) & (minute < 60) & (second < 60) & (zoned == offset) & shift_real  # noqa: PLR2004  a clock's
    seconds = hour * 3600 + minute * 60 + second - shift
    instants = days.astype("datetime64[us]") + (seconds * 1_000_000 + micros).astype(
        "timedelta64[us]"
    )
    real &= in_calendar(instants)
    given = texts.is_valid().to_numpy(zero_copy_only=False)
    good = given & read & real
    values = pa.array(instants, type=pa.timestamp("us"), mask=~(good & ~finer))
    return [
        StepResult(values, pa.array(good & finer), "too_many_digits"),
        StepResult(values, pa.array(given & ~(read & real)), "not_an_instant"),
    ]


def _shift(zones: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Seconds east of UTC of `+02:00`, `-0530`, `Z`, ''; and which are below a day."""
    plain = pc.replace_substring(zones, ":", "")
    plain = pc.if_else(pc.less(pc.binary_length(plain), 5), "+0000", plain)
    sign = np.where(pc.starts_with(plain, "-").to_numpy(zero_copy_only=False), -1, 1)
    hours = pc.cast(pc.utf8_slice_codeunits(plain, 1, 3), pa.int64()).to_numpy()
    minutes = pc.cast(pc.utf8_slice_codeunits(plain, 3, 5), pa.int64()).to_numpy()
    return sign * (hours * 3600 + minutes * 60), (hours < 24) & (minutes < 60)  # noqa: PLR2004  a clock's
