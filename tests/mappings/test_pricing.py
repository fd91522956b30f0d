"""The mapping's word `pricing`: its defaults, its values, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from mappings.feeds.prices import LEVELS
from mappings.pricing import Pricing
from mappings.reading import parse_mapping
from mappings.settings import REPOSITORY

BIRCH = REPOSITORY / "mappings" / "erps" / "birch.yaml"


def birch(words: str) -> Pricing:
    """The pricing of a mapping that says these words."""
    return parse_mapping(BIRCH.read_text(encoding="utf-8") + words, Path("birch.yaml")).pricing


def test_an_erp_that_says_nothing_has_the_defaults() -> None:
    assert birch("") == Pricing()
    assert (Pricing().policy, Pricing().rounding, Pricing().levels) == (
        "default", "half_up", LEVELS,
    )  # fmt: skip


def test_every_word_is_read_from_text() -> None:
    said = birch(
        "pricing: {policy: lowest, promo_competes: 'true', scale_quantity: line, "
        "uom_rule: convert_all, rounding: half_even, unit_round_places: 2, "
        "levels: [list, group, scale, promo, contract, customer, quote]}\n"
    )
    assert said == Pricing(
        policy="lowest",
        promo_competes=True,
        scale_quantity="line",
        uom_rule="convert_all",
        rounding="half_even",
        unit_round_places=2,
        levels=LEVELS[::-1],
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("pricing: {policy: cheapest}", "policy"),
        ("pricing: {roundings: half_up}", "did you mean rounding"),
        ("pricing: {levels: [list, list]}", "name each of"),
        ("pricing: {unit_round_places: 9}", "unit_round_places"),
    ],
)
def test_a_wrong_word_is_refused(words: str, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        birch(words + "\n")
