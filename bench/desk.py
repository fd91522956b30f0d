"""The review desk under load: a million quarantined records, and a group of ten thousand put right.

    python -m bench.desk --items 1000000 --fix 10000 --json out.json

Pages are asked of the application in this process, as an operator; the times are the server's. The
fix runs in a process of its own, is killed with SIGKILL on its way, and is carried on by another.
Must not patch anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from mappings.private_files import make_home
from mappings.settings import Settings, child_environment
from portal_db import server
from portal_db.migrate import migrate
from review.web.app import make_app
from review.web.gate import User
from sync.context import Context
from sync.fix_jobs import fix_group
from sync.fix_rules import Rule
from sync.fix_work import carry_on

_PIECE = 50_000
_INSERT = """
INSERT INTO sync.quarantine (erp, feed, part, key, batch_id, run_id, page, record_no, reasons, code,
  raw, raw_hash, fingerprint, shape, dealer, amount, currency)
SELECT 'erp' || n %% 4, 'invoices', 'invoice', 'I' || n, 1 + n %% 50, 1 + n %% 50, 1, n,
  jsonb_build_array(jsonb_build_object('part', 'invoice', 'record_no', n, 'field', 'gross',
    'code', 'not_a_number', 'says', 'is not a number', 'raw', '1O,' || n)),
  'not_a_number', json_build_object('NO', 'I' || n, 'GROSS', '1O,' || n, 'CCY', 'EUR')::text, n,
  'f', md5((CASE WHEN n %% 10 < 3 THEN 0 ELSE n %% 2000 END)::text),
  'D' || n %% 3000, n %% 1000, 'EUR'
FROM generate_series(%s::bigint, %s::bigint) n
"""


class Operator:
    """Whoever asks is an operator: the gate has a test of its own."""

    async def user(self, request: Request) -> User | None:
        """The one who measures."""
        del request
        return User("bench", frozenset({"operator", "auditor"}))

    def login_url(self, request: Request) -> str:
        """Never asked for."""
        return request.url.path

    def refresh(self, request: Request, response: Response) -> None:
        """Nothing to keep."""

    def logout_url(self, request: Request) -> str | None:
        """None."""
        del request
        return None


def main() -> int:
    """Both parts; ends with 1 where the end state is wrong."""
    parser = argparse.ArgumentParser(prog="bench.desk", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--fix", type=int, default=10_000)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--json")
    args = parser.parse_args()
    found: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
        home = Path(folder) / "home"
        (Path(folder) / "erps").mkdir()
        settings = Settings.read({}, home=home, mappings=(Path(folder) / "erps",))
        make_home(settings)
        with server.serving(settings) as url:
            migrate(url)
            found["pages"] = pages(settings, url, args.items, args.asks)
            found["fix"] = fix(settings, url, Path(folder), args.fix)
    text = json.dumps(found, indent=1)
    print(text)
    if args.json:
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    return 0 if found["fix"]["right"] else 1


def pages(settings: Settings, url: str, items: int, asks: int) -> dict[str, Any]:
    """Fill quarantine as a writer does, then ask for every kind of page."""
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(1, items + 1, _PIECE):
            connection.execute(_INSERT, (first, min(items, first + _PIECE - 1)))
        filled = time.monotonic() - began
        connection.execute("VACUUM ANALYZE sync.quarantine")
        row = connection.execute(
            "SELECT (SELECT sum(open_items) FROM sync.quarantine_group), "
            "(SELECT count(*) FROM sync.quarantine), (SELECT shape FROM sync.quarantine_group "
            "ORDER BY open_items DESC LIMIT 1), (SELECT max(id) / 2 FROM sync.quarantine), "
            "(SELECT count(*) FROM sync.quarantine_group)"
        ).fetchone()
    if row is None or row[0] != row[1]:
        raise RuntimeError(f"the groups count {row and row[0]}, there are {row and row[1]}")
    app = make_app(settings, Operator())
    client = TestClient(app)
    shape, middle = row[2], int(row[3])
    times = {
        "list": asked(client, asks, lambda _n: "/"),
        "list_most_first": asked(client, asks, lambda _n: "/?sort=items"),
        "filter": asked(client, asks, lambda n: f"/?erp=erp{n % 4}&feed=invoices&q=number"),
        "search_key": asked(client, asks, lambda n: f"/?q=I{n + 1}77&kind=records"),
        "group": asked(client, asks, lambda _n: f"/groups/{shape}"),
        "group_deep_page": asked(
            client, asks, lambda n: f"/groups/{shape}?after={middle + n * 1000}"
        ),
        "item": asked(client, asks, lambda n: f"/items/{middle + n}"),
        "feeds": asked(client, asks, lambda _n: "/feeds"),
    }
    app.state.desk.close()
    return {
        "items": int(row[1]),
        "groups": int(row[4]),
        "largest_group": "30 % of the items",
        "fill_seconds": round(filled, 1),
        "fill_items_per_second": round(items / filled),
        "p50_p95_max_ms": times,
    }


def asked(client: TestClient, times: int, path: Callable[[int], str]) -> list[float]:
    """Milliseconds: median, 95th percentile, longest."""
    client.get(path(0))
    took = []
    for number in range(times):
        began = time.monotonic()
        answer = client.get(path(number))
        took.append((time.monotonic() - began) * 1000)
        if answer.status_code != 200:  # noqa: PLR2004 - HTTP's own word for well
            raise RuntimeError(f"{path(number)}: {answer.status_code}")
    ordered = sorted(took)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return [round(one, 1) for one in (statistics.median(ordered), p95, ordered[-1])]


def fix(settings: Settings, url: str, folder: Path, items: int) -> dict[str, Any]:
    """A night with `items` bad dealers, put right in one job that is killed half-way."""
    from tests.sync.far_side import csv_feed, dealer, dealers
    from tests.sync.world import World

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE sync.quarantine, sync.quarantine_group")
    world = World(settings, folder)
    world.start()
    try:
        guards = {"rejected_least": items * 2}
        world.map("mill", {"customers": csv_feed("customers", [], guards=guards)})
        bad = [dealer(f"B{n}", status="odd") for n in range(items)]
        world.mill.put("dealer", [*dealers(*range(items)), *bad])
        with Context.open(settings) as ctx:
            began = time.monotonic()
            world.run("mill", "customers")
            loaded = time.monotonic() - began
            with psycopg.connect(url) as connection:
                row = connection.execute(
                    "SELECT shape, version FROM sync.quarantine_group WHERE open_items > 0"
                ).fetchone()
            if row is None:
                raise RuntimeError("nothing was quarantined")
            rule = Rule.of({"kind": "replace", "path": "status", "old": "odd", "new": "active"})
            app = make_app(settings, Operator())
            words = "kind=replace&path=status&old=odd&new=active"
            previewed = asked(TestClient(app), 5, lambda _n: f"/groups/{row[0]}/fix?{words}")
            app.state.desk.close()
            asked_at = time.monotonic()
            fix_group(
                ctx, row[0], kind="correct", rule=rule, seen=row[1], reason="bench",
                actor="bench", canary=10,
            )  # fmt: skip
            queued = time.monotonic() - asked_at
            killed_after = _killed(settings, url, items)
            began = time.monotonic()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE sync.fix_job SET lease_until = now()")
            carry_on(ctx, worker="second")
            rest = time.monotonic() - began
        with psycopg.connect(url) as connection:
            end = connection.execute(
                "SELECT state, succeeded, failed, skipped, "
                "(SELECT count(*) FROM portal.dealer WHERE status = 'active' AND key LIKE 'B%'), "
                "(SELECT count(*) FROM sync.quarantine WHERE state = 'open'), "
                "(SELECT count(*) FROM sync.correction) FROM sync.fix_job"
            ).fetchone()
    finally:
        world.stop()
    return {
        "items": items,
        "load_of_the_night_seconds": round(loaded, 1),
        "preview_of_all_p50_p95_max_ms": previewed,
        "job_asked_for_seconds": round(queued, 2),
        "done_before_kill_9": killed_after["done"],
        "seconds_before_kill_9": killed_after["seconds"],
        "rest_seconds": round(rest, 1),
        "items_per_second_after": round((items - killed_after["done"]) / rest) if rest else None,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "killed_worker_peak_mb": killed_after["peak_mb"],
        "end": list(end or ()),
        "right": end == ("done", items, 0, 0, items, 0, items),
    }


def _killed(settings: Settings, url: str, items: int) -> dict[str, Any]:
    """Let another process begin, and kill it when a third is done."""
    code = (
        "from mappings.settings import Settings\nfrom sync.context import Context\n"
        "from sync.fix_work import carry_on\n"
        "with Context.open(Settings.read()) as ctx:\n    carry_on(ctx, worker='first')\n"
    )
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code], env=child_environment(settings)) as child:
        peak = 0
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                row = connection.execute("SELECT succeeded FROM sync.fix_job").fetchone()
                done = int(row[0]) if row else 0
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                peak = max(peak, *(int(line.split()[1]) // 1024 for line in status.splitlines()
                                   if line.startswith("VmHWM")), 0)  # fmt: skip
                if done >= items // 3 or child.poll() is not None:
                    break
                time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
    return {"done": done, "seconds": round(time.monotonic() - began, 1), "peak_mb": peak}


if __name__ == "__main__":
    sys.exit(main())
