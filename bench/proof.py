"""`python -m bench.proof`: what the auditor's proof costs, and whether it proves.

Quality pages over 400 days of 300 results, what a run pays for its record, 1,000 random tamperings
of the audit, 50 writers at once, a month's pack verified by Python alone, and parity over Wide
World Importers where `--wwi` names its files. The product's own code on a PostgreSQL of its own;
ends with 1 where something that must be found was not. Must not patch anything.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from bench.wide_world import WideWorld
from mappings.private_files import make_home
from mappings.settings import Settings
from portal_db import check_results, server
from portal_db.audit import record
from portal_db.migrate import migrate
from review.pack import export
from review.proof import check_database
from review.signing import public_key
from review.web.app import make_app
from review.web.gate import User
from sync.anchoring import seal_and_anchor
from sync.context import Context
from sync.parity import parity, supplying

ROOT = Path(__file__).resolve().parent.parent
DAYS, RUNS_A_DAY, CHECKS = 400, 30, 10
FEEDS = ("prices", "stock", "credit", "customers", "products", "invoices")
WRITERS, LINES_EACH = 50, 100


class _Auditor:
    """A gate that lets the bench in as an auditor."""

    async def user(self, request: Request) -> User | None:
        del request
        return User("bench", frozenset({"auditor"}))

    def login_url(self, request: Request) -> str:
        del request
        return "/"

    def refresh(self, request: Request, response: Response) -> None:
        pass

    def logout_url(self, request: Request) -> str | None:
        del request
        return None


def main() -> int:
    """Run what the command line asks for; write the JSON."""
    parser = argparse.ArgumentParser(prog="bench.proof", description=__doc__)
    parser.add_argument("--json", help="where to write the results")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench-proof"))
    parser.add_argument("--only", default="quality,tampering,writers,pack,parity")
    parser.add_argument("--wwi", help="folder of Wide World Importers' files")
    parser.add_argument("--tamperings", type=int, default=1_000)
    args = parser.parse_args()
    folder = Path(args.folder)
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings.read({}, home=folder)
    make_home(settings)
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_before": os.getloadavg()}
    wanted = set(args.only.split(","))
    with server.serving(settings) as url:
        migrate(url)
        with Context.open(settings) as ctx, psycopg.connect(url, autocommit=True) as admin:
            if "tampering" in wanted:
                found["tampering"] = tampering(ctx, admin, args.tamperings)
            if "writers" in wanted:
                found["writers"] = writers(ctx, url)
            if wanted & {"quality", "pack"}:
                fill(admin)
            if "quality" in wanted:
                found["quality"] = quality(settings, ctx, admin)
            if "pack" in wanted:
                found["pack"] = pack(ctx, admin, folder)
        if "parity" in wanted and args.wwi:
            found["parity"] = wide_world(settings, Path(args.wwi))
    found["load_after"] = os.getloadavg()
    text = json.dumps(found, indent=1, default=str)
    print(text)
    if args.json:
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    return (
        0 if all(one.get("right", True) for one in found.values() if isinstance(one, dict)) else 1
    )


def fill(admin: psycopg.Connection[Any]) -> None:
    """400 days of 30 runs with 10 results each; every twentieth run has rows that failed."""
    admin.execute(
        "INSERT INTO sync.batch (id, erp, feed, mode, state, mapping_sha256, pulled_at) "
        "SELECT n, 'acme', (%s::text[])[1 + n %% %s], 'snapshot', 'applied', 'x', "
        "now() - make_interval(days => %s) + n * interval '1 day' / %s "
        "FROM generate_series(1, %s) n",
        (list(FEEDS), len(FEEDS), DAYS, RUNS_A_DAY, DAYS * RUNS_A_DAY),
    )
    admin.execute(
        "INSERT INTO sync.run (id, batch_id, erp, feed, state, started_at, mapping_sha256, "
        "fingerprint, read, inserted) SELECT id, id, erp, feed, 'done', pulled_at, 'x', 'f', "
        "1000, 1000 FROM sync.batch"
    )
    admin.execute(
        "INSERT INTO sync.check_result (run_id, part, check_id, judge, success, evaluated, failed, "
        "population, says) SELECT r.id, 'part', 'check_' || c, "
        "CASE WHEN c %% 2 = 0 THEN 'mask' ELSE 'gx' END, NOT (r.id %% 20 = 0 AND c %% 2 = 0), "
        "1000, CASE WHEN r.id %% 20 = 0 AND c %% 2 = 0 THEN 7 ELSE 0 END, 'batch 1000', "
        "'a value must be one of the known codes' FROM sync.run r, generate_series(1, %s) c",
        (CHECKS,),
    )
    admin.execute(
        "INSERT INTO sync.check_failure (run_id, part, check_id, judge, n, record_no, key, field, "
        "value, says) SELECT run_id, part, check_id, judge, n, n, 'K' || n, 'unit', 'PCE?', "
        "'not a known code' FROM sync.check_result, generate_series(1, 7) n WHERE failed > 0"
    )
    admin.execute(
        "INSERT INTO sync.reconciliation (run_id, part, name, sides, left_value, right_value, "
        "agrees, says, at) SELECT id, 'part', 'count', 'erp=read', 1000, 1000, true, 'agrees', "
        "started_at FROM sync.run"
    )
    admin.execute("ANALYZE")


def quality(settings: Settings, ctx: Context, admin: psycopg.Connection[Any]) -> dict[str, Any]:
    """p95 of every quality page, and what a run of 300 results pays for its record."""
    failed = admin.execute("SELECT max(run_id) FROM sync.check_failure").fetchone()
    pages = {
        "feeds": "/quality?days=400",
        "feed": "/quality/acme/prices?days=400",
        "check": "/quality/acme/prices/check?part=part&check=check_2&judge=mask&days=400",
        "failing": f"/failing-rows/{failed[0] if failed else 1}",
        "csv": "/quality/acme/prices?days=400&as=csv",
        "reconciliation": "/reconciliation",
    }
    app = make_app(settings, _Auditor())
    told: dict[str, Any] = {"results": DAYS * RUNS_A_DAY * CHECKS}
    with TestClient(app) as client:
        for name, path in pages.items():
            client.get(path)
            times = [_timed(lambda path=path: client.get(path).raise_for_status())
                     for _ in range(30)]  # fmt: skip
            told[f"{name}_p95_ms"] = round(_p95(times) * 1000, 1)
    results = [
        check_results.Result("part", f"new_{n}", "mask", False, 1000, 2, "batch", "says")
        for n in range(300)
    ]
    rows = [
        check_results.FailingRow("part", f"new_{n % 300}", "mask", n, f"K{n}", "unit", "x", "says")
        for n in range(600)
    ]
    costs = []
    for _ in range(20):
        with ctx.connection() as connection, connection.transaction(force_rollback=True):
            costs.append(
                _timed(lambda c=connection: check_results.put(c, DAYS * RUNS_A_DAY, results, rows))
            )
    told["record_of_300_results_p95_ms"] = round(_p95(costs) * 1000, 1)
    told["record_of_one_result_ms"] = round(statistics.median(costs) * 1000 / 300, 3)
    told["right"] = all(v < 2000 for k, v in told.items() if k.endswith("_p95_ms"))  # noqa: PLR2004 - DQ-1
    return told


def tampering(ctx: Context, admin: psycopg.Connection[Any], times: int) -> dict[str, Any]:
    """Random edits, removals, reorders, forgeries and tail cuts of a sealed, anchored audit."""
    with ctx.connection() as connection:
        for n in range(200):
            record(connection, f"p{n % 7}", "release", f"run {n}", {"reason": "seen", "n": n})
    seal_and_anchor(ctx)
    for name in ("audit", "audit_link"):
        admin.execute(f"CREATE TEMP TABLE kept_{name} AS TABLE sync.{name}")  # type: ignore[arg-type]
    admin.execute("SET session_replication_role = replica")
    rng = random.Random(20261121)
    missed: list[str] = []
    kinds: Counter[str] = Counter()
    began = time.monotonic()
    for _ in range(times):
        what = _tamper(admin, rng)
        kinds[what] += 1
        if check_database(ctx).good:
            missed.append(what)
        admin.execute("TRUNCATE sync.audit, sync.audit_link")
        admin.execute("INSERT INTO sync.audit OVERRIDING SYSTEM VALUE SELECT * FROM kept_audit")
        admin.execute("INSERT INTO sync.audit_link SELECT * FROM kept_audit_link")
    admin.execute("SET session_replication_role = origin")
    whole = check_database(ctx).good
    return {
        "tamperings": times,
        "found": times - len(missed),
        "kinds": dict(kinds),
        "missed": missed,
        "untouched_is_proven": whole,
        "seconds": round(time.monotonic() - began, 1),
        "right": whole and not missed,
    }


def _tamper(admin: psycopg.Connection[Any], rng: random.Random) -> str:
    positions = [int(n) for (n,) in admin.execute("SELECT position FROM sync.audit_link")]
    at, other = rng.sample(positions, 2)
    mine = "(SELECT audit_id FROM sync.audit_link WHERE position = %(at)s)"
    ways: dict[str, str] = {
        "edit actor": f"UPDATE sync.audit SET actor = actor || 'x' WHERE id = {mine}",
        "edit detail": f"UPDATE sync.audit SET detail = '{{}}' WHERE id = {mine}",
        "edit time": f"UPDATE sync.audit SET at = at + interval '1 us' WHERE id = {mine}",
        "edit content": f"UPDATE sync.audit SET content = content || ' ' WHERE id = {mine}",
        "edit and hash anew": "UPDATE sync.audit a SET actor = 'x', content = sync.audit_content("
        "ROW(a.id, a.at, 'x', a.action, a.subject, a.detail, a.db_user, NULL, NULL)::sync.audit), "
        "content_sha256 = sha256(convert_to(sync.audit_content(ROW(a.id, a.at, 'x', a.action, "
        "a.subject, a.detail, a.db_user, NULL, NULL)::sync.audit), 'UTF8')) "
        f"WHERE id = {mine}",
        "remove line": f"DELETE FROM sync.audit WHERE id = {mine}",
        "remove link": "DELETE FROM sync.audit_link WHERE position = %(at)s",
        "remove both": f"WITH l AS (DELETE FROM sync.audit WHERE id = {mine}) "
        "DELETE FROM sync.audit_link WHERE position = %(at)s",
        "reorder": "UPDATE sync.audit_link l SET position = -o.position FROM sync.audit_link o "
        "WHERE l.position IN (%(at)s, %(other)s) AND o.position IN (%(at)s, %(other)s) "
        "AND o.position <> l.position; "
        "UPDATE sync.audit_link SET position = -position WHERE position < 0",
        "cut the tail": "WITH cut AS (DELETE FROM sync.audit_link WHERE position >= %(at)s "
        "RETURNING audit_id) DELETE FROM sync.audit WHERE id IN (SELECT audit_id FROM cut)",
    }
    what = rng.choice(list(ways))
    for statement in ways[what].split("; "):
        admin.execute(statement, {"at": at, "other": other})  # type: ignore[arg-type]
    return what


def writers(ctx: Context, url: str) -> dict[str, Any]:
    """50 writers with a commit each line while another seals; then one chain, nothing forked."""
    alone = _write(url, 1, LINES_EACH)
    stop = threading.Event()

    def seal() -> None:
        while not stop.is_set():
            seal_and_anchor(ctx)

    sealer = threading.Thread(target=seal)
    beside = _write(url, WRITERS, LINES_EACH)
    sealer.start()
    during = _write(url, WRITERS, LINES_EACH)
    stop.set()
    sealer.join()
    seal_and_anchor(ctx)
    proof = check_database(ctx)
    with ctx.connection() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM sync.audit), (SELECT max(position) FROM sync.audit_link)"
        ).fetchone()
    lines, links = (int(row[0]), int(row[1])) if row else (0, -1)
    return {
        "writers": WRITERS,
        "lines": lines,
        "links": links,
        "one_writer": alone,
        "fifty_writers": beside,
        "fifty_writers_while_sealing": during,
        "right": proof.good and lines == links,
    }


def _write(url: str, count: int, each: int) -> dict[str, float]:
    times: list[float] = []

    def work(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET ROLE waybill_sync")
            for n in range(each):
                spent = _timed(lambda n=n: record(connection, f"w{number}", "note", f"run {n}"))
                times.append(spent)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    began = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    seconds = time.monotonic() - began
    return {
        "lines_a_second": round(count * each / seconds, 1),
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p95_ms": round(_p95(times) * 1000, 2),
    }


def pack(ctx: Context, admin: psycopg.Connection[Any], folder: Path) -> dict[str, Any]:
    """A month of 900 runs, 100,000 changes and 5,000 decisions: made, then verified offline."""
    admin.execute(
        "INSERT INTO sync.change (run_id, batch_id, erp, part, key, op, old, new, at) SELECT "
        "id, id, 'acme', 'price', 'K' || n, 'update', jsonb_build_object('unit_price', n), "
        "jsonb_build_object('unit_price', n + 1), started_at FROM (SELECT id, started_at FROM "
        "sync.run WHERE started_at >= now() - interval '30 days') r, generate_series(1, 112) n"
    )
    with ctx.connection() as connection, connection.transaction():
        for n in range(5_000):
            record(connection, f"p{n % 9}", "discard", f"quarantine {n}", {"reason": "a test"})
    until = datetime.now(UTC) + timedelta(days=1)
    path = folder / "month.zip"
    seconds = _timed(lambda: export(ctx, until - timedelta(days=31), until, path, actor="bench"))
    with zipfile.ZipFile(path) as archive:
        program = folder / "verify.py"
        program.write_bytes(archive.read("verify.py"))
        rows = json.loads(archive.read("manifest.json"))["rows"]
    anchor = max(Path(ctx.settings.audit_anchors[0]).glob("anchor-*.json"))
    command = [sys.executable, "-I", "-S", str(program), str(path), "--key",
               public_key(ctx.settings), "--anchor", str(anchor)]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    last = done.stdout.strip().splitlines()[-1:] if done.stdout else [done.stderr[-200:]]
    return {
        "seconds": round(seconds, 2),
        "bytes": path.stat().st_size,
        "rows": rows,
        "verified_offline": last,
        "verify_seconds": round(time.monotonic() - began, 2),
        "right": done.returncode == 0,
    }


def wide_world(settings: Settings, files: Path) -> dict[str, Any]:
    """Every invoice line of Wide World Importers against its synced conditions."""
    with WideWorld(settings, files) as world:
        loading = _timed(world.sync_all)
        found = []
        for erp in supplying(world.ctx):
            began = time.monotonic()
            one = parity(world.ctx, erp)
            found.append(
                {
                    "erp": erp,
                    "lines": one.lines,
                    "explained": one.explained,
                    "unexplained": one.unexplained,
                    "share_pct": one.share,
                    "reasons": one.reasons,
                    "seconds": round(time.monotonic() - began, 1),
                    "unexplained_lines": [f"{i['invoice_key']}/{i['line_no']}" for i in one.items],
                }
            )
    return {"loading_seconds": round(loading, 1), "comparisons": found}


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.95) - 1)]


if __name__ == "__main__":
    sys.exit(main())
