"""The tables of the audit: what people did, the chain over it, where its head was anchored.

Hashing and sealing are done by the database (migration 0009). This module must not connect.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from portal_db.schema import metadata

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("actor", Text(), nullable=False),
    Column("action", Text(), nullable=False),
    Column("subject", Text(), nullable=False),
    Column("detail", JSONB()),
    Column("db_user", Text(), nullable=False, comment="who the database says it was"),
    Column(
        "content", Text(), nullable=False, comment="the row as JSON text, exactly what was hashed"
    ),
    Column("content_sha256", LargeBinary(), nullable=False),
    Index("audit_subject_idx", "subject", "id"),
    schema="sync",
    comment="What people did. Append-only.",
)

audit_link = Table(
    "audit_link",
    metadata,
    Column("position", BigInteger(), primary_key=True, autoincrement=False),
    Column("audit_id", BigInteger(), nullable=False),
    Column("content_sha256", LargeBinary(), nullable=False),
    Column("chain_sha256", LargeBinary(), nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    UniqueConstraint("audit_id", name="audit_link_once"),
    schema="sync",
    comment="The chain over sync.audit; each link hashes the one before it. "
    "One writer, append-only.",
)

audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("position", BigInteger(), nullable=False),
    Column("chain_sha256", LargeBinary(), nullable=False),
    Column("place", Text(), nullable=False, comment="address outside this database"),
    schema="sync",
    comment="Where the head of the chain was written down outside; proof lies there, not here.",
)
