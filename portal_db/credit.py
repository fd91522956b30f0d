"""What the portal knows for a credit decision, and the record of it.

Orders in flight, unpaid invoices, the lock that lets one order of an account be judged at a time.
Inside the caller's transaction. Must not decide, and must not write `portal.credit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Buyer:
    """A dealer, and the account that its orders are held against."""

    dealer_erp: str
    dealer_key: str
    account_key: str
    portal_dealer_id: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class InFlight:
    """An order placed here that the ERP's figures do not contain. `gross` None: not known."""

    reference: str
    gross: Decimal | None


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An invoice that is not paid; a credit note that is not used up is negative."""

    due_on: date | None
    amount: Decimal
    disputed: bool


def buyer(connection: psycopg.Connection[Any], dealer_erp: str, dealer_key: str) -> Buyer | None:
    """The dealer of that number, None where there is none."""
    row = connection.execute(
        "SELECT d.erp, d.key, coalesce(d.credit_account_key, d.account_key), a.portal_dealer_id, "
        "d.currency FROM portal.dealer d LEFT JOIN portal.dealer_account a "
        "ON a.erp = d.erp AND a.dealer_key = d.key "
        "WHERE d.erp = %s AND d.key = %s AND d.deleted_at IS NULL",
        (dealer_erp, dealer_key),
    ).fetchone()
    return None if row is None else Buyer(*row)


def lock_account(connection: psycopg.Connection[Any], dealer_erp: str, account_key: str) -> None:
    """Wait until no other order of this account is being judged; held to the transaction's end."""
    connection.execute(
        "INSERT INTO sync.credit_account (dealer_erp, account_key) VALUES (%s, %s) "
        "ON CONFLICT DO NOTHING",
        (dealer_erp, account_key),
    )
    connection.execute(
        "SELECT FROM sync.credit_account WHERE dealer_erp = %s AND account_key = %s FOR UPDATE",
        (dealer_erp, account_key),
    )


def in_flight(
    connection: psycopg.Connection[Any],
    dealer_erp: str,
    account_key: str,
    currency: str,
    *,
    contained: Sequence[str] | None,
    known_at: datetime | None,
    without: str | None = None,
) -> list[InFlight]:
    """Orders accepted here that the ERP's figures of `known_at` do not contain.

    `contained`: our references inside the ERP's `pending`, None where it does not tell them; then
    an order counts as contained once the ERP had acknowledged it before it worked its figures out,
    or shows it as approved. `known_at` None: the ERP told no `pending`; what it shows is counted
    by `pending_of`. An order that the ERP refused, cancelled or has invoiced is not in flight.
    """
    rows = connection.execute(
        "SELECT r.reference, r.gross FROM portal.order_request r "
        "WHERE r.dealer_erp = %(space)s AND r.credit_account_key = %(account)s "
        "AND r.currency = %(currency)s AND r.state IN ('approved', 'sent', 'acknowledged') "
        "AND r.reference IS DISTINCT FROM %(without)s "
        "AND NOT (r.reference = ANY (coalesce(%(contained)s::text[], '{}'))) "
        "AND (%(contained)s::text[] IS NOT NULL OR %(known_at)s::timestamptz IS NULL "
        "     OR r.acknowledged_at IS NULL OR r.acknowledged_at > %(known_at)s) "
        "AND NOT EXISTS (SELECT FROM portal.sales_order s WHERE s.erp = r.erp "
        "  AND s.portal_ref = r.reference AND s.deleted_at IS NULL "
        "  AND (s.status IN ('rejected', 'cancelled') "
        "       OR s.open_gross = 0 AND (%(known_at)s::timestamptz IS NULL "
        "                                OR s.as_of <= %(known_at)s) "
        "       OR %(contained)s::text[] IS NULL AND s.status NOT IN ('pending', 'held') "
        "          AND (%(known_at)s::timestamptz IS NULL OR s.as_of <= %(known_at)s))) "
        "ORDER BY r.placed_at, r.reference",
        {
            "space": dealer_erp,
            "account": account_key,
            "currency": currency,
            "contained": None if contained is None else list(contained),
            "known_at": known_at,
            "without": without,
        },
    ).fetchall()
    return [InFlight(*row) for row in rows]


def pending_of(
    connection: psycopg.Connection[Any],
    erp: str,
    dealer_erp: str,
    account_key: str,
    currency: str,
) -> Decimal:
    """Gross of the ERP's approved and not invoiced orders, where it does not tell their sum."""
    row = connection.execute(
        "SELECT coalesce(sum(coalesce(s.open_gross, s.gross, 0)), 0) FROM portal.sales_order s "
        "WHERE s.erp = %s AND s.dealer_erp = %s AND s.account_key = %s AND s.currency = %s "
        "AND s.deleted_at IS NULL AND (s.status IN ('approved', 'processing', 'shipped') "
        "OR s.status = 'delivered' AND s.open_gross > 0)",
        (erp, dealer_erp, account_key, currency),
    ).fetchone()
    return Decimal(0) if row is None else Decimal(row[0])


def unpaid(
    connection: psycopg.Connection[Any],
    erp: str,
    dealer_erp: str,
    account_key: str,
    currency: str,
) -> list[Unpaid]:
    """Open invoices and unused credit notes of the account, oldest first."""
    rows = connection.execute(
        "SELECT due_on, open_amount, coalesce(disputed, false) FROM portal.invoice "
        "WHERE erp = %s AND dealer_erp = %s AND account_key = %s AND currency = %s "
        "AND deleted_at IS NULL AND open_amount <> 0 ORDER BY due_on, key",
        (erp, dealer_erp, account_key, currency),
    ).fetchall()
    return [Unpaid(*row) for row in rows]


def record_decision(
    connection: psycopg.Connection[Any],
    *,
    erp: str,
    buyer: Buyer,
    occasion: str,
    idempotency_key: str | None,
    request_sha256: str | None,
    reference: str | None,
    currency: str,
    order_gross: Decimal | None,
    outcome: str,
    reason: str | None,
    shortage: Decimal,
    pay_now: Decimal,
    live: bool,
    not_live_because: str | None,
    as_of: datetime | None,
    figures: Mapping[str, object],
    rules: Mapping[str, object],
    steps: Sequence[Mapping[str, object]],
) -> int:
    """Write a decision down for good; returns its id."""
    row = connection.execute(
        "INSERT INTO sync.credit_decision (erp, dealer_erp, dealer_key, account_key, occasion, "
        "idempotency_key, request_sha256, reference, currency, order_gross, outcome, reason, "
        "shortage, pay_now, live, not_live_because, as_of, figures, rules, steps) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, "
        "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            erp,
            buyer.dealer_erp,
            buyer.dealer_key,
            buyer.account_key,
            occasion,
            idempotency_key,
            request_sha256,
            reference,
            currency,
            order_gross,
            outcome,
            reason,
            shortage,
            pay_now,
            live,
            not_live_because,
            as_of,
            _json(figures),
            _json(rules),
            _json(steps),
        ),
    ).fetchone()
    assert row is not None  # noqa: S101  RETURNING of one row
    return int(row[0])


def placed_before(
    connection: psycopg.Connection[Any], buyer: Buyer, idempotency_key: str
) -> tuple[str, str] | None:
    """(reference, SHA-256 of the request) of the order placed under a caller's key, or None."""
    row = connection.execute(
        "SELECT reference, request_sha256 FROM sync.credit_decision WHERE dealer_erp = %s "
        "AND dealer_key = %s AND idempotency_key = %s AND reference IS NOT NULL "
        "ORDER BY id LIMIT 1",
        (buyer.dealer_erp, buyer.dealer_key, idempotency_key),
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
