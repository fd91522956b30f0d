"""The tables of the review desk: groups of quarantine, corrections, fix jobs, notes.

Groups are counted by the database (migration 0012). This module must not connect.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
from sqlalchemy.dialects.postgresql import JSONB

from portal_db.schema import metadata

_INSTANT = DateTime(timezone=True)
_OPEN = text("open_items > 0")


def _count(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, BigInteger(), nullable=False, server_default="0", comment=comment)


quarantine_group = Table(
    "quarantine_group",
    metadata,
    Column(
        "shape",
        Text(),
        primary_key=True,
        comment="the fingerprint: erp, feed, part, field, code, value shape",
    ),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("part", Text(), nullable=False),
    Column("field", Text(), nullable=False),
    Column("code", Text(), nullable=False),
    Column("value_shape", Text()),
    Column("says", Text(), nullable=False),
    Column("example", BigInteger(), nullable=False),
    _count("open_items"),
    _count("waiting_items", "open ones that only lack their parent so far"),
    _count("seen_items"),
    Column("first_seen_at", _INSTANT, nullable=False),
    Column("last_seen_at", _INSTANT, nullable=False),
    Column("state", Text(), nullable=False, server_default="open"),
    Column("assignee", Text()),
    Column("tags", ARRAY(Text()), nullable=False, server_default="{}"),
    Column("ignored_until", _INSTANT),
    Column("ignored_items", BigInteger(), comment="comes back when as many are open"),
    Column("reason", Text()),
    Column("changed_at", _INSTANT),
    Column("changed_by", Text()),
    Column(
        "version",
        Integer(),
        nullable=False,
        server_default="1",
        comment="counts what people did to it: what a person saw",
    ),
    CheckConstraint("state IN ('open','acknowledged','ignored','resolved')", name="state"),
    CheckConstraint("open_items >= 0 AND waiting_items >= 0", name="counts"),
    Index("quarantine_group_seen_idx", "last_seen_at", "shape", postgresql_where=_OPEN),
    Index("quarantine_group_open_idx", "open_items", "shape", postgresql_where=_OPEN),
    Index("quarantine_group_feed_idx", "erp", "feed", "last_seen_at", "shape"),
    schema="sync",
    comment="Items of one fingerprint; counted by triggers of sync.quarantine.",
)

quarantine_day = Table(
    "quarantine_day",
    metadata,
    Column("shape", Text(), primary_key=True),
    Column("day", Date(), primary_key=True),
    Column("seen", BigInteger(), nullable=False),
    schema="sync",
    comment="How often a fingerprint was seen on a day (UTC).",
)

quarantine_dealer = Table(
    "quarantine_dealer",
    metadata,
    Column("shape", Text(), primary_key=True),
    Column("dealer", Text(), primary_key=True),
    Column("currency", Text(), primary_key=True),
    Column("open_items", BigInteger(), nullable=False),
    Column("amount", Numeric(), nullable=False),
    schema="sync",
    comment="Whom open items of a fingerprint are about, and the money in them.",
)

correction = Table(
    "correction",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("item_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column(
        "part",
        Text(),
        nullable=False,
        comment="the part of the corrected record: the item's own, or one of its children",
    ),
    Column("key", Text()),
    Column("record_no", BigInteger(), nullable=False),
    Column("batch_id", BigInteger(), nullable=False),
    Column(
        "raw_hash",
        BigInteger(),
        nullable=False,
        comment="of the corrected record as the ERP sent it",
    ),
    Column("fingerprint", Text(), nullable=False),
    Column("changes", JSONB(), nullable=False, comment="path to new text"),
    Column("was", JSONB(), nullable=False, comment="path to the ERP's text"),
    Column("actor", Text(), nullable=False),
    Column("reason", Text(), nullable=False),
    Column("job_id", BigInteger()),
    Column("at", _INSTANT, nullable=False, server_default=text("now()")),
    Index("correction_record_idx", "erp", "feed", "fingerprint", "raw_hash"),
    Index("correction_item_idx", "item_id"),
    schema="sync",
    comment="Append-only; of one record the newest counts, and only under its fingerprint.",
)

fix_job = Table(
    "fix_job",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("kind", Text(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("shape", Text()),
    Column("correction", JSONB()),
    Column(
        "mapping",
        Text(),
        nullable=False,
        server_default="now",
        comment="judged under the mapping of now, or of the run that refused the record",
    ),
    Column("reason", Text(), nullable=False),
    Column("actor", Text(), nullable=False),
    Column("state", Text(), nullable=False, server_default="waiting"),
    Column("says", Text()),
    Column(
        "canary",
        Integer(),
        nullable=False,
        server_default="0",
        comment="so many first; when one comes back with the same fingerprint the job stops",
    ),
    _count("items"),
    _count("succeeded"),
    _count("failed"),
    _count("skipped"),
    Column("next_at", _INSTANT, nullable=False, server_default=text("now()")),
    Column("worker", Text()),
    Column("lease_until", _INSTANT),
    Column("created_at", _INSTANT, nullable=False, server_default=text("now()")),
    Column("started_at", _INSTANT),
    Column("ended_at", _INSTANT),
    CheckConstraint("kind IN ('correct','retry','discard')", name="kind"),
    CheckConstraint("mapping IN ('now','then')", name="mapping"),
    CheckConstraint(
        "state IN ('waiting','running','paused','stopped','cancelled','done')", name="state"
    ),
    Index("fix_job_due_idx", "next_at", postgresql_where=text("state IN ('waiting','running')")),
    schema="sync",
    comment="What a person asked to be done to many items; carried on by whoever holds the lease.",
)

fix_item = Table(
    "fix_item",
    metadata,
    Column("job_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("item_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("state", Text(), nullable=False, server_default="waiting"),
    Column("run_id", BigInteger()),
    Column("says", Text()),
    CheckConstraint("state IN ('waiting','succeeded','failed','skipped')", name="state"),
    Index("fix_item_state_idx", "job_id", "state", "item_id"),
    Index("fix_item_item_idx", "item_id"),
    schema="sync",
    comment="One item of a job, and what became of it.",
)

desk_note = Table(
    "desk_note",
    metadata,
    Column("id", BigInteger(), Identity(always=True), primary_key=True),
    Column("subject", Text(), nullable=False, comment="group <shape>, item <id>, message <id>"),
    Column("at", _INSTANT, nullable=False, server_default=text("now()")),
    Column("actor", Text(), nullable=False),
    Column("says", Text(), nullable=False),
    Index("desk_note_subject_idx", "subject", "id"),
    schema="sync",
    comment="What people wrote about a group, an item or a message. Append-only.",
)
