"""The credit of one dealer: the ERP's figures, live or synced, with what is on its way to the ERP.

Brings together what the ERP says, what the portal knows, and the pure decision of
`quality/credit.py`; writes the decision down. Live figures are never written to `portal.credit`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from mappings.credit_rules import CreditRules
from mappings.errors import Refused
from mappings.spec import ErpMapping
from portal_db import credit as stored
from portal_db.credit import Buyer, InFlight
from quality.credit import Decision, Figures, OpenItem, overdue_days
from sync.ask import LiveAnswer
from sync.context import Context

_CLOCKS = timedelta(seconds=60)
"""How far an ERP's clock may be ahead of ours: what it acknowledged just before it worked its
figures out counts as in flight."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A credit account in one currency, as it stands now."""

    buyer: Buyer
    erp: str
    currency: str
    figures: Figures
    answer: LiveAnswer
    inflight: tuple[InFlight, ...]

    @property
    def complete(self) -> bool:
        """False where an order in flight has no gross: then the exposure is not known."""
        return all(one.gross is not None for one in self.inflight)

    @property
    def comparable(self) -> bool:
        """Can an order in this currency be held against it? No rate is ever made up."""
        told = [row["currency"] for row in self.answer.rows]
        return self.complete and (not told or self.currency in told)


def credit_source(ctx: Context, erp: str) -> ErpMapping:
    """Where the credit of an ERP's dealers is held: itself, or the ERP whose dealers it uses."""
    mapping = ctx.erp(erp)
    if mapping.live.ask("credit") is not None or "credit" in mapping.feeds:
        return mapping
    return ctx.erp(mapping.refers.get("dealer", erp))


def dealer_space(mapping: ErpMapping) -> str:
    """Whose dealer numbers an ERP uses."""
    return mapping.refers.get("dealer", mapping.erp)


def buyer_of(ctx: Context, erp: str, dealer_key: str) -> Buyer:
    """The dealer that this ERP knows by a number. Raises Refused (`not_found`)."""
    space = dealer_space(ctx.erp(erp))
    with ctx.connection() as connection:
        found = stored.buyer(connection, space, dealer_key)
    if found is None:
        raise Refused(f"there is no dealer {dealer_key} at {space}", erp=erp, code="not_found")
    return found


def standing(
    connection: psycopg.Connection[Any],
    source: ErpMapping,
    buyer: Buyer,
    currency: str,
    answer: LiveAnswer,
    *,
    now: datetime,
    without: str | None = None,
) -> Standing:
    """The account's figures out of an answer, with what is in flight and how old its debts are.

    `without`: an order that is left out of what is in flight (it is judged again itself).
    """
    rules = source.credit
    row = next((one for one in answer.rows if one["currency"] == currency), None)
    if row is None:
        held = any(one["on_hold"] for one in answer.rows)
        figures = Figures(None, live=answer.live, age=answer.age(now), blocked=held)
        flying = _flying(connection, source, buyer, currency, None, None, without)
        return Standing(buyer, source.erp, currency, figures, answer, tuple(flying))
    today = now.astimezone(ZoneInfo(source.time_zone)).date()
    limit = row["limit_amount"]
    if row["limit_valid_to"] is not None and row["limit_valid_to"] <= today:
        limit = None  # from this day on it is unknown
    flying = _flying(connection, source, buyer, currency, row, answer.as_of, without)
    pending = row["pending"]
    if pending is None:
        pending = stored.pending_of(
            connection, source.erp, buyer.dealer_erp, buyer.account_key, currency
        )
    figures = Figures(
        limit=limit,
        open_balance=row["open_balance"],
        pending=pending,
        inflight=sum((one.gross or Decimal(0) for one in flying), Decimal(0)),
        unlimited=bool(row["unlimited"]),
        blocked=bool(row["on_hold"]),
        live=answer.live,
        age=None if answer.live else answer.age(now),
        overdue_days=_overdue(connection, source, buyer, currency, row, now, rules),
    )
    return Standing(buyer, source.erp, currency, figures, answer, tuple(flying))


def _flying(
    connection: psycopg.Connection[Any],
    source: ErpMapping,
    buyer: Buyer,
    currency: str,
    row: dict[str, Any] | None,
    as_of: datetime | None,
    without: str | None,
) -> list[InFlight]:
    known_at = None
    contained = None
    if row is not None and row["pending"] is not None:
        calculated: datetime = row["calculated_at"]
        known_at = (min(calculated, as_of) if as_of else calculated) - _CLOCKS
        if _tells_references(source):
            contained = row["pending_refs"] or []
    return stored.in_flight(
        connection,
        buyer.dealer_erp,
        buyer.account_key,
        currency,
        contained=contained,
        known_at=known_at,
        without=without,
    )


def _tells_references(source: ErpMapping) -> bool:
    """Does the mapping say which of our orders the ERP's `pending` contains?"""
    ask = source.live.ask("credit")
    fields = ask.fields if ask is not None else source.feeds["credit"].fields
    return fields.get("pending_refs", "absent") != "absent"


def _overdue(
    connection: psycopg.Connection[Any],
    source: ErpMapping,
    buyer: Buyer,
    currency: str,
    row: dict[str, Any],
    now: datetime,
    rules: CreditRules,
) -> int:
    """From our invoices; from the ERP's own figure where it sends us none."""
    today = now.astimezone(ZoneInfo(source.time_zone)).date()
    if "invoices" not in source.feeds:
        if row["oldest_due_on"] is None or row["overdue"] is None:
            return 0
        theirs = OpenItem(row["oldest_due_on"], row["overdue"])
        return overdue_days([theirs], Decimal(0), today, rules)
    found = stored.unpaid(connection, source.erp, buyer.dealer_erp, buyer.account_key, currency)
    items = [OpenItem(o.due_on, o.amount, o.disputed) for o in found if o.amount > 0 and o.due_on]
    credits_ = sum((-o.amount for o in found if o.amount < 0), row["unapplied"] or Decimal(0))
    return overdue_days(items, credits_, today, rules)


def record(
    connection: psycopg.Connection[Any],
    found: Standing,
    decision: Decision,
    rules: CreditRules,
    *,
    occasion: str,
    order_gross: Decimal | None,
    reference: str | None,
    idempotency_key: str | None = None,
    request_sha256: str | None = None,
) -> int:
    """Write a decision and everything it was made from; returns its id."""
    figures = {
        **{name: _plain(value) for name, value in asdict(found.figures).items()},
        "in_flight": {one.reference: _plain(one.gross) for one in found.inflight},
    }
    return stored.record_decision(
        connection,
        erp=found.erp,
        buyer=found.buyer,
        occasion=occasion,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
        reference=reference,
        currency=found.currency,
        order_gross=order_gross,
        outcome=decision.outcome,
        reason=decision.reason,
        shortage=decision.shortage,
        pay_now=decision.pay_now,
        live=found.answer.live,
        not_live_because=found.answer.why,
        as_of=found.answer.as_of,
        figures=figures,
        rules=rules.model_dump(mode="json"),
        steps=[asdict(step) for step in decision.steps],
    )


def shown(found: Standing, now: datetime | None = None) -> dict[str, object]:
    """The account for the portal: figures as text, how fresh they are, why they are not live."""
    figures, answer = found.figures, found.answer
    age = answer.age(now or datetime.now(UTC))
    return {
        "erp": found.erp,
        "dealer": found.buyer.dealer_key,
        "account": found.buyer.account_key,
        "currency": found.currency,
        "limit": _plain(figures.limit),
        "unlimited": figures.unlimited,
        "open_balance": _plain(figures.open_balance),
        "pending": _plain(figures.pending),
        "inflight": _plain(figures.inflight),
        "available": _plain(figures.available) if found.complete else None,
        "blocked": figures.blocked,
        "overdue_days": figures.overdue_days,
        "live": answer.live,
        "not_live_because": answer.why,
        "as_of": None if answer.as_of is None else answer.as_of.isoformat(),
        "age_seconds": None if age is None else round(age.total_seconds()),
    }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
