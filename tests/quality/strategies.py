"""Random typed tables: each column from a small pool of plain, odd and missing values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from mappings.vocabulary import DECIMALS, Field, Part
from tables import table

_TEXTS = (None, "", " ", "A", "B", "A'b", 'A"b', "a|b", "\\", "EUR", "EUR\n", "eur", "İstanbul", "true")
_DATES = (None, date(1, 1, 1), date(2026, 1, 1), date(2026, 2, 1), date(9999, 12, 31))
_INTS = (None, -(2**62), -1, 0, 1, 2, 100, 101, 2**53 + 1, 2**62)
_INSTANTS = (None, datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC))


def values(field: Field) -> st.SearchStrategy[Any]:
    """Values of a declared field, in Python's types."""
    if field.codes:
        words = st.sampled_from((None, "nonsense", "", *field.codes))
        listed = st.lists(words, max_size=3)
        return st.one_of(st.none(), listed) if field.type == "codes" else words
    if field.type == "texts":
        return st.one_of(st.none(), st.lists(st.sampled_from(("A", "B", None)), max_size=3))
    if field.type in DECIMALS:
        return st.sampled_from((None, *decimals(*DECIMALS[field.type])))
    pools: dict[str, tuple[Any, ...]] = {
        "int": _INTS,
        "date": _DATES,
        "instant": _INSTANTS,
        "bool": (None, True, False),
    }
    return st.sampled_from(pools.get(field.type, _TEXTS))


def decimals(precision: int, scale: int) -> tuple[Decimal, ...]:
    """Edges of a decimal type: around 0, 0.1 and 100, and the largest and smallest it holds."""
    step, most = Decimal(1).scaleb(-scale), Decimal(10**precision - 1).scaleb(-scale)
    around = [Decimal(0), Decimal("0.1"), Decimal(100), Decimal("-1.5")]
    found = [one for middle in around for one in (middle - step, middle, middle + step)]
    return (*found, most, -most)


@st.composite
def tables(draw: st.DrawFn, part: Part, most: int = 40) -> pa.Table:
    """A table of a part with random rows; possibly none."""
    row = st.fixed_dictionaries({field.name: values(field) for field in part.fields})
    return table(part, draw(st.lists(row, max_size=most)))
