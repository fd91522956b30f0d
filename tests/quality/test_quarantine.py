"""Rejections: all reasons of a record, documents as a whole, keys and groups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats.raw import Broken
from mappings.feeds import PARTS
from mappings.vocabulary import Field, Part
from quality.checks import judge
from quality.quarantine import (
    Judged,
    Reason,
    broken,
    fingerprint,
    keys,
    of_rejected,
    rejected,
    rejections,
    shape,
)
from tests.quality.tables import table

D = Decimal
PRICE, INVOICE, LINE = PARTS["price"], PARTS["invoice"], PARTS["invoice_line"]


@dataclass
class Problem:
    field: str
    code: str
    says: str
    mask: pa.BooleanArray
    raw: pa.Array


def price_row(**faults: object) -> dict[str, object]:
    good = {
        "header_key": "H1", "level": "list", "dealer_scope": "all", "product_scope": "product",
        "product_key": "P1", "currency": "EUR", "uom": "PCE", "per": 1, "min_qty": D(1),
        "unit_price": D("12.5"),
    }  # fmt: skip
    return good | faults


def test_all_reasons_of_a_record_and_none_of_a_good_one() -> None:
    rows = table(
        PRICE,
        [price_row(), price_row(min_qty=None, currency="eur", per=0), price_row(unit_price=D(-1))],
    )
    bad_number = Problem(
        "min_qty",
        "not_a_number",
        "min_qty is not a number",
        pa.array([False, True, False]),
        pa.array([None, "1.2.3", None]),
    )
    judged = Judged(PRICE, rows, [bad_number], judge(PRICE, rows))
    refused = rejected(judged)
    assert refused.to_pylist() == [False, True, True]
    found = rejections(judged, (), refused, 4, lambda row: f'{{"row": "{row}"}}')
    assert [(r.record_no, r.key, r.page, r.raw, r.raw_hash) for r in found] == [
        (2, None, 4, '{"row": "1"}', 2),
        (3, "H1|1.000000", 4, '{"row": "2"}', 3),
    ]
    assert [(r.field, r.code, r.raw) for r in found[0].reasons] == [
        ("min_qty", "not_a_number", "1.2.3"),  # and not: min_qty is required
        ("currency", "currency_not_iso4217", "eur"),
        ("per", "per_not_positive", "0"),
    ]
    assert [(r.code, r.raw) for r in found[1].reasons] == [
        ("unit_price_negative", "-1.000000"),
        ("unit_price_zero", "-1.000000"),
    ]
    assert {(r.part, r.record_no) for r in found[0].reasons} == {("price", 2)}


def test_nothing_rejected_asks_for_nothing() -> None:
    rows = table(PRICE, [price_row()])
    judged = Judged(PRICE, rows, (), judge(PRICE, rows))

    def never(row: int) -> str:
        raise AssertionError(row)

    assert rejections(judged, (), rejected(judged), 1, never) == []


def test_a_bad_line_refuses_its_document() -> None:
    heads = table(INVOICE, [{"record_no": n, "key": f"R{n}"} for n in (11, 12, 13)])
    lines = table(
        LINE,
        [
            {"record_no": 1, "root_no": 11, "line_no": "1"},
            {"record_no": 2, "root_no": 12, "line_no": "1"},
            {"record_no": 3, "root_no": 12, "line_no": "2"},
            {"record_no": 4, "root_no": 13, "line_no": "1"},
        ],
    )
    raw = pa.array([None, None, "x", None])
    problem = Problem("qty", "not_a_number", "no", pa.array([False, None, True, False]), raw)
    root, child = Judged(INVOICE, heads), Judged(LINE, lines, [problem])
    refused = rejected(root, [child])
    assert refused.to_pylist() == [False, True, False]
    assert of_rejected(root, refused, child).to_pylist() == [False, True, True, False]
    [found] = rejections(root, [child], refused, 1, str)
    assert (found.key, found.record_no, found.children) == ("R12", 12, {"invoice_line": 2})
    assert found.reasons == (Reason("qty", "not_a_number", "no", "x", "invoice_line", 3),)


def test_a_broken_record_has_no_key() -> None:
    found = broken(Broken("price", 2, 9, "columns", "7 columns instead of 9", "a;b"))
    assert (found.key, found.record_no, found.page, found.raw) == (None, 9, 2, "a;b")
    assert [reason.code for reason in found.reasons] == ["columns"]
    assert found.raw_hash == broken(Broken("price", 3, 8, "columns", "", "a;b")).raw_hash
    assert -(2**63) <= found.raw_hash < 2**63


TWO = Part("two", "", ("a", "b"), (Field("a", "text", "R", ""), Field("b", "text", "R", "")))
_TEXT = st.text(alphabet="|\\ab", max_size=4)


@given(st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=20))
def test_different_keys_have_different_texts(pairs: list[tuple[str, str]]) -> None:
    texts = keys(TWO, table(TWO, [{"a": a, "b": b} for a, b in pairs])).to_pylist()
    assert len(set(texts)) == len(set(pairs))


def test_keys_are_spelt_as_the_database_spells_them() -> None:
    group = PARTS["dealer_group"]
    row = {
        "dealer_key": "D|1", "kind": "tier", "group_key": "G\\", "category_slot": "",
        "valid_from": date(1, 1, 1),
    }  # fmt: skip
    assert keys(group, table(group, [row])).to_pylist() == ["D\\|1|tier|G\\\\||0001-01-01"]
    small = [price_row(min_qty=D(q)) for q in ("0.000001", "0", "100000000000")]
    assert keys(PRICE, table(PRICE, small)).to_pylist() == [
        "H1|0.000001",
        "H1|0.000000",
        "H1|100000000000.000000",
    ]
    assert keys(PRICE, table(PRICE, [price_row(header_key=None)])).to_pylist() == [None]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("1.234,50", "9.999,99"), ("Ağ-7", "aa-9"), ("", ""), (None, "null"), ("9" * 99, "9" * 60)],
)
def test_shape(raw: str | None, expected: str) -> None:
    assert shape(raw) == expected


def test_one_cause_is_one_group() -> None:
    first = Reason("unit_price", "not_a_number", "", "1.234,50", "price", 1)
    same = Reason("unit_price", "not_a_number", "", "9.876,54", "price", 2)
    others = [
        Reason("unit_price", "not_a_number", "", "n/a", "price", 1),
        Reason("unit_price", "too_many_digits", "", "1.234,50", "price", 1),
        Reason("min_qty", "not_a_number", "", "1.234,50", "price", 1),
    ]
    group = fingerprint("anvil", "prices", first)
    assert fingerprint("anvil", "prices", same) == group
    assert fingerprint("birch", "prices", first) != group
    assert group not in {fingerprint("anvil", "prices", other) for other in others}
