"""The choice: of the conditions that address a dealer, which one prices this line, and why.

Header first, then break: breaks of two headers never mix. Order of input does not matter. Must
not round anything but the line's net (and the unit, where an ERP does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mappings.pricing import Pricing
from portal_db.pricing.groups import overruled
from portal_db.pricing.headers import Found, Question, best_of_level, list_price
from portal_db.pricing.model import EXCLUSIVE, Candidate, Item, Membership, Note, Price
from portal_db.pricing.money import minor_units, rounded, shown


def choose(
    item: Item,
    candidates: Iterable[Candidate],
    pricing: Pricing,
    memberships: Sequence[Membership] = (),
) -> Price:
    """The price of one line. `candidates` are valid on the day, in the currency asked for.

    Status `price_on_request` where nothing prices it: never blank and never 0.
    """
    notes: list[Note] = []
    factor = item.product.factor(item.uom)
    if item.qty <= 0 or factor is None:
        says = "the quantity must be above 0" if item.qty <= 0 else _no_unit(item)
        return Price("invalid_quantity", notes=(Note("unit", says),))
    asked = Question(
        product=item.product,
        uom=item.uom,
        factor=factor,
        scale_base=Fraction(item.qty) * factor if item.scale_base is None else item.scale_base,
        currency=item.currency,
        pricing=pricing,
        notes=notes,
    )
    by_level: dict[str, list[Candidate]] = defaultdict(list)
    extra: list[Candidate] = []
    for one in overruled(item.product, candidates, memberships, notes):
        (extra if one.combine == "cumulate" and one.pct_off_list else by_level[one.level]).append(
            one
        )
    asked.list_unit = list_price(asked, by_level.get("list", []))
    found = {
        level: best
        for level in pricing.levels
        if level in by_level and (best := best_of_level(asked, level, by_level[level]))
    }
    if not found:
        return Price("price_on_request", list_unit=asked.list_unit, notes=tuple(notes))
    chosen = _by_policy(found, pricing)
    notes += _cheaper(chosen, found, item.currency)
    unit = _cumulated(asked, chosen, extra)
    if pricing.unit_round_places is not None:
        unit = Fraction(rounded(unit, pricing.unit_round_places, pricing.rounding))
    return Price(
        status="priced",
        unit=unit,
        line_net=rounded(unit * Fraction(item.qty), minor_units(item.currency), pricing.rounding),
        list_unit=asked.list_unit,
        won=chosen.candidate,
        tax_included=bool(chosen.candidate.tax_included),
        notes=tuple(notes),
    )


def _no_unit(item: Item) -> str:
    return f"{item.product.key} does not come in {item.uom}"


@dataclass(frozen=True, slots=True)
class _Level:
    """What stands at one level, and the level's place in the access sequence."""

    place: int
    found: Found


def _by_policy(found: dict[str, Found], pricing: Pricing) -> Found:
    """One of the levels' winners. At an equal price the higher level wins."""
    ranked = [
        _Level(place, found[level]) for place, level in enumerate(pricing.levels) if level in found
    ]
    cheapest = min(ranked, key=lambda one: (one.found.unit, one.place)).found
    if pricing.policy == "first_match":
        chosen = ranked[0].found
    elif pricing.policy == "lowest":
        return cheapest
    else:
        exclusive = [one.found for one in ranked if one.found.candidate.level in EXCLUSIVE]
        chosen = exclusive[0] if exclusive else cheapest
    promo = found.get("promo")
    if pricing.promo_competes and promo and promo.unit < chosen.unit:
        return promo
    return chosen


def _cheaper(chosen: Found, found: dict[str, Found], currency: str) -> list[Note]:
    """Says so where another level would have been cheaper: a rule, not an accident."""
    least = min(found.values(), key=lambda one: one.unit)
    if least.unit >= chosen.unit:
        return []
    text = f"{least.candidate.level} {plain(shown(least.unit, currency))}"
    return [Note("cheaper", text, least.candidate.header_key)]


def plain(amount: object) -> str:
    """A shown amount with at least two decimals and no trailing noise beyond them."""
    text = str(amount)
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}" if places else text


def _cumulated(asked: Question, chosen: Found, extra: list[Candidate]) -> Fraction:
    """Percentages marked `cumulate` come on top of a competing level's price, one a level.

    A price agreed with the dealer (an exclusive level) is final: nothing comes on top of it.
    """
    if not extra or chosen.candidate.level in EXCLUSIVE:
        return chosen.unit
    unit = chosen.unit
    for level in asked.pricing.levels:
        best = best_of_level(asked, level, [one for one in extra if one.level == level])
        if best and best.candidate.pct_off_list is not None:
            unit *= 1 - Fraction(best.candidate.pct_off_list) / 100
            text = f"{plain(best.candidate.pct_off_list)} % more ({level})"
            asked.notes.append(Note("cumulated", text, best.candidate.header_key))
    return unit
