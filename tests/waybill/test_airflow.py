"""A really started Airflow: supervised, and driven through its REST API."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from mappings.errors import WaybillError
from mappings.private_files import airflow_password, change_connections, make_home
from mappings.settings import REPOSITORY, Settings
from tests.waybill.test_supervisor import Up
from waybill.airflow_api import AirflowApi
from waybill.airflow_process import airflow_command

DAG = """
from airflow.sdk import Connection, dag, task
from airflow.sdk.exceptions import AirflowFailException

@dag(dag_id="chain")
def chain():
    @task
    def password():
        return Connection.get("acme").password
    @task
    def check(text):
        assert text == "from the file"
    check(password())

@dag(dag_id="broken")
def broken():
    @task
    def fail():
        raise AirflowFailException("on purpose")
    fail()

chain()
broken()
"""


@pytest.fixture
def airflow(
    tmp_path: Path, server_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Up, AirflowApi]]:
    for name in list(os.environ):
        if name.startswith("AIRFLOW"):
            monkeypatch.delenv(name)
    airflow_home = tmp_path / "airflow"
    (airflow_home / "dags").mkdir(parents=True)
    (airflow_home / "dags" / "chain.py").write_text(DAG)
    (airflow_home / "dags" / "bad.py").write_text(
        "from airflow.sdk import dag\nimport nothing_of_that_name\n"
    )
    shutil.copy(REPOSITORY / "airflow.cfg", airflow_home)
    environment = {"AIRFLOW_HOME": str(airflow_home), "WAYBILL_HOME": str(server_home)}
    settings = Settings.read(environment)
    make_home(settings)
    change_connections(settings, {"acme": {"conn_type": "http", "password": "from the file"}})
    up = Up(settings, "airflow")
    try:
        ready = up.ready()["ready"]
        yield up, AirflowApi.of(settings, ready["airflow"])
    finally:
        up.end()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_command_of_airflow_finds_our_settings_and_database(
    server_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in list(os.environ):
        if name.startswith("AIRFLOW"):
            monkeypatch.delenv(name)
    settings = Settings.read({"WAYBILL_HOME": str(server_home)})
    question = ["config", "get-value", "database", "sql_alchemy_conn"]
    assert airflow_command(settings, question) == 0
    assert capfd.readouterr().out.strip().startswith("postgresql+psycopg://postgres@/airflow?host=")
    assert airflow_command(settings, ["no-such-command"]) == 2


def the_desk_is_behind_airflows_sign_in(address: str, up: Up) -> None:
    """In its menu, with its users: who may start runs acts, who may look reads, nobody else."""
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for path in ("/waybill/", "/waybill/jobs", "/waybill/messages"):
            answer = client.get(path)
            assert answer.status_code == 303
            assert "/auth/login" in answer.headers["location"]
            assert "next=" in answer.headers["location"]
        for user, roles in (("admin", "operator"), ("auditor", "read only")):
            credentials = {"username": user, "password": airflow_password(up.settings, user)}
            token = client.post("/auth/token", json=credentials).json()["access_token"]
            with httpx.Client(
                base_url=address, trust_env=False, timeout=60, cookies={"_token": token}
            ) as person:
                page = person.get("/waybill/")
                assert page.status_code == 200, page.text
                assert "What needs a person" in page.text
                assert ("read only" in page.text) == (roles == "read only")
                assert 'href="/waybill/static/desk.css"' in page.text
                refused = person.post("/waybill/messages/resume", data={"erp": "acme"})
                assert refused.status_code == 403
                assert ("needs the role operator" in refused.text) == (roles == "read only")
                menu = person.get("/api/v2/plugins").json()["plugins"]
                assert "waybill" in [one["name"] for one in menu]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_airflow_runs_our_dags_and_ends_with_us(airflow: tuple[Up, AirflowApi]) -> None:
    up, api = airflow
    api.wait_for_dags(["chain", "broken"], 60)
    runs = {}
    for dag_id in ("chain", "broken"):
        api.unpause(dag_id)
        runs[dag_id] = api.trigger(dag_id)
    assert api.wait_for_run("chain", runs["chain"], 60) == "success"
    assert api.task_states("chain", runs["chain"]) == {"password": "success", "check": "success"}
    assert api.wait_for_run("broken", runs["broken"], 60) == "failed"
    with pytest.raises(WaybillError, match=r"does not know bad.*nothing_of_that_name"):
        api.wait_for_dags(["bad"], 2)
    with pytest.raises(WaybillError, match="admin"):
        AirflowApi(api._address, "admin", "wrong").unpause("chain")
    the_desk_is_behind_airflows_sign_in(api._address, up)

    family = psutil.Process(up.process.pid).children(recursive=True)
    assert len(family) > 6
    assert up.end() == 0
    assert [process for process in family if process.is_running()] == []
