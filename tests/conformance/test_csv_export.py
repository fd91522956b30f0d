"""CSV that we export: no spreadsheet runs it (CSV-16)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.safe_csv import safe, write

EVIL = (
    "=1+1",
    "+49 30 1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "'=1",
    "＝1",
    "\r=1",
    '"=1',
    "+49301",
)


@pytest.mark.parametrize("text", EVIL)
def test_CSV_16_a_formula_is_text(text: str) -> None:
    assert safe(text) == f"'{text}"


def test_CSV_16_numbers_dates_and_plain_texts_stay_what_they_are() -> None:
    values = (Decimal("-12.50"), -3, "-12.50", date(2026, 1, 31), None, True, "A-1", "3=3")
    assert [safe(one) for one in values] == [
        "-12.50", "-3", "-12.50", "2026-01-31", "", "true", "A-1", "3=3",
    ]  # fmt: skip
    assert safe(datetime(2026, 1, 31, 10, tzinfo=UTC)) == "2026-01-31T10:00:00+00:00"


@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=2), max_size=6))
def test_CSV_16_what_is_written_is_read_and_no_cell_begins_a_formula(rows: list[list[str]]) -> None:
    target = io.StringIO(newline="")
    assert write(target, ["=A", "B"], rows) == len(rows)
    back = list(csv.reader(io.StringIO(target.getvalue(), newline="")))
    assert back[0] == ["'=A", "B"]
    for row, came in zip(rows, back[1:], strict=True):
        for text, cell in zip(row, came, strict=True):
            assert cell in {text, f"'{text}"}
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))
            assert not cell.startswith("-") or cell[1:2].isdigit()
