"""Which steps read a column's values as a field: proposed by trying them on the sample.

The steps themselves decide what they can read; here they are only put to the test. Must not make a
mapping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from mappings.vocabulary import Field
from sync.synonyms import CODES
from sync.words import phrase
from transforms.column import column_of
from transforms.registry import StepContext

_NUMBERS: tuple[tuple[str, ...], ...] = (
    ("decimal_point",),
    ("decimal_comma",),
    ("thousands_comma",),
    ("trailing_minus", "decimal_point"),
    ("trailing_minus", "decimal_comma"),
    ("percent_sign", "decimal_point"),
    ("percent_sign", "decimal_comma"),
    ("decimal_exponent",),
)
_DATES: tuple[tuple[str, ...], ...] = (
    ("iso_date",),
    ("yyyymmdd",),
    ("dotted_date",),
    ("midnight_date",),
    ("us_date",),
    ("iso_instant", "local_date"),
    ("cut_to_micros", "iso_instant", "local_date"),
    ("odata_epoch", "local_date"),
)
_INSTANTS: tuple[tuple[str, ...], ...] = (
    ("iso_instant",),
    ("cut_to_micros", "iso_instant"),
    ("local_instant",),
    ("dotted_instant",),
    ("sap_timestamp",),
    ("odata_epoch",),
    ("iso_date", "midnight_of"),
    ("dotted_date", "midnight_of"),
)
_CHAINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "qty": _NUMBERS,
    "price": _NUMBERS,
    "money": _NUMBERS,
    "pct": _NUMBERS,
    "int": ((), ("strip_leading_zeros",), ("decimal_point",)),
    "date": _DATES,
    "instant": _INSTANTS,
    "bool": ((), ("x_flag",), ("yes_no",), ("true_false",), ("one_zero",)),
    "ccy": ((), ("strip",), ("strip", "upper")),
    "json": ((),),
}
COMMA = re.compile(r"[+-]?\d{1,3}(\.?\d{3})*,\d+-?|[+-]?\d+,(\d{1,2}|\d{4,})-?")
"""A number that can only have a decimal comma, or hardly anything else."""
_TWO_WAYS = re.compile(r"[+-]?\d{1,3}([.,])\d{3}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column is read as a field. `fit`: 0 to 1; `says`: what a person should look at."""

    through: tuple[str, ...] = ()
    lookup: dict[str, str] = field(default_factory=dict)
    fit: float = 1.0
    says: str = ""
    coded: bool = False
    """Their codes are not ours: there is a lookup, even if none of them is known."""


def reading(
    one: Field, values: list[str], time_zone: str, *, comma: bool = False, blank: bool = False
) -> Reading:
    """The first steps that read every value; a fit of 0 where none do. `values` has no blanks.

    `comma`: the sample writes decimals with a comma somewhere: whole numbers are read so too.
    `blank`: some values are there but blank, which for a flag may mean false.
    """
    if one.type == "code":
        return _codes(one, values)
    if one.type in {"text", "texts", "codes"}:
        padded = any(value != value.strip() for value in values)
        return Reading(("strip",) if padded and one.type == "text" else ())
    chains = _CHAINS[one.type]
    numbers = chains is _NUMBERS
    if numbers and comma:
        chains = tuple(sorted(chains, key=lambda chain: "decimal_comma" not in chain))
    if not values and blank and one.type == "bool":
        return Reading(("x_flag",), fit=0.9, says="only blanks were seen: read as false")
    if not values:
        return Reading(_unseen(one), fit=0.9)
    good = [chain for chain in chains if _reads(one, chain, values, time_zone)]
    if not good:
        return Reading(fit=0.0, says=f"no step reads {values[0]!r}")
    chosen = good[0]
    says = ""
    fit = 1.0
    if numbers and all(_TWO_WAYS.fullmatch(value) for value in values):
        fit, says = 0.5, f"{values[0]!r} can be read two ways: decimal_comma or decimal_point"
    if one.name.endswith("valid_to") and one.type == "date":
        chosen = (*chosen, "date_end_inclusive")
        says = "if it is the first day after, remove date_end_inclusive"
    return Reading(chosen, fit=fit, says=says)


def _unseen(one: Field) -> tuple[str, ...]:
    """Without a value: the form that its type is usually sent in."""
    usual = {"date": ("iso_date",), "instant": ("iso_instant",)}
    return usual.get(one.type, ())


def _reads(one: Field, chain: tuple[str, ...], values: list[str], time_zone: str) -> bool:
    found = column_of(one, [pa.array(values)], chain, None, StepContext(time_zone, ("c",)))
    return not any(pc.any(mask).as_py() for _, mask in found.bad)


def _codes(one: Field, values: list[str]) -> Reading:
    """Values that are our codes need nothing; else a table of those whose word is known."""
    distinct = sorted(set(values))
    if not distinct:
        return Reading(fit=0.5, says=f"must be one of {', '.join(one.codes)}")
    if set(distinct) <= set(one.codes):
        return Reading()
    table: dict[str, str] = {}
    for value in distinct:
        forms = {value.lower(), phrase(value), phrase(value).replace(" ", "")}
        found = [code for code in one.codes if forms & {code, phrase(code), *CODES.get(code, ())}]
        if len(found) == 1:
            table[value] = found[0]
    unknown = [value for value in distinct if value not in table]
    says = f"add {', '.join(map(repr, unknown[:8]))} to the lookup" if unknown else ""
    least = 0.6 if one.need == "R" else 0.2  # what must be there is better unknown than invented
    share = len(table) / len(distinct)
    return Reading(lookup=table, fit=least + (1 - least) * share, says=says, coded=True)
