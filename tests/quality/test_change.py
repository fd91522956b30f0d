"""Old against new: exact factors, shares, nulls and zeros."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.feeds import PARTS
from mappings.vocabulary import ChangeCheck
from quality.change import moved_more_than, suspects

D = Decimal
PRICE = pa.decimal128(18, 6)
[JUMP] = PARTS["price"].changes


def pairs(
    *rows: tuple[str | None, str | None], currency: tuple[str | None, str | None] = ("EUR", "EUR")
) -> pa.Table:
    old, new = ([None if v is None else D(v) for v in side] for side in zip(*rows, strict=True))
    columns = {"old_unit_price": pa.array(old, PRICE), "new_unit_price": pa.array(new, PRICE)}
    same = {"currency": currency, "uom": ("PCE", "PCE"), "per": (1, 1)}
    for name, (before, after) in same.items():
        kind = pa.int64() if name == "per" else pa.string()
        columns[f"old_{name}"] = pa.array([before] * len(rows), kind)
        columns[f"new_{name}"] = pa.array([after] * len(rows), kind)
    return pa.table(columns)


@pytest.mark.parametrize(
    ("old", "new", "suspect"),
    [
        ("1.5", "15", True),
        ("1.5", "150", True),
        ("1.5", "0.15", True),
        ("1.5", "0.015", True),
        ("1.5", "1500", False),
        ("1.5", "15.000001", False),
        ("0.000001", "0.00001", True),
        ("0", "0", False),
        ("0", "15", False),
        ("15", "0", False),
        (None, "15", False),
        ("15", None, False),
        ("99999999999.999999", "999999999999.99999", True),
        ("-1.5", "-15", True),
    ],
)
def test_separator_suspects(old: str | None, new: str | None, *, suspect: bool) -> None:
    assert suspects(JUMP, pairs((old, new))).to_pylist() == [suspect]


def test_a_jump_with_another_currency_is_none() -> None:
    jump = ("1.5", "15")
    assert suspects(JUMP, pairs(jump, currency=("EUR", "TRY"))).to_pylist() == [False]
    assert suspects(JUMP, pairs(jump, currency=(None, "EUR"))).to_pylist() == [False]
    assert suspects(JUMP, pairs(jump, currency=(None, None))).to_pylist() == [True]


def test_no_changed_rows() -> None:
    assert len(suspects(JUMP, pairs(("1", "10")).slice(0, 0))) == 0


def test_a_factor_is_exact_or_refused() -> None:
    thirds = ChangeCheck("c", "unit_price", "", factors=(D("0.3333333"),))
    with pytest.raises(ValueError, match="six decimal places"):
        suspects(thirds, pairs(("3", "1")))


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("100", "125", False),
        ("100", "125.000001", True),
        ("100", "75", False),
        ("100", "74.999999", True),
        ("-100", "-126", True),
        ("0", "0", False),
        ("0", "0.000001", True),
        (None, "1", False),
        ("1", None, False),
    ],
)
def test_moved_by_more_than_a_quarter(old: str | None, new: str | None, *, moved: bool) -> None:
    table = pairs((old, new))
    before, after = table.column("old_unit_price"), table.column("new_unit_price")
    assert moved_more_than(before, after, D("0.25")).to_pylist() == [moved]


_PRICES = st.decimals(D("-1000"), D("1000"), places=6, allow_nan=False)


@given(st.lists(st.tuples(_PRICES, _PRICES), min_size=1, max_size=20), st.decimals(0, 1, places=4))
def test_moved_is_what_decimal_arithmetic_says(rows: list[tuple[D, D]], share: D) -> None:
    old, new = (pa.array(side, PRICE) for side in zip(*rows, strict=True))
    expected = [abs(b - a) > share * abs(a) for a, b in rows]
    assert moved_more_than(old, new, share).to_pylist() == expected
