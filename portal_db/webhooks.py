"""Webhook events that came in, subscriptions that we keep, and when the gateway was last there.

Must not know how a call is proved or an ERP is reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

_KEPT_DAYS = 90


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a call. `feed` None: about nothing that the mapping names."""

    id: str
    resource: str
    change: str
    feed: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A subscription as we know it."""

    erp: str
    resource: str
    subscription_id: str | None
    url: str
    etag: str | None
    renewed_at: datetime | None
    expires_at: datetime | None
    failures: int


def take_events(connection: psycopg.Connection[Any], erp: str, events: Sequence[Event]) -> int:
    """Write events down, all of a call or none; how many are new. A known one is counted."""
    new = 0
    with connection.transaction():
        for event in events:
            row = connection.execute(
                "INSERT INTO sync.webhook_event AS e "
                "(erp, event_id, resource, change, feed, state) VALUES (%s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (erp, event_id) "
                "DO UPDATE SET times = e.times + 1 RETURNING times = 1",
                (
                    erp,
                    event.id,
                    event.resource,
                    event.change,
                    event.feed,
                    "ignored" if event.feed is None else "received",
                ),
            ).fetchone()
            new += bool(row and row[0])
    return new


def waiting(connection: psycopg.Connection[Any]) -> list[tuple[str, str, datetime]]:
    """(ERP, feed, newest event) of everything that wants a pull."""
    rows = connection.execute(
        "SELECT erp, feed, max(received_at) FROM sync.webhook_event "
        "WHERE state = 'received' AND feed IS NOT NULL GROUP BY 1, 2 ORDER BY min(received_at)"
    ).fetchall()
    return [(str(erp), str(feed), at) for erp, feed, at in rows]


def woken(
    connection: psycopg.Connection[Any], erp: str, feed: str, until: datetime, says: str
) -> None:
    """A pull was started that sees everything up to `until`."""
    connection.execute(
        "UPDATE sync.webhook_event SET state = 'woken', handled_at = now(), says = %s "
        "WHERE erp = %s AND feed = %s AND state = 'received' AND received_at <= %s",
        (says, erp, feed, until),
    )


def forget_old(connection: psycopg.Connection[Any]) -> None:
    """Drop events that nobody repeats any more."""
    connection.execute(
        "DELETE FROM sync.webhook_event WHERE state <> 'received' "
        "AND received_at < now() - make_interval(days => %s)",
        (_KEPT_DAYS,),
    )


def subscriptions(connection: psycopg.Connection[Any], erp: str) -> dict[str, Kept]:
    """Resource → subscription."""
    rows = connection.execute(
        "SELECT erp, resource, subscription_id, url, etag, renewed_at, expires_at, failures "
        "FROM sync.webhook_subscription WHERE erp = %s",
        (erp,),
    ).fetchall()
    return {row[1]: Kept(*row) for row in rows}


def keep(
    connection: psycopg.Connection[Any],
    erp: str,
    resource: str,
    url: str,
    *,
    subscription_id: str,
    etag: str | None,
    at: datetime,
    expires_at: datetime,
) -> None:
    """The ERP took a subscription, or renewed it, at `at`."""
    connection.execute(
        "INSERT INTO sync.webhook_subscription (erp, resource, url, subscription_id, etag, "
        "renewed_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (erp, resource) DO UPDATE SET url = excluded.url, subscription_id = "
        "excluded.subscription_id, etag = excluded.etag, renewed_at = excluded.renewed_at, "
        "expires_at = excluded.expires_at, failures = 0, says = NULL, changed_at = now()",
        (erp, resource, url, subscription_id, etag, at, expires_at),
    )


def failed(
    connection: psycopg.Connection[Any],
    erp: str,
    resource: str,
    url: str,
    says: str,
    *,
    lost: bool,
) -> int:
    """It could not be made or renewed; `lost`: the ERP forgot it. Returns failures in a row."""
    row = connection.execute(
        "INSERT INTO sync.webhook_subscription AS s (erp, resource, url, failures, says) "
        "VALUES (%s, %s, %s, 1, %s) ON CONFLICT (erp, resource) DO UPDATE SET "
        "failures = s.failures + 1, says = excluded.says, changed_at = now(), "
        "subscription_id = CASE WHEN %s THEN NULL ELSE s.subscription_id END RETURNING failures",
        (erp, resource, url, says, lost),
    ).fetchone()
    return int(row[0]) if row else 1


def note_alive(connection: psycopg.Connection[Any], name: str) -> None:
    """The gateway takes calls now."""
    connection.execute(
        "INSERT INTO sync.gateway_life (name, alive_at) VALUES (%s, now()) "
        "ON CONFLICT (name) DO UPDATE SET alive_at = now()",
        (name,),
    )


def absence(connection: psycopg.Connection[Any], name: str) -> timedelta | None:
    """How long the gateway was away until now; None where it never was there."""
    row = connection.execute(
        "SELECT now() - alive_at FROM sync.gateway_life WHERE name = %s", (name,)
    ).fetchone()
    return None if row is None else row[0]
