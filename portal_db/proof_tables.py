"""The tables of the auditor's proof: failing rows, pass rates by day, figures, live comparisons.

Rows of `check_day` are written by a trigger of the database (migration 0010). Declares only.
"""

from __future__ import annotations

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
    text,
)

from portal_db.schema import metadata

check_failure = Table(
    "check_failure",
    metadata,
    Column("run_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("part", Text(), primary_key=True),
    Column("check_id", Text(), primary_key=True),
    Column("judge", Text(), primary_key=True),
    Column("n", Integer(), primary_key=True, autoincrement=False),
    Column("record_no", BigInteger()),
    Column("key", Text()),
    Column("field", Text(), nullable=False),
    Column("value", Text(), comment="the ERP's text, or the measured statistic"),
    Column("says", Text(), nullable=False),
    schema="sync",
    comment="The first failing rows of each check of a run; how many there were is "
    "check_result.failed.",
)

check_day = Table(
    "check_day",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("feed", Text(), primary_key=True),
    Column("part", Text(), primary_key=True),
    Column("check_id", Text(), primary_key=True),
    Column("judge", Text(), primary_key=True),
    Column("day", Date(), primary_key=True),
    Column("runs_passed", Integer(), nullable=False),
    Column("runs_failed", Integer(), nullable=False),
    Column("runs_not_evaluated", Integer(), nullable=False),
    Column("evaluated", BigInteger(), nullable=False),
    Column("failed", BigInteger(), nullable=False),
    Column("last_run", BigInteger(), nullable=False),
    Index("check_day_day_idx", "day", "erp", "feed"),
    schema="sync",
    comment="Check results per UTC day of their run's start; kept by a trigger of check_result "
    "alone.",
)

figure = Table(
    "figure",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("span", Text(), primary_key=True),
    Column("starts_on", Date(), primary_key=True),
    Column("ends_on", Date(), nullable=False, comment="the day after the last"),
    Column("name", Text(), primary_key=True),
    Column("value", Numeric(), comment="NULL: nothing to divide by"),
    Column("counted", Numeric(), nullable=False),
    Column("of", Numeric(), nullable=False),
    Column(
        "closed",
        Boolean(),
        nullable=False,
        comment="false: the span was not over when this was computed",
    ),
    Column("computed_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("span IN ('baseline','week','month','quarter')", name="span"),
    CheckConstraint("starts_on < ends_on", name="days"),
    schema="sync",
    comment="Business figures of an ERP's orders per span of days of the distributor's time zone.",
)

live_comparison = Table(
    "live_comparison",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("erp", Text(), nullable=False),
    Column("question", Text(), nullable=False),
    Column("dealer_key", Text()),
    Column("product_key", Text(), nullable=False),
    Column("warehouse_key", Text()),
    Column("qty", Numeric()),
    Column("uom", Text()),
    Column("portal_value", Numeric()),
    Column("erp_value", Numeric()),
    Column("agrees", Boolean(), comment="NULL: it gave no answer"),
    Column("says", Text(), nullable=False),
    Column("actor", Text(), nullable=False),
    CheckConstraint("question IN ('price','stock')", name="question"),
    Index("live_comparison_erp_idx", "erp", "id"),
    schema="sync",
    comment="What an ERP answered when asked, beside what the portal would have shown. "
    "Append-only.",
)
