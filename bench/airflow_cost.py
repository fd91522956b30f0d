"""What Airflow itself costs: from a run being due to its first statement, for each task and run.

`python -m bench.airflow_cost --minutes 5 --json FILE`. A stack of its own (database, Airflow)
runs a feed every minute, on a list so small that the work is nothing; then the times that Airflow
and the engine recorded are read. Must not touch another installation.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from bench.__main__ import ROOT
from bench.installation import Installation
from portal_db.databases import AIRFLOW_DATABASE, with_database
from waybill.stack import Stack

_FEEDS = ("customers", "products")
_RUNS = (
    "SELECT r.dag_id, r.run_id, r.run_after, r.queued_at, r.start_date, r.end_date "
    "FROM dag_run r WHERE r.state = 'success' AND r.run_type = 'scheduled' ORDER BY r.run_after"
)
_TASKS = (
    "SELECT task_id, scheduled_dttm, queued_dttm, start_date, end_date FROM task_instance "
    "WHERE dag_id = %s AND run_id = %s ORDER BY start_date"
)
_FIRST: dict[str, LiteralString] = {
    "pull": "SELECT min(pulled_at) FROM sync.batch WHERE feed = %s AND pulled_at BETWEEN %s AND %s",
    "load": "SELECT min(started_at) FROM sync.run WHERE feed = %s AND started_at BETWEEN %s AND %s",
    "reconcile": (
        "SELECT min(c.at) FROM sync.reconciliation c JOIN sync.run r ON r.id = c.run_id "
        "WHERE r.feed = %s AND c.at BETWEEN %s AND %s"
    ),
}
"""The first instant that a task's own statements left, between its start and its end."""


def main() -> None:
    """Run the stack, let minutes pass, read what was recorded."""
    parser = argparse.ArgumentParser(prog="bench.airflow_cost", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "bench" / "airflow")
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)  # what an earlier call left has other times
    installation = Installation(given.folder)
    try:
        found = _measured(installation, given.minutes)
    finally:
        installation.close()
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _measured(installation: Installation, minutes: float) -> list[dict[str, Any]]:
    installation.add_erp("clock")
    path = installation.mappings / "clock.yaml"
    mapping = json.loads(path.read_text(encoding="utf-8"))
    mapping["feeds"] = {
        feed: {**mapping["feeds"][feed], "schedule": "* * * * *"} for feed in _FEEDS
    }
    path.write_text(json.dumps(mapping), encoding="utf-8")
    began = time.monotonic()
    with Stack(installation.settings) as stack:
        stack.wait_until_healthy()
        healthy = time.monotonic() - began
        api = stack.airflow_api()
        for feed in _FEEDS:
            api.unpause(f"clock__{feed}")
        time.sleep(minutes * 60)
        return [
            {"case": "airflow_until_healthy", "seconds": round(healthy, 1)},
            *_recorded(installation.url),
        ]


def _recorded(url: str) -> list[dict[str, Any]]:
    """Medians of what every run and every task of it waited for."""
    waits: dict[str, list[float]] = {}

    def note(case: str, begin: Any, end: Any) -> None:  # noqa: ANN401  datetimes or NULL
        if begin is not None and end is not None:
            waits.setdefault(case, []).append((end - begin).total_seconds())

    with (
        psycopg.connect(with_database(url, AIRFLOW_DATABASE)) as airflow,
        psycopg.connect(url) as portal,
    ):
        for dag_id, run_id, due, queued, start, end in airflow.execute(_RUNS).fetchall():
            feed = dag_id.removeprefix("clock__")
            note("run_due_to_created", due, queued)
            note("run_created_to_started", queued, start)
            note("run_due_to_end", due, end)
            worked = 0.0
            for task, ready, handed, began, ended in airflow.execute(
                _TASKS, (dag_id, run_id)
            ).fetchall():
                first = None
                if task in _FIRST:
                    row = portal.execute(_FIRST[task], (feed, began, ended)).fetchone()
                    first = row[0] if row else None
                note(f"{task}_ready_to_queued", ready, handed)
                note(f"{task}_queued_to_process", handed, began)
                note(f"{task}_process_to_first_statement", began, first)
                note(f"{task}_ready_to_first_statement", ready, first)
                note(f"{task}_process", began, ended)
                if task == "pull":
                    note("run_due_to_first_statement", due, first)
                worked += (ended - began).total_seconds()
            waits.setdefault("run_outside_its_processes", []).append(
                (end - due).total_seconds() - worked
            )
    return [_item(case, seconds) for case, seconds in waits.items()]


def _item(case: str, seconds: Iterable[float]) -> dict[str, Any]:
    each = sorted(seconds)
    return {
        "case": f"airflow_{case}",
        "runs": len(each),
        "seconds": round(statistics.median(each), 2),
        "least": round(each[0], 2),
        "most": round(each[-1], 2),
    }


if __name__ == "__main__":
    main()
