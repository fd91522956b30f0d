"""The tables of the real-time lane: credit decisions, webhooks, the gateway's life, alerts.

All in schema `sync`. Imported, it makes `metadata` whole. Must not connect.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from portal_db.schema import metadata

OUTCOMES = ("ok", "notice", "warn", "partial", "payment_required", "route", "hard_block")


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _at(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, DateTime(timezone=True), comment=comment)


def _text(name: str, *, null: bool = False, comment: str | None = None) -> Column[Any]:
    return Column(name, Text(), nullable=null, comment=comment)


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    listed = ",".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


credit_account = Table(
    "credit_account",
    metadata,
    Column("dealer_erp", Text(), primary_key=True),
    Column("account_key", Text(), primary_key=True),
    schema="sync",
    comment="One row an account that orders on credit: locked while an order of it is judged.",
)

credit_decision = Table(
    "credit_decision",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    _now("at"),
    _text("erp", comment="whose credit it is"),
    _text("dealer_erp"),
    _text("dealer_key"),
    _text("account_key"),
    _text("occasion"),
    _text("idempotency_key", null=True, comment="the caller's; NULL at an approval"),
    _text("request_sha256", null=True, comment="of what the caller asked for"),
    _text("reference", null=True, comment="the order; NULL: it was not placed"),
    _text("currency"),
    Column("order_gross", Numeric(18, 4), comment="NULL: not in the account's currency, no rate"),
    _text("outcome"),
    _text("reason", null=True),
    Column("shortage", Numeric(18, 4), nullable=False),
    Column("pay_now", Numeric(18, 4), nullable=False),
    Column("live", Boolean(), nullable=False),
    _text("not_live_because", null=True),
    _at("as_of", "when the figures held; NULL: there were none"),
    Column(
        "figures",
        JSONB(),
        nullable=False,
        comment="what the ERP or the portal knew, orders in flight by reference",
    ),
    Column("rules", JSONB(), nullable=False, comment="the mapping's rules of then"),
    Column("steps", JSONB(), nullable=False),
    _one_of("occasion", ("order", "approval")),
    _one_of("outcome", OUTCOMES),
    Index("credit_decision_account_idx", "dealer_erp", "account_key", "id"),
    Index(
        "credit_decision_request_idx",
        "dealer_erp",
        "dealer_key",
        "idempotency_key",
        postgresql_where=text("reference IS NOT NULL"),
    ),
    Index(
        "credit_decision_reference_idx",
        "reference",
        postgresql_where=text("reference IS NOT NULL"),
    ),
    schema="sync",
    comment="Every judgement of an order's credit, step by step. Append-only.",
)

webhook_event = Table(
    "webhook_event",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("event_id", Text(), primary_key=True),
    _now("received_at"),
    _text("resource"),
    _text("change"),
    _text("feed", null=True, comment="NULL: about nothing that the mapping names"),
    _text("state"),
    Column("times", Integer(), nullable=False, server_default="1", comment="how often it was sent"),
    _at("handled_at"),
    _text("says", null=True),
    _one_of("state", ("received", "woken", "ignored")),
    Index("webhook_event_open_idx", "received_at", postgresql_where=text("state = 'received'")),
    schema="sync",
    comment="What an ERP called us about, once an event: a call that comes again counts here and "
    "does nothing.",
)

webhook_subscription = Table(
    "webhook_subscription",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("resource", Text(), primary_key=True),
    _text("subscription_id", null=True, comment="the ERP's; NULL: not subscribed now"),
    _text("url"),
    _text("etag", null=True),
    _at("renewed_at"),
    _at("expires_at"),
    Column("failures", Integer(), nullable=False, server_default="0", comment="in a row"),
    _text("says", null=True),
    _now("changed_at"),
    schema="sync",
    comment="What we asked an ERP to call us about, and until when it will.",
)

gateway_life = Table(
    "gateway_life",
    metadata,
    Column("name", Text(), primary_key=True),
    _now("alive_at"),
    schema="sync",
    comment="When the gateway last took calls: how long it did not is seen at its next start.",
)

alert = Table(
    "alert",
    metadata,
    Column("fingerprint", Text(), primary_key=True),
    _text("kind"),
    _text("erp", null=True),
    _text("feed", null=True),
    _text("state"),
    _text("says"),
    _text("remedy", null=True),
    Column("times", BigInteger(), nullable=False, comment="since it began"),
    _now("first_at"),
    _now("last_at"),
    _at("recovered_at"),
    Column(
        "told_times",
        BigInteger(),
        nullable=False,
        server_default="0",
        comment="times when people were last told",
    ),
    _text("told_state", null=True, comment="state when people were last told"),
    _at("told_at"),
    _at("claimed_until"),
    _one_of("state", ("open", "recovered")),
    CheckConstraint("(state = 'recovered') = (recovered_at IS NOT NULL)", name="recovered"),
    schema="sync",
    comment="What people are told of: one row a fingerprint, told when it begins, grows tenfold, "
    "and ends.",
)
