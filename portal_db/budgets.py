"""Budgets of ERP accounts in the database: take a turn, give it back, note a refusal or a pause.

Each function is one statement on the server's clock. Must not wait: callers do, with no
transaction open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row, dict_row

Lane = Literal["bulk", "now"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an account allows; None: not limited."""

    requests_per_minute: int | None = None
    concurrent: int | None = None
    reserve: int = 0
    errors_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to one who asked: granted, or why not and after how many seconds to ask again."""

    why: Literal["granted", "paused", "errors", "places", "rate"]
    place: int | None
    seconds: float


def take(
    connection: psycopg.Connection[Any],
    account: str,
    endpoint: str,
    lane: Lane,
    allowed: Allowed,
    *,
    holder: str,
    lease: timedelta,
) -> Turn:
    """Ask for one request's turn."""
    with connection.cursor(row_factory=class_row(Turn)) as cursor:
        found = cursor.execute(
            "SELECT why, place, seconds FROM sync.take_budget(%s,%s,%s,%s,%s,%s,%s,%s,%s)",
            (
                account,
                endpoint,
                lane,
                holder,
                lease,
                allowed.requests_per_minute,
                allowed.concurrent,
                allowed.reserve,
                allowed.errors_per_hour,
            ),
        ).fetchone()
    if found is None:
        message = "the budget gave no answer"
        raise RuntimeError(message)
    return found


def give_back(connection: psycopg.Connection[Any], place: int) -> None:
    """The request is over."""
    connection.execute("DELETE FROM sync.budget_slot WHERE id = %s", (place,))


def renew(connection: psycopg.Connection[Any], places: Sequence[int], lease: timedelta) -> None:
    """The requests are still under way."""
    connection.execute(
        "UPDATE sync.budget_slot SET lease_until = clock_timestamp() + %s WHERE id = ANY(%s)",
        (lease, list(places)),
    )


def note_refusal(
    connection: psycopg.Connection[Any], account: str, endpoint: str, status: int
) -> int:
    """Count a mistaken request; returns how many there were within the hour."""
    row = connection.execute(
        "INSERT INTO sync.budget_error AS e (account, endpoint, refused_at, last_status) "
        "VALUES (%s, %s, ARRAY[clock_timestamp()], %s) ON CONFLICT (account, endpoint) DO UPDATE "
        "SET last_status = excluded.last_status, refused_at = excluded.refused_at || "
        "ARRAY(SELECT r FROM unnest(e.refused_at) r "
        "WHERE r > clock_timestamp() - interval '1 hour') "
        "RETURNING cardinality(refused_at)",
        (account, endpoint, status),
    ).fetchone()
    return int(row[0]) if row else 0


def last_status(connection: psycopg.Connection[Any], account: str, endpoint: str) -> int | None:
    """The status of the newest refusal."""
    row = connection.execute(
        "SELECT last_status FROM sync.budget_error WHERE account = %s AND endpoint = %s",
        (account, endpoint),
    ).fetchone()
    return int(row[0]) if row else None


def pause(connection: psycopg.Connection[Any], account: str, seconds: float) -> None:
    """Nobody calls the account for that long; a longer pause that is on stays."""
    connection.execute(
        "INSERT INTO sync.budget AS b (account, paused_until) "
        "VALUES (%s, clock_timestamp() + make_interval(secs => %s)) "
        "ON CONFLICT (account) DO UPDATE "
        "SET paused_until = greatest(b.paused_until, excluded.paused_until)",
        (account, seconds),
    )


@dataclass(frozen=True, slots=True)
class State:
    """An account now: seconds of its pause, requests under way by lane, refusals of the hour."""

    paused_seconds: float
    bulk: int
    now: int
    refusals: dict[str, tuple[int, int, datetime]]
    """Endpoint → how many within the hour, the last status, when the oldest of them was."""


def state(connection: psycopg.Connection[Any], account: str) -> State:
    """What is known of one account; nothing is changed."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT coalesce(greatest(extract(epoch FROM (SELECT paused_until FROM sync.budget "
            "WHERE account = %(a)s) - clock_timestamp()), 0), 0)::float8 AS paused, "
            "count(*) FILTER (WHERE lane = 'bulk') AS bulk, "
            "count(*) FILTER (WHERE lane = 'now') AS now "
            "FROM sync.budget_slot WHERE account = %(a)s AND lease_until > clock_timestamp()",
            {"a": account},
        ).fetchone()
        errors = cursor.execute(
            "SELECT e.endpoint, count(*) AS refusals, e.last_status, min(r) AS oldest "
            "FROM sync.budget_error e, unnest(e.refused_at) r "
            "WHERE e.account = %s AND r > clock_timestamp() - interval '1 hour' "
            "GROUP BY e.endpoint, e.last_status ORDER BY 1",
            (account,),
        ).fetchall()
    found = row or {"paused": 0.0, "bulk": 0, "now": 0}
    return State(
        found["paused"],
        found["bulk"],
        found["now"],
        {e["endpoint"]: (e["refusals"], e["last_status"], e["oldest"]) for e in errors},
    )
