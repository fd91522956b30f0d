"""Quarantine's store: one open item a key, attempts added, never a silent end.

Called inside the run's transaction. Must not judge: it is told what failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part
from portal_db.identifiers import digits, plain_name
from portal_db.keys import key_text
from portal_db.ledger import Batch
from portal_db.staging import Staging

UNREADABLE = "unreadable:"


@dataclass(slots=True)
class Item:
    """One root record that is not let in, as quarantine keeps it."""

    part: str
    key: str
    page: int | None
    record_no: int
    reasons: list[dict[str, Any]]
    raw: str
    raw_hash: int
    shape: str
    children: dict[str, int] = field(default_factory=dict)
    waits_for: list[dict[str, str]] | None = None
    retry_until: datetime | None = None
    dealer: str | None = None
    amount: Decimal | None = None
    currency: str | None = None

    @property
    def code(self) -> str:
        """The code of the first reason."""
        return str(self.reasons[0]["code"])


def put(
    connection: psycopg.Connection[Any],
    batch: Batch,
    run_id: int,
    fingerprint: str,
    items: list[Item],
) -> int:
    """Open an item per key, or add an attempt to the open one; returns how many are new.

    A raw record that was discarded under the same fingerprint stays discarded: no new item. An
    item keeps the time limit of its first deferral.
    """
    if not items:
        return 0
    connection.execute("DROP TABLE IF EXISTS pg_temp.failed_now")
    connection.execute(
        "CREATE TEMP TABLE failed_now (part text, key text, page int, record_no bigint, "
        "reasons jsonb, code text, raw text, raw_hash bigint, shape text, children jsonb, "
        "waits_for jsonb, retry_until timestamptz, dealer text, amount numeric, currency text) "
        "ON COMMIT DROP"
    )
    with connection.cursor() as cursor, cursor.copy("COPY failed_now FROM STDIN") as copy:
        for one in items:
            copy.write_row(
                (
                    one.part,
                    one.key,
                    one.page,
                    one.record_no,
                    _clean(json.dumps(one.reasons, ensure_ascii=False)),
                    one.code,
                    one.raw.replace("\x00", "\u2400"),
                    one.raw_hash,
                    one.shape,
                    json.dumps(one.children),
                    None if one.waits_for is None else _clean(json.dumps(one.waits_for)),
                    one.retry_until,
                    one.dealer,
                    one.amount,
                    one.currency,
                )
            )
    # Two failing copies of one key share its one item; the last one is shown.
    connection.execute(
        "DELETE FROM failed_now a USING failed_now b WHERE a.part = b.part AND a.key = b.key "
        "AND a.record_no < b.record_no"
    )
    connection.execute(
        "DELETE FROM failed_now f USING sync.quarantine q WHERE q.erp = %s AND q.feed = %s "
        "AND q.part = f.part AND q.key = f.key AND q.state = 'discarded' "
        "AND q.raw_hash = f.raw_hash AND q.fingerprint = %s",
        (batch.erp, batch.feed, fingerprint),
    )
    rows = connection.execute(
        "INSERT INTO sync.quarantine AS q (erp, feed, part, key, batch_id, run_id, page, "
        "record_no, reasons, code, raw, raw_hash, fingerprint, shape, children, waits_for, "
        "retry_until, dealer, amount, currency) SELECT %s, %s, part, key, %s, %s, page, "
        "record_no, reasons, code, raw, raw_hash, %s, shape, children, waits_for, retry_until, "
        "dealer, amount, currency FROM failed_now "
        "ON CONFLICT (erp, feed, part, key) WHERE state = 'open' DO UPDATE SET "
        "batch_id = excluded.batch_id, run_id = excluded.run_id, page = excluded.page, "
        "record_no = excluded.record_no, reasons = excluded.reasons, code = excluded.code, "
        "raw = excluded.raw, raw_hash = excluded.raw_hash, fingerprint = excluded.fingerprint, "
        "shape = excluded.shape, children = excluded.children, waits_for = excluded.waits_for, "
        "dealer = excluded.dealer, amount = excluded.amount, currency = excluded.currency, "
        "version = q.version + 1, "
        "retry_until = CASE WHEN excluded.retry_until IS NULL THEN NULL "
        "ELSE coalesce(q.retry_until, excluded.retry_until) END, "
        "attempts = q.attempts + 1, last_seen_at = now() RETURNING q.id, q.attempts",
        (batch.erp, batch.feed, batch.id, run_id, fingerprint),
    ).fetchall()
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.attempt (quarantine_id, run_id, outcome, detail) "
            "SELECT id, %s, CASE WHEN retry_until IS NULL THEN 'rejected' ELSE 'deferred' END, "
            "jsonb_build_object('reasons', reasons, 'raw', raw, 'batch', batch_id) "
            "FROM sync.quarantine WHERE id = %s",
            [(run_id, item) for item, _ in rows],
        )
    return sum(1 for _, attempts in rows if attempts == 1)


def past_limit(
    connection: psycopg.Connection[Any], erp: str, part: Part, keys: list[str]
) -> set[str]:
    """Those of these keys that have waited for a missing parent longer than they may."""
    rows = connection.execute(
        "SELECT key FROM sync.quarantine WHERE state = 'open' AND erp = %s AND feed = %s "
        "AND part = %s AND code = 'missing_parent' AND key = ANY(%s) "
        "AND (retry_until IS NULL OR retry_until < now())",
        (erp, part.feed, part.name, keys),
    ).fetchall()
    return {str(key) for (key,) in rows}


def resolve_accepted(
    connection: psycopg.Connection[Any],
    staging: Staging,
    part: Part,
    batch: Batch,
) -> int:
    """Close the open items of every key that this run accepted, changed or not.

    The item's own record of this batch is released; a later record of its key supersedes it.
    """
    if not open_items(connection, batch.erp, batch.feed):
        return 0
    return _close(
        connection,
        staging,
        batch,
        f"q.part = '{part.name}' AND q.key IN (SELECT {key_text(part, 's')} "
        f"FROM {staging.table(part.name)} s)",
        "a record of its key was accepted",
    )


def resolve_overtaken(
    connection: psycopg.Connection[Any],
    staging: Staging,
    part: str,
    keys: list[str],
    batch: Batch,
) -> int:
    """Close the items of keys for which newer data is in the portal already."""
    return _close(
        connection,
        staging,
        batch,
        "q.part = %(part)s AND q.key = ANY(%(keys)s)",
        "newer data of its key is in the portal",
        superseded=True,
        more={"part": part, "keys": keys},
    )


def resolve_gone(
    connection: psycopg.Connection[Any], staging: Staging, part: Part, batch: Batch
) -> int:
    """A complete batch no longer holds these records, good or bad: their items are superseded."""
    return _close(
        connection,
        staging,
        batch,
        f"q.part = '{part.name}' AND q.run_id <> {digits(staging.run_id)} AND NOT EXISTS "
        f"(SELECT FROM {staging.table(part.name, '_failed')} x "
        f"WHERE {key_text(part, 'x')} = q.key)",
        "a complete extract no longer holds it",
        superseded=True,
    )


def _close(
    connection: psycopg.Connection[Any],
    staging: Staging,
    batch: Batch,
    condition: LiteralString,
    reason: str,
    *,
    superseded: bool = False,
    more: dict[str, object] | None = None,
) -> int:
    rows = connection.execute(
        "UPDATE sync.quarantine q SET state = CASE WHEN q.batch_id = %(batch)s "
        "AND NOT %(superseded)s THEN 'released' ELSE 'superseded' END, resolved_at = now(), "
        "version = q.version + 1, "
        "resolved_run = %(run)s, resolved_by = 'waybill', resolved_reason = %(reason)s "
        "WHERE q.state = 'open' AND q.erp = %(erp)s AND q.feed = %(feed)s "
        f"AND q.batch_id <= %(batch)s AND {condition} RETURNING q.id, q.state",
        {
            "batch": batch.id,
            "superseded": superseded,
            "run": staging.run_id,
            "reason": reason,
            "erp": batch.erp,
            "feed": batch.feed,
            **(more or {}),
        },
    ).fetchall()
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sync.attempt (quarantine_id, run_id, outcome, detail) "
            "VALUES (%s, %s, %s, %s)",
            [(item, staging.run_id, state, json.dumps({"says": reason})) for item, state in rows],
        )
    return len(rows)


def open_items(connection: psycopg.Connection[Any], erp: str, feed: str) -> int:
    """How many items of a feed are open, deferred ones included."""
    row = connection.execute(
        "SELECT count(*) FROM sync.quarantine WHERE erp = %s AND feed = %s AND state = 'open'",
        (erp, feed),
    ).fetchone()
    return int(row[0]) if row else 0


def open_items_of_others(
    connection: psycopg.Connection[Any], erp: str, feed: str, batch_id: int
) -> bool:
    """Is an item of the feed open that did not come from this very batch?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sync.quarantine WHERE erp = %s AND feed = %s "
        "AND state = 'open' AND batch_id <> %s)",
        (erp, feed, batch_id),
    ).fetchone()
    return bool(row and row[0])


def of_batch(connection: psycopg.Connection[Any], batch_id: int) -> dict[str, set[int]]:
    """Root part → record_no of the open items that came from this very batch."""
    rows = connection.execute(
        "SELECT part, record_no FROM sync.quarantine WHERE batch_id = %s AND state = 'open'",
        (batch_id,),
    ).fetchall()
    found: dict[str, set[int]] = {}
    for part, number in rows:
        found.setdefault(part, set()).add(int(number))
    return found


def ready_to_retry(
    connection: psycopg.Connection[Any], erp: str, parts: dict[str, str]
) -> dict[int, dict[str, set[int]]]:
    """Batch → part → record_no of deferred items whose every missing parent of `erp` is here now.

    `parts`: the parent feed's part name → its portal table.
    """
    found: dict[int, dict[str, set[int]]] = {}
    for name in parts:
        rows = connection.execute(
            f"SELECT q.batch_id, q.part, q.record_no FROM sync.quarantine q "
            f"WHERE q.state = 'open' AND q.retry_until IS NOT NULL AND EXISTS "
            f"(SELECT FROM jsonb_to_recordset(q.waits_for) AS w(erp text, part text, key text) "
            f"JOIN portal.{plain_name(name)} p ON p.erp = w.erp AND p.key = w.key "
            f"AND p.deleted_at IS NULL WHERE w.part = %s AND w.erp = %s)",
            (name, erp),
        ).fetchall()
        for batch_id, part, number in rows:
            found.setdefault(int(batch_id), {}).setdefault(part, set()).add(int(number))
    return found


def _clean(text: str) -> str:
    """jsonb cannot hold a NUL; it is shown as its symbol instead."""
    return text.replace("\\u0000", "\u2400")
