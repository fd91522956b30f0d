"""Fixtures for every room: a real database each, settings of its own each, nothing of the user's.

One embedded PostgreSQL serves a whole test session, all xdist workers together; a template
database with the migrations in it is made once and cloned per test.
"""

from __future__ import annotations

import base64
import importlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from mappings.private_files import change_connections, locked, make_home
from mappings.settings import REPOSITORY, Settings
from portal_db import server
from portal_db.databases import with_database
from portal_db.migrate import migrate

TEMPLATE = "waybill_template"
_ROOM = 3 * 1024**3
"""Bytes: the databases of all workers, and the write-ahead log of one server."""

_SPENT: list[str] = []
"""Databases that this worker's tests have done with; the session's end takes them all."""


def _own_environment() -> None:
    """Before anything of Airflow is imported: no setting of the person's, a home to throw away."""
    for name in list(os.environ):
        mine = name.startswith(("WAYBILL_", "AIRFLOW", "PG"))
        if mine and name != "WAYBILL_SHARED_DATA":  # where real input lies: no setting
            del os.environ[name]
    home = tempfile.mkdtemp(prefix="waybill-airflow-")
    os.environ |= {
        "WAYBILL_HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 64,
        "AIRFLOW__API__SECRET_KEY": "k" * 64,
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }


_own_environment()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: none of them is to be left for one worker at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def session_home() -> Path:
    """The home of the session's server, the same for all workers.

    Not under pytest's own folders: each new session of pytest closes their root (0700), and as
    root the server runs as another account, which then stands before a closed door.
    """
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}-{time.time_ns()}"
    return _servers_folder() / f"waybill-tests-{session}"


def _servers_folder() -> Path:
    """Where a server's many small files cost least: in memory, where there is room for them.

    A clone of the template is 700 files: 0.01 s there and 0.15 s on a disk, fsync or not.
    """
    memory = Path("/dev/shm")  # noqa: S108 the session's own folder in it is closed to others
    try:
        found = os.statvfs(memory)
    except OSError:
        return Path(tempfile.gettempdir())
    roomy = found.f_frsize * found.f_bavail >= _ROOM and os.access(memory, os.W_OK | os.X_OK)
    return memory if roomy else Path(tempfile.gettempdir())


@pytest.fixture(scope="session")
def postgres(session_home: Path) -> Iterator[str]:
    """URL of the session's server (its database `postgres`), shared by all workers."""
    with server.serving(Settings.read({}, home=session_home), fsync=False) as url:
        yield with_database(url, "postgres")
    if server.running(session_home) is None:  # the last worker puts out the light
        shutil.rmtree(session_home, ignore_errors=True)


@pytest.fixture
def server_home() -> Iterator[Path]:
    """An empty home for an embedded server of the test's own; stopped and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="waybill-test-", dir=_servers_folder()) as folder:
        home = Path(folder) / "home"
        yield home
        server.stop(home)


@pytest.fixture(scope="session")
def template_database(postgres: str, session_home: Path) -> str:
    """Name of the database with all migrations applied, made by whichever worker comes first."""
    with (
        locked(session_home / "template.lock"),
        psycopg.connect(postgres, autocommit=True) as connection,
    ):
        made = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE])
        if made.fetchone() is None:
            building = f"{TEMPLATE}_building"
            _drop(connection, building)
            create = (
                "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' "
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            )
            connection.execute(sql.SQL(create).format(sql.Identifier(building)))
            migrate(with_database(postgres, building))
            names = sql.Identifier(building), sql.Identifier(TEMPLATE)
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(names[0])
            )
            connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
    return TEMPLATE


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[str]:
    """URL of a new database with all migrations applied; dropped when the next but one is made.

    Dropping waits a tenth of a second for sessions that are just ending; then they have ended.
    """
    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        while len(_SPENT) > 1:
            _drop(connection, _SPENT.pop(0))
        create = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
        names = sql.Identifier(name), sql.Identifier(template)
        connection.execute(sql.SQL(create).format(*names))
    yield with_database(postgres, name)
    _SPENT.append(name)


@pytest.fixture
def database(postgres: str, template_database: str) -> Iterator[str]:
    """URL of a database of this test's own, with all migrations applied."""
    with fresh_database(postgres, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_database(postgres: str, template_database: str) -> Iterator[str]:
    """The same, one for all tests of a module that look at one long way."""
    with fresh_database(postgres, template_database) as url:
        yield url


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    """Settings of this test's own: an empty home, a fresh database, no mapping yet."""
    home = tmp_path / "home"
    home.mkdir()
    mappings = tmp_path / "erps"
    mappings.mkdir()
    return Settings.read({}, home=home, database_url=database, mappings=(mappings,))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables, for tests that run a DAG in this process (SQLite, thrown away)."""
    importlib.import_module("airflow.utils.db").initdb()


def _drop(connection: psycopg.Connection, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    connection.execute(statement)


@pytest.fixture(scope="session")
def tiny() -> Any:
    """The slice of the tiny data set that the practice SOAP ERP serves."""
    return importlib.import_module("sandbox.dataset").load("tiny").of("anvil")


@pytest.fixture
def anvil(settings: Settings, tiny: Any) -> Iterator[Any]:
    """The practice SOAP ERP, running, mapped and with a connection, in the test's settings."""
    server = importlib.import_module("sandbox.soap").SoapErp(
        tiny, user="waybill", password="practice"
    )
    server.start()
    make_home(settings)
    shutil.copy(REPOSITORY / "mappings" / "erps" / "anvil.yaml", settings.mappings[0])
    change_connections(settings, {"anvil": {"conn_type": "http", **server.connection()}})
    yield server
    server.stop()
