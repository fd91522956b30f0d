"""The laws of price resolution, over any conditions: pure functions, no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.pricing import Pricing
from portal_db.pricing import Candidate, Item, Membership, Price, Product, choose
from portal_db.pricing.money import minor_units, rounded

P1 = Product("P1", "PCE", {"PCE": Fraction(1), "BOX": Fraction(10)})
MEMBER = (Membership("tier", "GOLD"), Membership("contract", "C7"))
SCOPES = {
    "quote": ("dealer",),
    "customer": ("dealer", "account"),
    "contract": ("contract|C7", "dealer"),
    "promo": ("all", "tier|GOLD"),
    "scale": ("all",),
    "group": ("tier|GOLD",),
    "list": ("all",),
}
amounts = st.decimals("0.01", "999", places=2)
LEAN = settings(max_examples=60, deadline=None)
policies = st.sampled_from(("default", "first_match", "lowest"))


@st.composite
def headers(draw: st.DrawFn, units: tuple[str, ...] = ("PCE",)) -> list[Candidate]:
    """One condition: breaks that fall in price, or rise in percent."""
    level = draw(st.sampled_from(sorted(SCOPES)))
    percent = level != "list" and draw(st.booleans())
    n = draw(st.integers(1, 3))
    starts = sorted(draw(st.sets(st.sampled_from((1, 5, 10, 50, 100)), min_size=n, max_size=n)))
    values = sorted(draw(st.lists(amounts, min_size=n, max_size=n)), reverse=not percent)
    base = Candidate(
        product_key="P1",
        level=level,
        header_key=f"H{draw(st.integers(1, 10**9))}",
        min_qty=Decimal(1),
        uom=None if percent else draw(st.sampled_from(units)),
        per=1 if percent else draw(st.sampled_from((1, 100, 7))),
        unit_price=None,
        pct_off_list=None,
        amount_off_list=None,
        valid_from=date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 90))),
        seq=draw(st.none() | st.integers(1, 3)),
        scope=draw(st.sampled_from(SCOPES[level])),
    )
    return [
        replace(base, min_qty=Decimal(start), pct_off_list=value / 10)
        if percent
        else replace(base, min_qty=Decimal(start), unit_price=value)
        for start, value in zip(starts, values, strict=True)
    ]


conditions = st.lists(headers(), min_size=1, max_size=8, unique_by=lambda h: h[0].header_key).map(
    lambda found: [one for header in found for one in header]
)


def price(found: list[Candidate], qty: Decimal, uom: str = "PCE", pricing: Pricing | None = None,
          scale: Fraction | None = None) -> Price:  # fmt: skip
    """The choice for a dealer in tier GOLD and contract C7."""
    return choose(Item(P1, qty, uom, "EUR", scale), found, pricing or Pricing(), MEMBER)


def outcome(found: Price) -> tuple[object, ...]:
    """What must not depend on the order of the conditions."""
    return (found.status, found.unit, found.line_net, found.won, found.list_unit,
            sorted((n.kind, n.text) for n in found.notes))  # fmt: skip


@LEAN
@given(conditions, st.integers(1, 200), policies, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_nothing(found: list[Candidate], qty: int, policy: str,
                                      shuffler: object) -> None:  # fmt: skip
    other = list(found)
    shuffler.shuffle(other)  # type: ignore[attr-defined]
    pricing = Pricing.model_validate({"policy": policy})
    first = price(found, Decimal(qty), pricing=pricing)
    assert outcome(first) == outcome(price(other, Decimal(qty), pricing=pricing))


@LEAN
@given(conditions, conditions, st.integers(1, 200))
def test_the_conditions_of_others_are_nothing(
    mine: list[Candidate], others: list[Candidate], qty: int
) -> None:
    """Of a group the dealer is not in, or of another product."""
    strange = [replace(one, scope="tier|BRONZE", header_key=f"X{one.header_key}") for one in others]
    strange += [replace(one, product_key="P2", header_key=f"Y{one.header_key}") for one in others]
    alone = price(mine, Decimal(qty))
    assert outcome(alone) == outcome(price([*mine, *strange], Decimal(qty)))


@LEAN
@given(conditions, st.integers(1, 150), st.integers(0, 150))
def test_buying_more_never_costs_more_a_unit(found: list[Candidate], qty: int, more: int) -> None:
    """By the conditions that were there at the smaller quantity; a later one may be dearer.

    Overlapping headers are a fault of the data and say so.
    """
    there = {one.header_key for one in found if one.min_qty <= qty}
    found = [one for one in found if one.header_key in there]
    less, much = price(found, Decimal(qty)), price(found, Decimal(qty + more))
    kinds = {note.kind for note in (*less.notes, *much.notes)}
    if less.unit is None or much.unit is None or kinds & {"overlap", "cheaper"}:
        return
    assert much.unit <= less.unit


@LEAN
@given(conditions, st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_splitting_a_line_changes_nothing_but_the_rounding(
    found: list[Candidate], parts: list[int]
) -> None:
    """Lines of one product reach the break together; each is rounded once."""
    whole = price(found, Decimal(sum(parts)))
    split = [price(found, Decimal(part), scale=Fraction(sum(parts))) for part in parts]
    assert {one.unit for one in split} == {whole.unit}
    if whole.line_net is not None:
        total = sum((one.line_net or Decimal(0) for one in split), Decimal(0))
        assert abs(total - whole.line_net) <= Decimal("0.005") * (len(parts) + 1)


@LEAN
@given(conditions, st.integers(1, 20), policies)
def test_a_box_costs_what_its_pieces_cost(found: list[Candidate], boxes: int, policy: str) -> None:
    """Where the conditions speak of the base unit."""
    pricing = Pricing.model_validate({"policy": policy})
    box = price(found, Decimal(boxes), "BOX", pricing)
    pieces = price(found, Decimal(10 * boxes), "PCE", pricing)
    assert box.line_net == pieces.line_net
    assert (box.unit is None) == (pieces.unit is None)
    if box.unit is not None and pieces.unit is not None:
        assert box.unit == 10 * pieces.unit


@LEAN
@given(conditions, st.integers(1, 200))
def test_lowest_is_never_above_another_policy(found: list[Candidate], qty: int) -> None:
    lowest = price(found, Decimal(qty), pricing=Pricing(policy="lowest"))
    for other in (Pricing(), Pricing(policy="first_match"), Pricing(promo_competes=True)):
        there = price(found, Decimal(qty), pricing=other)
        assert (there.unit is None) == (lowest.unit is None)
        if there.unit is not None and lowest.unit is not None:
            assert lowest.unit <= there.unit


@LEAN
@given(st.fractions(-1000, 1000, max_denominator=997), st.integers(0, 4))
def test_rounding_is_to_the_nearest_and_ties_go_where_they_should(
    value: Fraction, places: int
) -> None:
    step = Fraction(1, 10**places)
    for mode in ("half_up", "half_even"):
        found = Fraction(rounded(value, places, mode))
        assert abs(found - value) <= step / 2
        assert (found / step).denominator == 1
    half = Fraction(5, 10 ** (places + 1))
    assert Fraction(rounded(half, places, "half_up")) == step
    assert Fraction(rounded(-half, places, "half_up")) == -step
    assert Fraction(rounded(half, places, "half_even")) == 0


def test_currencies_have_their_own_minor_units() -> None:
    assert [minor_units(code) for code in ("EUR", "JPY", "KWD", "CLF", "TRY")] == [2, 0, 3, 4, 2]


def test_nothing_that_prices_is_price_on_request() -> None:
    found = price([], Decimal(1))
    assert (found.status, found.unit, found.line_net) == ("price_on_request", None, None)
