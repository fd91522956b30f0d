"""Conditions of the real-time lane that a person should hear of. Reads the tables alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_STANDS_STILL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that lasts. `times`: how many messages, failures … it comes to now."""

    name: str
    kind: str
    says: str
    times: int
    erp: str | None = None
    remedy: str | None = None


def conditions(connection: psycopg.Connection[Any]) -> list[Condition]:
    """Everything that is wrong now."""
    found: list[Condition] = []
    for erp, count, says in connection.execute(
        "SELECT erp, count(*), min(says) FROM sync.outbox WHERE state = 'dead' GROUP BY erp"
    ).fetchall():
        found.append(
            Condition(
                f"dead/{erp}",
                "dead_letters",
                f"{count} messages are dead; the first says: {says}",
                int(count),
                erp,
                "Correct what they say, then send them again or cancel them.",
            )
        )
    for erp, state, says, openings in connection.execute(
        "SELECT erp, state, says, openings FROM sync.circuit WHERE state <> 'closed'"
    ).fetchall():
        found.append(
            Condition(
                f"circuit/{erp}",
                "outage",
                f"{erp} takes no messages ({state}): {says or 'no reason given'}",
                max(1, int(openings)),
                erp,
                "Its messages wait and go by themselves once it answers."
                if state != "paused"
                else "Correct what it says; its messages wait.",
            )
        )
    for erp, resource, failures, says in connection.execute(
        "SELECT erp, resource, failures, says FROM sync.webhook_subscription WHERE failures >= 3"
    ).fetchall():
        found.append(
            Condition(
                f"subscription/{erp}/{resource}",
                "webhook",
                f"the subscription to {resource} cannot be kept: {says}",
                int(failures),
                erp,
                "Until it is, the feed comes by its schedule alone.",
            )
        )
    row = connection.execute(
        "SELECT count(*) FROM sync.outbox o LEFT JOIN sync.circuit c ON c.erp = o.erp "
        "WHERE o.state = 'pending' AND o.next_at < now() - make_interval(secs => %s) "
        "AND coalesce(c.state, 'closed') = 'closed' "
        "AND (c.closed_until IS NULL OR c.closed_until < now())",
        (_STANDS_STILL_SECONDS,),
    ).fetchone()
    if row and row[0]:
        found.append(
            Condition(
                "outbox_stands_still",
                "outbox",
                f"{row[0]} messages could go and do not",
                int(row[0]),
                remedy="Is the gateway running, and the DAG that delivers?",
            )
        )
    return found


def open_fingerprints(connection: psycopg.Connection[Any], prefix: str) -> dict[str, int]:
    """Fingerprint → times, of the open alerts that begin with `prefix`."""
    rows = connection.execute(
        "SELECT fingerprint, times FROM sync.alert WHERE state = 'open' "
        "AND starts_with(fingerprint, %s)",
        (prefix,),
    ).fetchall()
    return {str(fingerprint): int(times) for fingerprint, times in rows}
