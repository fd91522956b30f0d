"""What differs between a staged part and the portal: found once, used for everything after.

The delta is at once the work list of the apply step, the guards' input and the change log. It
reads `portal` and writes only to this run's staging tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part
from portal_db import first_load, narrowed
from portal_db.schema import spaces
from portal_db.staging import DOCUMENT_COLUMNS, Staging, staged_type


@dataclass(frozen=True, slots=True)
class DeleteScope:
    """Which live rows a complete batch speaks for. `condition` is SQL over alias t."""

    condition: LiteralString
    parameters: tuple[object, ...] = ()


def compared(part: Part) -> tuple[LiteralString, ...]:
    """The columns in which a row can differ: every field outside the key, and code spaces."""
    columns: list[LiteralString] = [f.name for f in part.fields if f.name not in part.key]
    columns.extend(f"{space}_erp" for space in spaces(part))
    if part.name == "document":
        columns.extend(DOCUMENT_COLUMNS)
    return tuple(columns)


def written(part: Part) -> tuple[LiteralString, ...]:
    """Every column of the portal row that comes from the source, key included, without erp."""
    return (*part.key, *compared(part))


def compute(
    staging: Staging,
    part: Part,
    *,
    deletes: DeleteScope | None,
    whole: bool = True,
) -> None:
    """Fill `staging.run_<id>_<part>_delta` with one row per key that differs.

    Columns: op (I insert, U update, D delete), existed (the key has a row, maybe a deleted one),
    record_no, raw_hash, and the key. `deletes` None: nothing vanishes.
    Children of a root that came are compared as a whole: those that did not come are deleted,
    unless `whole` is False: then only those of deleted roots are.
    """
    if staging.first and part.name == staging.feed.main:
        first_load.view_as_delta(staging, part)
        return
    delta = staging.table(part.name, "_delta")
    keys: list[LiteralString] = [f"{k} {staged_type(part.field(k).type)}" for k in part.key]
    staging._create(  # noqa: SLF001  the delta is one of the run's staging tables
        delta,
        [
            "op text NOT NULL",
            "existed boolean NOT NULL",
            "record_no bigint",
            "raw_hash bigint",
            *keys,
        ],
    )
    on = " AND ".join(f"t.{k} = s.{k}" for k in part.key)
    mine = ", ".join(f"s.{c}" for c in compared(part))
    theirs = ", ".join(f"t.{c}" for c in compared(part))
    differs = f"ROW({mine}) IS DISTINCT FROM ROW({theirs})"
    key_list = ", ".join(part.key)
    chosen = ", ".join(f"coalesce(s.{k}, t.{k})" for k in part.key)
    parameters: list[object] = []
    target = f"SELECT * FROM portal.{part.name} WHERE erp = '{staging.erp}'"
    if staging.narrowed and part.parent is None:
        target = (
            f"SELECT t.* FROM ({narrowed.touched(staging, part)}) k JOIN portal.{part.name} t "
            f"ON t.erp = '{staging.erp}' AND {' AND '.join(f't.{k} = k.{k}' for k in part.key)}"
        )
    gone = "false"
    if part.parent is not None and part.parent_field is not None:
        roots = staging.feed.part(part.parent)
        touched = (
            f"SELECT key FROM {staging.table(roots.name)} WHERE NOT deleted "
            f"UNION SELECT key FROM {staging.table(roots.name, '_delta')} WHERE op = 'D'"
        )
        target += f" AND {part.parent_field} IN ({touched})"
        gone = "t.deleted_at IS NULL"
        if not whole:
            gone += (
                f" AND t.{part.parent_field} IN "
                f"(SELECT key FROM {staging.table(roots.name, '_delta')} WHERE op = 'D')"
            )
    elif deletes is not None:
        failed = " AND ".join(f"x.{k} = t.{k}" for k in part.key)
        gone = (
            f"t.deleted_at IS NULL AND {deletes.condition} AND NOT EXISTS "
            f"(SELECT FROM {staging.table(part.name, '_failed')} x WHERE {failed})"
        )
        parameters += deletes.parameters
    staging.connection.execute(
        f"INSERT INTO {delta} (op, existed, record_no, raw_hash, {key_list}) "
        f"SELECT CASE WHEN s.record_no IS NULL OR s.deleted THEN 'D' "
        f"WHEN t.erp IS NULL OR t.deleted_at IS NOT NULL THEN 'I' ELSE 'U' END, "
        f"t.erp IS NOT NULL, s.record_no, s.raw_hash, {chosen} "
        f"FROM ({staging.source(part)}) s FULL JOIN ({target}) t ON {on} "
        f"WHERE CASE WHEN s.record_no IS NULL THEN {gone} "
        f"WHEN s.deleted THEN t.erp IS NOT NULL AND t.deleted_at IS NULL "
        f"WHEN t.erp IS NULL OR t.deleted_at IS NOT NULL THEN true "
        f"ELSE {differs} END",
        parameters,
    )
    staging.connection.execute(f"ANALYZE {delta}")


def overtaken(staging: Staging, part: Part, batch_id: int) -> list[int]:
    """record_no of staged rows that newer portal data has overtaken (written by a later batch)."""
    on = " AND ".join(f"t.{k} = s.{k}" for k in part.key)
    rows = staging.connection.execute(
        f"SELECT s.record_no FROM {staging.table(part.name)} s JOIN portal.{part.name} t "
        f"ON t.erp = '{staging.erp}' AND {on} WHERE t.batch_id > %s",
        (batch_id,),
    ).fetchall()
    return [int(n) for (n,) in rows]


def counts(staging: Staging, part: Part) -> dict[str, int]:
    """{'I': n, 'U': n, 'T': tombstones that removed a row, 'V': vanished}."""
    if staging.first and part.name == staging.feed.main:
        return {"I": staging.count(part), "U": 0, "T": 0, "V": 0}
    rows = staging.connection.execute(
        "SELECT CASE WHEN op = 'D' AND record_no IS NOT NULL THEN 'T' WHEN op = 'D' THEN 'V' "
        f"ELSE op END, count(*) FROM {staging.table(part.name, '_delta')} GROUP BY 1"
    ).fetchall()
    found = {"I": 0, "U": 0, "T": 0, "V": 0}
    found.update({str(op): int(n) for op, n in rows})
    return found


def digest(connection: psycopg.Connection[Any], staging: Staging, parts: tuple[Part, ...]) -> str:
    """SHA-256 over what would be written: a release must apply exactly what was shown."""
    pieces = []
    for part in parts:
        keys = ", ".join(part.key)
        # sums of hashes: no order to sort by. What was read speaks by its raw hash, which holds
        # the key; what vanished by its key
        rows = connection.execute(
            "SELECT op, count(*), sum(hashint8extended(raw_hash, 0)), "
            "bit_xor(hashint8extended(raw_hash, 1)), "
            f"sum(CASE WHEN raw_hash IS NULL THEN hashtextextended(ROW({keys})::text, 0) END), "
            f"bit_xor(CASE WHEN raw_hash IS NULL THEN hashtextextended(ROW({keys})::text, 1) END) "
            f"FROM {staging.table(part.name, '_delta')} GROUP BY op ORDER BY op"
        ).fetchall()
        pieces.append(f"{part.name}:{rows}")
    row = connection.execute(
        "SELECT encode(sha256(%s::bytea), 'hex')", ("\n".join(pieces).encode(),)
    ).fetchone()
    return str(row[0]) if row else ""
