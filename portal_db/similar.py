"""Keys that differ by the case of letters alone (I ı İ i too): told, never merged.

Reads only. Must not decide what becomes of them: to the portal they are two.
"""

from __future__ import annotations

from typing import LiteralString

from portal_db.staging import Staging

TYPED_BY_PEOPLE: dict[str, LiteralString] = {"dealer": "dealer", "product": "product"}
"""Parts whose keys people type: there a twin is most likely a mistake."""

_MOST = 20


def similar_keys(staging: Staging, part: str) -> list[str]:
    """`IŞIK1 and ışık1` of every new key that has such a twin, at most twenty."""
    table = TYPED_BY_PEOPLE.get(part)
    if table is None:
        return []
    rows = staging.connection.execute(
        f"WITH new AS (SELECT key FROM {staging.table(table, '_delta')} "
        "WHERE op = 'I' AND NOT existed), "
        "known AS (SELECT key, true AS fresh FROM new UNION ALL "
        f"SELECT key, false FROM portal.{table} WHERE erp = %s AND deleted_at IS NULL "
        "AND EXISTS (SELECT FROM new)) "
        "SELECT string_agg(key, ' and ' ORDER BY key COLLATE \"C\") FROM known "
        "GROUP BY lower(translate(key, 'İIı', 'iii')) "
        "HAVING count(*) > 1 AND bool_or(fresh) ORDER BY 1 LIMIT %s",
        (staging.erp, _MOST),
    ).fetchall()
    return [pair for (pair,) in rows]
