"""The DAGs of no ERP: each runs to its end, and a failure is an alert until it is over."""

from __future__ import annotations

import importlib
from typing import Any

import psycopg
import pytest

from mappings.settings import Settings
from portal_db.audit import record

pytestmark = pytest.mark.usefixtures("airflow_database")

HOUSE = {
    "audit": "audit_seal",
    "drift": "drift_check",
    "figures": "figures",
    "fixes": "fix_jobs",
    "retention": "retention",
}


def run(name: str) -> str:
    """One DAG to its end in this process; the run's state."""
    dag: Any = getattr(importlib.import_module(f"dags.{name}"), HOUSE[name])
    return str(dag.test().state)


def alert(settings: Settings, dag_id: str) -> tuple[str, str] | None:
    """State and text of a DAG's alert."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(
            "SELECT state, says FROM sync.alert WHERE fingerprint = %s", (f"task_failed/{dag_id}",)
        ).fetchone()


@pytest.fixture
def installed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """This installation's settings, where the tasks read them."""
    for name, value in settings.environment().items():
        if name != "AIRFLOW_HOME":
            monkeypatch.setenv(name, value)
    return settings


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HOUSE))
def test_each_runs_to_its_end(installed: Settings, name: str) -> None:
    assert installed.home
    assert run(name) == "success"


@pytest.mark.slow
def test_an_anchor_that_cannot_be_written_is_an_alert_until_it_can(
    installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installed.database_url is not None
    with psycopg.connect(installed.database_url) as connection:
        record(connection, "olga", "release", "run 1", {"reason": "it is right"})
    monkeypatch.setenv("WAYBILL_AUDIT_ANCHORS", "/proc/nowhere/anchors")
    assert run("audit") == "failed"
    found = alert(installed, "waybill__audit_seal")
    assert found is not None
    assert found[0] == "open"
    assert "could not be written" in found[1]
    monkeypatch.setenv("WAYBILL_AUDIT_ANCHORS", str(installed.home / "anchors"))
    assert run("audit") == "success"
    again = alert(installed, "waybill__audit_seal")
    assert again is not None
    assert again[0] == "recovered"
