"""Do the rows about to be written name things that exist? Set-based, over the delta only.

A missing parent is not a mistake of the record: it is deferred and tried again when the parent
arrives. Reads `portal` and this run's staging tables; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from mappings.feeds import PARTS
from mappings.vocabulary import Part, Reference, When
from portal_db.identifiers import digits
from portal_db.staging import Staging

_DEEPEST = 64
"""No navigation tree is deeper; bounds the walk through one that holds a cycle elsewhere."""


@dataclass(frozen=True, slots=True)
class Missing:
    """One root record that cannot be written yet, and what it waits for."""

    root_no: int
    part: str
    field: str
    erp: str
    to: str
    key: str


def missing(staging: Staging, part: Part) -> list[Missing]:
    """Every reference of a part's inserted or updated rows that finds no live row.

    A parent counts as there when it lies in the portal, or is staged in this run.
    """
    found: list[Missing] = []
    for reference in part.references:
        erp = staging.refers.get(reference.to, staging.erp)
        if staging.first and part.name == staging.feed.main and _all_there(staging, reference, erp):
            continue
        found += [
            Missing(int(root), part.name, reference.field, erp, reference.to, str(key))
            for root, key in staging.connection.execute(
                _query(staging, part, reference, erp), (erp,)
            ).fetchall()
        ]
    return found


def _all_there(staging: Staging, reference: Reference, erp: str) -> bool:
    """Does every key that any row names exist? Then no row need be looked at.

    The rows named at least what is staged of them, so True is certain; else they are compared.
    """
    named = staging.named.of(reference)
    target = PARTS[reference.to]
    if named is None or target.feed == staging.feed.name:
        return False
    row = staging.connection.execute(
        f"SELECT EXISTS (SELECT FROM unnest(%s::text[]) AS k (key) WHERE NOT EXISTS "
        f"(SELECT FROM portal.{target.name} p WHERE p.erp = %s AND p.key = k.key "
        "AND p.deleted_at IS NULL))",
        (named, erp),
    ).fetchone()
    return row is not None and not row[0]


def _query(staging: Staging, part: Part, reference: Reference, erp: str) -> LiteralString:
    target = PARTS[reference.to]
    there: list[LiteralString] = [
        (
            f"EXISTS (SELECT FROM portal.{target.name} p WHERE p.erp = %s "
            f"AND p.key = s.{reference.field} AND p.deleted_at IS NULL"
            f"{_kept(staging, target, erp)})"
        )
    ]
    if target.feed == staging.feed.name and erp == staging.erp:
        there.append(
            f"EXISTS (SELECT FROM {staging.table(target.name)} q "
            f"WHERE q.key = s.{reference.field} AND NOT q.deleted)"
        )
    conditions: list[LiteralString] = [
        f"s.{reference.field} IS NOT NULL",
        *(_when(w) for w in reference.when),
    ]
    root = "s.root_no" if part.parent else "s.record_no"
    if staging.first and part.name == staging.feed.main:
        return (
            f"SELECT s.record_no, s.{reference.field} FROM {staging.table(part.name)} s "
            f"WHERE {' AND '.join(conditions)} AND NOT ({' OR '.join(there)})"
        )
    return (
        f"SELECT {root}, s.{reference.field} FROM {staging.table(part.name, '_delta')} s "
        f"WHERE s.op IN ('I', 'U') AND {' AND '.join(conditions)} AND NOT ({' OR '.join(there)})"
    )


def _kept(staging: Staging, target: Part, erp: str) -> LiteralString:
    """A row that this very run is about to delete does not count as there."""
    if target.feed != staging.feed.name or erp != staging.erp:
        return ""
    delta = staging.table(target.name, "_delta")
    row = staging.connection.execute("SELECT to_regclass(%s) IS NOT NULL", (delta,)).fetchone()
    if not row or not row[0]:
        return ""
    return f" AND NOT EXISTS (SELECT FROM {delta} g WHERE g.op = 'D' AND g.key = p.key)"


def _when(when: When) -> LiteralString:
    if when.is_ == "present":
        return f"s.{when.field} IS NOT NULL"
    if when.is_ == "absent":
        return f"s.{when.field} IS NULL"
    values = ", ".join(f"'{v}'" for v in when.values)
    negated = "NOT " if when.is_ == "not_in" else ""
    return f"s.{when.field}::text {negated}IN ({values})"


def cycles(staging: Staging, part: Part, field: LiteralString) -> list[int]:
    """record_no of staged roots that stand in a cycle of `field` (a category above itself)."""
    rows = staging.connection.execute(
        f"WITH RECURSIVE now AS ("
        f"SELECT s.key, s.{field} AS above, s.record_no FROM ({staging.source(part)}) s "
        f"WHERE NOT s.deleted UNION ALL SELECT p.key, p.{field}, NULL FROM portal.{part.name} p "
        f"WHERE p.erp = %s AND p.deleted_at IS NULL AND NOT EXISTS "
        f"(SELECT FROM {staging.table(part.name)} q WHERE q.key = p.key)), "
        f"walk AS (SELECT key AS start, above, 1 AS depth FROM now WHERE above IS NOT NULL "
        f"UNION ALL SELECT w.start, n.above, w.depth + 1 FROM walk w JOIN now n ON n.key = w.above "
        f"WHERE n.above IS NOT NULL AND w.above <> w.start AND w.depth < {digits(_DEEPEST)}) "
        f"SELECT DISTINCT n.record_no FROM walk w JOIN now n ON n.key = w.start "
        f"WHERE w.above = w.start AND n.record_no IS NOT NULL",
        (staging.erp,),
    ).fetchall()
    return [int(n) for (n,) in rows]
