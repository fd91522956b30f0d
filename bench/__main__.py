"""`make bench`: our pipeline, psql's COPY and other tools side by side over one price file.

Prints a line a case and writes the JSON that `bench.page` turns into docs/performance.md's table.
Ends with 1 where an end state is wrong: a fast wrong answer fails the run. A first word names
another benchmark (`desk`, `proof`, `reading` …), which takes the other arguments and writes its
JSON itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import runpy
import shutil
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg

from bench import peers, price_file
from bench.installation import Installation
from bench.priority import before_others
from bench.subject import Subject, reader, server_cpu
from bench.truth import differences

CASES = ("first", "same_bytes", "same_rows", "changed_1", "vanished_1", "changed_20")
_FILES = {"same_bytes": "first"}
OTHERS = (
    "airflow_cost", "at_once", "cold_start", "desk", "latency", "outage", "over_sftp", "over_wire",
    "proof", "reading", "wire_odata", "wire_sftp", "wire_soap",
)  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run what the command line asks for."""
    if sys.argv[1:2] and sys.argv[1] in OTHERS:
        name = f"bench.{sys.argv.pop(1)}"
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return 0
    args = _arguments()
    folder = Path(args.folder)
    files = make_files(folder, args.rows, (*price_file.VARIANTS, "clean"))
    installation = Installation(folder)
    try:
        bench = _Bench(args, installation, files)
        with before_others(installation.home, wanted=args.priority) as bench.before_others:
            bench.rounds()
        if args.peers:
            with (
                installation.listening() as tcp,
                before_others(installation.home, wanted=args.priority),
            ):
                bench.peers(tcp)
    finally:
        installation.close()
    found = bench.results()
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    for one in found:
        if "case" in one:
            print(
                f"{one['case']:<14}{one['rows']:>10} rows {one['seconds']:>8.2f} s "
                f"{one['ratio'] or 0:>7.2f}x "
                f"{one['cpu_ratio'] or 0:>6.2f}x cpu {one['peak_mb'] or 0:>7.0f} MB "
                f"{one['wal_mb'] or 0:>8.1f} MB WAL  {'right' if one['right'] else 'WRONG'}"
            )
    return 0 if all(one.get("right", True) for one in found) else 1


def _arguments() -> argparse.Namespace:
    others = f"other benchmarks, by a first word: {', '.join(OTHERS)}"
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, epilog=others)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="where to write the results")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--peers", default="", help="dlt,sling,ingestr: installed under var/")
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    parser.add_argument("--profile", help="folder for a cProfile of each case")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench"))
    return parser.parse_args()


def make_files(folder: Path, rows: int, wanted: tuple[str, ...]) -> dict[str, Path]:
    """The variants of the price list, and `clean`; made once and kept."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {variant: folder / f"prices_{rows}_{variant}.csv" for variant in wanted}
    for variant, path in found.items():
        if not path.exists():
            waiting = path.with_suffix(".part")
            if variant == "clean":
                price_file.write_clean(waiting, rows)
            else:
                price_file.write_variant(waiting, rows, variant)
            waiting.rename(path)
    return found


class _Bench:
    """All rounds of one call, and what they measured."""

    def __init__(
        self, args: argparse.Namespace, installation: Installation, files: dict[str, Path]
    ) -> None:
        self.args = args
        self.installation = installation
        self.files = files
        self.cases = [case for case in CASES if case in args.cases.split(",")]
        self.found: dict[str, list[dict[str, Any]]] = {"psql_copy": []}
        self.imported_mb = 0.0
        self.before_others = False
        self.began = time.time()
        self.pg = installation.pg_settings()

    def rounds(self) -> None:
        """Every case once a round, psql's COPY before each."""
        for round_no in range(1, self.args.rounds + 1):
            erp = f"b{int(self.began) % 1_000_000}r{round_no}"
            self.installation.add_erp(erp)
            with Subject(self.installation) as subject:
                for feed in ("customers", "products"):
                    subject.run(erp, feed)
                self.imported_mb = subject.imported_mb
                for case in self.cases:
                    limit = self._psql()
                    self._case(subject, erp, case, limit)
            self.installation.forget_prices(erp)

    def _psql(self) -> float:
        command = self.installation.psql_copy(self.files["clean"])
        began, used = time.monotonic(), self._used()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - began
        time.sleep(0.3)  # until the server has counted its backend's time
        used = self._used() - used
        self.found["psql_copy"].append(
            {"seconds": seconds, "cpu": used, "ratio": 1.0, "cpu_ratio": 1.0, "right": True}
        )
        return seconds

    def _used(self) -> float:
        """CPU seconds of the server and of children that have ended (psql)."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return server_cpu(self.installation) + ended.ru_utime + ended.ru_stime

    def _case(self, subject: Subject, erp: str, case: str, limit: float) -> None:
        file = self.files[_FILES.get(case, case)]
        self.installation.offer(erp, file)
        keys = [f"K{i:09}" for i in range(0, 2_000, 40)]
        with psycopg.connect(self.installation.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        more = {}
        if self.args.profile:
            Path(self.args.profile).mkdir(parents=True, exist_ok=True)
            more = {"profile": str(Path(self.args.profile) / f"{case}.prof")}
        with reader(self.installation.url, erp, keys) as seen:
            answer = subject.run(erp, "prices", **more)
        wrong = differences(self.installation.url, erp, file) if answer["state"] == "done" else []
        if answer["state"] != "done":
            wrong = [f"held: {answer['stops']}"]
        if not answer["agrees"]:
            wrong.append("the reconciliation does not agree")
        if case not in {"vanished_1", "changed_20"} and seen.mixed:
            wrong.append(f"a reader saw half a list: {seen.mixed[0]}")
        if seen.longest > 1.0:
            wrong.append(f"a reader waited {seen.longest:.2f} s")
        answer |= {
            "ratio": answer["seconds"] / limit,
            "right": not wrong,
            "dead_rows": self._dead(erp),
            "reader_looks": seen.looks,
            "reader_longest_s": seen.longest,
        }
        self.found.setdefault(case, []).append(answer)
        timings = " ".join(f"{k} {v:.2f}" for k, v in answer["timings"].items())
        print(
            f"{erp} {case}: {answer['seconds']:.2f} s = {answer['ratio']:.2f} x {limit:.2f} s, "
            f"cpu {answer['cpu']:.2f} + {answer['server_cpu']:.2f} s, "
            f"{answer['peak_mb']:.0f} MB, {timings}",
            file=sys.stderr,
            flush=True,
        )
        for one in wrong:
            print(f"WRONG {case}: {one}", file=sys.stderr, flush=True)

    def _dead(self, erp: str) -> int:
        with psycopg.connect(self.installation.url, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            row = connection.execute(
                "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = %s", (f"price_{erp}",)
            ).fetchone()
        return int(row[0]) if row else 0

    def peers(self, tcp: str) -> None:
        """Each peer in an environment of its own: what it needs is installed, or it is left out."""
        for name in self.args.peers.split(","):
            for case, file in (("first", "first"), ("same_bytes", "first"), ("1", "changed_1")):
                limit = self._psql()
                answer = peers.run(
                    name, case, self.installation, tcp, self.files[file], self.args.rows
                )
                if answer is None:
                    break
                answer["ratio"] = answer["seconds"] / limit
                self.found.setdefault(f"{name}_{case}", []).append(answer)

    def results(self) -> list[dict[str, Any]]:
        """One object a case, medians over the rounds, and one about machine and versions."""
        found: list[dict[str, Any]] = []
        limit = _median(self.found["psql_copy"], "cpu") or 1.0
        for case, runs in self.found.items():
            for one in runs:
                if "server_cpu" in one:
                    one["cpu_ratio"] = (one["cpu"] + one["server_cpu"]) / limit
            found.append(
                {
                    "case": case,
                    "rows": self.args.rows,
                    "ratio": _median(runs, "ratio"),
                    "cpu_ratio": _median(runs, "cpu_ratio"),
                    "seconds": _median(runs, "seconds"),
                    "peak_mb": _median(runs, "peak_mb"),
                    "wal_mb": _median(runs, "wal_mb"),
                    "right": all(one["right"] for one in runs),
                    "cpu_s": _median(runs, "cpu"),
                    "server_cpu_s": _median(runs, "server_cpu"),
                    "dead_rows": _median(runs, "dead_rows"),
                    "reader_longest_s": _median(runs, "reader_longest_s"),
                    "rounds": len(runs),
                    "timings": runs[-1].get("timings"),
                }
            )
        names = ("pyarrow", "psycopg", "pandas", "great-expectations", "zstandard", "xxhash")
        about = {
            "machine": platform.machine(),
            "cpus": len(__import__("os").sched_getaffinity(0)),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in names},
            "postgresql": self.pg,
            "imported_mb": self.imported_mb,
            "before_others": self.before_others,
            "command": " ".join(sys.argv),
            "disk_free_gb": shutil.disk_usage(self.installation.folder).free // 2**30,
        }
        return [*found, {"about": about}]


def _median(runs: list[dict[str, Any]], name: str) -> float | None:
    values = [one[name] for one in runs if one.get(name) is not None]
    return statistics.median(values) if values else None


if __name__ == "__main__":
    sys.exit(main())
