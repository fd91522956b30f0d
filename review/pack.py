"""The auditor's pack: one signed archive of a period, which proves itself without us.

Inside: the record of runs, totals, checks, exceptions, decisions and changes as CSV, the rules in
force, the sealed chain of the audit, a report to read, and the program that checks all of it.
That somebody made it is in the audit, too. Must not hold raw values of records or a secret.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from portal_db.audit import note_reading, sealed_rows
from review import evidence, spreadsheet, verifier
from review.report import Summary, render
from review.signing import signing_key
from review.veil import Veil
from sync.anchoring import seal_and_anchor
from sync.context import Context
from sync.progress import Progress, silent

_AUDIT_RANGE = """
SELECT min(l.position), max(l.position)
FROM sync.audit_link l JOIN sync.audit a ON a.id = l.audit_id
WHERE a.at >= %s AND a.at < %s
"""


@dataclass(frozen=True, slots=True)
class Pack:
    """What was written."""

    path: Path
    bytes: int
    files: int
    rows: dict[str, int]
    public_key: str


def export(
    ctx: Context,
    since: datetime,
    until: datetime,
    path: Path,
    *,
    actor: str,
    progress: Progress = silent,
) -> Pack:
    """Write the pack of [since, until) to `path`, which must not exist.

    Everything is read in one snapshot. Raises Misconfigured (`exists`, `period`).
    """
    if path.exists():
        raise Misconfigured(
            f"{path} is there already", code="exists", remedy="Choose another name: evidence stays."
        )
    if since >= until:
        raise Misconfigured("the period is empty", code="period", remedy="Give --from before --to.")
    period = {"from": since.isoformat(), "to": until.isoformat()}
    with ctx.connection() as connection:
        note_reading(connection, actor, "audit export", {**period, "file": path.name})
    seal_and_anchor(ctx)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with (
            zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive,
            ctx.connection() as connection,
            connection.transaction(),
        ):
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            files, counts, key = _fill(ctx, connection, archive, since, until, progress)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return Pack(path, path.stat().st_size, files, counts, key)


class _Signed:
    """An archive that remembers the SHA-256 of every file put into it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, pieces: Iterator[bytes] | bytes) -> None:
        """One file, streamed."""
        digest, size = hashlib.sha256(), 0
        with self._archive.open(name, "w", force_zip64=True) as file:
            for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
        self.files[name] = {"sha256": digest.hexdigest(), "bytes": size}


def _fill(
    ctx: Context,
    connection: psycopg.Connection[Any],
    archive: zipfile.ZipFile,
    since: datetime,
    until: datetime,
    progress: Progress,
) -> tuple[int, dict[str, int], str]:
    signed, counts = _Signed(archive), {}
    summary = Summary(since, until)
    for done, table in enumerate(evidence.EXPORTED):
        rows = evidence.rows(connection, table, since, until)
        if table is evidence.CHANGES:
            rows = _veiled(rows, Veil(ctx.settings, clear=False))
        found = _Counted(rows, summary.sees(table.name))
        signed.add(f"{table.name}.csv", spreadsheet.table(found))
        counts[table.name] = found.count
        progress("export", done + 1, len(evidence.EXPORTED) + 1)
    _add_rules(signed, connection, since, until)
    chain = _add_chain(signed, connection, since, until)
    signed.add("verify.py", Path(verifier.__file__).read_bytes())
    signed.add("README.txt", _README.encode("utf-8"))
    signed.add("report.html", render(summary, counts, chain).encode("utf-8"))
    key = signing_key(ctx.settings)
    public = key.public_key().public_bytes_raw().hex()
    manifest = {
        "format": 1,
        "from": since.astimezone(UTC).isoformat(),
        "to": until.astimezone(UTC).isoformat(),
        "made_at": datetime.now(UTC).isoformat(),
        "public_key": public,
        "rows": counts,
        "audit": chain,
        "files": signed.files,
    }
    text = json.dumps(manifest, indent=2, sort_keys=True).encode("utf-8")
    archive.writestr(verifier.MANIFEST, text)
    archive.writestr(verifier.SIGNATURE, key.sign(text).hex())
    progress("export", len(evidence.EXPORTED) + 1, len(evidence.EXPORTED) + 1)
    return len(signed.files), counts, public


def _veiled(rows: Iterator[dict[str, Any]], veil: Veil) -> Iterator[dict[str, Any]]:
    """Changes of the portal with personal values masked: a pack leaves the house."""
    for row in rows:
        yield {**row, **{name: veil.fields(row["part"], row[name]) for name in ("old", "new")}}


class _Counted:
    """Rows that are counted, and shown to the summary, while they pass."""

    def __init__(
        self, rows: Iterator[dict[str, Any]], see: Callable[[dict[str, Any]], None] | None
    ) -> None:
        self._rows = rows
        self._see = see
        self.count = 0

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        for row in self._rows:
            self.count += 1
            if self._see is not None:
                self._see(row)
            yield row


def _add_rules(
    signed: _Signed, connection: psycopg.Connection[Any], since: datetime, until: datetime
) -> None:
    for row in evidence.rows(connection, evidence.MAPPINGS, since, until):
        signed.add(f"rules/{row['erp']}-{row['sha256'][:16]}.yaml", row["text"].encode("utf-8"))
    declared = {
        name: {
            "guards": asdict(feed.guards),
            "checks": {
                part.name: [{"id": c.id, "field": c.field, "says": c.says} for c in part.row_checks]
                for part in feed.parts
            },
        }
        for name, feed in FEEDS.items()
    }
    text = json.dumps(declared, indent=2, sort_keys=True, default=str)
    signed.add("rules/checks.json", text.encode("utf-8"))


def _add_chain(
    signed: _Signed, connection: psycopg.Connection[Any], since: datetime, until: datetime
) -> dict[str, Any]:
    """The links that cover the period's lines, from the first to the last; those between too."""
    row = connection.execute(_AUDIT_RANGE, (since, until)).fetchone()
    first, last = (row[0] or 1, row[1] or 0) if row else (1, 0)
    previous = connection.execute(
        "SELECT chain_sha256 FROM sync.audit_link WHERE position = %s", (first - 1,)
    ).fetchone()
    before = bytes(previous[0]) if previous else verifier.GENESIS
    signed.add(verifier.AUDIT, _links(connection, first, last))
    anchors = connection.execute(
        "SELECT at, position, chain_sha256, place FROM sync.audit_anchor "
        "WHERE position BETWEEN %s AND %s ORDER BY id",
        (first - 1, last),
    ).fetchall()
    told = [
        {"at": at.isoformat(), "position": n, "chain_sha256": bytes(h).hex(), "place": place}
        for at, n, h, place in anchors
    ]
    signed.add("anchors.json", json.dumps(told, indent=2).encode("utf-8"))
    return {"first": first, "last": last, "before": before.hex()}


def _links(connection: psycopg.Connection[Any], first: int, last: int) -> Iterator[bytes]:
    for row in sealed_rows(connection, first, last):
        told = {
            "position": row.position,
            "audit_id": row.audit_id,
            "content": row.content,
            "content_sha256": bytes(row.link_content_sha256).hex(),
            "chain_sha256": bytes(row.chain_sha256).hex(),
        }
        yield json.dumps(told, ensure_ascii=False).encode("utf-8") + b"\n"


_README = """An audit export of Waybill.

Read report.html. Check the export with Python 3.9 or later, without installing anything:

    python verify.py .. --key KEY --anchor ANCHOR.json

(or `python verify.py EXPORT.zip …` on the archive itself). KEY is the public key that you were
given by another way than with this file; ANCHOR.json is a file that was kept outside when the
head of the chain was written down: anchors.json tells where those lie. Without an anchor, a chain
that was rewritten as a whole before it was exported cannot be told from a true one.

runs.csv        every attempt to load a batch; read = inserted + updated + unchanged + superseded
                + quarantined + deferred
totals.csv      control totals of both sides per run
checks.csv      every check of every run, with the population that it saw
pass_rates.csv  the same per day
exceptions.csv  records that were not let in: why, since when, what became of them
incidents.csv   batches that a guard stopped, and outages
decisions.csv   what people did; audit.jsonl is the same, sealed
changes.csv     what each run changed in the portal, before and after; values that speak about
                people are other letters of the same shape, the same for the same value
rules/          mappings as they were in force, checks and guards as declared

A cell that would begin a formula in a spreadsheet carries an apostrophe in front.
"""
