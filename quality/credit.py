"""May this order go through on credit? One pure decision, and every step of it with its numbers.

Amounts are gross and in the credit account's currency. Figures come from the caller, live from the
ERP or synced; what is not known never approves. Must not read a clock, a database or an ERP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final

from mappings.credit_rules import CreditRules

OK: Final = "ok"
NOTICE: Final = "notice"
WARN: Final = "warn"
PARTIAL: Final = "partial"
PAYMENT_REQUIRED: Final = "payment_required"
ROUTE: Final = "route"
HARD_BLOCK: Final = "hard_block"
SEVERITY: Final = (OK, NOTICE, WARN, PARTIAL, PAYMENT_REQUIRED, ROUTE, HARD_BLOCK)
"""Outcomes, mildest first. The first two are accepted at once."""

_NOTHING: Final = Decimal(0)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one credit account. `limit` None: unknown; 0: prepay only.

    `open_balance` is net of payments and may be negative; `pending` is approved in the ERP and not
    invoiced; `inflight` are orders placed here that `pending` does not contain. `age` is that of
    the figures where they are not live, None where there are none.
    """

    limit: Decimal | None
    open_balance: Decimal = _NOTHING
    pending: Decimal = _NOTHING
    inflight: Decimal = _NOTHING
    unlimited: bool = False
    blocked: bool = False
    live: bool = True
    age: timedelta | None = None
    overdue_days: int = 0
    """Days past due of the oldest item, as `overdue_days` works them out."""

    @property
    def exposure(self) -> Decimal:
        """What the account stands for already."""
        return self.open_balance + self.pending + self.inflight

    @property
    def available(self) -> Decimal | None:
        """What is left of the limit; negative where the limit was lowered below the exposure."""
        return None if self.limit is None or self.unlimited else self.limit - self.exposure


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the order, for an action that splits it. `unit_gross` is of one `uom`."""

    line_no: int
    qty: Decimal
    unit_gross: Decimal
    pack: Decimal = Decimal(1)
    divisible: bool = True


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An unpaid invoice, for ageing."""

    due_on: date
    amount: Decimal
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision: what was looked at, with its numbers, and what it said."""

    name: str
    outcome: str
    reason: str | None = None
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """How it ends. `accepted` quantities by line only for a split; amounts in credit currency."""

    outcome: str
    reason: str | None
    steps: tuple[Step, ...]
    shortage: Decimal = _NOTHING
    pay_now: Decimal = _NOTHING
    accepted: dict[int, Decimal] = field(default_factory=dict)
    accepted_amount: Decimal = _NOTHING

    @property
    def passes(self) -> bool:
        """Accepted as it is, without anybody's further word."""
        return self.outcome in (OK, NOTICE)


def overdue_days(
    items: Iterable[OpenItem], credits_: Decimal, today: date, rules: CreditRules
) -> int:
    """Days past due of the oldest item that is left, 0 where nothing that matters is overdue.

    Disputed items are left out; `credits_` (payments and credits on account) pay the oldest first;
    less than `overdue_min` in all is nothing.
    """
    left = credits_
    oldest, total = 0, _NOTHING
    for item in sorted((i for i in items if not i.disputed), key=lambda i: i.due_on):
        paid = min(max(left, _NOTHING), max(item.amount, _NOTHING))
        left -= paid
        days = (today - item.due_on).days
        rest = item.amount - paid
        if days > 0 and rest > 0:
            oldest = max(oldest, days)
            total += rest
    return oldest if total >= rules.overdue_min else 0


def decide(
    figures: Figures, order: Decimal | None, rules: CreditRules, items: Sequence[Item] = ()
) -> Decision:
    """Judge one order. `order`: its gross in credit currency, None where no rate is known."""
    steps: list[Step] = []
    if figures.blocked:
        steps.append(Step("erp_block", HARD_BLOCK, "ERP_BLOCK"))
        return Decision(HARD_BLOCK, "ERP_BLOCK", tuple(steps))
    steps.append(Step("erp_block", OK))
    days = figures.overdue_days
    numbers = {"days": str(days), "block_at": str(rules.overdue_block_days)}
    if days >= rules.overdue_block_days:
        steps.append(Step("overdue", HARD_BLOCK, "OVERDUE", numbers))
        return Decision(HARD_BLOCK, "OVERDUE", tuple(steps))
    steps.append(Step("overdue", OK, None, numbers))
    limit = _limit(figures, order, rules, items)
    terms = _terms(days, rules)
    steps += [limit.step, terms]
    worst = max((limit.step, terms), key=lambda step: SEVERITY.index(step.outcome))
    steps.append(Step("worst", worst.outcome, worst.reason))
    split = worst.outcome == PARTIAL
    return Decision(
        worst.outcome,
        worst.reason,
        tuple(steps),
        shortage=limit.shortage,
        pay_now=limit.pay_now if worst.outcome == PAYMENT_REQUIRED else _NOTHING,
        accepted=limit.accepted if split else {},
        accepted_amount=limit.amount if split else _NOTHING,
    )


@dataclass(frozen=True, slots=True)
class _Limit:
    step: Step
    shortage: Decimal = _NOTHING
    pay_now: Decimal = _NOTHING
    accepted: dict[int, Decimal] = field(default_factory=dict)
    amount: Decimal = _NOTHING


def _terms(days: int, rules: CreditRules) -> Step:
    numbers = {
        "days": str(days),
        "route_at": str(rules.overdue_route_days),
        "warn_at": str(rules.overdue_warn_days),
    }
    if days >= rules.overdue_route_days:
        return Step("terms", ROUTE, "OVERDUE_RESTRICTED", numbers)
    if days >= rules.overdue_warn_days:
        return Step("terms", WARN, "OVERDUE_WARNING", numbers)
    return Step("terms", OK, None, numbers)


def _limit(
    figures: Figures, order: Decimal | None, rules: CreditRules, items: Sequence[Item]
) -> _Limit:
    if order is None:
        return _Limit(Step("limit", ROUTE, "CREDIT_UNKNOWN", {"order": "no rate"}))
    numbers = {
        "order": _text(order),
        "open_balance": _text(figures.open_balance),
        "pending": _text(figures.pending),
        "inflight": _text(figures.inflight),
        "live": str(figures.live).lower(),
    }
    if figures.unlimited:
        return _Limit(Step("limit", OK, "UNLIMITED", numbers))
    if figures.limit is None:
        return _Limit(Step("limit", ROUTE, "NO_LIMIT_RECORD", numbers))
    total = figures.exposure + order
    numbers |= {"limit": _text(figures.limit), "total": _text(total)}
    if not figures.live:
        numbers["age_seconds"] = "unknown" if figures.age is None else _seconds(figures.age)
        if figures.age is None or figures.age > timedelta(minutes=rules.cache_minutes):
            return _Limit(Step("limit", ROUTE, "CREDIT_UNKNOWN", numbers))
    if figures.limit == 0:
        step = Step("limit", PAYMENT_REQUIRED, "PREPAY_ONLY", numbers)
        return _Limit(step, shortage=max(_NOTHING, total), pay_now=order)
    if total <= figures.limit:
        return _Limit(_within(figures, total, figures.limit, rules, numbers))
    return _above(total, figures, order, rules, items, numbers)


def _within(
    figures: Figures, total: Decimal, limit: Decimal, rules: CreditRules, numbers: dict[str, str]
) -> Step:
    if not figures.live:
        margin = limit * rules.margin_pct / 100
        numbers["margin"] = _text(margin)
        if total + margin > limit:
            return Step("limit", ROUTE, "CREDIT_STALE", numbers)
    if total > limit * rules.soft_pct / 100:
        return Step("limit", NOTICE, "SOFT_LIMIT", numbers)
    return Step("limit", OK, None, numbers)


def _above(
    total: Decimal,
    figures: Figures,
    order: Decimal,
    rules: CreditRules,
    items: Sequence[Item],
    numbers: dict[str, str],
) -> _Limit:
    limit = figures.limit or _NOTHING
    shortage = total - limit
    numbers["shortage"] = _text(shortage)
    if rules.hard_pct is not None and total > limit * rules.hard_pct / 100:
        return _Limit(Step("limit", HARD_BLOCK, "HARD_LIMIT", numbers), shortage=shortage)
    if rules.action == "partial":
        room = limit - figures.exposure
        accepted, amount = split(items, room)
        numbers |= {"room": _text(room), "accepted": _text(amount)}
        if not accepted or amount < rules.min_order:
            return _Limit(Step("limit", ROUTE, "PARTIAL_EMPTY", numbers), shortage=shortage)
        step = Step("limit", PARTIAL, "OVER_LIMIT", numbers)
        return _Limit(step, shortage=shortage, accepted=accepted, amount=amount)
    step = Step("limit", rules.action, "OVER_LIMIT", numbers)
    return _Limit(step, shortage=shortage, pay_now=min(order, shortage))


def split(items: Sequence[Item], room: Decimal) -> tuple[dict[int, Decimal], Decimal]:
    """Line → quantity that fits into `room`, in the buyer's order, and what it comes to.

    Whole packs only; a line that cannot be divided is taken whole or not at all.
    """
    taken: dict[int, Decimal] = {}
    amount = _NOTHING
    for item in items:
        left = room - amount
        if left <= 0:
            break
        qty = item.qty
        if item.unit_gross > 0 and item.unit_gross * qty > left:
            if not item.divisible:
                continue
            packs = (left / item.unit_gross / item.pack).to_integral_value(ROUND_DOWN)
            qty = packs * item.pack
        if qty > 0:
            taken[item.line_no] = qty
            amount += (qty * item.unit_gross).quantize(_CENT)
    return taken, amount


def _text(amount: Decimal) -> str:
    return format(amount, "f")


def _seconds(age: timedelta) -> str:
    return str(int(age.total_seconds()))
