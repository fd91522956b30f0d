"""Deletes what has been kept for its time, class by class, and leaves the proof of it.

Each step is one transaction with a line of the audit: how many, from when to when, and the
SHA-256 of what went. Files go first: killed in between, the next run finds them due again and
records them then. Must not take what an open item or the last good batch needs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from mappings.retention import keep_days
from portal_db import expiry
from portal_db.audit import record
from sync.context import Context
from sync.turn import turn

_AT_ONCE = 2_000
ACTION = "delete after its time"


@dataclass(frozen=True, slots=True)
class Expired:
    """What one step took. `subject` is a feed or a table; `sha256` covers all that went."""

    kept_as: str
    subject: str
    taken: int
    bytes: int | None
    sha256: str | None
    first_at: datetime | None
    last_at: datetime | None
    keep_days: int


def days_of(ctx: Context, erp: str, feed: str) -> int:
    """For how many days a feed's bytes are evidence: the mapping's `keep`, else the class's."""
    days = keep_days(dict(ctx.settings.keep))["evidence"]
    mapping = ctx.mappings.mappings.get(erp)
    supply = mapping.feeds.get(feed) if mapping is not None else None
    return days if supply is None or supply.keep is None else supply.keep


def expire(ctx: Context, *, now: datetime | None = None, actor: str = "waybill") -> list[Expired]:
    """Delete everything that is due; returns what went, in steps.

    A feed that is being worked on is left for the next time. Raises Misconfigured where
    WAYBILL_KEEP cannot be read.
    """
    at = now or datetime.now(UTC)
    days = keep_days(dict(ctx.settings.keep))
    found = _evidence(ctx, at, actor)
    for name in expiry.ROWS:
        found += _rows(ctx, name, at - timedelta(days=days[name]), days[name], actor)
    found += _documents(ctx, at - timedelta(days=days["documents"]), days["documents"], actor)
    found += _people(ctx, at - timedelta(days=days["people"]), days["people"], actor)
    return found


def due(ctx: Context, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """(erp, feed) → how many batches' bytes would go now. Changes nothing."""
    at = now or datetime.now(UTC)
    found = []
    with ctx.connection() as connection:
        for erp, feed in expiry.fed(connection):
            days = days_of(ctx, erp, feed)
            batches = expiry.due_batches(connection, erp, feed, at - timedelta(days=days), _AT_ONCE)
            found.append(
                {
                    "erp": erp,
                    "feed": feed,
                    "keep_days": days,
                    "batches": len(batches),
                    "bytes": sum(one.bytes for one in batches),
                }
            )
    return found


def _evidence(ctx: Context, at: datetime, actor: str) -> list[Expired]:
    with ctx.connection() as connection:
        feeds = expiry.fed(connection)
    found = []
    for erp, feed in feeds:
        days = days_of(ctx, erp, feed)
        with turn(ctx, erp, feed) as mine:
            while mine:
                with ctx.connection() as connection:
                    before = at - timedelta(days=days)
                    batches = expiry.due_batches(connection, erp, feed, before, _AT_ONCE)
                if not batches:
                    break
                found.append(_take(ctx, f"{erp}/{feed}", batches, days, actor))
    return found


def _take(
    ctx: Context, subject: str, batches: list[expiry.DueBatch], days: int, actor: str
) -> Expired:
    for one in batches:
        ctx.landing.remove(one.landing)
    digest = hashlib.sha256(
        "".join(one.manifest_sha256 or one.content_sha256 or "" for one in batches).encode()
    )
    gone = Expired(
        "evidence",
        subject,
        len(batches),
        sum(one.bytes for one in batches),
        digest.hexdigest(),
        min(one.pulled_at for one in batches),
        max(one.pulled_at for one in batches),
        days,
    )
    with ctx.connection() as connection, connection.transaction():
        expiry.evidence_gone(connection, batches)
        _note(connection, gone, actor, batches=[one.id for one in batches])
    return gone


def _rows(ctx: Context, name: str, before: datetime, days: int, actor: str) -> list[Expired]:
    found = []
    taken = _AT_ONCE
    while taken == _AT_ONCE:
        with ctx.connection() as connection, connection.transaction():
            went = expiry.expire_rows(connection, name, before, _AT_ONCE)
            taken = went.taken
            if taken:
                found.append(_expired(name, f"sync {name}", went, days))
                _note(connection, found[-1], actor)
    return found


def _documents(ctx: Context, before: datetime, days: int, actor: str) -> list[Expired]:
    with ctx.connection() as connection:
        named = expiry.due_documents(connection, before)
    gone = [sha256 for sha256 in named if ctx.landing.remove_document(sha256)]
    if not gone:
        return []
    digest = hashlib.sha256("".join(gone).encode()).hexdigest()
    one = Expired("documents", "documents", len(gone), None, digest, None, None, days)
    with ctx.connection() as connection, connection.transaction():
        _note(connection, one, actor, documents=gone)
    return [one]


def _people(ctx: Context, before: datetime, days: int, actor: str) -> list[Expired]:
    with ctx.connection() as connection, connection.transaction():
        found = [
            _expired("people", f"portal {table}", went, days)
            for table, went in expiry.delete_people(connection, before).items()
        ]
        for one in found:
            _note(connection, one, actor)
    return found


def _expired(name: str, subject: str, went: expiry.Taken, days: int) -> Expired:
    digest = went.digest.hex() if went.digest is not None else None
    return Expired(name, subject, went.taken, None, digest, went.first_at, went.last_at, days)


def _note(connection: psycopg.Connection[Any], one: Expired, actor: str, **more: object) -> None:
    detail = {
        "class": one.kept_as,
        "count": one.taken,
        "bytes": one.bytes,
        "sha256": one.sha256,
        "first_at": one.first_at,
        "last_at": one.last_at,
        "keep_days": one.keep_days,
        **more,
    }
    record(connection, actor, ACTION, one.subject, detail)
