"""The table of proposed mapping changes (migration 0014). This module must not connect."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from portal_db.schema import metadata

_INSTANT = DateTime(timezone=True)

mapping_rule = Table(
    "mapping_rule",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("part", Text(), nullable=False),
    Column("correction", JSONB(), nullable=False),
    Column("until", Date(), nullable=False),
    Column("job_id", BigInteger(), nullable=False, comment="the fix job whose correction it was"),
    Column("state", Text(), nullable=False, server_default="proposed"),
    Column(
        "records",
        BigInteger(),
        nullable=False,
        comment="records of that job that it was tried on",
    ),
    Column(
        "passed_before",
        BigInteger(),
        nullable=False,
        comment="of these: pass their own checks under the mapping as it stood",
    ),
    Column("passed_with", BigInteger(), nullable=False, comment="of these: pass with the change"),
    Column("proposed_by", Text(), nullable=False),
    Column("proposed_at", _INSTANT, nullable=False, server_default=text("now()")),
    Column("reason", Text(), nullable=False),
    Column("decided_by", Text()),
    Column("decided_at", _INSTANT),
    Column("decided_reason", Text()),
    Column(
        "mapping_sha256",
        Text(),
        comment="of the mapping's text that the approved diff changes",
    ),
    Column("diff", Text()),
    CheckConstraint("state IN ('proposed','approved','refused')", name="state"),
    CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided"),
    CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name="two_people"),
    CheckConstraint("(state = 'approved') = (diff IS NOT NULL)", name="diff"),
    Index(
        "mapping_rule_once_idx",
        "erp",
        "feed",
        "part",
        "correction",
        unique=True,
        postgresql_where=text("state = 'proposed'"),
    ),
    schema="sync",
    comment="Corrections proposed as changes of a mapping; whether one is in force is said by the "
    "mapping itself.",
)
