"""How long an order waits where the gateway is away: from commit to acknowledgement through
Airflow's sweep of every minute, on a running installation.

`python -m bench.sweep_wait --orders 20 --minutes 5 --json FILE`. The database, Airflow and a
practice ERP run as they do in production, without a gateway; this process places orders at random
moments. Must not deliver anything itself.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from bench.latency import ERP, Installed, delivered, installation, place, spread
from dags.pages import delivery_dag_id
from mappings.settings import Settings
from waybill.airflow_api import AirflowApi
from waybill.stack import Stack


def main() -> int:
    """Exit code 0 where every order was acknowledged."""
    parser = argparse.ArgumentParser(prog="python -m bench.sweep_wait", description=__doc__)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="waybill-sweep-") as folder,
        installation(Path(folder) / "home") as one,
        Stack(Settings.read({}, home=one.settings.home), progress=_told) as stack,
    ):
        stack.wait_until_healthy()
        _begin(stack.airflow_api(), one)
        found = _measured(one, given.orders, given.minutes * 60, random.Random(given.seed))
    print(json.dumps(found), flush=True)
    if given.json:
        given.json.write_text(json.dumps([found], indent=1) + "\n", encoding="utf-8")
    return 0 if found["acknowledged"] == found["placed"] else 1


def _begin(api: AirflowApi, one: Installed) -> None:
    """Switch the sweep on, and wait until it has delivered something."""
    dag = delivery_dag_id(ERP)
    api.wait_for_dags([dag])
    api.unpause(dag)
    with psycopg.connect(one.url, autocommit=True) as db:
        first, _ = place(db, one, 0)
        if not delivered(db, [first], 180):
            message = f"{dag} does not deliver"
            raise TimeoutError(message)


def _measured(one: Installed, orders: int, seconds: float, dice: random.Random) -> dict[str, Any]:
    moments = sorted(dice.uniform(0, seconds) for _ in range(orders))
    placed: dict[str, float] = {}
    with psycopg.connect(one.url, autocommit=True) as db:
        began = time.monotonic()
        for number, moment in enumerate(moments):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            reference, at = place(db, one, number)
            placed[reference] = at
        done = delivered(db, list(placed), 180)
    waits = [done[reference] - at for reference, at in placed.items() if reference in done]
    return {
        "case": "the sweep through Airflow, every minute",
        "placed": orders,
        "over_seconds": seconds,
        "acknowledged": len(done),
        "commit_to_acknowledged": spread(waits),
    }


def _told(name: str, state: str) -> None:
    print(f"{name}: {state}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
