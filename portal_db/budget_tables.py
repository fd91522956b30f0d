"""The tables behind an ERP account's budget: rate, places in flight, mistakes.

Imported by `engine_tables`, so that the metadata is whole. Must not connect.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from portal_db.schema import metadata

budget = Table(
    "budget",
    metadata,
    Column("account", Text(), primary_key=True, comment="a connection's id"),
    Column(
        "due_at",
        DateTime(timezone=True),
        comment="when the requests granted so far are paid off; a bucket's level as an instant",
    ),
    Column("paused_until", DateTime(timezone=True), comment="the ERP asked everybody to wait"),
    schema="sync",
    comment="One row an ERP account; its lock puts those who ask in a line.",
)

budget_slot = Table(
    "budget_slot",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("account", Text(), nullable=False),
    Column("endpoint", Text(), nullable=False),
    Column("lane", Text(), nullable=False),
    Column("holder", Text(), nullable=False, comment="host and process, for people"),
    Column("taken_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("lease_until", DateTime(timezone=True), nullable=False),
    CheckConstraint("lane IN ('bulk','now')", name="lane"),
    Index("budget_slot_account_idx", "account", "endpoint"),
    schema="sync",
    comment="A request under way. A killed process's place comes back when its lease ends.",
)

budget_error = Table(
    "budget_error",
    metadata,
    Column("account", Text(), primary_key=True),
    Column("endpoint", Text(), primary_key=True),
    Column("refused_at", ARRAY(DateTime(timezone=True)), nullable=False),
    Column("last_status", Integer(), nullable=False),
    schema="sync",
    comment="When the ERP refused requests as mistaken, the last hour of each endpoint.",
)
