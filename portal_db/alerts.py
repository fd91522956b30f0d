"""Alerts as rows: one a fingerprint, counted while it lasts, told about when that is news.

News is its beginning, a tenfold growth, and its end. Must not send anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg

GROWTH = 10
_LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Alert:
    """What went wrong. `fingerprint` is the same each time it happens again."""

    fingerprint: str
    kind: str
    says: str
    erp: str | None = None
    feed: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What people are to be told now."""

    what: Literal["began", "grew", "ended"]
    alert: Alert
    times: int
    first_at: datetime
    last_at: datetime
    recovered_at: datetime | None


def raised(connection: psycopg.Connection[Any], alert: Alert, times: int = 1) -> None:
    """It happened, or happened again; after a recovery it begins anew."""
    connection.execute(
        "INSERT INTO sync.alert AS a (fingerprint, kind, erp, feed, state, says, remedy, times) "
        "VALUES (%s, %s, %s, %s, 'open', %s, %s, %s) ON CONFLICT (fingerprint) DO UPDATE SET "
        "times = CASE WHEN a.state = 'open' THEN a.times ELSE 0 END + excluded.times, "
        "first_at = CASE WHEN a.state = 'open' THEN a.first_at ELSE now() END, "
        # an end that nobody was told of yet is no end: the two are one
        "told_times = CASE WHEN a.state = 'open' OR a.told_state = 'open' THEN a.told_times "
        "                  ELSE 0 END, "
        "told_state = CASE WHEN a.state = 'open' OR a.told_state = 'open' THEN a.told_state END, "
        "state = 'open', recovered_at = NULL, last_at = now(), says = excluded.says, "
        "remedy = excluded.remedy",
        (alert.fingerprint, alert.kind, alert.erp, alert.feed, alert.says, alert.remedy, times),
    )


def recovered(connection: psycopg.Connection[Any], fingerprint: str) -> bool:
    """It is over; False where there was nothing."""
    row = connection.execute(
        "UPDATE sync.alert SET state = 'recovered', recovered_at = now() "
        "WHERE fingerprint = %s AND state = 'open' RETURNING 1",
        (fingerprint,),
    ).fetchone()
    return row is not None


def claim_news(connection: psycopg.Connection[Any], most: int = 20) -> list[News]:
    """What is news, claimed for a while: another process does not tell it too."""
    rows = connection.execute(
        "UPDATE sync.alert a SET claimed_until = now() + %s FROM ("
        "  SELECT fingerprint FROM sync.alert "
        "  WHERE (claimed_until IS NULL OR claimed_until < now()) AND ("
        "    state = 'open' AND (told_state IS NULL OR times >= told_times * %s) "
        "    OR state = 'recovered' AND told_state = 'open') "
        "  ORDER BY last_at LIMIT %s FOR UPDATE SKIP LOCKED) n "
        "WHERE a.fingerprint = n.fingerprint RETURNING a.fingerprint, a.kind, a.says, a.erp, "
        "a.feed, a.remedy, a.state, a.told_state, a.times, a.first_at, a.last_at, a.recovered_at",
        (_LEASE, GROWTH, most),
    ).fetchall()
    found = []
    for fingerprint, kind, says, erp, feed, remedy, state, told, times, *at in rows:
        alert = Alert(fingerprint, kind, says, erp, feed, remedy)
        what: Literal["began", "grew", "ended"] = "began" if told is None else "grew"
        if state == "recovered":
            what = "ended"
        found.append(News(what, alert, times, *at))
    return found


def told(connection: psycopg.Connection[Any], news: News) -> None:
    """People know it now."""
    connection.execute(
        "UPDATE sync.alert SET told_times = %s, told_state = %s, told_at = now(), "
        "claimed_until = NULL WHERE fingerprint = %s",
        (
            news.times,
            "recovered" if news.what == "ended" else "open",
            news.alert.fingerprint,
        ),
    )
