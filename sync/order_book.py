"""What people ask about orders and messages: plain rows, for the command and for web rooms.

Reads only.
"""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg.rows import dict_row

from mappings.errors import Misconfigured
from sync.context import Context

Row = dict[str, Any]


def orders(
    ctx: Context, *, erp: str | None = None, state: str | None = None, limit: int = 20
) -> list[Row]:
    """The newest orders with what their dealers are told, times in the ERP's zone."""
    return _rows(
        ctx,
        "SELECT reference, erp, dealer_key, placed_at, state, number, delivery, tries, "
        "next_try_at, says, reason FROM portal.dealer_order WHERE (erp = %s OR %s::text IS NULL) "
        "AND (state = %s OR %s::text IS NULL) ORDER BY placed_at DESC, reference LIMIT %s",
        erp, erp, state, state, limit,
    )  # fmt: skip


def order(ctx: Context, reference: str) -> Row:
    """One order: its lines with what the ERP said, its holds, its messages with every attempt.

    Raises Misconfigured (`no_order`).
    """
    found = _rows(ctx, "SELECT * FROM portal.dealer_order WHERE reference = %s", reference)
    if not found:
        raise Misconfigured(
            f"there is no order {reference}",
            code="no_order",
            remedy="`waybill order list` shows the newest.",
        )
    whole = found[0]
    whole["lines"] = _rows(
        ctx,
        "SELECT line_no, product_key, warehouse_key, qty, uom, unit_price, outcome, qty_confirmed, "
        "unit_price_confirmed, expected_on, reason, erp_status, qty_shipped "
        "FROM portal.dealer_order_line "
        "WHERE reference = %s ORDER BY line_no",
        reference,
    )
    whole["holds"] = _rows(
        ctx,
        "SELECT line_no, product_key, warehouse_key, qty, held_at, ended_at, ended_because "
        "FROM portal.stock_hold WHERE reference = %s ORDER BY line_no",
        reference,
    )
    whole["messages"] = [
        message(ctx, int(row["id"]))
        for row in _rows(
            ctx, "SELECT id FROM sync.outbox WHERE subject = %s ORDER BY id", reference
        )
    ]
    return whole


def messages(
    ctx: Context,
    *,
    erp: str | None = None,
    state: str | None = None,
    kind: str | None = None,
    limit: int = 20,
) -> list[Row]:
    """Messages, those that wait for a person first, then open ones, then the newest."""
    return _rows(
        ctx,
        "SELECT id, erp, kind, reference, subject, lane, state, tries, next_at, code, says, "
        "created_at, delivered_at FROM sync.outbox WHERE (erp = %s OR %s::text IS NULL) "
        "AND (state = %s OR %s::text IS NULL) AND (kind = %s OR %s::text IS NULL) "
        "ORDER BY state = 'dead' DESC, state IN ('pending','sending','retryable','uncertain') "
        "DESC, id DESC LIMIT %s",
        erp, erp, state, state, kind, kind, limit,
    )  # fmt: skip


def message(ctx: Context, message_id: int) -> Row:
    """One message: its payload and every attempt, as it began and as it ended.

    Raises Misconfigured (`no_message`).
    """
    found = _rows(
        ctx,
        "SELECT m.*, p.payload FROM sync.outbox m JOIN sync.outbox_payload p "
        "ON p.message_id = m.id AND p.version = m.payload_version WHERE m.id = %s",
        message_id,
    )
    if not found:
        raise Misconfigured(
            f"there is no message {message_id}",
            code="no_message",
            remedy="`waybill outbox list` shows them.",
        )
    whole = found[0]
    whole["attempt_rows"] = _rows(
        ctx,
        "SELECT attempt_no, what, event, at, worker, payload_version, outcome, code, says, "
        "request, answer, detail, seconds FROM sync.delivery_attempt WHERE message_id = %s "
        "ORDER BY id",
        message_id,
    )
    return whole


def lanes(ctx: Context) -> list[Row]:
    """Each ERP that takes messages: is it reachable, and what waits for it."""
    return _rows(
        ctx,
        "SELECT r.erp, coalesce(c.state, 'closed') AS circuit, c.opened_at, c.next_at, c.says, "
        "count(m.id) FILTER (WHERE m.state IN ('pending','sending','retryable')) AS waiting, "
        "count(m.id) FILTER (WHERE m.state = 'uncertain') AS uncertain, "
        "count(m.id) FILTER (WHERE m.state = 'dead') AS dead, min(m.created_at) FILTER "
        "(WHERE m.state IN ('pending','sending','retryable','uncertain')) AS oldest "
        "FROM (SELECT DISTINCT erp FROM sync.order_route) r "
        "LEFT JOIN sync.circuit c ON c.erp = r.erp LEFT JOIN sync.outbox m ON m.erp = r.erp "
        "AND m.state IN ('pending','sending','retryable','uncertain','dead') "
        "GROUP BY r.erp, c.state, c.opened_at, c.next_at, c.says ORDER BY r.erp",
    )


def _rows(ctx: Context, query: LiteralString, *parameters: object) -> list[Row]:
    with ctx.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
