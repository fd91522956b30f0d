"""What becomes of a claimed message: its state, its attempt's end, and what follows for the order.

All of it in one transaction, or none. A worker that lost its lease may still bring a sure answer;
anything unsure of it is only kept. Must not reach an ERP or know a mapping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import psycopg

from portal_db.outbox import Claim

Connection = psycopg.Connection[Any]
Outcome = Literal["delivered", "refused", "not_sent", "uncertain", "found", "not_found", "retry"]
_SURE = ("delivered", "found", "refused")


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of a claimed message, and what its attempt was like.

    `state`: where it goes; None leaves it. `delay`: seconds until it is due again. `strike`: the
    try counts towards the limit. `left`: a byte of it may have left.
    """

    outcome: Outcome
    state: str | None
    delay: float = 0.0
    code: str | None = None
    says: str | None = None
    says_to_dealer: str | None = None
    not_found: int | None = None
    cleared_by: str | None = None
    answer: Mapping[str, Any] | None = None
    awaits_answer: bool | None = None
    strike: bool = False
    left: bool = False
    request: str = ""
    answered: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


_MOVED = """
UPDATE sync.outbox m SET
  state = coalesce(%(state)s, m.state),
  next_at = now() + make_interval(secs => %(delay)s),
  code = coalesce(%(code)s, CASE WHEN %(state)s = 'delivered' THEN NULL ELSE m.code END),
  says = coalesce(%(says)s, CASE WHEN %(state)s = 'delivered' THEN NULL ELSE m.says END),
  says_to_dealer = coalesce(%(to_dealer)s, m.says_to_dealer),
  not_found = coalesce(%(not_found)s, m.not_found),
  cleared_by = coalesce(%(cleared_by)s, m.cleared_by),
  answer = coalesce(%(answer)s::jsonb, m.answer),
  awaits_answer = coalesce(%(awaits)s, m.awaits_answer),
  strikes = m.strikes + %(strike)s,
  sent_at = CASE WHEN %(left)s THEN coalesce(m.sent_at, now()) ELSE m.sent_at END,
  delivered_at = CASE WHEN coalesce(%(state)s, m.state) = 'delivered'
                      THEN coalesce(m.delivered_at, now()) END,
  ended_at = CASE WHEN coalesce(%(state)s, m.state) IN ('delivered','dead','cancelled')
                  THEN coalesce(m.ended_at, now()) END,
  worker = NULL, lease_until = NULL
WHERE m.id = %(id)s AND (
  (m.worker = %(worker)s AND m.attempts = %(attempt)s)
  OR (%(sure)s AND m.state = 'uncertain'))
RETURNING m.state"""


_RECORDED = f"""
WITH moved AS ({_MOVED}),
told AS (
  INSERT INTO sync.delivery_attempt (message_id, attempt_no, what, event, worker, payload_version,
    outcome, code, says, request, answer, detail, seconds)
  SELECT %(id)s, %(attempt)s, %(what)s,
    -- once; where the lease had run out and somebody said so, beside that, as late
    CASE WHEN EXISTS (SELECT FROM sync.delivery_attempt a WHERE a.message_id = %(id)s
                      AND a.attempt_no = %(attempt)s AND a.event = 'ended')
         THEN 'late' ELSE 'ended' END,
    %(worker)s, %(version)s, %(outcome)s, %(code)s, %(says)s, %(request)s, %(answered)s,
    %(detail)s, %(seconds)s
  ON CONFLICT DO NOTHING)
SELECT state FROM moved"""


def finish(connection: Connection, claim: Claim, worker: str, move: Move) -> bool:
    """Record how an attempt ended; False where another worker has the message by now.

    The attempt's end is kept either way.
    """
    with connection.transaction():
        row = connection.execute(
            _RECORDED,
            {
                "id": claim.id, "worker": worker, "attempt": claim.attempt_no,
                "sure": move.outcome in _SURE, "state": move.state, "delay": move.delay,
                "code": move.code, "says": move.says, "to_dealer": move.says_to_dealer,
                "not_found": move.not_found, "cleared_by": move.cleared_by,
                "answer": None if move.answer is None else _json(move.answer),
                "awaits": move.awaits_answer, "strike": int(move.strike), "left": move.left,
                "what": claim.what, "version": claim.payload_version, "outcome": move.outcome,
                "request": _kept(move.request), "answered": _kept(move.answered),
                "detail": _json(move.detail), "seconds": round(move.seconds, 3),
            },
        ).fetchone()  # fmt: skip
        if row is None:
            return False
        if claim.kind == "order":
            _order(connection, claim, move)
        elif claim.kind == "order_cancel":
            _cancel(connection, claim, move)
    return True


def _order(connection: Connection, claim: Claim, move: Move) -> None:
    """What a message's move means for the order that it carries."""
    answer = move.answer or {}
    refused = move.outcome == "refused" or answer.get("status") == "rejected"
    if refused:
        reason = move.says_to_dealer or answer.get("reason") or move.says
        end_order(connection, claim.reference, "rejected", str(reason or "no reason given"))
        connection.execute(
            "UPDATE sync.outbox SET state = 'cancelled', ended_at = now(), "
            "code = 'nothing_to_cancel' WHERE subject = %s AND kind = 'order_cancel' "
            "AND state IN ('pending','retryable')",
            (claim.reference,),
        )
        _lines(connection, claim.reference, answer.get("lines") or ())
    elif move.outcome in ("delivered", "found") and not move.awaits_answer:
        acknowledge(connection, claim.reference, answer)
    elif move.outcome in ("delivered", "found", "uncertain"):
        _set_state(connection, claim.reference, ("approved",), "sent")
    elif move.state == "retryable":
        _set_state(connection, claim.reference, ("sent",), "approved")
    elif move.state == "dead" and not (move.left or claim.was_sent):
        connection.execute("SELECT portal.end_holds(%s, 'dead')", (claim.reference,))


def _cancel(connection: Connection, claim: Claim, move: Move) -> None:
    """What the ERP's answer to a cancellation means for the order it is about."""
    if move.outcome in ("delivered", "found"):
        end_order(
            connection, claim.subject, "cancelled", claim.payload.get("reason") or "cancelled"
        )
    elif move.outcome == "refused":
        connection.execute(
            "UPDATE portal.order_request SET state_reason = %s, version = version + 1 "
            "WHERE reference = %s",
            (f"could not be cancelled: {move.says_to_dealer or move.says}", claim.subject),
        )


def _set_state(connection: Connection, reference: str, was: Sequence[str], state: str) -> None:
    connection.execute(
        "UPDATE portal.order_request SET state = %s, version = version + 1, "
        "sent_at = CASE WHEN %s = 'sent' THEN coalesce(sent_at, now()) ELSE sent_at END "
        "WHERE reference = %s AND state = ANY(%s)",
        (state, state, reference, list(was)),
    )


def end_order(connection: Connection, reference: str, state: str, reason: str) -> None:
    """`rejected` or `cancelled` by the ERP: its stock is free again."""
    connection.execute(
        "UPDATE portal.order_request SET state = %s, state_reason = %s, ended_at = now(), "
        "version = version + 1 WHERE reference = %s AND state NOT IN ('rejected','cancelled')",
        (state, reason, reference),
    )
    connection.execute("SELECT portal.end_holds(%s, %s)", (reference, state))


def acknowledge(connection: Connection, reference: str, answer: Mapping[str, Any]) -> None:
    """The ERP has the order: its key and number, its word on each line; the stock is its affair."""
    lines = answer.get("lines") or ()
    connection.execute(
        "UPDATE portal.order_request SET erp_key = coalesce(%s, erp_key), "
        "erp_number = coalesce(%s, erp_number), sent_at = coalesce(sent_at, now()), "
        "acknowledged_at = coalesce(acknowledged_at, now()), version = version + 1, "
        "state = CASE WHEN state IN ('submitted','approved','sent') THEN 'acknowledged' "
        "ELSE state END WHERE reference = %s",
        (answer.get("key"), answer.get("number"), reference),
    )
    _lines(connection, reference, lines)
    connection.execute("SELECT portal.end_holds(%s, 'acknowledged')", (reference,))


def _lines(connection: Connection, reference: str, lines: Sequence[Mapping[str, Any]]) -> None:
    if not lines:
        return
    connection.execute(
        "UPDATE portal.order_request_line l SET outcome = coalesce(a.outcome, l.outcome), "
        "qty_confirmed = coalesce(a.qty_confirmed, l.qty_confirmed), "
        "unit_price_confirmed = coalesce(a.unit_price, l.unit_price_confirmed), "
        "expected_on = coalesce(a.expected_on, l.expected_on), "
        "erp_line_no = coalesce(a.erp_line_no, l.erp_line_no), "
        "reason = coalesce(a.reason, l.reason) FROM jsonb_to_recordset(%s::jsonb) AS a("
        "line_no integer, outcome text, qty_confirmed numeric, unit_price numeric, "
        "expected_on date, erp_line_no text, reason text) "
        "WHERE l.reference = %s AND l.line_no = a.line_no",
        (_json(lines), reference),
    )


def acknowledge_from_feed(connection: Connection, erp: str) -> list[str]:
    """Orders that the order-status feed shows under our reference: they are in the ERP.

    Their messages are delivered by that, whatever was to be done about them; only one that is being
    sent is left to its worker. Returns the references.
    """
    with connection.transaction():
        rows = connection.execute(
            "SELECT r.reference, s.key, s.number FROM portal.order_request r "
            "JOIN portal.sales_order s ON s.erp = r.erp AND s.portal_ref = r.reference "
            "AND s.deleted_at IS NULL WHERE r.erp = %s AND r.state IN ('approved','sent') "
            "ORDER BY r.reference, s.backorder_of NULLS FIRST, s.key FOR UPDATE OF r",
            (erp,),
        ).fetchall()
        first = {reference: (key, number) for reference, key, number in reversed(rows)}
        for reference, (key, number) in first.items():
            lines = connection.execute(
                "SELECT portal_line, qty, qty_confirmed, expected_on::text, line_no, reason, "
                "status FROM portal.sales_order_line WHERE erp = %s AND order_key = %s "
                "AND deleted_at IS NULL AND portal_line ~ '^0*[0-9]{1,9}$'",
                (erp, key),
            ).fetchall()
            told = [
                {"line_no": int(ours), "outcome": _said(status, qty, confirmed),
                 "qty_confirmed": confirmed, "expected_on": on, "erp_line_no": no, "reason": why}
                for ours, qty, confirmed, on, no, why, status in lines
            ]  # fmt: skip
            acknowledge(connection, reference, {"key": key, "number": number, "lines": told})
            connection.execute(
                "UPDATE sync.outbox SET state = 'delivered', delivered_at = now(), "
                "sent_at = coalesce(sent_at, now()), ended_at = now(), awaits_answer = false, "
                "code = NULL, says = NULL "
                "WHERE reference = %s AND state IN ('pending','retryable','uncertain','dead')",
                (reference,),
            )
            connection.execute(
                "UPDATE sync.outbox SET awaits_answer = false WHERE reference = %s "
                "AND state = 'delivered' AND awaits_answer",
                (reference,),
            )
    return list(first)


def _said(status: str | None, qty: Decimal, confirmed: Decimal | None) -> str | None:
    if status in ("rejected", "cancelled"):
        return "rejected"
    if confirmed is None:
        return None
    return "rejected" if confirmed <= 0 else "accepted" if confirmed == qty else "changed"


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False).replace("\\u0000", "")


def _kept(text: str) -> str:
    return text.replace("\x00", "")
