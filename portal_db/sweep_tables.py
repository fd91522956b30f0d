"""The table of sweeps: what full reads found that the deltas had missed. Declares only."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    text,
)

from portal_db.schema import metadata

sweep = Table(
    "sweep",
    metadata,
    Column("run_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("batch_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("cause", Text(), nullable=False, comment="schedule, asked or cursor_expired"),
    Column("misses", ARRAY(Text()), nullable=False, comment="what the mapping said then"),
    Column(
        "complete",
        Boolean(),
        nullable=False,
        comment="false: vanished records were not looked for",
    ),
    Column(
        "compared",
        BigInteger(),
        nullable=False,
        comment="accepted records, and live rows that were not among them",
    ),
    Column("missed_inserted", BigInteger(), nullable=False),
    Column("missed_updated", BigInteger(), nullable=False),
    Column("missed_deleted", BigInteger(), nullable=False),
    Column(
        "pending",
        BigInteger(),
        nullable=False,
        comment="differs, but its stamp is one that the next delta asks for",
    ),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint(
        "missed_inserted + missed_updated + missed_deleted + pending <= compared", name="counts"
    ),
    Index("sweep_feed_idx", "erp", "feed", "run_id"),
    schema="sync",
    comment="What full reads found that the deltas had missed: how far a cursor can be trusted.",
)
