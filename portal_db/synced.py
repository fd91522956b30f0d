"""What was synced about one account's credit or one product's stock, and how old that is.

The answer where an ERP cannot be asked, or does not answer in time. Must not reach an ERP and must
not write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from mappings.feeds import PARTS
from portal_db.identifiers import plain_name


@dataclass(frozen=True, slots=True)
class Synced:
    """Rows as they were synced; `as_of`: when they were last known to hold (None: never)."""

    rows: tuple[dict[str, Any], ...]
    as_of: datetime | None


def synced(
    connection: psycopg.Connection[Any], erp: str, part_name: str, keys: dict[str, str]
) -> Synced:
    """The live rows of a root part with these key fields; a key that is not given fits every row.

    `as_of` is the feed's last proof of presence, or since when the oldest of the rows is stale.
    """
    part = PARTS[part_name]
    given: list[LiteralString] = [field.name for field in part.fields if field.name in keys]
    where: LiteralString = "erp = %s"
    for name in given:
        where += f" AND {plain_name(name)} = %s"
    columns = ", ".join(plain_name(field.name) for field in part.fields)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"SELECT {columns}, as_of AS observed_at, stale_since "
            f"FROM portal.{plain_name(part.name)} "
            f"WHERE {where} AND deleted_at IS NULL ORDER BY 1, 2",
            (erp, *(keys[name] for name in given)),
        ).fetchall()
        found = cursor.execute(
            "SELECT min(confirmed_at) AS at FROM sync.cursor WHERE erp = %s AND feed = %s "
            "AND confirmed_at IS NOT NULL",
            (erp, part.feed),
        ).fetchone()
    confirmed: datetime | None = found["at"] if found else None
    ages = [row.pop("stale_since") or confirmed or row["observed_at"] for row in rows]
    for row in rows:
        del row["observed_at"]
    return Synced(tuple(rows), min(ages, default=confirmed))
