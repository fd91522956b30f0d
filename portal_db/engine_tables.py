"""The tables of schema `sync`: what the engine remembers. Imported, it makes `metadata` whole.

The migrations are what a database really gets; a test holds both against each other. This module
must not connect, and must not know a mapping or a connector.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
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

_COUNTS = ("read", "inserted", "updated", "unchanged", "superseded", "quarantined", "deferred")
LAW = "read = inserted + updated + unchanged + superseded + quarantined + deferred"
"""The ledger's law: no record that came in is dropped."""


def _counts() -> list[Column[Any]]:
    return [
        Column(name, BigInteger(), nullable=False, server_default="0")
        for name in (*_COUNTS, "deleted")
    ]


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


batch = Table(
    "batch",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("scope_key", Text(), nullable=False, server_default="", comment="'' = the whole feed"),
    Column("scope", JSONB(), comment="field and values, or field and since"),
    Column("mode", Text(), nullable=False),
    Column("state", Text(), nullable=False, server_default="pulling"),
    Column("state_reason", Text()),
    Column("cursor_from", Text()),
    Column("cursor_to", Text()),
    Column("complete", Boolean(), nullable=False, server_default="false"),
    Column("complete_reason", Text()),
    Column("landing", Text(), comment="folder below the landing store"),
    Column("content_sha256", Text(), comment="over the SHA-256 of all pages, in order"),
    Column("manifest_sha256", Text()),
    Column("mapping_sha256", Text(), nullable=False),
    Column("pages", Integer(), nullable=False, server_default="0"),
    Column("bytes", BigInteger(), nullable=False, server_default="0"),
    Column("documents", Integer(), nullable=False, server_default="0", comment="asked for anew"),
    _now("pulled_at"),
    Column("server_at", DateTime(timezone=True)),
    Column("superseded_by", BigInteger()),
    Column("sweep", Text(), comment="why a delta feed was read as a whole; NULL: it was not"),
    Column("read_seconds", Numeric(12, 3), comment="from the beginning of the pull to its seal"),
    Column(
        "evidence_deleted_at",
        DateTime(timezone=True),
        comment="when its landed bytes went, by retention",
    ),
    CheckConstraint(
        "state IN ('pulling','landed','applied','held','superseded','refused','abandoned')",
        name="state",
    ),
    CheckConstraint("mode IN ('snapshot','delta')", name="mode"),
    Index("batch_feed_idx", "erp", "feed", "scope_key", "id"),
    Index("batch_evidence_idx", "pulled_at", postgresql_where=text("evidence_deleted_at IS NULL")),
    schema="sync",
    comment="The raw pages of one pull, kept as evidence; id is the order in which they apply.",
)

batch_page = Table(
    "batch_page",
    metadata,
    Column("batch_id", BigInteger(), primary_key=True),
    Column("page", Integer(), primary_key=True),
    Column("part", Text(), nullable=False),
    Column("name", Text(), nullable=False),
    Column("file", Text(), nullable=False, comment="file name in the batch's landing folder"),
    Column("sha256", Text(), nullable=False),
    Column("bytes", BigInteger(), nullable=False),
    Column(
        "records", BigInteger(), comment="root records as the connector or the load counted them"
    ),
    Column("first_record_no", BigInteger(), comment="known once the batch has been read"),
    Column("declared", BigInteger(), comment="records in all, where the page says so"),
    Column("going_on", JSONB(), comment="where an interrupted pull goes on behind this page"),
    schema="sync",
)

run = Table(
    "run",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("batch_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("kind", Text(), nullable=False, server_default="load"),
    Column("state", Text(), nullable=False, server_default="running"),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    Column("seconds", Numeric(12, 3)),
    Column("mapping_sha256", Text(), nullable=False),
    Column("fingerprint", Text(), nullable=False),
    *_counts(),
    Column("error", JSONB()),
    Column("stops", JSONB(), comment="the guards that held it, with figures"),
    Column("overrides", ARRAY(Text()), comment="guards a release let pass"),
    Column("delta_sha256", Text()),
    Column("movements", JSONB(), comment="of a held run: its biggest changes"),
    Column("timings", JSONB(), comment="step name to seconds"),
    Column("reason", Text()),
    Column("actor", Text()),
    CheckConstraint("state IN ('running','done','held','failed')", name="state"),
    CheckConstraint("kind IN ('load','retry','replay','release')", name="kind"),
    CheckConstraint(f"state NOT IN ('done','held') OR {LAW}", name="law"),
    Index("run_batch_idx", "batch_id"),
    Index("run_feed_idx", "erp", "feed", "id"),
    Index("run_started_idx", "started_at"),
    schema="sync",
    comment="One attempt to load a batch.",
)

run_part = Table(
    "run_part",
    metadata,
    Column("run_id", BigInteger(), primary_key=True),
    Column("part", Text(), primary_key=True),
    *_counts(),
    CheckConstraint(LAW, name="law"),
    schema="sync",
    comment="The ledger of one run, per part.",
)

cursor = Table(
    "cursor",
    metadata,
    Column("erp", Text(), primary_key=True),
    Column("feed", Text(), primary_key=True),
    Column("scope_key", Text(), primary_key=True, server_default=""),
    Column("cursor", Text(), comment="the ERP's own text; moves only with the data"),
    Column("batch_id", BigInteger(), comment="last applied batch"),
    Column("run_id", BigInteger(), comment="last done run that judged all of it"),
    Column("confirmed_at", DateTime(timezone=True), comment="when presence was last proven"),
    Column("wanted_at", DateTime(timezone=True), comment="someone asked while another was at it"),
    schema="sync",
)

mapping = Table(
    "mapping",
    metadata,
    Column("sha256", Text(), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("text", Text(), nullable=False),
    _now("seen_at"),
    schema="sync",
    comment="Every mapping's text that a run has used.",
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("part", Text(), nullable=False),
    Column("key", Text(), comment="the record's key as text; unreadable:<hash> where it has none"),
    Column("state", Text(), nullable=False, server_default="open"),
    Column("batch_id", BigInteger(), nullable=False),
    Column("run_id", BigInteger(), nullable=False),
    Column("page", Integer()),
    Column("record_no", BigInteger(), nullable=False),
    Column("reasons", JSONB(), nullable=False, comment="list of field, code, says, raw"),
    Column("code", Text(), nullable=False, comment="code of the first reason"),
    Column("raw", Text(), nullable=False, comment="the record's raw columns as JSON"),
    Column("raw_hash", BigInteger(), nullable=False),
    Column("fingerprint", Text(), nullable=False),
    Column("shape", Text(), nullable=False, comment="erp, feed, part, field, code, value shape"),
    Column("children", JSONB(), comment="child part to number of records that share its fate"),
    Column("waits_for", JSONB(), comment="list of erp, part, key that are missing"),
    Column("retry_until", DateTime(timezone=True), comment="deferred until then; NULL: rejected"),
    Column("attempts", Integer(), nullable=False, server_default="1"),
    _now("first_seen_at"),
    _now("last_seen_at"),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_run", BigInteger()),
    Column("resolved_by", Text()),
    Column("resolved_reason", Text()),
    Column("dealer", Text(), comment="whom the record is about, where it says so"),
    Column("amount", Numeric(), comment="the amount its part is summed by, where it could be read"),
    Column("currency", Text()),
    Column(
        "version",
        Integer(),
        nullable=False,
        server_default="1",
        comment="counts every change of the item: what a person saw",
    ),
    Column(
        "raw_deleted_at",
        DateTime(timezone=True),
        comment="when its raw values went, by retention",
    ),
    CheckConstraint("state IN ('open','released','discarded','superseded')", name="state"),
    Index(
        "quarantine_open_key",
        "erp",
        "feed",
        "part",
        "key",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index("quarantine_batch_idx", "batch_id"),
    Index("quarantine_shape_idx", "shape", "state", "id"),
    Index("quarantine_key_idx", "key", postgresql_ops={"key": "text_pattern_ops"}),
    Index(
        "quarantine_resolved_idx",
        "resolved_at",
        postgresql_where=text("state <> 'open' AND raw_deleted_at IS NULL"),
    ),
    Index(
        "quarantine_waiting_idx",
        "erp",
        "feed",
        postgresql_where=text("state = 'open' AND retry_until IS NOT NULL"),
    ),
    schema="sync",
    comment="Records that came in and failed; one open item a key.",
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("quarantine_id", BigInteger(), nullable=False),
    Column("run_id", BigInteger(), nullable=False),
    _now("at"),
    Column("outcome", Text(), nullable=False),
    Column("detail", JSONB()),
    Index("attempt_quarantine_idx", "quarantine_id"),
    schema="sync",
    comment="One try to load a quarantined record. Append-only.",
)

change = Table(
    "change",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("run_id", BigInteger(), nullable=False),
    Column("batch_id", BigInteger(), nullable=False),
    Column("erp", Text(), nullable=False),
    Column("part", Text(), nullable=False),
    Column("key", Text(), nullable=False, comment="the row's key as text"),
    Column("op", Text(), nullable=False),
    Column("old", JSONB(), comment="the fields that differ, before"),
    Column("new", JSONB(), comment="the fields that differ, after"),
    _now("at"),
    CheckConstraint("op IN ('insert','update','delete')", name="op"),
    Index("change_key_idx", "erp", "part", "key"),
    Index(
        "change_at_idx",
        "at",
        "run_id",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    ),
    schema="sync",
    comment="What each run changed. A first load writes none: the batch is the change.",
)

check_result = Table(
    "check_result",
    metadata,
    Column("run_id", BigInteger(), primary_key=True),
    Column("part", Text(), primary_key=True),
    Column("check_id", Text(), primary_key=True),
    Column("judge", Text(), primary_key=True, comment="mask, gx or batch"),
    Column("success", Boolean(), comment="NULL: not evaluated"),
    Column("evaluated", BigInteger(), nullable=False),
    Column("failed", BigInteger(), nullable=False),
    Column("population", Text(), nullable=False),
    Column("says", Text(), nullable=False),
    schema="sync",
)

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("run_id", BigInteger(), primary_key=True),
    Column("part", Text(), primary_key=True),
    Column("name", Text(), primary_key=True, comment="count or sum:<field>"),
    Column("sides", Text(), primary_key=True, comment="which two sides, e.g. erp=read"),
    Column("left_value", Numeric()),
    Column("right_value", Numeric()),
    Column("agrees", Boolean(), comment="NULL: nothing to hold it against"),
    Column("says", Text(), nullable=False),
    _now("at"),
    schema="sync",
)

incident = Table(
    "incident",
    metadata,
    Column("id", BigInteger(), Identity(always=False), primary_key=True),
    Column("erp", Text(), nullable=False),
    Column("feed", Text(), nullable=False),
    Column("guard", Text(), nullable=False),
    Column("first_batch", BigInteger(), comment="NULL: an outage, no batch"),
    Column("last_batch", BigInteger()),
    Column("times", Integer(), nullable=False, server_default="1"),
    Column("says", Text(), nullable=False),
    _now("opened_at"),
    Column("closed_at", DateTime(timezone=True)),
    Index(
        "incident_open_key",
        "erp",
        "feed",
        "guard",
        unique=True,
        postgresql_where=text("closed_at IS NULL"),
    ),
    schema="sync",
    comment="One a guard and feed until a batch passes; newer held batches join it.",
)

feed_promise = Table(
    "feed_promise",
    metadata,
    Column("feed", Text(), primary_key=True),
    Column("promise_minutes", Integer(), nullable=False),
    schema="sync",
    comment="How old a feed may be before it counts as late; written by the migrations' end.",
)

# what makes `metadata` whole
import portal_db.audit_tables
import portal_db.budget_tables
import portal_db.desk_tables
import portal_db.gateway_tables
import portal_db.order_tables
import portal_db.price_tables
import portal_db.proof_tables
import portal_db.rule_tables
import portal_db.sweep_tables
