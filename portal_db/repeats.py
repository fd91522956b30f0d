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
