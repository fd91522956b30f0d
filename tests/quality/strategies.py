"""Random typed tables: each column from a small pool of plain, odd and missing values."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from mappings.vocabulary import DECIMALS, Field, Part
from tests.quality.tables import table

_TEXTS = (
    None,
    "",
    " ",
    "A",
    "B",
    "A'b",
    'A"b',
    "a|b",
    "\\",
    "EUR",
    "EUR\n",
    "eur",
    "İstanbul",
    "true",
)
_DATES = (None, date(1, 1, 1), date(2026, 1, 1), date(2026, 2, 1), date(9999, 12, 31))
_INTS = (None, -(2**62), -1, 0, 1, 2, 100, 101, 2**53 + 1, 2**62)
_MISSING = 0.2
_INSTANTS = (None, datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC))


def pool(field: Field) -> tuple[Any, ...]:
    """Values of a declared field, in Python's types: plain, odd and missing ones."""
    if field.type in {"codes", "texts"}:
        words = (*(field.codes or ("A", "B")), "nonsense", "")
        return (None, [], [None], [words[0], None], *([word] for word in words), list(words))
    if field.codes:
        return (None, "nonsense", "", *field.codes)
    if field.type in DECIMALS:
        return (None, *decimals(*DECIMALS[field.type]))
    pools: dict[str, tuple[Any, ...]] = {
        "int": _INTS,
        "date": _DATES,
        "instant": _INSTANTS,
        "bool": (None, True, False),
    }
    return pools.get(field.type, _TEXTS)


def dense(part: Part, rows: int, seed: int) -> pa.Table:
    """A table of so many rows with every kind of value in every column; the same each time."""
    chance = random.Random(seed)  # noqa: S311 the same rows each time

    def cell(field: Field) -> Any:
        return None if chance.random() < _MISSING else chance.choice(pool(field))

    return table(part, [{f.name: cell(f) for f in part.fields} for _ in range(rows)])


def decimals(precision: int, scale: int) -> tuple[Decimal, ...]:
    """Edges of a decimal type: around 0, 0.1 and 100, and the largest and smallest it holds."""
    step, most = Decimal(1).scaleb(-scale), Decimal(10**precision - 1).scaleb(-scale)
    around = [Decimal(0), Decimal("0.1"), Decimal(100), Decimal("-1.5")]
    found = [one for middle in around for one in (middle - step, middle, middle + step)]
    return (*found, most, -most)


@st.composite
def tables(draw: st.DrawFn, part: Part, most: int = 40) -> pa.Table:
    """A table of a part with random rows; possibly none."""
    row = st.fixed_dictionaries({field.name: st.sampled_from(pool(field)) for field in part.fields})
    return table(part, draw(st.lists(row, max_size=most)))
