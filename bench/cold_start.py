"""A process that was not there: from its start to its first statement, and to a loaded price list.

`python -m bench.cold_start --rows 200000 --json FILE`. Each round is a new process and a new ERP,
against a server that runs. Seconds, not ratios: at this size the start rules. Must not compare
values: `bench` does that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.__main__ import ROOT, make_files
from bench.installation import Installation
from bench.priority import before_others

STEPS = ("imported", "first_statement", "pulled", "loaded", "reconciled")


def main() -> None:
    """Rounds, medians of the seconds since the process was asked for."""
    parser = argparse.ArgumentParser(prog="bench.cold_start", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench"))
    given = parser.parse_args()
    folder = Path(given.folder)
    files = make_files(folder, given.rows, ("first",))
    installation = Installation(folder)
    found: list[list[float]] = []
    try:
        with before_others(installation.home, wanted=given.priority):
            for number in range(given.rounds):
                erp = f"cold{int(time.time()) % 1_000_000}r{number}"
                installation.add_erp(erp)
                for feed in ("customers", "products"):
                    _process(installation, erp, feed)
                installation.offer(erp, files["first"])
                found.append(_process(installation, erp, "prices"))
                installation.forget_prices(erp)
    finally:
        installation.close()
    items = [
        {
            "case": f"cold_{step}",
            "rows": given.rows,
            "seconds": round(statistics.median(taken), 2),
            "each": [round(one, 2) for one in taken],
        }
        for step, taken in zip(STEPS, zip(*found, strict=True), strict=True)
    ]
    print(json.dumps(items, indent=1))
    if given.json:
        given.json.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")


def _process(installation: Installation, erp: str, feed: str) -> list[float]:
    """Seconds after which each step was done, in a process of its own."""
    began = time.monotonic()
    ended = subprocess.run(
        [
            sys.executable, "-c", "from bench.cold_start import once; once()",
            str(installation.home), str(installation.mappings), erp, feed,
        ],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return [float(word) - began for word in ended.stdout.split()]


def once() -> None:
    """In the process: load one feed and print when each step was done, on the machine's clock."""
    home, mappings, erp, feed = sys.argv[1:]
    from mappings.settings import Settings
    from sync.context import Context
    from sync.load import load
    from sync.pull import pull
    from sync.reconcile import reconcile

    done = [time.monotonic()]
    settings = Settings.read({}, home=Path(home), mappings=(Path(mappings),))
    with Context.open(settings) as ctx:
        with ctx.connection() as connection:
            connection.execute("SELECT 1")
        done.append(time.monotonic())
        batch = pull(ctx, erp, feed)
        done.append(time.monotonic())
        if batch is None:
            raise RuntimeError("somebody else pulls")
        outcome = load(ctx, batch)
        done.append(time.monotonic())
        if outcome.state != "done":
            raise RuntimeError(str(outcome.stops))
        reconcile(ctx, outcome.run_id)
        done.append(time.monotonic())
    print(*done)


if __name__ == "__main__":
    main()
