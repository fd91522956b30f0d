"""What people do about messages: try one again, correct it, say what they found, let it go.

Every such deed is audited and an attempt of its own; nothing that was tried is rewritten. A message
that may be in the ERP is never sent again on a mere word: it is looked up, or a person says that it
is not there. Must not send anything: the next delivery does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from mappings.errors import Misconfigured
from portal_db import circuits, orders, outcomes
from sync.context import Context

Connection = psycopg.Connection[Any]


def retry_message(
    ctx: Context,
    message_id: int,
    *,
    actor: str,
    reason: str,
    payload: Mapping[str, Any] | None = None,
    seen: int | None = None,
) -> str:
    """Let a dead or waiting message go again; returns its state.

    A `payload` is kept as its next version; `seen` is the version that it was made from. One that
    may be in the ERP, and that its ERP can be asked for, is looked up first; one that cannot be
    asked for needs `settle_message`.
    Raises Misconfigured (`no_message`, `state`, `seen`).
    """
    with ctx.connection() as connection, connection.transaction():
        row = _locked(connection, message_id)
        if row["state"] not in ("dead", "retryable"):
            raise _not_now(row, "tried again")
        if seen is not None and row["payload_version"] != seen:
            raise Misconfigured(
                f"message {message_id} was corrected by somebody else since you opened it",
                erp=str(row["erp"]),
                code="seen",
                remedy="Nothing was changed by you. Look at it as it is now, then decide again.",
            )
        if payload is not None:
            _new_version(connection, row, payload, actor, reason)
        how = ctx.erp(row["erp"]).outbound(row["kind"])
        # the ERP's own no is a proof that it has nothing
        refused = row["last_outcome"] == "refused"
        if row["state"] == "dead" and row["sent_at"] is not None and not refused:
            if how is None or how.target.find == "cannot":
                return str(row["state"])
            cleared = None
        else:
            cleared = f"{actor}: {reason}"
        if cleared is None:
            state = _look_up_first(connection, row)
        else:
            state = "retryable"
            connection.execute(
                "UPDATE sync.outbox SET state = 'retryable', next_at = now(), cleared_by = %s, "
                "ended_at = NULL WHERE id = %s",
                (cleared, message_id),
            )
        _by_person(connection, row, "retry", actor, reason)
        if row["kind"] == "order":
            connection.execute(
                "UPDATE portal.order_request SET state = 'approved', state_reason = NULL, "
                "ended_at = NULL, version = version + 1 WHERE reference = %s "
                "AND state IN ('rejected','sent')",
                (row["reference"],),
            )
        _audit(connection, actor, "retry message", row, reason)
    return state


def settle_message(
    ctx: Context,
    message_id: int,
    *,
    there: bool,
    actor: str,
    reason: str,
    number: str | None = None,
) -> str:
    """A person has looked in the ERP: it is there (with its `number`), or it is not.

    Returns the message's state. Raises Misconfigured (`no_message`, `state`).
    """
    with ctx.connection() as connection, connection.transaction():
        row = _locked(connection, message_id)
        if row["state"] not in ("dead", "uncertain"):
            raise _not_now(row, "settled")
        if there:
            connection.execute(
                "UPDATE sync.outbox SET state = 'delivered', delivered_at = now(), "
                "ended_at = now(), awaits_answer = false WHERE id = %s",
                (message_id,),
            )
            if row["kind"] == "order":
                outcomes.acknowledge(connection, row["reference"], {"number": number})
        else:
            connection.execute(
                "UPDATE sync.outbox SET state = 'retryable', next_at = now(), ended_at = NULL, "
                "cleared_by = %s WHERE id = %s",
                (f"{actor}: not in the ERP ({reason})", message_id),
            )
        _by_person(connection, row, "settled", actor, reason)
        _audit(connection, actor, "settle message", row, reason)
    return "delivered" if there else "retryable"


def close_message(ctx: Context, message_id: int, *, actor: str, reason: str) -> str:
    """Let a message go for good, with its order where that is not over; returns its state.

    Only one that is provably not in the ERP: never sent, refused, or known not to have gone out.
    Raises Misconfigured (`no_message`, `state`, `may_be_there`).
    """
    with ctx.connection() as connection, connection.transaction():
        row = _locked(connection, message_id)
        if row["state"] not in ("dead", "retryable"):
            raise _not_now(row, "closed")
        sure = row["sent_at"] is None or row["last_outcome"] == "refused"
        if row["state"] == "dead" and not sure:
            raise Misconfigured(
                f"message {message_id} may be in the ERP",
                erp=str(row["erp"]),
                code="may_be_there",
                remedy="Look there first, and say what you found.",
            )
        over = True
        if row["kind"] == "order":
            found = connection.execute(
                "SELECT ended_at IS NOT NULL FROM portal.order_request WHERE reference = %s",
                (row["reference"],),
            ).fetchone()
            over = bool(found and found[0])
        _by_person(connection, row, "cancelled", actor, reason)
        if over:
            connection.execute(
                "UPDATE sync.outbox SET state = 'cancelled', ended_at = now() WHERE id = %s",
                (message_id,),
            )
        else:  # the order's own way out: its holds end with it, and the dealer reads why
            orders.cancel_order(connection, row["reference"], reason=reason, actor=actor)
        _audit(connection, actor, "close message", row, reason)
    return "cancelled"


def resume(ctx: Context, erp: str, *, actor: str) -> bool:
    """Try an ERP that is down, or paused, now. False where nothing holds it back."""
    ctx.erp(erp)
    with ctx.connection() as connection, connection.transaction():
        done = circuits.resume(connection, erp)
        connection.execute(
            "INSERT INTO sync.audit (actor, action, subject) VALUES (%s, 'resume deliveries', %s)",
            (actor, erp),
        )
    return done


def _locked(connection: Connection, message_id: int) -> dict[str, Any]:
    cursor = connection.execute(
        "SELECT m.id, m.erp, m.kind, m.reference, m.state, m.sent_at, m.code, m.attempts, "
        "m.payload_version, (SELECT a.outcome FROM sync.delivery_attempt a WHERE "
        "a.message_id = m.id AND a.event <> 'begun' AND a.what <> 'person' ORDER BY a.id DESC "
        "LIMIT 1) AS last_outcome FROM sync.outbox m WHERE m.id = %s FOR UPDATE OF m",
        (message_id,),
    )
    row = cursor.fetchone()
    if row is None or cursor.description is None:
        raise Misconfigured(
            f"there is no message {message_id}",
            code="no_message",
            remedy="`waybill outbox` lists them.",
        )
    return {column.name: value for column, value in zip(cursor.description, row, strict=True)}


def _look_up_first(connection: Connection, row: Mapping[str, Any]) -> str:
    """A dead message that may be there goes on as one that was tried: the ERP is asked for it."""
    connection.execute(
        "UPDATE sync.outbox SET state = 'uncertain', next_at = now(), not_found = 0, "
        "cleared_by = NULL, ended_at = NULL WHERE id = %s",
        (row["id"],),
    )
    return "uncertain"


def _new_version(
    connection: Connection,
    row: Mapping[str, Any],
    payload: Mapping[str, Any],
    actor: str,
    reason: str,
) -> None:
    if payload.get("reference") != row["reference"]:
        raise Misconfigured(
            "a corrected message keeps its reference",
            code="reference",
            remedy=f"Leave it as {row['reference']}.",
        )
    connection.execute(
        "INSERT INTO sync.outbox_payload (message_id, version, payload, made_by, reason) "
        "VALUES (%s, %s, %s, %s, %s)",
        (row["id"], row["payload_version"] + 1, json.dumps(payload), actor, reason),
    )
    connection.execute(
        "UPDATE sync.outbox SET payload_version = payload_version + 1 WHERE id = %s", (row["id"],)
    )


def _by_person(
    connection: Connection, row: Mapping[str, Any], outcome: str, actor: str, reason: str
) -> None:
    connection.execute("UPDATE sync.outbox SET attempts = attempts + 1 WHERE id = %s", (row["id"],))
    connection.execute(
        "INSERT INTO sync.delivery_attempt (message_id, attempt_no, what, event, worker, "
        "payload_version, outcome, says) SELECT id, attempts, 'person', 'ended', %s, "
        "payload_version, %s, %s FROM sync.outbox WHERE id = %s",
        (actor, outcome, reason, row["id"]),
    )


def _audit(
    connection: Connection, actor: str, action: str, row: Mapping[str, Any], reason: str
) -> None:
    connection.execute(
        "INSERT INTO sync.audit (actor, action, subject, detail) VALUES (%s, %s, %s, %s)",
        (actor, action, f"message {row['id']} {row['reference']}",
         json.dumps({"reason": reason, "was": row["state"]})),
    )  # fmt: skip


def _not_now(row: Mapping[str, Any], doing: str) -> Misconfigured:
    return Misconfigured(
        f"message {row['id']} is {row['state']} and cannot be {doing}",
        erp=str(row["erp"]),
        code="state",
        remedy="`waybill outbox show` says what it waits for.",
    )
