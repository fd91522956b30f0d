import multiprocessing
import stat
from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from mappings.private_files import (
    airflow_password,
    change_connections,
    locked,
    make_home,
    read_connections,
    write_private,
)
from mappings.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings.read({}, home=tmp_path / "home")
    make_home(settings)
    return settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_in_a_home_is_open_to_others(home: Settings) -> None:
    everything = [home.home, *home.home.rglob("*")]
    assert {p.name: oct(mode(p)) for p in everything if mode(p) & 0o077} == {}
    assert mode(home.connections_file) == 0o600


def test_a_key_is_made_once_and_kept(home: Settings) -> None:
    names = ("fernet_key", "jwt_secret", "api_secret_key", "passwords.json")
    before = {name: home.secret(name) for name in names}
    make_home(home)
    assert {name: home.secret(name) for name in names} == before
    assert len(set(before.values())) == len(names)
    assert len(home.secret("jwt_secret")) >= 64
    assert airflow_password(home, "ops") != airflow_password(home, "admin")


def test_a_missing_key_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="waybill up"):
        Settings.read({}, home=tmp_path).secret("jwt_secret")


def test_connections_are_merged_and_removed_by_id(home: Settings) -> None:
    change_connections(home, {"acme": {"host": "a"}, "birch": {"host": "b"}})
    change_connections(home, {"acme": {"host": "c", "extra": {"k": "v"}}, "birch": None})
    assert read_connections(home) == {"acme": {"host": "c", "extra": {"k": "v"}}}
    assert mode(home.connections_file) == 0o600


def test_a_field_that_would_make_airflow_refuse_the_file_is_refused(home: Settings) -> None:
    change_connections(home, {"acme": {"host": "a"}})
    with pytest.raises(Misconfigured, match="'wsdl'"):
        change_connections(home, {"birch": {"host": "b", "wsdl": "http://b"}})
    assert list(read_connections(home)) == ["acme"]


@pytest.mark.parametrize("text", ["{", "[]", '{"acme": 1}'])
def test_a_broken_file_of_connections_is_named(home: Settings, text: str) -> None:
    home.connections_file.write_text(text)
    with pytest.raises(Misconfigured, match=r"connections\.json"):
        read_connections(home)


def add(settings: Settings, writer: int) -> None:
    for number in range(20):
        change_connections(settings, {f"w{writer}_{number}": {"host": "h"}})


def test_several_writers_lose_nothing(home: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add, args=(home, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        writer.close()
    assert len(read_connections(home)) == 60


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_lock_that_is_taken_is_not_waited_for(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(BlockingIOError),
        locked(tmp_path / "lock", wait=False),
    ):
        pass
    with locked(tmp_path / "lock", wait=False):
        pass
