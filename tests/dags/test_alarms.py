"""Airflow's failures, held batches and missed deadlines become alerts, and end when all is well."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dags import alarms, deliveries, inbound
from mappings.feeds import FEEDS
from mappings.reading import read_mappings
from mappings.settings import Settings
from sandbox.dataset import load
from sandbox.soap import SoapErp
from tests.orders.practice import practising

pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def run_dag(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Run one DAG to its end in this process; the run's state."""
    for name, value in settings.environment().items():
        if name != "AIRFLOW_HOME":
            monkeypatch.setenv(name, value)

    def run(dag_id: str) -> str:
        dag: Any = inbound.inbound_dags(read_mappings(settings.mappings), dag_id)[dag_id]
        dag.deadline = None  # a run in this process cannot look its deadline up (3.3.2)
        return str(dag.test().state)

    return run


def alerts(settings: Settings) -> dict[str, tuple[str, int, str]]:
    """Fingerprint → (state, times, what it says)."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT fingerprint, state, times, says FROM sync.alert ORDER BY 1"
        ).fetchall()
    return {name: (state, times, says) for name, state, times, says in rows}


@pytest.mark.slow
def test_a_failed_task_is_one_alert_that_ends_with_the_next_good_run(
    anvil: SoapErp, settings: Settings, run_dag: Callable[[str], str]
) -> None:
    anvil.faults.arm("wrong_password", times=None, where="Get")
    assert [run_dag("anvil__customers") for _ in range(2)] == ["failed", "failed"]
    (found,) = alerts(settings).items()
    assert found[0] == "task_failed/anvil__customers"
    assert found[1][:2] == ("open", 2)
    assert found[1][2].startswith("pull failed: sign-in refused")
    anvil.faults.disarm()
    assert run_dag("anvil__customers") == "success"
    assert alerts(settings)["task_failed/anvil__customers"][0] == "recovered"
    anvil.faults.arm("empty", times=None)
    assert run_dag("anvil__customers") == "success"  # held is no failure, and somebody is told
    assert alerts(settings)["held/anvil__customers"][0] == "open"


def test_an_erp_that_takes_no_orders_is_told_by_the_sweep_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No gateway runs: one alert for the outage however many messages wait, and its end."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    sweep: Any = deliveries.deliver
    with practising(settings, "birch", load("tiny"), tmp_path) as shop:
        shop.server.faults.arm("reset", where="POST", times=None)
        for number in range(4):
            shop.place(f"k{number}", dealer=number)
        sweep.function("birch")
        (found,) = alerts(settings).items()
        assert (found[0], found[1][0]) == ("state/circuit/birch", "open")
        shop.server.faults.disarm()
        shop.settle()
        sweep.function("birch")
        assert alerts(settings)["state/circuit/birch"][0] == "recovered"


def test_a_missed_deadline_is_an_alert(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow calls it by its path, with its own context beside our arguments."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    alarms.run_late("anvil__prices", minutes=360, context={"dag_run": None})
    assert alerts(settings) == {
        "run_late/anvil__prices": ("open", 1, "a run is not through after 360 minutes")
    }
    alarms.all_well("anvil__prices")
    assert alerts(settings)["run_late/anvil__prices"][0] == "recovered"


def test_every_feed_has_a_deadline_by_its_promise() -> None:
    for name, feed in FEEDS.items():
        interval = alarms.deadline(f"acme__{name}", feed).interval
        assert isinstance(interval, timedelta)
        assert timedelta(minutes=10) <= interval <= timedelta(hours=6)


def test_an_alert_that_cannot_be_written_fails_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_HOME", str(settings.home))
    monkeypatch.setenv("WAYBILL_DATABASE_URL", "postgresql:///nowhere?host=/nonexistent")
    alarms.run_late("anvil__prices", minutes=1)
    alarms.all_well("anvil__prices")
