"""How the SOAP ERP writes values: dates as 20260131, X for true, minus signs at the end.

Each form turns a whole column into a column of text, null where the element is left out. Must not
know records or HTTP.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

NIL = "\x00"
"""Stands for an element that is sent with xsi:nil."""


def written(
    column: pa.ChunkedArray,
    form: str,
    argument: str,
    zone: str,
    codes: Mapping[str, Mapping[str, str]],
) -> pa.Array:
    """The column in this ERP's writing. `zone`: IANA name of its local times."""
    values = column.combine_chunks()
    if form == "code":
        return _coded(values, codes[argument])
    if form == "list":
        return values
    if form == "pad":
        return pc.utf8_lpad(pc.cast(values, pa.string()), width=int(argument), padding="0")
    if form == "text":
        return pc.cast(values, pa.string())
    return _FORMS[form](values) if form in _FORMS else _TIMES[form](values, zone)


def days_between(first: pa.ChunkedArray, last: pa.ChunkedArray) -> pa.Array:
    """Whole days from one date to another, as terms of payment say them: three digits."""
    ends = [pc.cast(column.combine_chunks(), pa.int32()) for column in (last, first)]
    return pc.utf8_lpad(pc.cast(pc.subtract(*ends), pa.string()), width=3, padding="0")


def _coded(values: pa.Array, codes: Mapping[str, str]) -> pa.Array:
    known = pa.array(list(codes), pa.string())
    theirs = pa.array(list(codes.values()), pa.string())
    found = pc.take(theirs, pc.index_in(values, known))
    return pc.coalesce(found, values)


def _number(values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    if pa.types.is_decimal(values.type):
        text = pc.replace_substring_regex(text, r"(\.[0-9]*?)0+$", r"\1")
        text = pc.replace_substring_regex(text, r"\.$", "")
    return pc.replace_substring_regex(text, r"^-(.*)$", r"\1-")


def _nil(values: pa.Array) -> pa.Array:
    return pc.fill_null(_number(values), NIL)


def _flag(values: pa.Array) -> pa.Array:
    return pc.if_else(values, "X", "")


def _date(values: pa.Array) -> pa.Array:
    text = pc.replace_substring(pc.cast(values, pa.string()), "-", "")
    return pc.fill_null(text, "00000000")


def _until(values: pa.Array) -> pa.Array:
    days = pc.subtract(pc.cast(values, pa.int32()), pa.scalar(1, pa.int32()))
    text = pc.replace_substring(pc.cast(pc.cast(days, pa.date32()), pa.string()), "-", "")
    return pc.fill_null(text, "99991231")


def _stamp(values: pa.Array) -> pa.Array:
    return pc.strftime(pc.cast(values, pa.timestamp("s", "UTC"), safe=False), "%Y%m%d%H%M%S")


def _day(values: pa.Array, zone: str) -> pa.Array:
    text = pc.strftime(pc.cast(values, pa.timestamp("s", zone), safe=False), "%Y%m%d")
    return pc.fill_null(text, "00000000")


def _time(values: pa.Array, zone: str) -> pa.Array:
    text = pc.strftime(pc.cast(values, pa.timestamp("s", zone), safe=False), "%H%M%S")
    return pc.fill_null(text, "000000")


_FORMS = {"num": _number, "nil": _nil, "x": _flag, "date": _date, "until": _until, "stamp": _stamp}
_TIMES = {"day": _day, "time": _time}
