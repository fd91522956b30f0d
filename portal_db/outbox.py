"""The outbox: who takes which message next.

A claim and its attempt's beginning commit together, before anything is sent; `outcomes.py` has the
other end. Connections are in autocommit. Must not reach an ERP or know a mapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

Connection = psycopg.Connection[Any]
What = Literal["send", "find"]

# `IS NOT DISTINCT FROM` is `=` that no index serves: a table that was empty when it was last
# analysed must not be read through the index of all that is open, once for each row of a backlog.
_OPEN_PREDECESSOR = """EXISTS (
  SELECT FROM sync.outbox p WHERE p.subject = {m}.subject AND p.id < {m}.id
  AND p.erp IS NOT DISTINCT FROM {m}.erp
  AND (p.state IN ('pending','sending','retryable','uncertain')
       OR ({m}.kind = 'order_cancel' AND p.state = 'dead')))"""

_CLAIM = (
    """
SELECT m.id, m.state FROM sync.outbox m
WHERE m.erp = %(erp)s AND m.state IN ('pending','retryable','uncertain')
  AND (m.id = %(only)s OR %(only)s IS NULL)
  AND (m.next_at <= now() OR (%(canary)s AND m.state <> 'uncertain'))
  AND (m.lease_until IS NULL OR m.lease_until < now())
  AND (m.state = 'uncertain' OR (
    -- one dealer: one at a time (the busy ones are found once, not once a message of a backlog) …
    m.lane NOT IN (SELECT o.lane FROM sync.outbox o WHERE o.erp = %(erp)s
                   AND o.state = 'sending' AND o.lease_until >= now())
    -- one document: strictly one message after the other
    AND NOT """
    + _OPEN_PREDECESSOR.format(m="m")
    + """
    -- … and the older first while it could go now
    AND NOT EXISTS (SELECT FROM sync.outbox o WHERE o.lane = m.lane AND o.id < m.id
                    AND o.erp IS NOT DISTINCT FROM m.erp
                    AND o.state IN ('pending','retryable') AND o.next_at <= now()
                    AND NOT """
    + _OPEN_PREDECESSOR.format(m="o")
    + """)))
ORDER BY m.id LIMIT 1 FOR UPDATE SKIP LOCKED"""
)

# The payload and the order are looked up for the one row by subqueries: joins would be planned for
# a table that the planner may take for empty, and read the whole of both for each claim.
_LEASED = """
, claimed AS (
  UPDATE sync.outbox m SET worker = %(worker)s, attempts = m.attempts + 1,
    lease_until = now() + make_interval(secs => %(lease)s),
    state = CASE WHEN d.state IN ('pending','retryable') THEN 'sending' ELSE m.state END,
    tries = m.tries + CASE WHEN d.state IN ('pending','retryable') THEN 1 ELSE 0 END
  FROM due d WHERE m.id = d.id
  RETURNING m.id, m.kind, m.erp, m.reference, m.subject, m.lane, m.attempts AS attempt_no, m.tries,
    m.strikes, m.not_found, m.payload_version, m.sent_at IS NOT NULL AS was_sent,
    CASE WHEN m.state = 'sending' THEN 'send' ELSE 'find' END AS what,
    m.state = 'delivered' AS waiting),
begun AS (
  INSERT INTO sync.delivery_attempt (message_id, attempt_no, what, event, worker, payload_version,
    mapping_sha256)
  SELECT id, attempt_no, what, 'begun', %(worker)s, payload_version, %(sha)s FROM claimed)
SELECT c.*, (SELECT p.payload FROM sync.outbox_payload p
             WHERE p.message_id = c.id AND p.version = c.payload_version) AS payload,
  -- a cancellation is about the order that its subject names
  CASE WHEN c.kind = 'order_cancel' THEN (SELECT r.erp_key FROM portal.order_request r
                                          WHERE r.reference = c.subject) END AS order_key,
  CASE WHEN c.kind = 'order_cancel' THEN (SELECT r.erp_number FROM portal.order_request r
                                          WHERE r.reference = c.subject) END AS order_number
FROM claimed c"""

_WAITING = """
SELECT m.id, m.state FROM sync.outbox m WHERE m.erp = %(erp)s AND m.awaits_answer
  AND m.next_at <= now() AND (m.lease_until IS NULL OR m.lease_until < now())
ORDER BY m.next_at LIMIT 1 FOR UPDATE SKIP LOCKED"""

_NEXT = f"WITH due AS ({_CLAIM}) {_LEASED}"
_NEXT_WAITING = f"WITH due AS ({_WAITING}) {_LEASED}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this worker holds until its lease ends."""

    id: int
    kind: str
    erp: str
    reference: str
    subject: str
    lane: str
    attempt_no: int
    tries: int
    strikes: int
    not_found: int
    payload_version: int
    payload: dict[str, Any]
    was_sent: bool
    order_key: str | None
    order_number: str | None
    what: What = "send"
    waiting: bool = False
    """It is delivered, and only its answer is asked for."""


def claim(
    connection: Connection,
    erp: str,
    *,
    worker: str,
    lease: float,
    mapping_sha256: str,
    message_id: int | None = None,
    canary: bool = False,
) -> Claim | None:
    """The next message of an ERP that is due, leased to `worker`; None where there is none.

    A message that is uncertain is claimed to be looked up (`what` is `find`). `message_id`: only
    that one. `canary`: the oldest, due or not.
    """
    with connection.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(
            _NEXT,
            {
                "erp": erp, "only": message_id, "canary": canary, "worker": worker,
                "lease": lease, "sha": mapping_sha256,
            },
        ).fetchone()  # fmt: skip


def claim_waiting(
    connection: Connection, erp: str, *, worker: str, lease: float, mapping_sha256: str
) -> Claim | None:
    """The next message that was handed over and whose answer may be there by now."""
    with connection.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(
            _NEXT_WAITING,
            {"erp": erp, "worker": worker, "lease": lease, "sha": mapping_sha256},
        ).fetchone()


def expire(connection: Connection, erp: str, *, settle: float) -> list[int]:
    """Messages whose worker is gone: a byte may have left, so they are uncertain. Their ids."""
    with connection.transaction():
        rows = connection.execute(
            "WITH gone AS (SELECT id, worker FROM sync.outbox WHERE erp = %(erp)s "
            "AND state = 'sending' AND lease_until < now() ORDER BY id FOR UPDATE SKIP LOCKED), "
            "moved AS (UPDATE sync.outbox m SET state = 'uncertain', not_found = 0, "
            "cleared_by = NULL, sent_at = coalesce(m.sent_at, now()), code = 'lease', "
            "says = 'the worker that sent it is gone; the ERP is asked for it', "
            "next_at = now() + make_interval(secs => %(settle)s) FROM gone g WHERE m.id = g.id "
            "RETURNING m.id, m.kind, m.reference, m.attempts, m.payload_version, g.worker), "
            "told AS (INSERT INTO sync.delivery_attempt (message_id, attempt_no, what, event, "
            "worker, payload_version, outcome, code, says) SELECT id, attempts, 'send', 'ended', "
            "worker, payload_version, 'lost', 'lease', 'no word from the worker' FROM moved), "
            "orders AS (UPDATE portal.order_request r SET state = 'sent', "
            "sent_at = coalesce(r.sent_at, now()), version = r.version + 1 FROM moved m "
            "WHERE m.kind = 'order' AND r.reference = m.reference AND r.state = 'approved') "
            "SELECT id FROM moved",
            {"erp": erp, "settle": settle},
        ).fetchall()
    return [row[0] for row in rows]


def is_due(connection: Connection, erp: str) -> bool:
    """Is any message of an ERP due, whoever may take it?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sync.outbox WHERE erp = %(erp)s AND state IN "
        "('pending','retryable','uncertain') AND next_at <= now()) OR EXISTS (SELECT FROM "
        "sync.outbox WHERE erp = %(erp)s AND awaits_answer AND next_at <= now())",
        {"erp": erp},
    ).fetchone()
    return row is not None and bool(row[0])


def waiting(connection: Connection, erp: str) -> int:
    """How many messages of an ERP are not delivered, dead or cancelled."""
    row = connection.execute(
        "SELECT count(*) FROM sync.outbox WHERE erp = %s "
        "AND state IN ('pending','sending','retryable','uncertain')",
        (erp,),
    ).fetchone()
    return 0 if row is None else int(row[0])


def erp_of(connection: Connection, message_id: int) -> str | None:
    """The ERP that a message is owed to."""
    row = connection.execute("SELECT erp FROM sync.outbox WHERE id = %s", (message_id,)).fetchone()
    return None if row is None else str(row[0])


def published(connection: Connection, erp: str) -> dict[str, str]:
    """Kind → SHA-256 of the mapping it was published from."""
    rows = connection.execute(
        "SELECT kind, mapping_sha256 FROM sync.order_route WHERE erp = %s", (erp,)
    ).fetchall()
    return {str(kind): str(sha256) for kind, sha256 in rows}


def publish_route(
    connection: Connection,
    erp: str,
    kind: str,
    *,
    release: str,
    dealer_erp: str,
    product_erp: str,
    stock_erp: str | None,
    mapping_sha256: str,
) -> None:
    """Let dealers place messages of this kind for the ERP, as its mapping says."""
    connection.execute(
        "INSERT INTO sync.order_route AS o (erp, kind, release, dealer_erp, product_erp, "
        "stock_erp, mapping_sha256) VALUES (%(erp)s, %(kind)s, %(release)s, %(dealers)s, "
        "%(products)s, %(stock)s, %(sha)s) ON CONFLICT (erp, kind) DO UPDATE SET "
        "release = excluded.release, dealer_erp = excluded.dealer_erp, "
        "product_erp = excluded.product_erp, stock_erp = excluded.stock_erp, "
        "mapping_sha256 = excluded.mapping_sha256, since_at = now() "
        "WHERE o.mapping_sha256 <> excluded.mapping_sha256",
        {
            "erp": erp, "kind": kind, "release": release, "dealers": dealer_erp,
            "products": product_erp, "stock": stock_erp, "sha": mapping_sha256,
        },
    )  # fmt: skip


def withdraw_routes(connection: Connection, erp: str, kinds: list[str]) -> None:
    """Take no more messages for an ERP but of these kinds; what is owed already is delivered."""
    connection.execute(
        "DELETE FROM sync.order_route WHERE erp = %s AND kind <> ALL(%s)", (erp, kinds)
    )
