"""Few letters put in their places are what decoding and encoding would have made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats.csv_letters import plain_utf8

ENCODINGS = (
    "cp1252",
    "cp1254",
    "iso8859-9",
    "iso8859-1",
    "cp857",
    "koi8-r",
    "mac-turkish",
    "ascii",
)


@given(
    st.lists(st.sampled_from(b"A;1\n\xdd\xf0\xc4\xb0\x81\xe7\x9d") | st.integers(0, 255)),
    st.sampled_from(ENCODINGS),
)
def test_it_is_what_decoding_gives_or_nothing(codes: list[int], encoding: str) -> None:
    """Nothing is where a byte does not exist, or too many letters are there."""
    text = bytes(codes)
    found = plain_utf8(text, encoding)
    if found is not None:
        assert found == text.decode(encoding).encode("utf-8")
    elif len({code for code in codes if code > 127}) == 1:
        with pytest.raises(UnicodeDecodeError):
            text.decode(encoding)


def test_letters_that_would_be_taken_for_each_other_are_left_to_decoding() -> None:
    """Each letter of cp1252 above A0 is C3 and another byte in UTF-8, and C3 is a letter itself."""
    assert plain_utf8("Ä€".encode("cp1252"), "cp1252") == "Ä€".encode()
    assert plain_utf8("éÃ".encode("cp1252"), "cp1252") == "éÃ".encode()
    assert plain_utf8("ÂÃ".encode("cp1252"), "cp1252") is None


def test_an_encoding_with_signs_of_its_own_below_128_is_left_to_decoding() -> None:
    """As in EBCDIC."""
    assert plain_utf8(b"5%", "cp037") is None
