"""Sums over staged rows: do the lines add up to their head, what does a part amount to.

Set-based over this run's staging tables and the portal; reads only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part, SumCheck
from portal_db.staging import Staging


def unbalanced(staging: Staging, root: Part, check: SumCheck) -> list[tuple[int, str]]:
    """(record_no, what the sums are) of roots whose children do not add up.

    A root without a child of that part passes, and so does one whose own value is NULL; a child
    without a value makes the sum unknown, which passes too: its own check speaks for it.
    """
    rows = staging.connection.execute(
        f"SELECT r.record_no, r.{check.field}, c.total FROM {staging.table(root.name)} r "
        f"JOIN (SELECT root_no, sum({check.child_field}) AS total, "
        f"bool_or({check.child_field} IS NULL) AS unknown FROM {staging.table(check.child)} "
        f"GROUP BY root_no) c ON c.root_no = r.record_no "
        f"WHERE NOT c.unknown AND r.{check.field} IS NOT NULL "
        f"AND abs(r.{check.field} - c.total) > %s",
        (check.tolerance,),
    ).fetchall()
    return [(int(n), f"{head} is not {total}") for n, head, total in rows]


def staged_total(staging: Staging, part: Part, field: LiteralString) -> Decimal:
    """Sum of a field over the staged rows of a part."""
    row = staging.connection.execute(
        f"SELECT coalesce(sum({field}), 0) FROM {staging.table(part.name)} WHERE NOT deleted"
    ).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


def live(
    connection: psycopg.Connection[Any],
    erp: LiteralString,
    part: Part,
    condition: LiteralString,
    parameters: tuple[object, ...],
) -> int:
    """Live rows of a part in the portal within a scope (SQL over alias t)."""
    row = connection.execute(
        f"SELECT count(*) FROM portal.{part.name} t WHERE t.erp = '{erp}' "
        f"AND t.deleted_at IS NULL AND {condition}",
        parameters,
    ).fetchone()
    return int(row[0]) if row else 0
