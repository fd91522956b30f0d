"""A job's corrections made durable, before its records are loaded again. Must not load."""

from __future__ import annotations

import json
from typing import Any

from mappings.fingerprint import fingerprint
from portal_db.audit import record
from sync.context import Context
from sync.corrections import hash_of
from sync.fix_items import counted, mark
from sync.fix_jobs import audited
from sync.fix_lease import Job
from sync.fix_preview import Place, record_texts
from sync.fix_rules import Rule

Row = dict[str, Any]


def correct(ctx: Context, job: Job, items: list[Row]) -> list[Row]:
    """Make the corrections durable; returns the items that have one."""
    rule = Rule.of(job.correction or {})
    places = {one["id"]: Place.of(one) for one in items}
    texts = record_texts(ctx, list(places.values()), job.erp, job.feed)
    under = fingerprint(ctx.erp(job.erp), job.feed)
    rows, untouched = [], []
    for one in items:
        own = texts.get(one["id"])
        changes = rule.changes(own) if own else {}
        if own is None or not changes:
            untouched.append((one["id"], own is None))
            continue
        place = places[one["id"]]
        was = {path: own.get(path) for path in changes}
        rows.append(
            (
                one["id"],
                job.erp,
                job.feed,
                place.part,
                one["key"] if place.root else None,
                place.record_no,
                place.batch_id,
                hash_of(own),
                under,
                json.dumps(changes, ensure_ascii=False),
                json.dumps(was, ensure_ascii=False),
                job.actor,
                job.reason,
                job.id,
            )
        )
    with ctx.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_CORRECTION, rows)
        for item_id, gone in untouched:
            says = (
                "its raw record cannot be read" if gone else "the correction changes nothing in it"
            )
            mark(connection, job.id, item_id, "skipped", None, says)
        counted(connection, job.id)
        if rows:
            detail = {
                "job": job.id,
                "items": len(rows),
                "correction": audited(ctx, job.erp, job.feed, rule),
            }
            record(connection, job.actor, "correct", f"fix job {job.id}", detail)
    corrected = {row[0] for row in rows}
    return [one for one in items if one["id"] in corrected]


# what an earlier correction of the same record changed stays, unless this one says otherwise
_CORRECTION = (
    "INSERT INTO sync.correction (item_id, erp, feed, part, key, record_no, batch_id, raw_hash, "
    "fingerprint, changes, was, actor, reason, job_id) "
    "SELECT i.item_id, i.erp, i.feed, i.part, i.key, i.record_no, i.batch_id, i.raw_hash, i.mark, "
    "coalesce(o.changes, '{}') || i.changes, coalesce(o.was, '{}') || i.was, i.actor, i.reason, "
    "i.job_id FROM (VALUES (%s::bigint, %s, %s, %s, %s::text, %s::bigint, %s::bigint, %s::bigint, "
    "%s, %s::jsonb, %s::jsonb, %s, %s, %s::bigint)) AS i(item_id, erp, feed, part, key, record_no, "
    "batch_id, raw_hash, mark, changes, was, actor, reason, job_id) "
    "LEFT JOIN LATERAL (SELECT c.changes, c.was FROM sync.correction c WHERE c.item_id = i.item_id "
    "AND c.raw_hash = i.raw_hash AND c.fingerprint = i.mark ORDER BY c.id DESC LIMIT 1) o ON true "
    "WHERE NOT EXISTS (SELECT FROM sync.correction c WHERE c.job_id = i.job_id "
    "AND c.item_id = i.item_id AND c.raw_hash = i.raw_hash)"
)
