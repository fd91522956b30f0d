"""What a load of unknown records alone must know of the portal's other rows.

Skipped records are those of live rows that are not in `_gone`. Reads `portal`, writes only to this
run's staging tables.
"""

from __future__ import annotations

from typing import LiteralString

from mappings.vocabulary import Part
from portal_db.staging import Staging


def add_stale(staging: Staging, part: Part) -> None:
    """Live rows whose last record was refused are no skipped record's: they may have vanished."""
    keys = ", ".join(part.key)
    gone = staging.table(part.name, "_gone")
    staging.connection.execute(
        f"INSERT INTO {gone} ({keys}) SELECT {keys} FROM portal.{part.name} "
        f"WHERE erp = '{staging.erp}' AND stale_since IS NOT NULL AND deleted_at IS NULL"
    )
    staging.connection.execute(f"ANALYZE {gone}")
    staging.gone = staging.count_gone(part)


def meets_skipped(staging: Staging, part: Part) -> bool:
    """Does a staged or refused record have the key of a skipped one? Then all must be compared."""
    keys = ", ".join(part.key)
    gone = f"SELECT FROM {staging.table(part.name, '_gone')} g WHERE {_on(part, 'g', 'f')}"
    # OFFSET 0: whatever the planner believes, only what is left is looked up by its key
    fresh: LiteralString = " UNION ALL ".join(
        f"SELECT * FROM (SELECT {keys} FROM {staging.table(part.name, suffix)} f "
        f"WHERE NOT EXISTS ({gone}) OFFSET 0) f{suffix}"
        for suffix in ("", "_failed")
    )
    row = staging.connection.execute(
        f"SELECT EXISTS (SELECT FROM ({fresh}) f JOIN portal.{part.name} t "
        f"ON t.erp = '{staging.erp}' AND {_on(part, 't', 'f')} AND t.deleted_at IS NULL)"
    ).fetchone()
    return bool(row and row[0])


def not_staged(staging: Staging, part: Part) -> LiteralString:
    """SQL: the keys of records that did not come again, and for which no other came."""
    keys = ", ".join(part.key)
    # not EXCEPT: of that the planner would not know how much is left
    return (
        f"SELECT DISTINCT {keys} FROM {staging.table(part.name, '_gone')} g WHERE NOT EXISTS "
        f"(SELECT FROM {staging.table(part.name)} s WHERE {_on(part, 's', 'g')})"
    )


def _on(part: Part, left: LiteralString, right: LiteralString) -> LiteralString:
    pairs: list[LiteralString] = [f"{left}.{k} = {right}.{k}" for k in part.key]
    return " AND ".join(pairs)
