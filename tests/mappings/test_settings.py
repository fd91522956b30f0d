import os
from dataclasses import replace
from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from mappings.settings import REPOSITORY, Settings


def test_defaults_lie_in_the_repository() -> None:
    settings = Settings.read({})
    assert settings.home == REPOSITORY / "var"
    assert settings.landing == str(REPOSITORY / "var" / "landing")
    assert settings.mappings == (REPOSITORY / "mappings" / "erps",)
    assert settings.database_url is None
    assert settings.airflow_home == REPOSITORY


def test_a_flag_wins_over_the_environment_which_wins_over_the_default(tmp_path: Path) -> None:
    environment = {"WAYBILL_HOME": str(tmp_path / "env"), "WAYBILL_LANDING": "s3://bucket/in"}
    assert Settings.read(environment).home == tmp_path / "env"
    settings = Settings.read(environment, home=tmp_path / "flag")
    assert settings.home == tmp_path / "flag"
    assert settings.landing == "s3://bucket/in"


def test_a_child_reads_the_same_settings(tmp_path: Path) -> None:
    folders = (tmp_path / "one", tmp_path / "two")
    settings = Settings.read(
        {}, home=tmp_path, database_url="postgresql:///x", landing="memory://l", mappings=folders
    )
    settings = replace(settings, gateway_url="https://hooks.example.org")
    assert Settings.read(settings.environment()) == settings


def test_relative_and_home_paths_become_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    settings = Settings.read({"WAYBILL_HOME": "~/w", "WAYBILL_MAPPINGS": f"a{os.pathsep}b"})
    assert settings.home == Path("/nowhere/w")
    assert settings.mappings == (Path.cwd() / "a", Path.cwd() / "b")


def test_another_kind_of_database_is_refused_without_showing_the_url() -> None:
    with pytest.raises(Misconfigured, match="not a PostgreSQL URL") as refused:
        Settings.read({"WAYBILL_DATABASE_URL": "mysql://u:secret@h/x"})
    assert "secret" not in str(refused.value)


def test_a_file_is_no_folder_of_mappings(tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    file.touch()
    with pytest.raises(Misconfigured, match="not a folder"):
        Settings.read({"WAYBILL_MAPPINGS": str(file)})
