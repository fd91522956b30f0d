"""Steps over what EDIFACT says in two places: a number and its mark, a time and its format code.

See `mappings/steps.py` for each. Must not look anything up: units and codes go through lookups.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from transforms.instants import as_instants, in_zone
from transforms.parsing import clocks, dates, matched, split, trimmed
from transforms.registry import StepContext, StepResult, step

_COMMA = r"^[+-]?[0-9]*,?[0-9]+$"
_POINT = r"^[+-]?[0-9]*\.?[0-9]+$"
_FORMATS = ("102", "203", "204", "303")
_WRITTEN = (
    "^(?:102:[0-9]{8}|203:[0-9]{12}|204:[0-9]{14}"
    "|303:[0-9]{12}(?:UTC|GMT|Z|[+-][0-9]{2}(?:[0-9]{2})?))$"
)
_DAY_AT, _DAY_END = 4, 12


@step
def decimal_marked(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """The other mark is refused, and so is any mark for thousands: EDIFACT has none."""
    texts, marks = trimmed(columns[0]), trimmed(columns[1])
    comma = pc.fill_null(pc.equal(marks, ","), pa.scalar(value=False))
    point = pc.fill_null(pc.equal(marks, "."), pa.scalar(value=False))
    known = split(texts, pc.or_(pc.or_(comma, point), pc.is_null(texts)), "not_a_number")
    fits = pc.if_else(
        comma,
        pc.match_substring_regex(known.values, _COMMA),
        pc.match_substring_regex(known.values, _POINT),
    )
    read = split(known.values, fits, "not_a_number")
    return [known, StepResult(pc.replace_substring(read.values, ",", "."), read.bad, read.code)]


@step
def edifact_date(columns: list[pa.Array], _: StepContext) -> list[StepResult]:
    """The day as written; the format code decides, never the length of the value."""
    known, read = _written(columns, "not_a_date")
    day = dates(pc.utf8_slice_codeunits(read.values, _DAY_AT, _DAY_END), "^[0-9]{8}$", (0, 4, 6))
    return [known, read, day]


@step
def edifact_instant(columns: list[pa.Array], context: StepContext) -> list[StepResult]:
    """Without a zone of its own a time is one of the ERP's zone; a day alone is its midnight."""
    known, read = _written(columns, "not_an_instant")
    texts = read.values
    plain = r"^[0-9]{3}:([0-9]{4})([0-9]{2})([0-9]{2})"
    clock, zone = r"([0-9]{2})([0-9]{2})", r"(Z|[+-][0-9]{2})([0-9]{2})?$"
    texts = pc.replace_substring_regex(texts, "(?:UTC|GMT)$", "Z")
    zoned = pc.replace_substring_regex(texts, plain + clock + zone, r"\1-\2-\3T\4:\5\6\7")
    local = pc.replace_substring_regex(texts, plain + "$", r"\1-\2-\3T00:00")
    local = pc.replace_substring_regex(local, plain + clock + "$", r"\1-\2-\3T\4:\5")
    local = pc.replace_substring_regex(local, plain + clock + "([0-9]{2})$", r"\1-\2-\3T\4:\5:\6")
    own = pc.starts_with(texts, "303:")
    short = pc.match_substring_regex(zoned, r"T[0-9:]+[+-][0-9]{2}$")
    zoned = pc.if_else(short, pc.binary_join_element_wise(zoned, "00", ""), zoned)
    there = as_instants(clocks(pc.if_else(own, zoned, None), offset=True))
    here = in_zone(clocks(pc.if_else(own, None, local), offset=False), context)
    last = here[-1]
    values = pc.coalesce(there[-1].values, last.values)
    return [known, read, *there, *here[:-1], StepResult(values, last.bad, last.code)]


def _written(columns: list[pa.Array], code: str) -> tuple[StepResult, StepResult]:
    """`format:value` where the format is known and the value is written in it."""
    texts, formats = trimmed(columns[0]), trimmed(columns[1])
    listed = pc.fill_null(pc.is_in(formats, value_set=pa.array(_FORMATS)), pa.scalar(value=False))
    known = split(texts, pc.or_(listed, pc.is_null(texts)), "unknown_format")
    joined = pc.binary_join_element_wise(formats, known.values, ":")
    return known, matched(joined, _WRITTEN, code)
