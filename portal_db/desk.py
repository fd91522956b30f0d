"""What the review desk shows of quarantine: groups, their items, jobs. Reads; must not write.

Every list is bounded and paged by key: a page costs the same at its beginning and a million items
later. Counts come from `sync.quarantine_group`, which is kept while quarantine is written.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Row = dict[str, Any]

DAYS = 14
_MOST_DEALERS = 1000

# an ignored group whose date has come needs a person again
_STATE = "CASE WHEN g.state = 'ignored' AND g.ignored_until <= now() THEN 'open' ELSE g.state END"
_NEEDS: dict[str, LiteralString] = {
    "needs": f"g.open_items > 0 AND {_STATE} IN ('open', 'acknowledged')",
    "open": f"g.open_items > 0 AND {_STATE} = 'open'",
    "acknowledged": f"g.open_items > 0 AND {_STATE} = 'acknowledged'",
    "ignored": f"{_STATE} = 'ignored'",
    "waiting": "g.waiting_items > 0",
    "resolved": "g.open_items = 0 AND g.waiting_items = 0",
    "all": "true",
}
STATES = tuple(_NEEDS)
_SORTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "seen": ("g.last_seen_at", "timestamptz"),
    "items": ("g.open_items", "bigint"),
}
SORTS = tuple(_SORTS)


def groups(
    connection: Connection,
    *,
    state: str = "needs",
    sort: str = "seen",
    erp: str | None = None,
    feed: str | None = None,
    code: str | None = None,
    field: str | None = None,
    assignee: str | None = None,
    tag: str | None = None,
    text: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 50,
) -> list[Row]:
    """Groups with their last 14 days, dealers and money. `after`: (sort value, shape) of the last
    one shown. `text` is looked for in what is wrong, the field, and the value's shape.
    """
    column, kind = _SORTS.get(sort, _SORTS["seen"])
    where = _NEEDS.get(state, _NEEDS["needs"])
    beyond: LiteralString = (
        f"AND ({column}, g.shape) < (%(value)s::{kind}, %(shape)s)" if after else ""
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            f"SELECT g.*, {_STATE} AS state_now, {column}::text AS sort_value "
            f"FROM sync.quarantine_group g WHERE {where} {beyond} "
            "AND (%(erp)s::text IS NULL OR g.erp = %(erp)s) "
            "AND (%(feed)s::text IS NULL OR g.feed = %(feed)s) "
            "AND (%(code)s::text IS NULL OR g.code = %(code)s) "
            "AND (%(field)s::text IS NULL OR g.field = %(field)s) "
            "AND (%(assignee)s::text IS NULL OR g.assignee = %(assignee)s) "
            "AND (%(tag)s::text IS NULL OR %(tag)s = ANY(g.tags)) "
            "AND (%(text)s::text IS NULL OR strpos(lower(concat_ws(' ', g.code, g.field, g.says, "
            "g.value_shape, g.part)), lower(%(text)s)) > 0) "
            f"ORDER BY {column} DESC, g.shape DESC LIMIT %(limit)s",
            {
                "erp": erp, "feed": feed, "code": code, "field": field, "assignee": assignee,
                "tag": tag, "text": text, "limit": limit,
                "value": after[0] if after else None, "shape": after[1] if after else None,
            },
        ).fetchall()  # fmt: skip
    _with_days(connection, found)
    _with_stakes(connection, found)
    return found


def group(connection: Connection, shape: str) -> Row | None:
    """One group, as in `groups`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            f"SELECT g.*, {_STATE} AS state_now FROM sync.quarantine_group g WHERE g.shape = %s",
            (shape,),
        ).fetchall()
    _with_days(connection, found)
    _with_stakes(connection, found)
    return found[0] if found else None


def items(
    connection: Connection,
    shape: str,
    *,
    state: str = "open",
    key: str | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[Row]:
    """Items of a group, the newest first; `key`: those whose key begins so."""
    where: LiteralString = "AND q.key LIKE %(key)s" if key else ""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT q.* FROM sync.quarantine q WHERE q.shape = %(shape)s AND q.state = %(state)s "
            f"AND (%(after)s::bigint IS NULL OR q.id < %(after)s) {where} "
            "ORDER BY q.shape DESC, q.state DESC, q.id DESC LIMIT %(limit)s",
            {"shape": shape, "state": state, "after": after, "limit": limit, "key": _like(key)},
        ).fetchall()


def by_key(connection: Connection, key: str, limit: int = 20) -> list[Row]:
    """Items whose key begins so, whatever their state, the newest first of a bounded look."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM (SELECT id, erp, feed, part, key, state, code, reasons, shape, "
            "last_seen_at FROM sync.quarantine WHERE key LIKE %s LIMIT 500) q "
            "ORDER BY id DESC LIMIT %s",
            (_like(key), limit),
        ).fetchall()


def item(connection: Connection, item_id: int) -> Row | None:
    """One item with its attempts, corrections, jobs and the run that refused it."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT q.*, r.mapping_sha256, r.started_at AS run_started_at, b.pulled_at, "
            "b.state AS batch_state FROM sync.quarantine q LEFT JOIN sync.run r ON r.id = q.run_id "
            "LEFT JOIN sync.batch b ON b.id = q.batch_id WHERE q.id = %s",
            (item_id,),
        ).fetchone()
        if found is None:
            return None
        found["tries"] = cursor.execute(
            "SELECT a.id, a.at, a.run_id, a.outcome, a.detail, r.mapping_sha256, r.kind, r.actor "
            "FROM sync.attempt a LEFT JOIN sync.run r ON r.id = a.run_id "
            "WHERE a.quarantine_id = %s ORDER BY a.id DESC LIMIT 50",
            (item_id,),
        ).fetchall()
        found["corrections"] = cursor.execute(
            "SELECT id, at, actor, reason, changes, was, job_id, part FROM sync.correction "
            "WHERE item_id = %s ORDER BY id DESC LIMIT 50",
            (item_id,),
        ).fetchall()
        found["jobs"] = cursor.execute(
            "SELECT j.id, j.kind, j.state, j.actor, j.reason, j.created_at, i.state AS result, "
            "i.says FROM sync.fix_item i JOIN sync.fix_job j ON j.id = i.job_id "
            "WHERE i.item_id = %s ORDER BY j.id DESC LIMIT 20",
            (item_id,),
        ).fetchall()
        return found


def jobs(connection: Connection, shape: str | None = None, limit: int = 50) -> list[Row]:
    """Fix jobs, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM sync.fix_job WHERE %(shape)s::text IS NULL OR shape = %(shape)s "
            "ORDER BY id DESC LIMIT %(limit)s",
            {"shape": shape, "limit": limit},
        ).fetchall()


def job(connection: Connection, job_id: int) -> Row | None:
    """One fix job."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM sync.fix_job WHERE id = %s", (job_id,)).fetchone()


def job_items(
    connection: Connection, job_id: int, state: str, after: int = 0, limit: int = 100
) -> list[Row]:
    """Items of a job in a state, in the order of their ids."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT i.item_id, i.run_id, i.says, q.key, q.state FROM sync.fix_item i "
            "JOIN sync.quarantine q ON q.id = i.item_id WHERE i.job_id = %s AND i.state = %s "
            "AND i.item_id > %s ORDER BY i.item_id LIMIT %s",
            (job_id, state, after, limit),
        ).fetchall()


def notes(connection: Connection, subject: str) -> list[Row]:
    """What people wrote about a subject, the newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT at, actor, says FROM sync.desk_note WHERE subject = %s "
            "ORDER BY id DESC LIMIT 100",
            (subject,),
        ).fetchall()


def dealers(connection: Connection, shape: str, limit: int = 10) -> list[Row]:
    """Whom a group's open items are about, most money first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT dealer, currency, open_items, amount FROM sync.quarantine_dealer "
            "WHERE shape = %s AND open_items > 0 AND dealer <> '' "
            "ORDER BY abs(amount) DESC, open_items DESC, dealer LIMIT %s",
            (shape, limit),
        ).fetchall()


def choices(connection: Connection) -> dict[str, list[str]]:
    """What groups can be filtered by: erp, feed, code, assignee, tag."""
    row = (
        connection.execute(
            "SELECT array_agg(DISTINCT erp), array_agg(DISTINCT feed), array_agg(DISTINCT code), "
            "array_agg(DISTINCT assignee) FILTER (WHERE assignee IS NOT NULL) "
            "FROM (SELECT erp, feed, code, assignee FROM sync.quarantine_group "
            "WHERE open_items > 0 OR waiting_items > 0 LIMIT 20000) g"
        ).fetchone()
        or (None,) * 4
    )
    names = ("erp", "feed", "code", "assignee")
    return {name: sorted(found or []) for name, found in zip(names, row, strict=True)}


def _with_days(connection: Connection, found: list[Row]) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in range(DAYS - 1, -1, -1)]
    rows = connection.execute(
        "SELECT shape, day, seen FROM sync.quarantine_day WHERE shape = ANY(%s) AND day >= %s",
        ([one["shape"] for one in found], days[0]),
    ).fetchall()
    seen: dict[tuple[str, date], int] = {(shape, day): int(n) for shape, day, n in rows}
    for one in found:
        one["days"] = [seen.get((one["shape"], day), 0) for day in days]
        one["day_names"] = [day.isoformat() for day in days]


def _with_stakes(connection: Connection, found: list[Row]) -> None:
    shapes = [one["shape"] for one in found]
    people = {
        shape: int(n)
        for shape, n in connection.execute(
            "SELECT s.shape, (SELECT count(*) FROM (SELECT DISTINCT d.dealer "
            "FROM sync.quarantine_dealer d WHERE d.shape = s.shape AND d.open_items > 0 "
            "AND d.dealer <> '' LIMIT %s) x) FROM unnest(%s::text[]) AS s(shape)",
            (_MOST_DEALERS, shapes),
        ).fetchall()
    }
    money: dict[str, list[tuple[Any, str]]] = {}
    for shape, currency, amount in connection.execute(
        "SELECT shape, currency, sum(amount) FROM sync.quarantine_dealer "
        "WHERE shape = ANY(%s) AND open_items > 0 GROUP BY 1, 2 HAVING sum(amount) <> 0 "
        "ORDER BY 1, 2",
        (shapes,),
    ).fetchall():
        money.setdefault(shape, []).append((amount, currency))
    for one in found:
        one["dealers"] = people.get(one["shape"], 0)
        one["money"] = money.get(one["shape"], [])


def _like(key: str | None) -> str | None:
    if key is None:
        return None
    escaped = key.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"
