"""What people decide about a group of quarantined records: seen, ignored for a while, whose it is.

Every decision is audited and names what the person saw; the records themselves stay as they are.
Must not judge or load.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from mappings.errors import Misconfigured
from portal_db.audit import record
from sync.context import Context
from sync.fix_jobs import locked_group

MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 10, 40, 4_000


def set_state(
    ctx: Context,
    shape: str,
    to: Literal["open", "acknowledged", "ignored"],
    *,
    seen: int,
    actor: str,
    reason: str = "",
    until: datetime | None = None,
    items: int | None = None,
    growth_pct: Decimal | None = None,
) -> None:
    """Open a group again, acknowledge it, or ignore it until a date, a count, or a growth.

    To ignore needs a reason and one of the three. Raises Misconfigured (`reason`, `until`, `seen`,
    `not_found`).
    """
    if to == "ignored":
        if not reason.strip():
            raise Misconfigured("a reason is needed", code="reason", remedy="Say why.")
        if until is None and items is None and growth_pct is None:
            raise Misconfigured(
                "a group is ignored until something: for ever is nobody's decision",
                code="until",
                remedy="Give a date, a count or a growth.",
            )
    with ctx.connection() as connection, connection.transaction():
        group = locked_group(connection, shape, seen)
        if growth_pct is not None:
            row = connection.execute(
                "SELECT open_items FROM sync.quarantine_group WHERE shape = %s", (shape,)
            ).fetchone()
            grown = math.ceil(int(row[0] if row else 0) * (1 + growth_pct / 100))
            items = grown if items is None else min(items, grown)
        connection.execute(
            "UPDATE sync.quarantine_group SET state = CASE WHEN %(to)s <> 'ignored' "
            "AND open_items = 0 THEN 'resolved' ELSE %(to)s END, ignored_until = %(until)s, "
            "ignored_items = %(items)s, reason = %(reason)s, version = version + 1, "
            "changed_at = now(), changed_by = %(actor)s WHERE shape = %(shape)s",
            {
                "to": to, "until": until, "items": items, "reason": reason.strip() or None,
                "actor": actor, "shape": shape,
            },
        )  # fmt: skip
        detail: dict[str, Any] = {"was": group["state"], "to": to, "reason": reason.strip()}
        if to == "ignored":
            detail |= {"until": until, "items": items}
        record(connection, actor, f"group {to}", f"group {shape}", detail)


def assign(
    ctx: Context, shape: str, *, to: str | None, tags: list[str], seen: int, actor: str
) -> None:
    """Say whose a group is, and what it is about. Raises Misconfigured (`seen`, `tags`)."""
    tags = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        raise Misconfigured(
            f"at most {MOST_TAGS} tags of {LONGEST_TAG} letters", code="tags", remedy="Use fewer."
        )
    with ctx.connection() as connection, connection.transaction():
        group = locked_group(connection, shape, seen)
        connection.execute(
            "UPDATE sync.quarantine_group SET assignee = %s, tags = %s, version = version + 1, "
            "changed_at = now(), changed_by = %s WHERE shape = %s",
            (to or None, tags, actor, shape),
        )
        record(
            connection,
            actor,
            "group assigned",
            f"group {shape}",
            {"was": [group["assignee"], group["tags"]], "to": [to, tags]},
        )


def note(ctx: Context, subject: str, says: str, *, actor: str) -> None:
    """Write something down about a group, an item or a message; nothing is ever taken back."""
    says = says.strip()
    if not 0 < len(says) <= LONGEST_NOTE:
        raise Misconfigured(
            f"a note has 1 to {LONGEST_NOTE} letters", code="note", remedy="Write it again."
        )
    with ctx.connection() as connection, connection.transaction():
        connection.execute(
            "INSERT INTO sync.desk_note (subject, actor, says) VALUES (%s, %s, %s)",
            (subject, actor, says),
        )
        record(connection, actor, "note", subject, {"says": says})
