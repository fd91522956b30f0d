from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG

from dags import inbound, pages
from mappings.reading import read_mappings
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import Dataset
from sandbox.soap import SoapErp
from sync.context import Context
from sync.feed import sync_feed

pytestmark = pytest.mark.usefixtures("airflow_database")

HEAVY = {"pandas", "pyarrow", "numpy", "zeep", "lxml", "paramiko", "great_expectations", "psycopg"}


@pytest.fixture
def run_dag(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Run one DAG to its end in this process; task id → state, the run's own under `dag`."""
    for name, value in settings.environment().items():
        if name != "AIRFLOW_HOME":
            monkeypatch.setenv(name, value)

    def run(dag_id: str) -> dict[str, str]:
        found = inbound.inbound_dags(read_mappings(settings.mappings), dag_id)
        assert list(found) == [dag_id]
        found[dag_id].deadline = None  # a run in this process cannot look its deadline up (3.3.2)
        done: Any = found[dag_id].test()
        states = {ti.task_id: str(ti.state) for ti in done.get_task_instances()}
        return {**states, "dag": str(done.state)}

    return run


def _rows(settings: Settings, query: str) -> list[Any]:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.slow
def test_a_feed_goes_from_the_erp_into_the_portal_and_again_changes_nothing(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], dict[str, str]], tiny: Dataset
) -> None:
    del anvil
    for _ in range(2):
        states = run_dag("anvil__customers")
        assert states == {"pull": "success", "load": "success", "reconcile": "success",
                          "dag": "success"}  # fmt: skip
    counts = _rows(settings, "SELECT read, inserted, unchanged FROM sync.run ORDER BY id")
    assert counts[0][0] == counts[0][1] == counts[1][2] > 0
    assert _rows(settings, "SELECT count(*) FROM portal.dealer") == [(len(tiny["dealer"]),)]
    disagreeing = _rows(settings, "SELECT says FROM sync.reconciliation WHERE NOT agrees")
    assert disagreeing == []
    assert _rows(settings, "SELECT count(*) FROM sync.reconciliation")[0][0] > 0


@pytest.mark.slow
def test_a_held_batch_is_no_failure_and_what_follows_is_skipped(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], dict[str, str]]
) -> None:
    run_dag("anvil__customers")
    before = _rows(settings, "SELECT key, row_hash FROM portal.dealer ORDER BY key")
    anvil.faults.arm("empty", times=None)
    states = run_dag("anvil__customers")
    assert states == {"pull": "success", "load": "success", "reconcile": "skipped",
                      "dag": "success"}  # fmt: skip
    assert _rows(settings, "SELECT state FROM sync.run ORDER BY id DESC LIMIT 1") == [("held",)]
    assert _rows(settings, "SELECT key, row_hash FROM portal.dealer ORDER BY key") == before


@pytest.mark.slow
def test_a_sweep_takes_the_changes_and_then_compares_everything(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], dict[str, str]]
) -> None:
    del anvil
    with Context.open(settings) as ctx:
        for feed in ("customers", "products", "order_status"):
            sync_feed(ctx, "anvil", feed)
    states = run_dag("anvil__order_status__sweep")
    assert states == {"pull_sweep": "success", "load": "success", "reconcile": "success",
                      "dag": "success"}  # fmt: skip
    ((cause, complete, compared, missed),) = _rows(
        settings,
        "SELECT cause, complete, compared, missed_inserted + missed_updated + missed_deleted "
        "FROM sync.sweep",
    )
    assert (cause, complete, missed) == ("schedule", True, 0)
    assert compared > 0
    modes = _rows(settings, "SELECT mode FROM sync.batch WHERE feed = 'order_status' ORDER BY id")
    assert modes == [("delta",), ("delta",), ("snapshot",)]


def test_a_feed_whose_required_feeds_are_not_there_is_skipped(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], dict[str, str]]
) -> None:
    del anvil
    states = run_dag("anvil__prices")
    assert (states["pull"], states["load"], states["dag"]) == ("skipped", "skipped", "success")
    assert _rows(settings, "SELECT count(*) FROM sync.batch") == [(0,)]


def test_a_wrong_password_fails_after_one_try(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], dict[str, str]]
) -> None:
    anvil.faults.arm("wrong_password", times=None, where="GetCustomerList")
    states = run_dag("anvil__customers")
    assert (states["pull"], states["dag"]) == ("failed", "failed")
    assert states["load"] == states["reconcile"] == "upstream_failed"
    assert anvil.faults.taken.count("wrong_password") == 1
    assert _rows(settings, "SELECT state FROM sync.batch") == [("abandoned",)]


def test_a_broken_mapping_is_one_red_dag_and_the_others_are_there(
    settings: Settings,
    run_dag: Callable[[str], dict[str, str]],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = settings.mappings[0]
    text = (REPOSITORY / "mappings" / "erps" / "anvil.yaml").read_text()
    (folder / "anvil.yaml").write_text(text)
    (folder / "bent.yaml").write_text(
        text.replace("erp: anvil", "erp: bent").replace("unit_price:", "unit_prise:")
    )
    found = inbound.inbound_dags(read_mappings(folder for folder in settings.mappings))
    assert {name for name in found if name.startswith("bent")} == {"bent__mapping_is_broken"}
    assert len([name for name in found if name.startswith("anvil__")]) == 8
    page = found["bent__mapping_is_broken"].doc_md or ""
    assert "unit_prise" in page
    assert "did you mean unit_price" in page
    states = run_dag("bent__mapping_is_broken")
    assert states == {"read_the_mapping": "failed", "dag": "failed"}
    out = capfd.readouterr()
    assert "unit_prise" in caplog.text + out.out + out.err


def test_every_dag_says_what_it_is(settings: Settings) -> None:
    shutil.copy(REPOSITORY / "mappings" / "erps" / "anvil.yaml", settings.mappings[0])
    found = inbound.inbound_dags(read_mappings(settings.mappings))
    assert len(found) == 8, "seven feeds, and the sweep of the one that sends deltas"
    for dag in found.values():
        assert isinstance(dag, DAG)
        assert dag.catchup is False
        assert dag.max_active_runs == 1
        assert len(dag.tasks) <= 3
        assert dag.tags >= {"anvil", "soap"}
        assert {task.owner for task in dag.tasks} != {"airflow"}
        sweep = ("Its cursor misses", "| Schedule |", "waybill feeds", "**When it finds much**")
        plain = ("**A batch is held when**", "| Requires |", "| Promise |", "waybill check")
        for words in sweep if "sweep" in dag.tags else plain:
            assert words in (dag.doc_md or "")
    timetable: Any = found["anvil__prices"].timetable
    assert str(timetable.timezone) == "Europe/Berlin"
    assert pages.dag_id("anvil", "prices") in found


PARSE = """
import sys, time
import airflow.sdk
from airflow.sdk import DAG, CronTriggerTimetable, ExceptionRetryPolicy, task
from airflow.sdk.exceptions import AirflowSkipException
before, start = set(sys.modules), time.process_time()
import dags.inbound as inbound
seconds = time.process_time() - start
print(sum(isinstance(v, DAG) for v in vars(inbound).values()), seconds)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def _parse(settings: Settings, **more: str) -> tuple[int, float, set[str]]:
    environment = {**os.environ, **settings.environment(), **more}
    environment["AIRFLOW_HOME"] = os.environ["AIRFLOW_HOME"]
    done = subprocess.run(
        [sys.executable, "-c", PARSE], env=environment, capture_output=True, text=True, check=True
    )
    figures, modules = done.stdout.strip().splitlines()[-2:]
    number, seconds = figures.split()
    return int(number), float(seconds), set(modules.split())


def test_64_dags_parse_within_2_seconds_and_load_nothing_heavy(settings: Settings) -> None:
    _eight_erps(settings.mappings[0])
    number, seconds, modules = _parse(settings)
    assert number == 64  # 8 ERPs, 7 feeds, a sweep each
    assert modules & HEAVY == set()
    assert "sync" not in modules
    assert seconds < 2.0  # of the processor's time: the requirement itself


def test_a_task_parses_only_its_own_dag(settings: Settings) -> None:
    _eight_erps(settings.mappings[0])
    number, _, _ = _parse(settings, _AIRFLOW_PARSING_CONTEXT_DAG_ID="erp3__prices")
    assert number == 1


def _eight_erps(folder: Path) -> None:
    text = (REPOSITORY / "mappings" / "erps" / "anvil.yaml").read_text()
    for number in range(8):
        copy = text.replace("erp: anvil", f"erp: erp{number}", 1)
        (folder / f"erp{number}.yaml").write_text(copy)
