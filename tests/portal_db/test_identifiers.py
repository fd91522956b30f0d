"""What may stand in a statement as it is: plain names, and nothing that would need quoting."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.feeds import PARTS
from portal_db.identifiers import digits, plain_name


@given(st.text())
def test_only_plain_names_pass(text: str) -> None:
    if re.fullmatch("[a-z][a-z0-9_]*", text, re.ASCII):
        assert plain_name(text) == text
    else:
        with pytest.raises(ValueError, match="plain name"):
            plain_name(text)


@pytest.mark.parametrize("text", ["", "a b", "a'", 'a"', "a;b", "A", "1a", "a\n", "ä", "a-", "a.b"])
def test_what_would_need_quotes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        plain_name(text)


def test_every_declared_name_is_plain() -> None:
    for part in PARTS.values():
        for name in (part.name, *(field.name for field in part.fields)):
            assert plain_name(name) == name


@given(st.integers())
def test_digits_are_the_number(value: int) -> None:
    assert int(digits(value)) == value
