"""Children that have a source of their own: joined to their roots in staging before judging.

Works on this run's staging tables only.
"""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import Part
from portal_db.staging import Staging


def join_to_roots(staging: Staging, child: Part) -> None:
    """Fill root_no of children that came by their parent's key."""
    root = staging.feed.part(child.parent or "")
    staging.connection.execute(
        f"UPDATE {staging.table(child.name)} c SET root_no = r.record_no "
        f"FROM {staging.table(root.name)} r WHERE c.root_no IS NULL "
        f"AND r.key = c.{_parent_field(child)} AND NOT r.deleted"
    )


def of_failed_roots(staging: Staging, child: Part) -> list[int]:
    """record_no of children whose root came in this batch and was rejected."""
    root = staging.feed.part(child.parent or "")
    rows = staging.connection.execute(
        f"SELECT c.record_no FROM {staging.table(child.name)} c WHERE c.root_no IS NULL "
        f"AND EXISTS (SELECT FROM {staging.table(root.name, '_failed')} x "
        f"WHERE x.key = c.{_parent_field(child)})"
    ).fetchall()
    return [int(n) for (n,) in rows]


def roots_of_failed(staging: Staging, child: Part) -> dict[int, int]:
    """Rejected children of a source of their own → record_no of their root, good or rejected."""
    root = staging.feed.part(child.parent or "")
    rows = staging.connection.execute(
        f"SELECT x.record_no, r.record_no FROM {staging.table(child.name, '_failed')} x "
        f"JOIN (SELECT key, record_no FROM {staging.table(root.name)} WHERE NOT deleted "
        f"UNION ALL SELECT key, record_no FROM {staging.table(root.name, '_failed')}) r "
        f"ON r.key = x.{_parent_field(child)} ORDER BY r.record_no DESC"
    ).fetchall()
    return {int(number): int(root_no) for number, root_no in rows}


def of_deleted_roots(staging: Staging, child: Part) -> list[int]:
    """record_no of children that came inside a tombstone: the deletion overtakes them."""
    rows = staging.connection.execute(
        f"SELECT c.record_no FROM {staging.table(child.name)} c "
        f"JOIN {staging.table(child.parent or '')} r ON r.record_no = c.root_no WHERE r.deleted"
    ).fetchall()
    return [int(n) for (n,) in rows]


def orphans(staging: Staging, child: Part) -> list[tuple[int, str]]:
    """(record_no, parent key) of children whose root is not in this batch at all."""
    rows = staging.connection.execute(
        f"SELECT record_no, {_parent_field(child)} FROM {staging.table(child.name)} "
        f"WHERE root_no IS NULL"
    ).fetchall()
    return [(int(n), str(key)) for n, key in rows]


def remove(staging: Staging, child: Part, record_nos: list[int]) -> None:
    """Take single child records out of staging."""
    if record_nos:
        staging.connection.execute(
            f"DELETE FROM {staging.table(child.name)} WHERE record_no = ANY(%s)", (record_nos,)
        )


def count_of_roots(staging: Staging, child: Part, root_nos: list[int]) -> int:
    """How many staged children belong to these roots."""
    row = staging.connection.execute(
        f"SELECT count(*) FROM {staging.table(child.name)} WHERE root_no = ANY(%s)", (root_nos,)
    ).fetchone()
    return int(row[0]) if row else 0


def _parent_field(child: Part) -> LiteralString:
    if child.parent_field is None:
        raise ValueError(f"{child.name} has no parent")
    return child.parent_field
