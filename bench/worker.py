"""The warm process whose work is measured: pull, load, reconcile, as a task of the DAG does them.

One JSON object a line on standard input ({"erp", "feed"}), one on standard output. Run by
`bench.subject`. Must not generate, compare or keep anything.
"""

from __future__ import annotations

import cProfile
import importlib
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mappings.settings import Settings
from sync.context import Context
from sync.load import Order, load
from sync.pull import pull
from sync.reconcile import reconcile

_HEAVY = ("pandas", "great_expectations", "quality.frames", "connectors.formats.csv", "pgpq")


def main() -> None:
    """Answer requests until standard input ends."""
    home, mappings = Path(sys.argv[1]), Path(sys.argv[2])
    for name in _HEAVY:
        importlib.import_module(name)
    with Context.open(Settings.read({}, home=home, mappings=(mappings,))) as ctx:
        _say({"ready": True, "mb": _memory("VmRSS")})
        for line in sys.stdin:
            asked = json.loads(line)
            profile = cProfile.Profile() if asked.get("profile") else None
            if profile is not None:
                profile.enable()
            answer = _one(ctx, asked["erp"], asked["feed"])
            if profile is not None:
                profile.disable()
                profile.dump_stats(asked["profile"])
            _say(answer)


def _one(ctx: Context, erp: str, feed: str) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    began, cpu = time.monotonic(), _cpu()
    batch = pull(ctx, erp, feed)
    pulled = time.monotonic()
    if batch is None:
        raise RuntimeError("somebody else pulls")
    order = Order()
    outcome = load(ctx, batch, order=order)
    loaded = time.monotonic()
    checks = reconcile(ctx, outcome.run_id) if outcome.state == "done" else []
    ended = time.monotonic()
    return {
        "seconds": ended - began,
        "cpu": _cpu() - cpu,
        "peak_mb": _memory("VmHWM"),
        "state": outcome.state,
        "stops": outcome.stops,
        "counts": asdict(outcome.counts),
        "agrees": all(one["agrees"] is not False for one in checks),
        "timings": {
            "pull": pulled - began,
            **order.timings,
            "load": loaded - pulled,
            "reconcile": ended - loaded,
        },
    }


def _memory(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
