"""The embedded server: it starts from any folder and any state, and belongs to who uses it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from mappings.errors import Misconfigured
from mappings.settings import Settings
from portal_db import server
from portal_db.databases import ensure_database, with_database
from portal_db.server_configuration import MIB, configuration, memory_bytes


@pytest.fixture
def home(server_home: Path) -> Path:
    return server_home


def ask(url: str, question: LiteralString) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(question).fetchall()


def test_start_makes_both_databases_with_the_same_sorting_everywhere(home: Path) -> None:
    url = server.start(home, fsync=False)
    rows = ask(
        url,
        "SELECT datname, datlocprovider::text, datlocale, pg_encoding_to_char(encoding)"
        " FROM pg_database WHERE datname IN ('waybill', 'airflow') ORDER BY 1",
    )
    assert rows == [("airflow", "b", "C.UTF-8", "UTF8"), ("waybill", "b", "C.UTF-8", "UTF8")]
    assert ask(url, "SELECT current_setting('listen_addresses'), lower('ÄB')") == [("", "äb")]


def test_starting_twice_finds_the_same_server_and_stopping_twice_is_no_error(home: Path) -> None:
    assert server.running(home) is None
    server.start(home, fsync=False)
    first = server.running(home)
    server.start(home, fsync=False)
    assert first is not None
    assert server.running(home) == first
    assert server.stop(home) is True
    assert server.running(home) is None
    assert server.stop(home) is False


def test_works_in_a_folder_too_deep_and_too_odd_for_a_socket(server_home: Path) -> None:
    home = server_home / "a b, c' ü%20" / ("x" * 120)
    try:
        assert ask(server.start(home, fsync=False), "SELECT 1") == [(1,)]
        running = server.running(home)
        assert running is not None
        assert home not in running.socket_folder.parents
        assert running.socket_folder.stat().st_mode & 0o077 == 0
    finally:
        server.stop(home)


def test_comes_back_after_the_server_was_killed(home: Path) -> None:
    url = server.start(home)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    running = server.running(home)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    assert ask(server.start(home), "SELECT number FROM kept") == [(7,)]


def test_a_stale_pid_that_belongs_to_a_stranger_is_not_the_server(home: Path) -> None:
    server.start(home, fsync=False)
    pid_file = home / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop(home)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert server.running(home) is None
        assert ask(server.start(home, fsync=False), "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_data_folder_that_was_being_made_when_the_power_went_is_made_anew(home: Path) -> None:
    half_made = home / "postgres.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    assert ask(server.start(home, fsync=False), "SELECT 1") == [(1,)]


def test_the_last_one_served_stops_the_server(home: Path) -> None:
    settings = Settings.read({}, home=home)
    with server.serving(settings, fsync=False) as first:
        with server.serving(settings, fsync=False) as second:
            assert first == second
        assert ask(first, "SELECT 1") == [(1,)]
        assert server.database_url(settings) == first
    assert server.running(home) is None
    assert server.database_url(settings) is None


def test_who_leaves_first_does_not_stop_it_under_the_other(home: Path) -> None:
    settings = Settings.read({}, home=home)
    first = server.serving(settings, fsync=False)
    first.__enter__()
    with server.serving(settings, fsync=False) as url:
        first.__exit__(None, None, None)
        assert ask(url, "SELECT 1") == [(1,)]
    assert server.running(home) is None


def test_a_server_that_was_started_to_stay_stays(home: Path) -> None:
    server.start(home, fsync=False)
    with server.serving(Settings.read({}, home=home)):
        pass
    assert server.running(home) is not None


def test_processes_that_come_and_go_at_once_all_get_a_server(home: Path) -> None:
    program = (
        "import sys, psycopg, pathlib\n"
        "from mappings.settings import Settings\n"
        "from portal_db import server\n"
        "for _ in range(3):\n"
        "    with server.serving(Settings.read({}, home=sys.argv[1]), fsync=False) as url:\n"
        "        psycopg.connect(url).close()\n"
    )
    several = [subprocess.Popen([sys.executable, "-c", program, str(home)]) for _ in range(3)]
    assert [process.wait(60) for process in several] == [0, 0, 0]
    assert server.running(home) is None


def test_a_killed_user_does_not_keep_the_server_alive(home: Path) -> None:
    settings = Settings.read({}, home=home)
    program = (
        "import sys, time\n"
        "from mappings.settings import Settings\n"
        "from portal_db import server\n"
        "with server.serving(Settings.read({}, home=sys.argv[1]), fsync=False):\n"
        "    print('in', flush=True); time.sleep(60)\n"
    )
    user = subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE)
    assert user.stdout is not None
    assert user.stdout.readline() == b"in\n"
    user.kill()
    user.wait()
    user.stdout.close()
    assert server.running(home) is not None
    with server.serving(settings):
        pass
    assert server.running(home) is None


def test_a_server_of_ones_own_is_only_pointed_at(tmp_path: Path) -> None:
    url = "postgresql://u:p%40ss@db.example:6432/portal?sslmode=require"
    settings = Settings.read({}, home=tmp_path, database_url=url)
    with server.serving(settings) as given:
        assert given == url
    assert list(tmp_path.iterdir()) == []
    other = "postgresql://u:p%40ss@db.example:6432/airflow?sslmode=require"
    assert server.database_url(settings, "airflow") == other


def test_with_database_keeps_a_socket_url_whole() -> None:
    url = "postgresql://postgres@/waybill?host=/var/run/x"
    assert with_database(url, "airflow") == "postgresql://postgres@/airflow?host=/var/run/x"
    assert with_database("postgresql:///waybill", "other") == "postgresql:///other"


def test_a_role_without_the_right_is_told_the_statement(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        name = f"nobody_{time.time_ns()}"
        role = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        try:
            with pytest.raises(Misconfigured, match='CREATE DATABASE "not_there"'):
                ensure_database(database.replace("postgres@", f"{name}@"), "not_there")
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


def test_configuration_fits_the_machine_and_keeps_what_it_promises(tmp_path: Path) -> None:
    text = configuration(tmp_path, fsync=True)
    assert "fsync" not in text
    megabytes = int(text.split("shared_buffers = ")[1].split("MB")[0])
    assert megabytes == min(memory_bytes() // 4, 1024 * MIB) // MIB
    assert "fsync = off" in configuration(tmp_path, fsync=False)
