"""Which totals must agree, and what is said when they do not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quality.reconcile import Side, Total, compare

D = Decimal


def count(side: Side, value: int) -> Total:
    return Total(side, "price", "count", D(value))


def money(side: Side, value: str) -> Total:
    return Total(side, "price", "sum:unit_price", D(value))


def test_everything_agrees() -> None:
    sides: tuple[Side, ...] = ("erp", "landed", "read", "accepted", "portal")
    found = compare([count(side, 7) for side in sides])
    assert [(one.left.side, one.right.side if one.right else None) for one in found] == [
        ("erp", "landed"),
        ("erp", "read"),
        ("landed", "read"),
        ("accepted", "portal"),
    ]
    assert {one.agrees for one in found} == {True}
    assert found[0].says == "price count: the ERP declared 7 and 7 landed."


def test_a_trailer_that_does_not_add_up() -> None:
    [found] = compare([money("erp", "100.500000"), money("read", "100.49")])
    assert (found.agrees, found.difference) == (False, D("-0.01"))
    assert found.says == (
        "price sum of unit_price: the ERP declared 100.5 but 100.49 were read, 0.01 less."
    )


def test_tolerance_is_for_sums_alone() -> None:
    sums = [money("erp", "1.00"), money("read", "1.01")]
    counts = [count("erp", 100), count("read", 101)]
    found = {one.name: one.agrees for one in compare([*sums, *counts], D("0.01"))}
    assert found == {"sum:unit_price": True, "count": False}
    assert [one.agrees for one in compare(sums, D("0.0099"))] == [False]


def test_the_portal_is_compared_with_complete_snapshots_only() -> None:
    totals = [count("accepted", 10), count("portal", 12), count("landed", 9), count("read", 9)]
    [_, portal] = compare(totals)
    assert portal.agrees is False
    assert portal.says == (
        "price count: 10 were expected in the portal but 12 are live in the portal, 2 more."
    )
    assert [one.left.side for one in compare(totals, complete=False)] == ["landed"]


def test_an_unmatched_declaration_is_not_agreement() -> None:
    [found] = compare([count("erp", 3)])
    assert (found.agrees, found.right, found.difference) == (None, None, None)
    assert found.says == "price count: the ERP declared 3; nothing here to hold it against."


def test_a_total_stated_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="erp states count of price twice"):
        compare([count("erp", 3), count("erp", 3)])
