"""What a mapping says about messages out: refused with place, line and remedy where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from mappings.reading import parse_mapping
from mappings.settings import REPOSITORY

ANVIL = REPOSITORY / "mappings" / "erps" / "anvil.yaml"
TEXT = ANVIL.read_text(encoding="utf-8")


def refusal(old: str, new: str) -> str:
    """What the reader says to anvil's mapping with its last `old` replaced."""
    head, found, tail = TEXT.partition("\norders:")
    assert old in tail
    with pytest.raises(Misconfigured) as no:
        parse_mapping(head + found + tail.replace(old, new, 1), Path("erps/anvil.yaml"))
    return str(no.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("dealer_key:   {to: KUNNR}", "dealer_key:   unsent", "is required and cannot be unsent"),
        ("    account_key:  unsent\n", "", "not mentioned (who pays). Map it, or write"),
        ("customer_ref: {to: BSTNK}", "custmer_ref: {to: BSTNK}", "did you mean customer_ref?"),
        ("through: [yyyymmdd_text]", "through: [yyyymmd_text]", "did you mean yyyymmdd_text?"),
        ("through: [yyyymmdd_text]", "through: [decimal_comma_text]", "requested_on is date"),
        ("lookup: unit}", "lookup: units}", "did you mean unit?"),
        ("customer_ref: {to: BSTNK}", "customer_ref: {to: KUNNR}", "already filled by dealer_key"),
        ("operation: CreateOrder", "operaton: CreateOrder", "did you mean operation?"),
        ("find: {operation: FindOrder, reference: IHREZ, records: ORDERS/item}", "find: maybe",
         "Write `cannot` or the words of `find`."),
        ("number: {from: AUFNR}", "numbr: {from: AUFNR}", "did you mean number?"),
        ("  lines:\n    records: ITEMS/item", "  lins:\n    records: ITEMS/item",
         "Say how the ERP wants the lines."),
    ],
)  # fmt: skip
def test_a_wrong_word_is_refused_with_its_remedy(old: str, new: str, says: str) -> None:
    told = refusal(old, new)
    assert says in told
    assert "erps/anvil.yaml:" in told


def test_a_lookup_that_cannot_be_turned_round_is_refused() -> None:
    head, found, tail = TEXT.partition("\norders:")
    twice = head.replace("unit: {ST: PCE,", "unit: {ST: PCE, STK: PCE,", 1)
    assert twice != head
    with pytest.raises(Misconfigured, match="cannot be turned round: PCE is ST and STK"):
        parse_mapping(twice + found + tail, Path("erps/anvil.yaml"))
