"""The credit decision: the sixteen worked cases by number, its boundaries, and its laws.

Limit 50,000, open 32,000, pending 10,000, so 8,000 available, unless a case says otherwise. Cases
13 and 14 need a database: tests/gateway/test_credit_orders.py has them from end to end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.credit_rules import CreditRules
from quality.credit import (
    SEVERITY,
    Decision,
    Figures,
    Item,
    OpenItem,
    decide,
    overdue_days,
    split,
)

BASE = Figures(limit=Decimal(50000), open_balance=Decimal(32000), pending=Decimal(10000))
TODAY = date(2026, 11, 20)
LINES = (Item(1, Decimal(10), Decimal(300)), Item(2, Decimal(20), Decimal(300), pack=Decimal(5)))


def rules(action: str = "hard_block", **more: object) -> CreditRules:
    return CreditRules.model_validate({"action": action, **more})


def money(text: str) -> Decimal:
    return Decimal(text)


def says(decision: Decision) -> tuple[str, str | None]:
    return decision.outcome, decision.reason


def test_case_1_the_limit_met_exactly_is_accepted_with_a_notice() -> None:
    decision = decide(BASE, money("8000.00"), rules())
    assert says(decision) == ("notice", "SOFT_LIMIT")
    assert decision.passes


def test_case_2_a_cent_more_is_blocked() -> None:
    decision = decide(BASE, money("8000.01"), rules("hard_block"))
    assert says(decision) == ("hard_block", "OVER_LIMIT")
    assert decision.shortage == money("0.01")


def test_case_3_a_soft_warning_names_the_shortage() -> None:
    decision = decide(BASE, money("9500"), rules("warn"))
    assert says(decision) == ("warn", "OVER_LIMIT")
    assert decision.shortage == 1500
    assert not decision.passes  # the buyer acknowledges, then the first approver


@pytest.mark.parametrize(
    ("order", "expected"),
    [("17000", ("route", "OVER_LIMIT")), ("20000", ("hard_block", "HARD_LIMIT"))],
)
def test_case_4_finance_decides_up_to_the_hard_limit(order: str, expected: tuple[str, str]) -> None:
    assert says(decide(BASE, money(order), rules("route", hard_pct="120"))) == expected


def test_case_5_a_part_is_accepted_in_whole_packs() -> None:
    decision = decide(BASE, money("9000"), rules("partial"), LINES)
    assert decision.outcome == "partial"
    assert decision.accepted == {1: 10, 2: 15}
    assert decision.accepted_amount == 7500


def test_case_6_nothing_fits_and_finance_decides() -> None:
    figures = replace(BASE, open_balance=money("39900"))
    line = Item(1, Decimal(10), Decimal(300), divisible=False)
    assert says(decide(figures, money("3000"), rules("partial"), [line])) == (
        "route",
        "PARTIAL_EMPTY",
    )


def test_case_7_what_is_missing_is_paid_now() -> None:
    decision = decide(BASE, money("9500"), rules("payment_required"))
    assert (decision.outcome, decision.pay_now) == ("payment_required", money("1500.00"))
    paid = replace(BASE, open_balance=money("30500"))
    assert decide(paid, money("9500"), rules("payment_required")).passes


def test_case_8_a_limit_of_nothing_is_prepaid_and_no_limit_never_approves() -> None:
    nothing = Figures(limit=Decimal(0))
    decision = decide(nothing, money("100"), rules())
    assert (decision.outcome, decision.pay_now) == ("payment_required", 100)
    assert says(decide(Figures(limit=None), money("100"), rules())) == ("route", "NO_LIMIT_RECORD")


@pytest.mark.parametrize(
    ("days", "outcome"),
    [
        (1, "ok"), (14, "ok"), (15, "warn"), (29, "warn"), (30, "route"), (44, "route"),
        (45, "hard_block"),
    ],
)  # fmt: skip
def test_case_9_the_oldest_unpaid_invoice_decides_with_inclusive_days(
    days: int, outcome: str
) -> None:
    old = overdue_days(
        [OpenItem(TODAY - timedelta(days), money("480"))], Decimal(0), TODAY, rules()
    )
    assert old == days
    assert decide(replace(BASE, overdue_days=old), money("100"), rules()).outcome == outcome


def test_case_10_pennies_are_immaterial() -> None:
    old = overdue_days(
        [OpenItem(TODAY - timedelta(60), money("12.40"))], Decimal(0), TODAY, rules()
    )
    assert decide(replace(BASE, overdue_days=old), money("100"), rules()).outcome == "ok"


@pytest.mark.parametrize(
    ("items", "credits_", "outcome"),
    [
        ([OpenItem(TODAY - timedelta(50), Decimal(480))], Decimal(500), "ok"),
        (
            [
                OpenItem(TODAY - timedelta(50), Decimal(480), disputed=True),
                OpenItem(TODAY - timedelta(20), Decimal(700)),
            ],
            Decimal(0),
            "warn",
        ),
    ],
)
def test_case_11_credits_pay_the_oldest_and_disputes_do_not_age(
    items: list[OpenItem], credits_: Decimal, outcome: str
) -> None:
    old = overdue_days(items, credits_, TODAY, rules())
    assert decide(replace(BASE, overdue_days=old), money("100"), rules()).outcome == outcome


@pytest.mark.parametrize(
    ("order", "minutes", "expected"),
    [
        ("4000", 7, ("notice", "SOFT_LIMIT")),
        ("7000", 7, ("route", "CREDIT_STALE")),
        ("10", 40, ("route", "CREDIT_UNKNOWN")),
        ("10", None, ("route", "CREDIT_UNKNOWN")),
    ],
)
def test_case_12_ORD_10_an_erp_that_is_down_costs_a_margin_then_the_approval(
    order: str, minutes: int | None, expected: tuple[str, str]
) -> None:
    age = None if minutes is None else timedelta(minutes=minutes)
    assert says(decide(replace(BASE, live=False, age=age), money(order), rules())) == expected


def test_case_13_an_order_in_flight_counts() -> None:
    decision = decide(replace(BASE, inflight=money("5000")), money("5000"), rules("hard_block"))
    assert (decision.outcome, decision.shortage) == ("hard_block", 2000)


def test_case_14_an_order_that_the_erp_has_counts_once() -> None:
    figures = replace(BASE, pending=money("14000"), inflight=Decimal(0))
    assert decide(figures, money("4000"), rules("hard_block")).passes
    twice = replace(figures, inflight=money("4000"))
    assert decide(twice, money("4000"), rules("hard_block")).shortage == 4000  # the bug's 54,000


def test_case_15_a_customer_in_credit_has_more_room() -> None:
    figures = Figures(limit=Decimal(50000), open_balance=Decimal(-2000))
    assert decide(figures, money("52000"), rules("hard_block")).passes


def test_case_16_the_worst_wins_though_a_part_would_fit() -> None:
    line = Item(1, Decimal(40), Decimal(300))
    figures = replace(BASE, overdue_days=31)
    decision = decide(figures, money("12000"), rules("partial"), [line])
    assert says(decision) == ("route", "OVERDUE_RESTRICTED")
    assert decision.accepted == {}
    limit = next(step for step in decision.steps if step.name == "limit")
    assert (limit.outcome, limit.numbers["accepted"]) == ("partial", "7800.00")


def test_a_block_of_the_erp_and_no_rate_never_approve() -> None:
    blocked = decide(replace(BASE, blocked=True, unlimited=True), money("1"), rules())
    assert says(blocked) == ("hard_block", "ERP_BLOCK")
    assert says(decide(BASE, None, rules())) == ("route", "CREDIT_UNKNOWN")


def test_unlimited_is_said_by_the_erp_and_beats_an_old_figure() -> None:
    figures = Figures(limit=None, unlimited=True, live=False, age=timedelta(days=3))
    assert decide(figures, money("1000000"), rules()).outcome == "ok"


def test_a_limit_lowered_below_the_exposure_is_shown_and_acts_on_new_orders() -> None:
    figures = replace(BASE, limit=money("30000"))
    assert figures.available == -12000
    assert decide(figures, money("1"), rules("route")).outcome == "route"


def test_the_check_at_approval_sees_what_changed_meanwhile() -> None:
    """Accepted yesterday, above the limit today: judged again it goes to finance."""
    assert decide(BASE, money("8000"), rules("route")).passes
    today = replace(BASE, open_balance=money("33000"))
    assert says(decide(today, money("8000"), rules("route"))) == ("route", "OVER_LIMIT")


def test_every_step_is_told_with_its_numbers() -> None:
    decision = decide(BASE, money("9500"), rules("warn"))
    assert [step.name for step in decision.steps] == [
        "erp_block", "overdue", "limit", "terms", "worst",
    ]  # fmt: skip
    assert decision.steps[2].numbers == {
        "order": "9500", "open_balance": "32000", "pending": "10000", "inflight": "0",
        "live": "true", "limit": "50000", "total": "51500", "shortage": "1500",
    }  # fmt: skip


amounts = st.decimals(0, 100_000, places=2)


@given(
    limit=st.none() | amounts,
    open_balance=st.decimals(-1000, 100_000, places=2),
    pending=amounts,
    inflight=amounts,
    order=amounts,
    live=st.booleans(),
    minutes=st.none() | st.integers(0, 100),
    days=st.integers(0, 60),
    action=st.sampled_from(["hard_block", "warn", "route", "partial", "payment_required"]),
)
def test_nothing_passes_that_is_unknown_old_or_above_the_limit(  # noqa: PLR0917
    limit: Decimal | None,
    open_balance: Decimal,
    pending: Decimal,
    inflight: Decimal,
    order: Decimal,
    live: bool,  # noqa: FBT001
    minutes: int | None,
    days: int,
    action: str,
) -> None:
    age = None if minutes is None else timedelta(minutes=minutes)
    figures = Figures(limit, open_balance, pending, inflight, live=live, age=age, overdue_days=days)
    decision = decide(figures, order, rules(action))
    assert decision.outcome in SEVERITY
    if decision.passes:
        assert limit is not None
        assert open_balance + pending + inflight + order <= limit
        assert days < 15
        assert live or (minutes is not None and minutes <= 15)
    more = decide(replace(figures, inflight=inflight + 1), order, rules(action))
    assert SEVERITY.index(more.outcome) >= SEVERITY.index(decision.outcome) or action == "partial"


@given(
    room=st.decimals(-100, 10_000, places=2),
    lines=st.lists(
        st.tuples(
            st.integers(1, 100),
            st.decimals("0.01", 500, places=2),
            st.sampled_from([1, 5, 12]),
            st.booleans(),
        ),
        max_size=6,
    ),
)
def test_a_split_never_exceeds_the_room_nor_the_order(
    room: Decimal, lines: list[tuple[int, Decimal, int, bool]]
) -> None:
    items = [
        Item(n, Decimal(qty * pack), unit, Decimal(pack), divisible)
        for n, (qty, unit, pack, divisible) in enumerate(lines)
    ]
    taken, amount = split(items, room)
    assert amount <= max(room, Decimal(0))
    for item in items:
        qty = taken.get(item.line_no, Decimal(0))
        assert 0 <= qty <= item.qty
        assert qty % item.pack == 0
        assert item.divisible or qty in (0, item.qty)
