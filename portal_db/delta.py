"""What differs between a staged part and the portal: found once, used for everything after.

The delta is at once the work list of the apply step, the guards' input and the change log. It
reads `portal` and writes only to this run's staging tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from mappings.vocabulary import Part
from portal_db import changes, first_load, narrowed
from portal_db.keys import key_text
from portal_db.schema import referring
from portal_db.staging import Staging


@dataclass(frozen=True, slots=True)
class DeleteScope:
    """Which live rows a complete batch speaks for. `condition` is SQL over alias t."""

    condition: LiteralString
    parameters: tuple[object, ...] = ()


def compute(
    staging: Staging,
    part: Part,
    *,
    deletes: DeleteScope | None,
    whole: bool = True,
    logged: bool = True,
) -> None:
    """Make `staging.run_<id>_<part>_delta`, one row per key that differs, all that is to be done.

    Columns: op (I insert, U update, D delete), existed (the key has a row, maybe a deleted one),
    record_no, root_no, raw_hash, the key and every other written column; `row_at` and `row_seen`,
    which name the version of the portal's row that was compared; `was_<f>`, old values for the
    change checks; `log_key`, `log_old` and `log_new` where changes are `logged`.
    `deletes` None: nothing vanishes. Children of a root that came are compared as a whole: those
    that did not come are deleted, unless `whole` is False: then only those of deleted roots are.
    """
    if staging.first and part.name == staging.feed.main:
        first_load.view_as_delta(staging, part)
        return
    differs = (
        f"ROW({', '.join(f's.{c}' for c in changes.compared(part))}) IS DISTINCT FROM "
        f"ROW({', '.join(f't.{c}' for c in changes.compared(part))})"
    )
    op: LiteralString = f"CASE WHEN {_GONE} THEN 'D' WHEN {_NEW} THEN 'I' ELSE 'U' END AS op"
    columns: list[LiteralString] = [op]
    columns.extend(("t.erp IS NOT NULL AS existed", "s.record_no", "s.root_no", "s.raw_hash"))
    columns.extend(f"coalesce(s.{k}, t.{k}) AS {k}" for k in part.key)
    columns.extend(f"s.{c} AS {c}" for c in changes.compared(part))
    columns.extend(("t.row_at", "t.row_seen"))
    columns.extend(f"t.{name} AS was_{name}" for name in changes.watched(part))
    if logged:
        old, new = changes.log_values(part, gone=_GONE, new=_NEW)
        key = key_text(part, {k: f"coalesce(s.{k}, t.{k})" for k in part.key})
        columns.extend((f"{key} AS log_key", f"{old} AS log_old", f"{new} AS log_new"))
    met: LiteralString = (
        "WHEN s.deleted THEN t.erp IS NOT NULL AND t.deleted_at IS NULL "
        f"WHEN {_NEW} THEN true ELSE {differs} END"
    )
    selected = f"SELECT {', '.join(columns)} FROM"
    gone, parameters = _gone(staging, part, deletes, whole=whole)
    pairs = _pairs(staging, part)
    if staging.narrowed and part.parent is None:
        alone = _alone(staging, part)
        query = f"{selected} {pairs} WHERE CASE {met} UNION ALL {selected} {alone} WHERE {gone}"
    else:
        query = f"{selected} {pairs} WHERE CASE WHEN s.record_no IS NULL THEN {gone} {met}"
    staging.differing.pop(part.name, None)
    # made by one SELECT: PostgreSQL may share the work among its processes, which it does not do
    # for an INSERT
    staging.create_as(
        staging.table(part.name, "_delta"),
        query,
        parameters,
        tuple(dict.fromkeys(("op", "existed", "record_no", *part.key, *referring(part)))),
    )


_GONE: LiteralString = "s.record_no IS NULL OR s.deleted"
_NEW: LiteralString = "t.erp IS NULL OR t.deleted_at IS NOT NULL"


def _pairs(staging: Staging, part: Part) -> LiteralString:
    """A FROM clause that pairs staged rows (s) with the portal's (t).

    Where unknown records alone are staged it leaves out what `_alone` brings.
    """
    target: LiteralString = (
        f"SELECT ctid AS row_at, xmin AS row_seen, * FROM portal.{part.name} "
        f"WHERE erp = '{staging.erp}'"
    )
    join: LiteralString = "FULL JOIN"
    if part.parent is not None and part.parent_field is not None:
        roots = staging.feed.part(part.parent)
        touched = (
            f"SELECT key FROM {staging.table(roots.name)} WHERE NOT deleted "
            f"UNION SELECT key FROM {staging.table(roots.name, '_delta')} WHERE op = 'D'"
        )
        target += f" AND {part.parent_field} IN ({touched})"
    elif staging.narrowed:
        join = "LEFT JOIN"
    on = " AND ".join(f"t.{k} = s.{k}" for k in part.key)
    return f"({staging.source(part)}) s {join} ({target}) t ON {on}"


def _alone(staging: Staging, part: Part) -> LiteralString:
    """A FROM clause of the portal's rows (t) whose keys did not come again, beside no staged one.

    Others that are not staged are those of records that were skipped.
    """
    on = " AND ".join(f"p.{k} = k.{k}" for k in part.key)
    return (
        f"(SELECT p.ctid AS row_at, p.xmin AS row_seen, p.* "
        f"FROM ({narrowed.not_staged(staging, part)}) k JOIN portal.{part.name} p "
        f"ON p.erp = '{staging.erp}' AND {on}) t "
        f"LEFT JOIN (SELECT * FROM ({staging.source(part)}) n WHERE false) s ON true"
    )


def _gone(
    staging: Staging, part: Part, deletes: DeleteScope | None, *, whole: bool
) -> tuple[LiteralString, tuple[object, ...]]:
    """Is a portal row (t) deleted that was not staged? As SQL, and its parameters."""
    if part.parent is not None and part.parent_field is not None:
        if whole:
            return "t.deleted_at IS NULL", ()
        roots = staging.table(part.parent, "_delta")
        deleted: LiteralString = f"SELECT key FROM {roots} WHERE op = 'D'"
        return f"t.deleted_at IS NULL AND t.{part.parent_field} IN ({deleted})", ()
    if deletes is None:
        return "false", ()
    failed = " AND ".join(f"x.{k} = t.{k}" for k in part.key)
    return (
        f"t.deleted_at IS NULL AND {deletes.condition} AND NOT EXISTS "
        f"(SELECT FROM {staging.table(part.name, '_failed')} x WHERE {failed})"
    ), deletes.parameters


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
    """{'I': n, 'U': n, 'T': tombstones that removed a row, 'V': vanished}; counted once."""
    if staging.first and part.name == staging.feed.main:
        return {"I": staging.count(part), "U": 0, "T": 0, "V": 0}
    if (known := staging.differing.get(part.name)) is not None:
        return known
    rows = staging.connection.execute(
        "SELECT op, count(*), count(record_no) "
        f"FROM {staging.table(part.name, '_delta')} GROUP BY op"
    ).fetchall()
    found = {"I": 0, "U": 0, "T": 0, "V": 0}
    for op, number, read in rows:
        found.update({"T": read, "V": number - read} if op == "D" else {str(op): int(number)})
    staging.differing[part.name] = found
    return found


def digest(connection: psycopg.Connection[Any], staging: Staging, parts: tuple[Part, ...]) -> str:
    """SHA-256 over what would be written: a release must apply exactly what was shown."""
    pieces = []
    for part in parts:
        if staging.first and part.name == staging.feed.main:
            # every row is an insert that was read: the same row of sums, found in one glance
            rows = connection.execute(
                "SELECT 'I', count(*), sum(hashint8extended(raw_hash, 0)), "
                "bit_xor(hashint8extended(raw_hash, 1)), NULL, NULL "
                f"FROM {staging.table(part.name)} HAVING count(*) > 0"
            ).fetchall()
            pieces.append(f"{part.name}:{rows}")
            continue
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
