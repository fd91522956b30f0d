"""The tables of orders out: what dealers placed, what it holds back, what is owed to an ERP.

Orders live in schema `portal` and are the dealers'; messages and tries live in schema `sync`. The
functions that write them are in the migration `v0006_orders_out`. Must not connect.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from portal_db.schema import PORTAL, metadata

KINDS = ("order", "order_cancel", "customer_update", "request")
"""What may be owed to an ERP."""

MOVES: dict[str, tuple[str, ...]] = {
    "pending": ("sending", "delivered", "dead", "cancelled"),
    "sending": ("delivered", "retryable", "uncertain", "dead"),
    "retryable": ("sending", "delivered", "dead", "cancelled"),
    "uncertain": ("delivered", "retryable", "dead"),
    "dead": ("delivered", "uncertain", "retryable", "cancelled"),
    "delivered": (),
    "cancelled": (),
}
"""State of a message → the states it may move to; a trigger holds the same list."""

ORDER_STATES = (
    *("draft", "submitted", "buyer_approval", "supplier_approval", "approved", "sent"),
    *("acknowledged", "rejected", "expired", "cancelled", "on_hold_timeout"),
)

_REFERENCE = "reference ~ '^WB-[A-Z2-7]{26}$'"


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def _at(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, DateTime(timezone=True), comment=comment)


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    listed = ",".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _money(name: str) -> Column[Any]:
    return Column(name, Numeric(18, 4))


order_request = Table(
    "order_request",
    metadata,
    Column("reference", Text(), primary_key=True, comment="made by us, sent with every try"),
    Column("portal_dealer_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False, comment="the ERP that takes the order"),
    Column("dealer_erp", Text(), nullable=False, comment="whose customer number dealer_key is"),
    Column("dealer_key", Text(), nullable=False),
    Column("account_key", Text()),
    Column("credit_account_key", Text(), comment="where its credit is held"),
    Column("idempotency_key", Text(), nullable=False, comment="the caller's"),
    Column("content_sha256", Text(), nullable=False, comment="of what the caller asked for"),
    Column("state", Text(), nullable=False),
    Column("state_reason", Text(), comment="readable by the dealer"),
    Column("version", Integer(), nullable=False, server_default="1"),
    Column("currency", Text(), nullable=False),
    _money("net"),
    _money("tax"),
    _money("gross"),
    Column("customer_ref", Text(), comment="the dealer's own reference"),
    Column("requested_on", Date()),
    Column("address_key", Text()),
    Column("ship_to", JSONB()),
    Column("contact_key", Text()),
    Column("note", Text()),
    Column("entered_by", Text()),
    _now("placed_at"),
    _at("approved_at"),
    Column("approved_by", Text()),
    _at("sent_at", "first time a byte of it may have left"),
    _at("acknowledged_at"),
    _at("ended_at", "rejected, expired or cancelled"),
    Column("erp_key", Text(), comment="the ERP's key, once it told"),
    Column("erp_number", Text(), comment="the ERP's order number, once it told"),
    CheckConstraint(_REFERENCE, name="reference"),
    _one_of("state", ORDER_STATES),
    UniqueConstraint("portal_dealer_id", "idempotency_key", name="order_request_once"),
    Index("order_request_dealer_idx", "portal_dealer_id", "placed_at"),
    Index("order_request_account_idx", "dealer_erp", "credit_account_key"),
    schema="portal",
    comment="An order placed here; portal.sales_order is the same order as the ERP has it.",
)

order_request_line = Table(
    "order_request_line",
    metadata,
    Column("reference", Text(), primary_key=True),
    Column("line_no", Integer(), primary_key=True),
    Column("portal_dealer_id", BigInteger(), nullable=False),
    Column("product_erp", Text(), nullable=False, comment="whose number product_key is"),
    Column("product_key", Text(), nullable=False),
    Column("warehouse_key", Text()),
    Column("qty", Numeric(18, 6), nullable=False),
    Column("uom", Text(), nullable=False),
    Column("unit_price", Numeric(18, 6), comment="what the dealer was shown, of one `per`"),
    Column("per", Integer(), nullable=False, server_default="1"),
    Column("discount_pct", Numeric(9, 6)),
    _money("net"),
    Column("tax_pct", Numeric(9, 6)),
    _money("gross"),
    Column("note", Text()),
    Column("outcome", Text(), comment="NULL until the ERP said something about the line"),
    Column("qty_confirmed", Numeric(18, 6)),
    Column("unit_price_confirmed", Numeric(18, 6)),
    Column("expected_on", Date(), comment="promised by the ERP"),
    Column("erp_line_no", Text()),
    Column("reason", Text(), comment="the ERP's, readable by the dealer"),
    CheckConstraint("qty > 0", name="qty"),
    CheckConstraint("per > 0", name="per"),
    CheckConstraint("outcome IN ('accepted','changed','rejected','backordered')", name="outcome"),
    schema="portal",
    comment="One line of an order placed here, and what the ERP answered to it.",
)

stock_hold = Table(
    "stock_hold",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("reference", Text(), nullable=False),
    Column("line_no", Integer(), nullable=False),
    Column("portal_dealer_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False, comment="the ERP whose stock it is"),
    Column("product_key", Text(), nullable=False),
    Column("warehouse_key", Text(), nullable=False),
    Column("qty", Numeric(18, 6), nullable=False, comment="in the product's base unit"),
    _now("held_at"),
    _at("ended_at"),
    Column("ended_because", Text()),
    CheckConstraint("qty > 0", name="qty"),
    _one_of("ended_because", ("acknowledged", "rejected", "cancelled", "expired", "dead")),
    CheckConstraint("(ended_at IS NULL) = (ended_because IS NULL)", name="ended"),
    UniqueConstraint("reference", "line_no", name="stock_hold_once"),
    Index(
        "stock_hold_open_idx",
        "erp",
        "product_key",
        "warehouse_key",
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "stock_hold_acknowledged_idx",
        "erp",
        "product_key",
        "warehouse_key",
        "ended_at",
        postgresql_where=text("ended_because = 'acknowledged'"),
    ),
    schema="portal",
    comment="Stock that a placed order keeps for itself until the ERP has acknowledged it.",
)

change_request = Table(
    "change_request",
    metadata,
    Column("reference", Text(), primary_key=True),
    Column("portal_dealer_id", BigInteger(), nullable=False),
    Column("kind", Text(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("dealer_erp", Text(), nullable=False),
    Column("dealer_key", Text(), nullable=False),
    Column("idempotency_key", Text(), nullable=False),
    Column("content_sha256", Text(), nullable=False),
    Column("body", JSONB(), nullable=False),
    Column("entered_by", Text()),
    _now("placed_at"),
    CheckConstraint(_REFERENCE, name="reference"),
    _one_of("kind", ("customer_update", "request")),
    UniqueConstraint("portal_dealer_id", "idempotency_key", name="change_request_once"),
    schema="portal",
    comment="A customer update or a request that a dealer made here for its ERP.",
)

order_route = Table(
    "order_route",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("kind", Text(), primary_key=True),
    Column("release", Text(), nullable=False, server_default="approved"),
    Column("dealer_erp", Text(), nullable=False, comment="whose customer numbers it uses"),
    Column("product_erp", Text(), nullable=False, comment="whose product numbers it uses"),
    Column("stock_erp", Text(), comment="whose stock its orders hold back; NULL: none"),
    Column("mapping_sha256", Text(), nullable=False),
    _now("since_at"),
    _one_of("kind", KINDS),
    _one_of("release", ("approved", "pending")),
    schema="sync",
    comment="Which messages each ERP takes, as its mapping says; written by the engine.",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("kind", Text(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("reference", Text(), nullable=False, comment="of this message; the ERP keeps it"),
    Column("subject", Text(), nullable=False, comment="the document: strictly one after the other"),
    Column("lane", Text(), nullable=False, comment="the dealer: in order while nothing is stuck"),
    Column("portal_dealer_id", BigInteger(), nullable=False),
    Column("state", Text(), nullable=False, server_default="pending"),
    Column("payload_version", Integer(), nullable=False, server_default="1"),
    Column("tries", Integer(), nullable=False, server_default="0", comment="sends begun"),
    Column("strikes", Integer(), nullable=False, server_default="0", comment="tries that count"),
    Column("attempts", Integer(), nullable=False, server_default="0", comment="sends and finds"),
    _now("next_at"),
    Column("worker", Text()),
    _at("lease_until"),
    Column("not_found", Integer(), nullable=False, server_default="0", comment="finds in a row"),
    Column("cleared_by", Text(), comment="what allows another send after an uncertain one"),
    Column("code", Text(), comment="of the last failure"),
    Column("says", Text(), comment="the last failure, for operators"),
    Column("says_to_dealer", Text(), comment="the ERP's reason, readable by the dealer"),
    Column("answer", JSONB(), comment="what the ERP told: key, number, lines"),
    Column(
        "awaits_answer",
        Boolean(),
        nullable=False,
        server_default="false",
        comment="delivered, but the ERP has said nothing yet",
    ),
    _now("created_at"),
    _at("sent_at", "first time a byte of it may have left"),
    _at("delivered_at"),
    _at("ended_at"),
    CheckConstraint(_REFERENCE, name="reference"),
    _one_of("kind", KINDS),
    _one_of("state", tuple(MOVES)),
    CheckConstraint(
        "state <> 'sending' OR (worker IS NOT NULL AND lease_until IS NOT NULL)", name="leased"
    ),
    CheckConstraint("(state = 'delivered') = (delivered_at IS NOT NULL)", name="delivered"),
    CheckConstraint("state <> 'dead' OR code IS NOT NULL", name="dead_says_why"),
    UniqueConstraint("reference", name="outbox_reference_key"),
    Index(
        "outbox_open_idx",
        "erp",
        "id",
        postgresql_where=text("state IN ('pending','sending','retryable','uncertain')"),
    ),
    Index(
        "outbox_lane_idx",
        "lane",
        "id",
        postgresql_where=text("state IN ('pending','sending','retryable')"),
    ),
    Index("outbox_sending_idx", "erp", "lane", postgresql_where=text("state = 'sending'")),
    Index("outbox_subject_idx", "subject", "id"),
    Index("outbox_awaits_idx", "erp", "next_at", postgresql_where=text("awaits_answer")),
    Index("outbox_dead_idx", "erp", "id", postgresql_where=text("state = 'dead'")),
    schema="sync",
    comment="Messages owed to ERPs, written in the transaction that made them necessary.",
)

outbox_payload = Table(
    "outbox_payload",
    metadata,
    Column("message_id", BigInteger(), primary_key=True),
    Column("version", Integer(), primary_key=True),
    Column("payload", JSONB(), nullable=False, comment="in our own words; numbers as text"),
    _now("made_at"),
    Column("made_by", Text()),
    Column("reason", Text(), comment="why it was made anew"),
    schema="sync",
    comment="Every version of what a message says. Append-only.",
)

delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("message_id", BigInteger(), nullable=False),
    Column("attempt_no", Integer(), nullable=False),
    Column("what", Text(), nullable=False),
    Column("event", Text(), nullable=False),
    _now("at"),
    Column("worker", Text(), nullable=False),
    Column("payload_version", Integer(), nullable=False),
    Column("mapping_sha256", Text()),
    Column("outcome", Text(), comment="of an ended one"),
    Column("code", Text()),
    Column("says", Text()),
    Column("request", Text(), comment="what went out, without secrets"),
    Column("answer", Text(), comment="what came back, without secrets"),
    Column("detail", JSONB(), comment="status, headers and the like, without secrets"),
    Column("seconds", Numeric(12, 3)),
    _one_of("what", ("send", "find", "person")),
    _one_of("event", ("begun", "ended", "late")),
    CheckConstraint(
        "outcome IN ('delivered','refused','not_sent','uncertain','found','not_found','lost',"
        "'retry','settled','cancelled')",
        name="outcome",
    ),
    CheckConstraint("(event <> 'begun') = (outcome IS NOT NULL)", name="ended"),
    UniqueConstraint("message_id", "attempt_no", "event", name="delivery_attempt_once"),
    schema="sync",
    comment="Each try to deliver, once as it begins and once as it ends. Append-only.",
)

circuit = Table(
    "circuit",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("state", Text(), nullable=False, server_default="closed"),
    Column("failures", Integer(), nullable=False, server_default="0", comment="in a row"),
    Column("opened_at", DateTime(timezone=True)),
    _at("next_at", "when one message may try whether the ERP is back"),
    Column("openings", Integer(), nullable=False, server_default="0", comment="of this outage"),
    Column("worker", Text(), comment="who tries"),
    _at("closed_until", "the ERP's own closed hours, or what it asked for"),
    Column("code", Text()),
    Column("says", Text()),
    _now("changed_at"),
    _one_of("state", ("closed", "open", "half_open", "paused")),
    schema="sync",
    comment="Whether an ERP takes messages now; one row an ERP.",
)

OWNED = ("order_request", "order_request_line", "stock_hold", "change_request")
"""The tables of schema `portal` here: dealer-owned, under forced row-level security."""


Index(
    "sales_order_ref_idx",
    PORTAL["sales_order"].c.erp,
    PORTAL["sales_order"].c.portal_ref,
    postgresql_where=text("portal_ref IS NOT NULL"),
)
