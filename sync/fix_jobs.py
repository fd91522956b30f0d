"""Fix jobs: what a person asks to be done to one quarantined record or to a whole group.

A job is a row with its list of items; whoever holds its lease carries it on (`sync/fix_work.py`),
so nothing depends on the browser that asked for it. What a person saw is named by a version: if it
has changed since, the job is refused. Must not judge or load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import psycopg
from psycopg.rows import dict_row

from mappings.errors import Misconfigured
from portal_db.audit import record
from sync.context import Context
from sync.fix_rules import Rule
from sync.people import Columns

Connection = psycopg.Connection[Any]
Kind = Literal["correct", "retry", "discard"]
MappingOf = Literal["now", "then"]
Row = dict[str, Any]

ACTIVE = ("waiting", "running", "paused")


def fix_item(
    ctx: Context,
    item_id: int,
    *,
    kind: Kind,
    rule: Rule | None = None,
    seen: int,
    reason: str,
    actor: str,
    mapping: MappingOf = "now",
) -> int:
    """A job for one open item; returns its id. `seen`: the item's version on the person's page.

    Raises Misconfigured (`reason`, `unknown_item`, `state`, `seen`).
    """
    _reasoned(reason)
    with ctx.connection() as connection, connection.transaction():
        item = locked_item(connection, item_id, seen)
        job = _job(connection, item, kind, rule, reason, actor, mapping, canary=0)
        connection.execute(
            "INSERT INTO sync.fix_item (job_id, item_id) VALUES (%s, %s)", (job, item_id)
        )
        # whoever looked at it before is told that somebody is at it
        connection.execute(
            "UPDATE sync.quarantine SET version = version + 1 WHERE id = %s", (item_id,)
        )
        told = audited(ctx, item["erp"], item["feed"], rule)
        _begun(connection, job, 1, kind, told, reason, actor, f"quarantine {item_id}")
    return job


def fix_group(
    ctx: Context,
    shape: str,
    *,
    kind: Kind,
    rule: Rule | None = None,
    seen: int,
    reason: str,
    actor: str,
    mapping: MappingOf = "now",
    canary: int = 0,
) -> int:
    """A job for every open item of a group; returns its id. `seen`: the group's version.

    Items that another job is at are left to it. Raises Misconfigured (`reason`, `unknown_group`,
    `seen`, `empty`).
    """
    _reasoned(reason)
    with ctx.connection() as connection, connection.transaction():
        group = locked_group(connection, shape, seen)
        job = _job(connection, group, kind, rule, reason, actor, mapping, canary=canary)
        items = connection.execute(
            "INSERT INTO sync.fix_item (job_id, item_id) SELECT %s, q.id FROM sync.quarantine q "
            "WHERE q.shape = %s AND q.state = 'open' AND NOT EXISTS (SELECT FROM sync.fix_item i "
            "JOIN sync.fix_job j ON j.id = i.job_id WHERE i.item_id = q.id "
            "AND i.state = 'waiting' AND j.state = ANY(%s) AND j.id <> %s)",
            (job, shape, list(ACTIVE), job),
        ).rowcount
        if not items:
            raise Misconfigured(
                "nothing of this group is open, or another job is at all of it",
                code="empty",
                remedy="See the group's jobs.",
            )
        connection.execute(
            "UPDATE sync.quarantine_group SET version = version + 1, changed_at = now(), "
            "changed_by = %s, state = CASE WHEN state = 'open' THEN 'acknowledged' ELSE state END "
            "WHERE shape = %s",
            (actor, shape),
        )
        told = audited(ctx, group["erp"], group["feed"], rule)
        _begun(connection, job, items, kind, told, reason, actor, f"group {shape}")
    return job


def steer(
    ctx: Context, job_id: int, to: Literal["paused", "waiting", "cancelled"], *, actor: str
) -> None:
    """Pause a job, let it go on (`waiting`; a stopped one too), or cancel what is left of it.

    What was done stays done. Raises Misconfigured (`not_found`, `state`).
    """
    allowed = {
        "paused": ("waiting", "running"),
        "waiting": ("paused", "stopped"),
        "cancelled": ("waiting", "running", "paused", "stopped"),
    }[to]
    with ctx.connection() as connection, connection.transaction():
        row = connection.execute(
            "SELECT state FROM sync.fix_job WHERE id = %s FOR UPDATE", (job_id,)
        ).fetchone()
        if row is None:
            raise Misconfigured(f"there is no job {job_id}", code="not_found")
        if row[0] not in allowed:
            raise Misconfigured(
                f"job {job_id} is {row[0]}: it cannot become {to}", code="state",
                remedy="Look at it again.",
            )  # fmt: skip
        connection.execute(
            "UPDATE sync.fix_job SET state = %(to)s, next_at = now(), says = NULL, "
            "lease_until = CASE WHEN %(to)s = 'waiting' THEN NULL ELSE lease_until END, "
            "canary = CASE WHEN state = 'stopped' THEN 0 ELSE canary END, "
            "ended_at = CASE WHEN %(to)s = 'cancelled' THEN now() END WHERE id = %(id)s",
            {"to": to, "id": job_id},
        )
        record(connection, actor, f"fix job {to}", f"fix job {job_id}", {"was": row[0]})


def audited(ctx: Context, erp: str, feed: str, rule: Rule | None) -> str | None:
    """A correction as the audit tells it: who reads that may not see personal values, which the
    job and the correction keep.
    """
    columns = Columns.anywhere(ctx.mappings.mappings.get(erp), feed)
    return None if rule is None else rule.words(columns.personal)


def locked_item(connection: Connection, item_id: int, seen: int) -> Row:
    """The open item, locked, as it was seen. Raises Misconfigured with what changed since."""
    with connection.cursor(row_factory=dict_row) as cursor:
        item = cursor.execute(
            "SELECT id, erp, feed, part, key, shape, state, version, resolved_by, resolved_reason "
            "FROM sync.quarantine WHERE id = %s FOR UPDATE",
            (item_id,),
        ).fetchone()
    if item is None:
        raise Misconfigured(f"there is no quarantine item {item_id}", code="unknown_item")
    if item["state"] != "open":
        raise Misconfigured(
            f"item {item_id} is {item['state']} meanwhile, by {item['resolved_by']}: "
            f"{item['resolved_reason']}",
            code="state",
            remedy="Nothing was changed by you.",
        )
    if item["version"] != seen:
        raise Misconfigured(
            f"item {item_id} has changed since you opened it: {_last_change(connection, item_id)}",
            code="seen",
            remedy="Nothing was changed by you. Look at it as it is now, then decide again.",
        )
    return item


def locked_group(connection: Connection, shape: str, seen: int) -> Row:
    """The group, locked, as it was seen. Raises Misconfigured with who changed it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        group = cursor.execute(
            "SELECT shape, erp, feed, state, version, changed_by, changed_at, reason, assignee, "
            "tags FROM sync.quarantine_group WHERE shape = %s FOR UPDATE",
            (shape,),
        ).fetchone()
    if group is None:
        raise Misconfigured("there is no such group", code="not_found")
    if group["version"] != seen:
        raise Misconfigured(
            f"{group['changed_by']} has changed this group since you opened it; it is "
            f"{group['state']} now",
            code="seen",
            remedy="Nothing was changed by you. Look at it as it is now, then decide again.",
        )
    return group


def _last_change(connection: Connection, item_id: int) -> str:
    row = connection.execute(
        "SELECT j.actor || ' asked for: ' || j.kind || ' (' || j.reason || ')' "
        "FROM sync.fix_item i JOIN sync.fix_job j ON j.id = i.job_id "
        "WHERE i.item_id = %s ORDER BY j.id DESC LIMIT 1",
        (item_id,),
    ).fetchone()
    return str(row[0]) if row else "its record came again, or was judged again"


def _job(
    connection: Connection,
    subject: Mapping[str, Any],
    kind: Kind,
    rule: Rule | None,
    reason: str,
    actor: str,
    mapping: MappingOf,
    *,
    canary: int,
) -> int:
    if (kind == "correct") != (rule is not None):
        raise ValueError("a correction, and nothing else, has a rule")
    row = connection.execute(
        "INSERT INTO sync.fix_job (kind, erp, feed, shape, correction, mapping, reason, actor, "
        "canary) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            kind,
            subject["erp"],
            subject["feed"],
            subject["shape"],
            None if rule is None else json.dumps(rule.as_json()),
            mapping,
            reason.strip(),
            actor,
            canary,
        ),
    ).fetchone()
    if row is None:
        raise RuntimeError("an insert returned nothing")
    return int(row[0])


def _begun(
    connection: Connection,
    job: int,
    items: int,
    kind: Kind,
    told: str | None,
    reason: str,
    actor: str,
    subject: str,
) -> None:
    connection.execute("UPDATE sync.fix_job SET items = %s WHERE id = %s", (items, job))
    detail = {"job": job, "items": items, "reason": reason}
    if told is not None:
        detail["correction"] = told
    record(connection, actor, f"fix: {kind}", subject, detail)


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why.")
