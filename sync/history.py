"""What happened, for people who look: feeds, batches, runs, quarantine. Reads, never writes.

Every function returns plain dictionaries (decimals, dates and instants as Python values), newest
first. Must not: change a row, or reach an ERP or the landing store.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, LiteralString

from psycopg.rows import dict_row

from mappings.errors import Misconfigured
from mappings.trust import sweep_schedule
from portal_db.sweeps import last_sweeps
from sync.context import Context

_COUNTS = "read, inserted, updated, unchanged, superseded, quarantined, deferred, deleted"
Row = dict[str, Any]


def feeds(ctx: Context, erp: str | None = None) -> list[Row]:
    """Every mapped (erp, feed): its age against its promise, its last run, what waits for people,
    and how far its cursor can be trusted: what it misses, when a sweep makes up for it, and what
    the last sweep found (`at`, `cause`, `compared`, `missed`, `complete`; None before the first).

    `age_seconds` is None for a feed that has never been confirmed; `late` is then None too.
    """
    rows = _rows(
        ctx,
        """
        SELECT s.erp, s.feed, min(s.confirmed_at) AS confirmed_at, bool_or(s.late) AS late,
               max(extract(epoch FROM s.age)) AS age_seconds,
               max(extract(epoch FROM s.promise)) AS promise_seconds
        FROM portal.feed_status s GROUP BY s.erp, s.feed
        """,
    )
    status = {(row["erp"], row["feed"]): row for row in rows}
    last = {
        (row["erp"], row["feed"]): row
        for row in _rows(
            ctx,
            "SELECT DISTINCT ON (erp, feed) erp, feed, id AS run_id, state, started_at "
            "FROM sync.run WHERE kind <> 'retry' ORDER BY erp, feed, id DESC",
        )
    }
    held = _by_feed(ctx, "SELECT erp, feed, count(*) AS n FROM sync.batch "
                    "WHERE state = 'held' GROUP BY erp, feed")  # fmt: skip
    open_items = _by_feed(ctx, "SELECT erp, feed, sum(open_items + waiting_items) AS n "
                          "FROM sync.quarantine_group GROUP BY erp, feed")  # fmt: skip
    with ctx.connection() as connection:
        sweeps = last_sweeps(connection)
    found: list[Row] = []
    for name, mapping in sorted(ctx.mappings.mappings.items()):
        for feed, supply in mapping.feeds.items():
            if erp is not None and name != erp:
                continue
            pair = (name, feed)
            now, run = status.get(pair, {}), last.get(pair, {})
            found.append(
                {
                    "erp": name,
                    "feed": feed,
                    "confirmed_at": now.get("confirmed_at"),
                    "age_seconds": now.get("age_seconds"),
                    "promise_seconds": now.get("promise_seconds"),
                    "late": now.get("late"),
                    "last_run": run.get("run_id"),
                    "last_state": run.get("state"),
                    "held_batches": held.get(pair, 0),
                    "open_items": open_items.get(pair, 0),
                    "misses": list(supply.misses),
                    "sweep": sweep_schedule(mapping, feed),
                    "last_sweep": sweeps.get(pair),
                }
            )
    return found


def runs(
    ctx: Context,
    *,
    erp: str | None = None,
    feed: str | None = None,
    state: str | None = None,
    limit: int = 20,
) -> list[Row]:
    """The newest runs with their counts."""
    return _rows(
        ctx,
        f"SELECT id AS run_id, batch_id, erp, feed, kind, state, started_at, seconds, {_COUNTS}, "
        "error ->> 'says' AS error FROM sync.run "
        "WHERE (%(erp)s::text IS NULL OR erp = %(erp)s) "
        "AND (%(feed)s::text IS NULL OR feed = %(feed)s) "
        "AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id DESC LIMIT %(limit)s",
        {"erp": erp, "feed": feed, "state": state, "limit": limit},
    )


def run(ctx: Context, run_id: int) -> Row:
    """All about one run: counts per part, checks, totals, stops, movements, evidence.

    Raises Misconfigured (code `unknown_run`) where there is none.
    """
    found = _rows(ctx, "SELECT * FROM sync.run WHERE id = %(id)s", {"id": run_id})
    if not found:
        raise Misconfigured(
            f"there is no run {run_id}",
            code="unknown_run",
            remedy="`waybill runs` lists those that are there.",
        )
    whole = found[0]
    batch_id = whole["batch_id"]
    batch_rows = _rows(ctx, "SELECT * FROM sync.batch WHERE id = %(id)s", {"id": batch_id})
    batch = batch_rows[0] if batch_rows else {}
    pages = _rows(
        ctx,
        "SELECT page, part, name, file, sha256, bytes, records, first_record_no "
        "FROM sync.batch_page WHERE batch_id = %(id)s ORDER BY page",
        {"id": batch_id},
    )
    for page in pages:
        page["path"] = ctx.landing.location(batch.get("landing") or "", page["file"])
    return {
        **whole,
        "batch": batch,
        "pages": pages,
        "parts": _rows(
            ctx,
            f"SELECT part, {_COUNTS} FROM sync.run_part WHERE run_id = %(id)s ORDER BY part",
            {"id": run_id},
        ),
        "checks": _rows(
            ctx,
            "SELECT part, check_id, judge, success, evaluated, failed, population, says "
            "FROM sync.check_result WHERE run_id = %(id)s ORDER BY part, check_id, judge",
            {"id": run_id},
        ),
        "reconciliation": _rows(
            ctx,
            "SELECT part, name, sides, left_value, right_value, agrees, says "
            "FROM sync.reconciliation WHERE run_id = %(id)s ORDER BY part, name, sides",
            {"id": run_id},
        ),
        "quarantine": _rows(
            ctx,
            "SELECT part, code, state, count(*) AS records FROM sync.quarantine "
            "WHERE run_id = %(id)s GROUP BY part, code, state ORDER BY count(*) DESC",
            {"id": run_id},
        ),
    }


def batches(
    ctx: Context,
    *,
    erp: str | None = None,
    feed: str | None = None,
    state: str | None = None,
    limit: int = 20,
) -> list[Row]:
    """The newest batches: where they came from and what became of them."""
    return _rows(
        ctx,
        "SELECT id AS batch_id, erp, feed, mode, state, state_reason, complete, complete_reason, "
        "pages, bytes, pulled_at, cursor_from, cursor_to, superseded_by FROM sync.batch "
        "WHERE (%(erp)s::text IS NULL OR erp = %(erp)s) "
        "AND (%(feed)s::text IS NULL OR feed = %(feed)s) "
        "AND (%(state)s::text IS NULL OR state = %(state)s) ORDER BY id DESC LIMIT %(limit)s",
        {"erp": erp, "feed": feed, "state": state, "limit": limit},
    )


def quarantine(
    ctx: Context,
    *,
    erp: str | None = None,
    feed: str | None = None,
    code: str | None = None,
    state: str = "open",
    limit: int = 50,
) -> list[Row]:
    """Quarantined records, the last seen first; `waiting` ones only lack their parent so far."""
    rows = _rows(
        ctx,
        "SELECT id, erp, feed, part, key, state, code, reasons -> 0 ->> 'field' AS field, "
        "reasons -> 0 ->> 'says' AS says, reasons -> 0 ->> 'raw' AS raw, "
        "retry_until IS NOT NULL AS waiting, attempts, first_seen_at, last_seen_at, batch_id, "
        "run_id, record_no FROM sync.quarantine WHERE state = %(state)s "
        "AND (%(erp)s::text IS NULL OR erp = %(erp)s) "
        "AND (%(feed)s::text IS NULL OR feed = %(feed)s) "
        "AND (%(code)s::text IS NULL OR code = %(code)s) "
        "ORDER BY last_seen_at DESC, id DESC LIMIT %(limit)s",
        {"erp": erp, "feed": feed, "code": code, "state": state, "limit": limit},
    )
    for row in rows:
        row["key"] = key_words(row["key"])
    return rows


def quarantine_item(ctx: Context, item_id: int) -> Row:
    """One quarantined record with all its reasons, its raw columns and its attempts.

    Raises Misconfigured (code `unknown_item`) where there is none.
    """
    found = _rows(ctx, "SELECT * FROM sync.quarantine WHERE id = %(id)s", {"id": item_id})
    if not found:
        raise Misconfigured(
            f"there is no quarantine item {item_id}",
            code="unknown_item",
            remedy="`waybill quarantine` lists those that are there.",
        )
    attempts = _rows(
        ctx,
        "SELECT run_id, at, outcome, detail FROM sync.attempt "
        "WHERE quarantine_id = %(id)s ORDER BY id",
        {"id": item_id},
    )
    return {**found[0], "key": key_words(found[0]["key"]), "attempts_made": attempts}


def closest(word: str, known: Iterable[str], what: str) -> str:
    """A remedy for an unknown word: the nearest known one, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {near[0]}?" if near else f"{what}: {', '.join(names)}."


def _by_feed(ctx: Context, sql: LiteralString) -> dict[tuple[str, str], int]:
    return {(row["erp"], row["feed"]): int(row["n"]) for row in _rows(ctx, sql)}


def _rows(ctx: Context, sql: LiteralString, parameters: Row | None = None) -> list[Row]:
    with ctx.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql, parameters or {}).fetchall()


def key_words(key: str | None) -> str | None:
    """The key as people type it, its fields with blanks between them."""
    return None if key is None else " ".join(key_fields(key))


def key_fields(key: str) -> list[str]:
    r"""The fields of a stored key: `A\|1|2` is `A|1` and `2`."""
    words = [""]
    for piece in re.findall(r"\\.|\||[^\\|]+", key):
        if piece == "|":
            words.append("")
        else:
            words[-1] += piece.removeprefix("\\") if len(piece) > 1 else piece
    return words
