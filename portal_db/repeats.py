"""The same key more than once in one batch: which record counts, and which do not.

identical → the first stays, the others are superseded; a delta whose records carry a version or
an order → the last wins; otherwise every copy is quarantined. Works on this run's staging tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from mappings.vocabulary import Part
from portal_db.staging import Staging


@dataclass(frozen=True, slots=True)
class Repeats:
    """record_no of root records, by fate."""

    superseded: tuple[int, ...]
    contradicting: tuple[int, ...]


def find_roots(staging: Staging, root: Part, *, last_wins: bool) -> Repeats:
    """Repeated keys among the staged roots of one part.

    Two records are identical when their raw hashes and those of all their children are equal.
    """
    keys = ", ".join(root.key)
    table = staging.table(root.name)
    groups = staging.connection.execute(
        f"SELECT {keys} FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if groups is None:
        return Repeats((), ())
    children = " ".join(
        f"+ coalesce((SELECT sum(hashtextextended(c.raw_hash::text, 0)::numeric) "
        f"FROM {staging.table(child.name)} c WHERE c.root_no = s.record_no), 0)"
        for child in staging.feed.children(root.name)
    )
    staging.connection.execute("DROP TABLE IF EXISTS pg_temp.repeated")
    staging.connection.execute(
        f"CREATE TEMP TABLE repeated AS SELECT s.record_no, s.version, s.deleted, {keys}, "
        f"s.raw_hash::numeric {children} AS whole FROM {table} s "
        f"WHERE ({keys}) IN (SELECT {keys} FROM {table} GROUP BY {keys} HAVING count(*) > 1)"
    )
    if last_wins:
        rows = staging.connection.execute(
            "SELECT record_no FROM (SELECT record_no, row_number() OVER (PARTITION BY "
            f"{keys} ORDER BY CASE WHEN unversioned THEN NULL ELSE version END DESC NULLS LAST, "
            f"record_no DESC) AS place FROM (SELECT *, bool_or(version IS NULL) OVER "
            f"(PARTITION BY {keys}) AS unversioned FROM repeated) v) r WHERE place > 1"
        ).fetchall()
        return Repeats(tuple(int(n) for (n,) in rows), ())
    rows = staging.connection.execute(
        f"SELECT record_no, same, place FROM (SELECT record_no, min(whole) OVER w = max(whole) "
        f"OVER w AS same, row_number() OVER (PARTITION BY {keys} ORDER BY record_no) AS place "
        f"FROM repeated WINDOW w AS (PARTITION BY {keys})) r"
    ).fetchall()
    return Repeats(
        superseded=tuple(int(n) for n, same, place in rows if same and place > 1),
        contradicting=tuple(int(n) for n, same, _ in rows if not same),
    )


def of_failed_keys(staging: Staging, root: Part) -> list[int]:
    """record_no of staged roots whose key another record of this batch failed with."""
    on = " AND ".join(f"x.{k} = s.{k}" for k in root.key)
    rows = staging.connection.execute(
        f"SELECT s.record_no FROM {staging.table(root.name)} s WHERE EXISTS "
        f"(SELECT FROM {staging.table(root.name, '_failed')} x WHERE {on})"
    ).fetchall()
    return [int(n) for (n,) in rows]


def overtaken_by_other(staging: Staging, root: Part) -> tuple[list[int], set[int]]:
    """(good record_nos with a later bad one of their key, bad ones with any later one)."""
    on = " AND ".join(f"x.{k} = s.{k}" for k in root.key)
    rows = staging.connection.execute(
        f"SELECT s.record_no, x.record_no FROM {staging.table(root.name)} s "
        f"JOIN {staging.table(root.name, '_failed')} x ON {on}"
    ).fetchall()
    newest = {}
    for good, bad in rows:
        newest[int(bad)] = max(newest.get(int(bad), 0), int(good))
    overtaken = {bad for bad, good in newest.items() if good > bad}
    late = {int(good) for good, bad in rows if int(bad) > int(good)}
    failed = staging.table(root.name, "_failed")
    same = " AND ".join(f"y.{k} = x.{k}" for k in root.key)
    again = staging.connection.execute(
        f"SELECT x.record_no FROM {failed} x WHERE EXISTS "
        f"(SELECT FROM {failed} y WHERE {same} AND y.record_no > x.record_no)"
    ).fetchall()
    overtaken |= {int(number) for (number,) in again}
    return sorted(late), overtaken


def forget_failed(staging: Staging, root: Part, record_nos: list[int]) -> None:
    """Rejected records that a later good one has overtaken say nothing about their key."""
    table, failed = staging.table(root.name), staging.table(root.name, "_failed")
    staging.connection.execute(f"DELETE FROM {failed} WHERE record_no = ANY(%s)", (record_nos,))
    for child in staging.feed.children(root.name):
        staging.connection.execute(
            f"DELETE FROM {staging.table(child.name)} c WHERE c.root_no = ANY(%s) "
            f"AND NOT EXISTS (SELECT FROM {table} r WHERE r.record_no = c.root_no)",
            (record_nos,),
        )


def find_children(staging: Staging, child: Part) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(superseded child record_no, root_no of documents that contradict themselves).

    A root that holds the same child key twice, unequal, contradicts itself as a whole.
    """
    own: list[LiteralString] = [k for k in child.key if k != child.parent_field]
    keys = ", ".join(["root_no", *own])
    rows = staging.connection.execute(
        f"SELECT record_no, root_no, same, place FROM (SELECT record_no, root_no, "
        f"min(raw_hash) OVER w = max(raw_hash) OVER w AS same, count(*) OVER w AS copies, "
        f"row_number() OVER (PARTITION BY {keys} ORDER BY record_no) AS place "
        f"FROM {staging.table(child.name)} WINDOW w AS (PARTITION BY {keys})) r WHERE copies > 1"
    ).fetchall()
    superseded = tuple(int(n) for n, _, same, place in rows if same and place > 1)
    contradicting = tuple({int(root) for _, root, same, _ in rows if not same})
    return superseded, contradicting
