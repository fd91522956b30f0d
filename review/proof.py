"""Is the audit in this database what was written? The same walk as an auditor's own.

Reads tables and anchors, and says what it found; the judgement is `review/verifier.py`'s, which
needs no database. Must not change, seal or repair anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import fsspec
import psycopg

from portal_db.audit import Sealed, sealed_rows, unsealed
from review.verifier import Anchor, ChainReport, Entry, Finding, check_chain
from sync.anchoring import MAILTO
from sync.context import Context

_COLUMNS = ("actor", "action", "subject", "detail", "db_user")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the walk along the database's chain showed."""

    chain: ChainReport
    unsealed: int
    """Committed lines that are not in the chain yet: only their own hash speaks for them."""
    newest_anchor: int
    """Highest position among the anchors found; 0 where there is none."""

    @property
    def good(self) -> bool:
        """Nothing was found."""
        return not self.chain.findings


def check_database(ctx: Context, extra: tuple[Anchor, ...] = ()) -> Proof:
    """Walk the whole chain, holding it against the anchors of the settings and `extra`."""
    anchors = (*read_anchors(ctx.settings.audit_anchors), *extra)
    with ctx.connection() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        differing: list[Finding] = []
        report = check_chain(_entries(connection, differing), anchors)
        report.findings.extend(differing)
        report.findings.extend(_unsealed_changed(connection))
        left = unsealed(connection)
    newest = max((anchor.position for anchor in anchors), default=0)
    return Proof(report, left, newest)


def _entries(connection: psycopg.Connection, differing: list[Finding]) -> Iterator[Entry]:
    """The chain's entries; rows whose shown columns are not what was hashed go to `differing`."""
    for row in sealed_rows(connection):
        fault = _columns(row)
        if fault is not None:
            differing.append(fault)
        yield Entry(
            row.position,
            row.audit_id,
            row.content,
            bytes(row.link_content_sha256),
            bytes(row.chain_sha256),
        )


def _columns(row: Sealed) -> Finding | None:
    if row.content is None:
        return None  # the chain reports it as removed
    try:
        told = json.loads(row.content)
        names = [name for name in _COLUMNS if told[name] != getattr(row, name)]
        at = row.at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z" if row.at else None
        if told["at"] != at:
            names.append("at")
    except (ValueError, KeyError, TypeError):
        names = ["content"]
    if row.content_sha256 is None or bytes(row.content_sha256) != bytes(row.link_content_sha256):
        names.append("content_sha256")
    if not names:
        return None
    return Finding(
        row.position, "changed", f"line {row.audit_id}: {', '.join(names)} differs from its hash"
    )


def _unsealed_changed(connection: psycopg.Connection) -> list[Finding]:
    """Lines not in the chain yet whose hash is not that of their columns."""
    rows = connection.execute(
        "SELECT a.id FROM sync.audit a "
        "WHERE NOT EXISTS (SELECT FROM sync.audit_link l WHERE l.audit_id = a.id) "
        "AND (a.content IS DISTINCT FROM sync.audit_content(a) "
        "OR a.content_sha256 <> sha256(convert_to(a.content, 'UTF8'))) ORDER BY a.id"
    ).fetchall()
    return [
        Finding(0, "changed", f"line {n}, not sealed yet, differs from its hash") for (n,) in rows
    ]


def read_anchors(places: tuple[str, ...]) -> tuple[Anchor, ...]:
    """Every anchor at these places; a place that is not there yet holds none.

    An anchor that cannot be read counts with position 0 and proves nothing. What was mailed lies
    with who received it, and is left out.
    """
    found = []
    for place in places:
        if place.startswith(MAILTO):
            continue
        filesystem, root = fsspec.url_to_fs(place)
        if not filesystem.exists(root):
            continue
        for path in sorted(filesystem.glob(f"{str(root).rstrip('/')}/anchor-*.json")):
            try:
                told = json.loads(filesystem.cat_file(path))
                found.append(
                    Anchor(int(told["position"]), bytes.fromhex(told["chain_sha256"]), str(path))
                )
            except (ValueError, KeyError, TypeError):
                found.append(Anchor(0, b"", str(path)))
    return tuple(found)
