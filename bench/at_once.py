"""Several ERPs at once on this machine: what they load together, beside one alone.

`python -m bench.at_once --rows 2000000 --erps 2 --json FILE`. Each ERP has a warm process of its
own, as tasks have. Must not compare values: `bench` does that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.__main__ import ROOT, make_files
from bench.installation import Installation
from bench.priority import before_others
from bench.subject import Subject

CASES = ("first", "changed_1")


def main() -> None:
    """One ERP alone, then all at once, round by round."""
    parser = argparse.ArgumentParser(prog="bench.at_once", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--erps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench"))
    given = parser.parse_args()
    folder = Path(given.folder)
    files = make_files(folder, given.rows, ("first", "changed_1"))
    installation = Installation(folder)
    found: dict[str, list[float]] = {}
    try:
        with before_others(installation.home, wanted=given.priority):
            for number in range(given.rounds):
                for name, count in (("alone", 1), ("together", given.erps)):
                    erps = [f"{name}{number}{chr(97 + n)}" for n in range(count)]
                    for case, seconds in _load(installation, erps, files).items():
                        found.setdefault(f"{case}_{name}", []).append(seconds)
    finally:
        installation.close()
    items: list[dict[str, Any]] = []
    for case in CASES:
        alone = statistics.median(found[f"{case}_alone"])
        together = statistics.median(found[f"{case}_together"])
        items.append(
            {
                "case": f"at_once_{case}",
                "rows": given.rows,
                "erps": given.erps,
                "alone_s": round(alone, 2),
                "together_s": round(together, 2),
                "throughput_of_the_sum": round(given.erps * alone / together, 2),
            }
        )
    print(json.dumps(items, indent=1))
    if given.json:
        given.json.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")


def _load(installation: Installation, erps: list[str], files: dict[str, Path]) -> dict[str, float]:
    """Seconds of each case until the last ERP was done."""
    for erp in erps:
        installation.add_erp(erp)
    subjects = {erp: Subject(installation) for erp in erps}
    taken: dict[str, float] = {}
    try:
        for erp, subject in subjects.items():
            for feed in ("customers", "products"):
                subject.run(erp, feed)
        for case in CASES:
            for erp in erps:
                installation.offer(erp, files[case])
            began = time.monotonic()
            with ThreadPoolExecutor(len(erps)) as pool:
                answers = list(pool.map(lambda erp: subjects[erp].run(erp, "prices"), erps))
            taken[case] = time.monotonic() - began
            if any(one["state"] != "done" for one in answers):
                message = f"{case}: {answers}"
                raise RuntimeError(message)
            print(f"{erps} {case}: {taken[case]:.2f} s", file=sys.stderr, flush=True)
    finally:
        for erp, subject in subjects.items():
            subject.__exit__()
            installation.forget_prices(erp)
    return taken


if __name__ == "__main__":
    main()
