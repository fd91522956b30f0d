"""Why an invoiced price is not what the conditions give: one class a line, the first that fits.

A class is a hint for the person who looks, found by trying what else would have given the invoiced
price. It never makes a line explained. Must not read anything but what it is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from mappings.pricing import Policy, Pricing
from portal_db.parity import Line
from portal_db.pricing import Candidate, Price
from portal_db.pricing.money import rounded

CLASSES = {
    "not_known": "the dealer or product is not synced, or the line has no quantity",
    "no_conversion": "the product does not come in the invoiced unit",
    "net_differs": "the unit price agrees, the line's net does not",
    "unit_rounded": "the ERP rounded the unit price first: see pricing.unit_round_places",
    "rounding": "the nets are less than 0.02 apart",
    "policy": "another policy gives the invoiced price: see pricing.policy",
    "pack_converted": "a pack's price was converted: see pricing.uom_rule",
    "other_condition": "another condition that held that day gives it",
    "percent_charged": "the discount's percentage of the list price was charged, not taken off",
    "other_day": "a condition of another day gives it",
    "since_deleted": "a condition that the ERP has deleted since gives it",
    "no_price": "no condition prices the line",
    "dearer": "invoiced dearer than any condition says",
    "cheaper": "invoiced cheaper than any condition says",
}
"""Class → what it means, in the order in which they are tried."""

_POLICIES: tuple[Policy, ...] = ("default", "first_match", "lowest")
_NEAR = Decimal("0.02")


class Ask(Protocol):
    """Prices the line by some conditions, under the ERP's pricing or another."""

    def __call__(self, candidates: list[Candidate], pricing: Pricing | None = None) -> Price:
        """The price by these conditions alone."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """An unexplained line and the means to try what else it could be."""

    line: Line
    price: Price | None
    invoiced: Fraction
    held: list[Candidate]
    """The conditions that held on its day."""
    pricing: Pricing
    ask: Ask
    on_other_days: Callable[[], list[tuple[Candidate, date, date | None, bool]]]


def reason_of(it: Evidence) -> tuple[str, str]:
    """(class, sentence) of one unexplained line."""
    if it.price is None:
        return "not_known", CLASSES["not_known"]
    if it.price.status == "invalid_quantity":
        return "no_conversion", it.price.notes[0].text
    return (
        _money(it)
        or _other_rules(it)
        or _other_condition(it)
        or _percent(it)
        or _other_day(it)
        or _rest(it)
    )


def _money(it: Evidence) -> tuple[str, str] | None:
    if it.price is None or it.price.unit is None or it.price.line_net is None:
        return None
    apart = abs(it.line.net) - it.price.line_net
    if it.price.unit == it.invoiced:
        return "net_differs", f"the net is {apart:+f} apart at the same unit price"
    for places in range(2, 7):
        if Fraction(rounded(it.price.unit, places, it.pricing.rounding)) == it.invoiced:
            return "unit_rounded", f"the unit price was rounded to {places} decimals"
    if abs(apart) < _NEAR:
        return "rounding", f"the net is {apart:+f} apart"
    return None


def _other_rules(it: Evidence) -> tuple[str, str] | None:
    for policy in _POLICIES:
        if policy == it.pricing.policy:
            continue
        other = it.ask(it.held, it.pricing.model_copy(update={"policy": policy}))
        if other.unit == it.invoiced:
            return "policy", f"policy {policy} gives it ({other.level})"
    other = it.ask(it.held, it.pricing.model_copy(update={"uom_rule": "convert_all"}))
    if other.unit == it.invoiced:
        return "pack_converted", f"a price per {other.won.uom if other.won else '?'} gives it"
    return None


def _other_condition(it: Evidence) -> tuple[str, str] | None:
    """Each break that held, on its own, its quantity taken as reached."""
    for one in it.held:
        if _alone(it, one) == it.invoiced:
            where = f"{one.level} {one.header_key} from {one.min_qty.normalize():f}"
            return "other_condition", f"{where} gives it"
    return None


def _alone(it: Evidence, one: Candidate) -> Fraction | None:
    free = Candidate(
        one.product_key,
        one.level,
        one.header_key,
        Decimal("0.000001"),
        *(one.uom, one.per, one.unit_price, one.pct_off_list, one.amount_off_list),
        date.min,
        product_scope=one.product_scope,
        scope=one.scope,
    )
    lists = [other for other in it.held if other.level == "list"] if one.unit_price is None else []
    answer = it.ask([free, *lists], Pricing(policy="first_match"))
    return answer.unit if answer.won is free else None


def _percent(it: Evidence) -> tuple[str, str] | None:
    list_unit = it.price.list_unit if it.price else None
    for one in it.held:
        if one.pct_off_list is None or list_unit is None:
            continue
        if list_unit * Fraction(one.pct_off_list) / 100 == it.invoiced:
            percent = f"{one.pct_off_list.normalize():f}"
            rule = f"{one.level} {one.header_key} takes {percent} % off the list price"
            return "percent_charged", f"{rule}; invoiced was {percent} % of it"
    return None


def _other_day(it: Evidence) -> tuple[str, str] | None:
    for one, since, until, gone in it.on_other_days():
        if _alone(it, one) == it.invoiced:
            days = f"{since} to {until or 'open'}"
            if gone:
                return "since_deleted", f"{one.level} {one.header_key} ({days}), deleted since"
            return "other_day", f"{one.level} {one.header_key} holds from {days}"
    return None


def _rest(it: Evidence) -> tuple[str, str]:
    if it.price is None or it.price.unit is None:
        return "no_price", CLASSES["no_price"]
    kind = "dearer" if it.invoiced > it.price.unit else "cheaper"
    return kind, CLASSES[kind]
