"""CSV values: numbers, codes, dates and blanks as they are written, by declaration only (1 to 3, 6,
10, 11, 17).
"""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.formats import read_page
from connectors.formats.raw import RawChunk, ReadPlan
from mappings.sources.sftp import CsvFormat, SftpSource
from mappings.vocabulary import Field, Type
from transforms.column import column_of
from transforms.registry import StepContext


def came(cells: list[str], encoding: str = "utf-8") -> pa.Array:
    """A column as a CSV file brings it: what stands between the delimiters."""
    source = SftpSource(protocol="sftp", files="x", format=CsvFormat(kind="csv", encoding=encoding))
    text = "K;V\n" + "".join(f"k;{cell}\n" for cell in cells)
    plan = ReadPlan("price", source, ("V",))
    chunks = [
        one.columns["V"].combine_chunks()
        for one in read_page(io.BytesIO(text.encode(encoding)), plan, 1, {})
        if isinstance(one, RawChunk)
    ]
    return pa.concat_arrays(chunks)


def read(kind: Type, through: tuple[str, ...], *cells: str) -> list[Any]:
    """Each cell's value, or the code under which it is quarantined."""
    context = StepContext("Europe/Istanbul", ("V",))
    found = column_of(Field("v", kind, "-", "v"), [came(list(cells))], through, None, context)
    values = found.values.to_pylist()
    for code, mask in found.bad:
        for row, bad in enumerate(mask.to_pylist()):
            if bad:
                assert values[row] is None
                values[row] = code
    return values


NO = "not_a_number"


def test_CSV_1_a_decimal_comma_keeps_its_place_13_75_is_never_1375() -> None:
    comma, point = ("decimal_comma",), ("decimal_point",)
    assert read("price", comma, "13,75", "1.375,00", "13.75", "1375") == [
        Decimal("13.75"), Decimal(1375), NO, Decimal(1375),
    ]  # fmt: skip
    assert read("price", point, "13,75", "13.75", "1,375.00") == [NO, Decimal("13.75"), NO]
    assert read("price", ("thousands_comma",), "13,75", "1,375.00") == [NO, Decimal(1375)]


def test_CSV_2_what_can_be_read_two_ways_is_quarantined_where_no_mark_is_declared() -> None:
    found = read(
        "price", ("either_mark",), "1.234", "173,900", "1.234,50", "1'234.50", "12,5", "1.2.3"
    )
    assert found == [
        "ambiguous_number", "ambiguous_number", Decimal("1234.50"), Decimal("1234.50"),
        Decimal("12.5"), NO,
    ]  # fmt: skip
    nbsp, narrow = "1\u00a0234,50", "1\u202f234,50"
    assert read("price", ("decimal_comma",), nbsp, narrow, "1'234,50", "1 234,50") == [
        Decimal("1234.50"), Decimal("1234.50"), Decimal("1234.50"), NO,
    ]  # fmt: skip


def test_CSV_3_signs_and_currencies_as_declared_and_not_otherwise() -> None:
    comma = "decimal_comma"
    assert read("price", (comma,), "12,50-", "(12,50)", "12,5 %", "€ 12,50") == [NO] * 4
    assert read("price", ("trailing_minus", comma), "12,50-", "-12,50-", "12,50") == [
        Decimal("-12.50"), NO, Decimal("12.50"),
    ]  # fmt: skip
    assert read("price", ("parentheses_minus", comma), "(12,50)", "(12,50", "-(12,50)") == [
        Decimal("-12.50"), NO, NO,
    ]  # fmt: skip
    assert read("pct", ("percent_sign", comma), "12,5 %", "12,5%%") == [Decimal("12.5"), NO]
    signs = read(
        "price", ("currency_sign", comma), "€ 12,50", "12,50 TL", "₺12,50", "USD 1", "€1€", "X 1"
    )
    assert signs == [Decimal("12.50")] * 3 + [Decimal(1), NO, NO]


def test_CSV_6_no_locale_folds_a_turkish_letter() -> None:
    assert read("text", ("upper",), "iı", "İI", "straße") == ["Iı", "İI", "STRAßE"]
    assert read("text", ("lower",), "Iİ", "ISIK", "IŞIK") == ["iİ", "isik", "iŞik"]
    lookup = {"IŞIK": "a", "ışık": "b"}
    context = StepContext("Europe/Istanbul", ("V",))
    found = column_of(
        Field("v", "text", "-", "v"), [came(["IŞIK", "ışık", "işik"])], (), lookup, context
    )
    assert found.values.to_pylist() == ["a", "b", None]
    assert [code for code, _ in found.bad] == ["unknown_code"]


def test_CSV_10_codes_keep_their_zeros_and_what_a_spreadsheet_made_is_refused() -> None:
    cells = ("00042", "8,69E+12", "8.69E+12", "1E5", "03-Feb", "8690000000001")
    # 1E5 is a code that somebody gave; a spreadsheet writes a sign behind the E
    assert read("text", ("plain_code",), *cells) == [
        "00042", "scientific_notation", "scientific_notation", "1E5", "03-Feb", "8690000000001",
    ]  # fmt: skip
    assert read("text", (), "00042", " 01 ", "1.0") == ["00042", " 01 ", "1.0"]


def test_CSV_11_dates_by_the_declared_format_only() -> None:
    no = "not_a_date"
    cells = ("31.01.2026", "01/31/2026", "2026-01-31", "31.01.26", "30.02.2026", "46053")
    day = date(2026, 1, 31)
    assert read("date", ("dotted_date",), *cells) == [day, no, no, no, no, no]
    assert read("date", ("us_date",), *cells) == [no, day, no, no, no, no]
    assert read("date", ("excel_serial_date",), *cells) == [no, no, no, no, no, day]
    assert read("date", ("us_date",), "13/01/2026", "01/13/2026") == [no, date(2026, 1, 13)]
    assert read("date", ("yyyymmdd",), "00000000", "99991231", "20260131") == [None, None, day]
    assert read("date", ("dotted_date",), "00.00.0000", "31.12.9999") == [None, None]
    serials = read("date", ("excel_serial_date",), "1", "59", "60", "61", "0", "46053.5")
    assert serials == [date(1900, 1, 1), date(1900, 2, 28), no, date(1900, 3, 1), no, no]


def test_CSV_17_empty_blank_and_the_word_null_by_each_columns_rule() -> None:
    cells = ("", "  ", "NULL", "null", "0")
    assert read("price", ("decimal_point",), *cells) == [None, None, NO, NO, Decimal(0)]
    assert read("price", ("null_word", "decimal_point"), *cells) == [None] * 4 + [Decimal(0)]
    assert read("price", ("null_is_zero",), *cells[:2]) == [Decimal(0), Decimal(0)]
    assert read("text", (), *cells) == [None, None, "NULL", "null", "0"]
    assert read("text", ("null_word",), *cells) == [None] * 4 + ["0"]
    # on the wire the three stay three: a missing column is told, an empty one is there
    assert came(["", "x"]).to_pylist() == ["", "x"]


@pytest.mark.parametrize("through", [(), ("null_word",), ("decimal_comma",), ("zero_is_null",)])
def test_CSV_17_an_empty_price_is_never_zero(through: tuple[str, ...]) -> None:
    assert read("price", through, "", " ") == [None, None]
