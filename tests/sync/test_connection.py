import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.errors import Misconfigured
from mappings.private_files import change_connections, make_home
from mappings.settings import Settings
from sync.connection import _from_uri, resolve


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings.read({}, home=tmp_path / "home")
    make_home(settings)
    change_connections(
        settings,
        {
            "acme": {
                "conn_type": "soap",
                "host": "erp.example",
                "port": "8443",
                "login": "portal",
                "password": "s3cret",
                "extra": {"wsdl": "https://erp.example/x?wsdl", "timeout": 30},
            }
        },
    )
    return settings


def test_a_connection_of_the_file(home: Settings) -> None:
    found = resolve(home, "acme")
    assert (found.id, found.type, found.host, found.port) == ("acme", "soap", "erp.example", 8443)
    assert (found.login, found.password) == ("portal", "s3cret")
    assert found.extra == {"wsdl": "https://erp.example/x?wsdl", "timeout": "30"}
    assert "s3cret" not in repr(found)


def test_the_environment_comes_first(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"conn_type": "http", "host": "other", "extra": '{"scope": "all"}'}
    monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps(value))
    found = resolve(home, "acme")
    assert (found.host, found.port, found.password) == ("other", None, None)
    assert found.extra == {"scope": "all"}


def test_a_uri_in_the_environment(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "sftp://user:p%40ss%2Fword@files.example:2222/in?host_key=ssh-ed25519+AAAA%2B"
    monkeypatch.setenv("AIRFLOW_CONN_FILES", uri)
    found = resolve(home, "files")
    assert (found.type, found.host, found.port) == ("sftp", "files.example", 2222)
    assert (found.login, found.password, found.schema) == ("user", "p@ss/word", "in")
    assert found.extra == {"host_key": "ssh-ed25519 AAAA+"}


def test_an_absent_one_names_the_nearest_and_both_places(home: Settings) -> None:
    with pytest.raises(Misconfigured, match="there is 'acme'") as absent:
        resolve(home, "acne")
    assert absent.value.remedy is not None
    assert "AIRFLOW_CONN_ACNE" in absent.value.remedy
    assert str(home.connections_file) in absent.value.remedy


@pytest.mark.parametrize(
    "value",
    [
        '{"port": "x", "password": "s3cret"}',
        "{s3cret",
        "s3cret",
        "http://u:s3cret@h:99999",
        '{"extra": ["s3cret"]}',
    ],
)
def test_an_unreadable_one_is_refused_without_showing_it(
    home: Settings, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", value)
    with pytest.raises(Misconfigured) as refused:
        resolve(home, "broken")
    assert "s3cret" not in str(refused.value)


_TEXT = st.text(st.characters(codec="utf-8"), min_size=1)


@given(login=_TEXT, password=_TEXT)
def test_whatever_is_quoted_in_a_uri_comes_back(login: str, password: str) -> None:
    found = _from_uri(f"http://{quote(login, safe='')}:{quote(password, safe='')}@host")
    assert (found["login"], found["password"], found["host"]) == (login, password, "host")
