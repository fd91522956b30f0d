"""A person's decision about one quarantined record, on record. Must not change synced tables."""

from __future__ import annotations

from mappings.errors import Misconfigured
from portal_db.audit import record
from sync.context import Context
from sync.fix_jobs import locked_item


def discard(
    ctx: Context, item_id: int, *, reason: str, actor: str, seen: int | None = None
) -> None:
    """Keep a record out as long as the ERP sends the same bytes under the same fingerprint.

    `seen`: the item's version on the person's page. Raises Misconfigured where there is no such
    item, it is not open, it has changed since it was seen, or no reason is given.
    """
    if not reason.strip():
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why with --reason.")
    with ctx.connection() as connection, connection.transaction():
        if seen is not None:
            locked_item(connection, item_id, seen)
        changed = connection.execute(
            "UPDATE sync.quarantine SET state = 'discarded', resolved_at = clock_timestamp(), "
            "resolved_by = %s, resolved_reason = %s, version = version + 1 "
            "WHERE id = %s AND state = 'open' RETURNING id",
            (actor, reason, item_id),
        ).fetchone()
        if changed is None:
            found = connection.execute(
                "SELECT state FROM sync.quarantine WHERE id = %s", (item_id,)
            ).fetchone()
            raise Misconfigured(
                f"quarantine item {item_id} is {found[0]}, not open"
                if found
                else f"there is no quarantine item {item_id}",
                code="unknown_item",
                remedy="`waybill quarantine` lists the open ones.",
            )
        record(connection, actor, "discard", f"quarantine {item_id}", {"reason": reason})
