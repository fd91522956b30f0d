"""One circuit an ERP: whether it takes messages now, who may try, one incident for an outage.

`closed`: everybody sends. `open`: nobody does, until one message tries as a canary (`half_open`).
`paused`: a person must change something; tried again now and then all the same. An outage is one
incident, however many messages wait for its end. Must not reach an ERP or know a mapping.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import psycopg

Connection = psycopg.Connection[Any]
Gate = Literal["all", "canary", "none"]

THRESHOLD = 3
"""Failures in a row that open a circuit."""

_FEED = "orders"
_OUTAGE = "outage"


def gate(connection: Connection, erp: str, *, worker: str, lease: float) -> Gate:
    """May this worker send: everything, one message to try, or nothing."""
    row = connection.execute(
        "SELECT state, next_at <= now() FROM sync.circuit WHERE erp = %s", (erp,)
    ).fetchone()
    if row is None or row[0] == "closed":
        return "all"
    if not row[1]:
        return "none"
    mine = connection.execute(
        "UPDATE sync.circuit SET state = 'half_open', worker = %s, changed_at = now(), "
        "next_at = now() + make_interval(secs => %s) "
        "WHERE erp = %s AND state <> 'closed' AND next_at <= now() RETURNING 1",
        (worker, lease, erp),
    ).fetchone()
    return "none" if mine is None else "canary"


def nobody_waits(connection: Connection, erp: str, *, worker: str) -> None:
    """The canary's holder found no message: the next one that comes may try at once."""
    connection.execute(
        "UPDATE sync.circuit SET state = 'open', worker = NULL, next_at = now() "
        "WHERE erp = %s AND state = 'half_open' AND worker = %s",
        (erp, worker),
    )


def answered(connection: Connection, erp: str) -> bool:
    """The ERP answered: the circuit is closed, what waited for that is due. True if it was not."""
    row = connection.execute(
        "SELECT 1 FROM sync.circuit WHERE erp = %s AND (state <> 'closed' OR failures > 0)", (erp,)
    ).fetchone()
    if row is None:
        return False
    with connection.transaction():
        row = connection.execute(
            "SELECT state FROM sync.circuit WHERE erp = %s AND (state <> 'closed' "
            "OR failures > 0) FOR UPDATE",
            (erp,),
        ).fetchone()
        if row is None:
            return False
        connection.execute(
            "UPDATE sync.circuit SET state = 'closed', failures = 0, openings = 0, "
            "opened_at = NULL, next_at = NULL, worker = NULL, code = NULL, says = NULL, "
            "changed_at = now() WHERE erp = %s",
            (erp,),
        )
        if row[0] == "closed":
            return False
        # all at once: they go in the order in which they were placed, not by their own dice
        connection.execute(
            "UPDATE sync.outbox SET next_at = now() WHERE erp = %s AND state = 'retryable' "
            "AND next_at > now()",
            (erp,),
        )
        connection.execute(
            "UPDATE sync.incident SET closed_at = now() WHERE erp = %s AND feed = %s "
            "AND guard = %s AND closed_at IS NULL",
            (erp, _FEED, _OUTAGE),
        )
    return True


def failed(
    connection: Connection, erp: str, *, code: str, says: str, wait: float, pause: bool = False
) -> bool:
    """The ERP did not answer, or (`pause`) a person must act. True where the circuit is open now.

    `wait`: seconds until a canary may try.
    """
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO sync.circuit AS c (erp, failures, code, says) VALUES (%s, 1, %s, %s) "
            "ON CONFLICT (erp) DO UPDATE SET failures = c.failures + 1, code = excluded.code, "
            "says = excluded.says, changed_at = now() RETURNING state, failures",
            (erp, code, says),
        ).fetchone()
        assert row is not None  # noqa: S101  it was inserted or updated
        state, failures = row
        if state == "closed" and failures < THRESHOLD and not pause:
            return False
        connection.execute(
            "UPDATE sync.circuit SET state = %s, openings = openings + 1, worker = NULL, "
            "opened_at = coalesce(opened_at, now()), "
            "next_at = now() + make_interval(secs => %s) WHERE erp = %s",
            ("paused" if pause else "open", wait, erp),
        )
        _join_incident(connection, erp, says)
    return True


def hold(connection: Connection, erp: str, *, code: str, says: str, wait: float) -> None:
    """The ERP asked to be left alone for `wait` seconds: no outage, but nobody sends meanwhile."""
    connection.execute(
        "INSERT INTO sync.circuit AS c (erp, state, code, says, next_at) VALUES (%(erp)s, 'open', "
        "%(code)s, %(says)s, now() + make_interval(secs => %(wait)s)) ON CONFLICT (erp) DO UPDATE "
        "SET state = CASE WHEN c.state = 'paused' THEN 'paused' ELSE 'open' END, worker = NULL, "
        "code = excluded.code, says = excluded.says, changed_at = now(), "
        "next_at = greatest(excluded.next_at, CASE WHEN c.state <> 'closed' THEN c.next_at END)",
        {"erp": erp, "code": code, "says": says, "wait": wait},
    )


def openings(connection: Connection, erp: str) -> int:
    """How often the circuit of an ERP was opened in this outage."""
    row = connection.execute("SELECT openings FROM sync.circuit WHERE erp = %s", (erp,)).fetchone()
    return 0 if row is None else int(row[0])


def closed_until(connection: Connection, erp: str, until: datetime | None) -> None:
    """Note the ERP's own closed hours, for what dealers are told."""
    if until is None:  # the usual case locks no row
        connection.execute(
            "UPDATE sync.circuit SET closed_until = NULL WHERE erp = %s AND closed_until "
            "IS NOT NULL",
            (erp,),
        )
        return
    connection.execute(
        "INSERT INTO sync.circuit AS c (erp, closed_until) VALUES (%s, %s) ON CONFLICT (erp) "
        "DO UPDATE SET closed_until = excluded.closed_until "
        "WHERE c.closed_until IS DISTINCT FROM excluded.closed_until",
        (erp, until),
    )


def resume(connection: Connection, erp: str) -> bool:
    """Let a canary try now, whatever was waited for. False where the circuit is closed."""
    row = connection.execute(
        "UPDATE sync.circuit SET next_at = now() WHERE erp = %s AND state <> 'closed' RETURNING 1",
        (erp,),
    ).fetchone()
    return row is not None


def _join_incident(connection: Connection, erp: str, says: str) -> None:
    """One an outage; its count is how many messages wait for the end of it."""
    connection.execute(
        "INSERT INTO sync.incident AS i (erp, feed, guard, times, says) SELECT %(erp)s, %(feed)s, "
        "%(guard)s, count(*), %(says)s FROM sync.outbox WHERE erp = %(erp)s "
        "AND state IN ('pending','sending','retryable','uncertain') "
        "ON CONFLICT (erp, feed, guard) WHERE closed_at IS NULL "
        "DO UPDATE SET times = greatest(i.times, excluded.times), says = excluded.says",
        {"erp": erp, "feed": _FEED, "guard": _OUTAGE, "says": says},
    )
