"""Within one level: the header that holds, its break, and what one ordered unit costs by it.

Must not compare levels with each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from mappings.pricing import Pricing
from portal_db.pricing.model import Candidate, Note, Product
from portal_db.pricing.money import shown

_NARROW = {"product": 0, "category": 1, "all": 2}
_BY_PRICE = frozenset({"promo", "group"})
"""Levels in which several memberships compete by price; in the others the narrower one holds."""


@dataclass(slots=True)
class Question:
    """One line as the levels see it; `notes` collects what they have to say."""

    product: Product
    uom: str
    factor: Fraction
    """Base units in one ordered unit."""
    scale_base: Fraction
    currency: str
    pricing: Pricing
    notes: list[Note] = field(default_factory=list[Note])
    list_unit: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A break that holds, and the exact price of one ordered unit by it."""

    candidate: Candidate
    unit: Fraction


def best_of_level(asked: Question, level: str, lines: Sequence[Candidate]) -> Found | None:
    """What this level says; None where nothing of it reaches the line."""
    addresses: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for one in lines:
        addresses[one.product_scope, one.scope].append(one)
    found = [
        best
        for address in sorted(addresses, key=_narrow_first)
        if (best := _best_of_address(asked, addresses[address]))
    ]
    if not found:
        return None
    if level in _BY_PRICE and asked.pricing.policy != "first_match":
        return min(found, key=lambda one: one.unit)
    return found[0]


def list_price(asked: Question, lines: Sequence[Candidate]) -> Fraction | None:
    """The list price of one ordered unit at its base break: what percentages are taken off."""
    amounts = [one for one in lines if one.unit_price is not None]
    for address in sorted({(one.product_scope, one.scope) for one in amounts}, key=_narrow_first):
        headers: dict[str, Candidate] = {}
        for one in amounts:
            if (one.product_scope, one.scope) == address and _unit(asked, one, quiet=True):
                base = headers.get(one.header_key)
                if base is None or one.min_qty < base.min_qty:
                    headers[one.header_key] = one
        found = [
            Found(one, value)
            for one in headers.values()
            if (value := _value(asked, one)) is not None
        ]
        if found:
            return min(found, key=lambda one: _rank(asked, one)).unit
    return None


def _narrow_first(address: tuple[str, str]) -> tuple[int, int, str]:
    product_scope, scope = address
    who = {"dealer": 0, "account": 1, "all": 3}.get(scope, 2)
    return (_NARROW[product_scope], who, scope)


def _best_of_address(asked: Question, lines: Sequence[Candidate]) -> Found | None:
    """Of headers addressed alike, the first by rank that reaches the line; in it the last break."""
    headers: dict[str, list[Candidate]] = defaultdict(list)
    for one in lines:
        headers[one.header_key].append(one)
    found: list[Found] = []
    for breaks in headers.values():
        reached = _reached(asked, breaks)
        value = None if reached is None else _value(asked, reached)
        if reached is not None and value is not None:
            found.append(Found(reached, value))
    if not found:
        return None
    best = min(found, key=lambda one: _rank(asked, one))
    rivals = [one for one in found if one.candidate.uom == best.candidate.uom]
    if len(rivals) > 1:
        keys = ", ".join(sorted(one.candidate.header_key for one in rivals))
        level = best.candidate.level
        asked.notes.append(
            Note("overlap", f"{level}: {keys} hold at once", best.candidate.header_key)
        )
    return best


def _rank(asked: Question, one: Found) -> tuple[int, int, int, Fraction, str]:
    """A price for the ordered pack first, then the base unit's and percentages, then other packs.

    Ordering by the base unit ranks as ordering a pack of it does: a box costs what its pieces cost.
    """
    line = one.candidate
    base = line.uom in (None, asked.product.base_uom)
    return (
        1 if base else 0 if line.uom == asked.uom else 2,
        -line.valid_from.toordinal(),
        line.seq if line.seq is not None else 2**63,
        one.unit,
        line.header_key,
    )


def _reached(asked: Question, breaks: Sequence[Candidate]) -> Candidate | None:
    """The header's largest break that the quantity reaches, if its unit and quota allow it."""
    unit = _unit(asked, breaks[0])
    if unit is None:
        return None
    quantity = asked.scale_base / unit
    usable = [one for one in breaks if _has_value(one) and one.min_qty <= quantity]
    if not usable:
        return None
    line = max(usable, key=lambda one: one.min_qty)
    if line.quota_left is not None and line.quota_left < quantity:
        text = f"{line.level} {line.ref or line.header_key} has {line.quota_left:f} left"
        asked.notes.append(Note("quota", text, line.header_key))
        return None
    return line


def _has_value(one: Candidate) -> bool:
    return not (one.unit_price is None and one.pct_off_list is None and one.amount_off_list is None)


def _unit(asked: Question, line: Candidate, *, quiet: bool = False) -> Fraction | None:
    """Base units in one of the header's unit; None where the header is not for this line."""
    factor = asked.product.factor(line.uom)
    if factor is None:
        if not quiet:
            text = f"{asked.product.key} does not come in {line.uom}: no conversion is known"
            asked.notes.append(Note("unit", text, line.header_key))
        return None
    plain_unit = line.uom in (None, asked.uom, asked.product.base_uom)
    if plain_unit or asked.pricing.uom_rule == "convert_all":
        return factor
    if not quiet and line.unit_price is not None:
        price = shown(Fraction(line.unit_price) / line.per, asked.currency)
        asked.notes.append(Note("pack", f"{price:f} per {line.uom}", line.header_key))
    return None


def _value(asked: Question, line: Candidate) -> Fraction | None:
    """The exact price of one ordered unit by one break; None where it needs a list price."""
    factor = asked.product.factor(line.uom)
    if factor is None:
        return None
    per_unit = asked.factor / factor / line.per
    if line.unit_price is not None:
        return Fraction(line.unit_price) * per_unit
    if asked.list_unit is None:
        text = f"{line.level} {line.header_key} is off a list price, and there is none"
        asked.notes.append(Note("no_list", text, line.header_key))
        return None
    if line.pct_off_list is not None:
        return asked.list_unit * (1 - Fraction(line.pct_off_list) / 100)
    if line.amount_off_list is None:
        return None
    left = asked.list_unit - Fraction(line.amount_off_list) * per_unit
    return left if left >= 0 else None
