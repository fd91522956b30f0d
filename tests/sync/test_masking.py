"""Masking keeps shapes, belongs to a key, and changes nothing but whole values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.masking import masked, masked_page, personal

KEY = b"key of this installation"


@given(st.text(max_size=80))
def test_a_masked_value_has_the_shape_of_its_own(value: str) -> None:
    def shape(text: str) -> str:
        return "".join("0" if c.isdigit() else "a" if c.isalpha() else c for c in text)

    assert shape(masked(value, KEY)) == shape(value)
    assert masked(value, KEY) == masked(value, KEY)


def test_another_key_masks_otherwise() -> None:
    name = "Ayşe Öztürk, +90 532 111 22 33"
    assert masked(name, KEY) != masked(name, b"another") != name


def test_only_whole_values_are_replaced() -> None:
    page = b'{"name": "Ok", "note": "Okay & Ok", "mail": "ok@x.example"}'
    found = masked_page(page, ["Ok"], KEY).decode()
    assert re.search(r'"name": "[A-Z][a-z]"', found)
    assert '"name": "Ok"' not in found
    assert '"note": "Okay & ' in found
    assert "Ok&" not in found
    assert '"mail": "ok@x.example"' in found
    assert masked_page(b"<N>A &amp; B</N>", ["A & B"], KEY).startswith(b"<N>")
    assert b"A &amp; B" not in masked_page(b"<N>A &amp; B</N>", ["A & B"], KEY)
    escaped = b'{"n": "Ay\\u015fe"}'
    assert masked_page(escaped, ["Ayşe"], KEY) != escaped


def test_bytes_of_another_encoding_stay() -> None:
    page = "Ayşe;\xff".encode("cp1254", "replace") + b"\x81"
    assert masked_page(page, ["nobody"], KEY, "cp1254") == page


@pytest.mark.parametrize(
    ("path", "is_personal"),
    [
        ("contact/email", True),
        ("SalespersonEmail", True),
        ("PhoneNo", True),
        ("TELF1", True),
        ("SMTP", True),
        ("Vergi_No", True),
        ("CurrencyCode", False),
        ("TaxZone", False),
        ("UnitPrice", False),
    ],
)
def test_columns_that_speak_about_people_are_known_by_their_name(
    path: str,
    is_personal: bool,  # noqa: FBT001  a case of the test
) -> None:
    assert personal(path) is is_personal
