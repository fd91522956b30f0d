"""Fixtures for every room: a real database each, settings of its own each, nothing of the user's.

One embedded PostgreSQL serves a whole test session, all xdist workers together; a template
database with the migrations in it is made once and cloned per test.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from mappings.private_files import locked
from mappings.settings import REPOSITORY, Settings
from portal_db import server
from portal_db.databases import with_database

TEMPLATE = "waybill_template"


def _own_environment() -> None:
    """Before anything of Airflow is imported: no setting of the person's, a home to throw away."""
    for name in list(os.environ):
        if name.startswith(("WAYBILL_", "AIRFLOW", "PG")):
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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the session's server (its database `postgres`), shared by all workers."""
    base = tmp_path_factory.getbasetemp()
    # a worker's folder lies in the one of the whole session
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "server"
    with server.serving(Settings.read({}, home=home), fsync=False) as url:
        yield with_database(url, "postgres")


@pytest.fixture(scope="session")
def template_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of the database with all migrations applied, made by whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (
        locked(shared / "template.lock"),
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
            _migrate(with_database(postgres, building))
            names = sql.Identifier(building), sql.Identifier(TEMPLATE)
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(names[0]))
            connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
    return TEMPLATE


@pytest.fixture
def database(postgres: str, template_database: str) -> Iterator[str]:
    """URL of a database of this test's own, with all migrations applied."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        create = "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy"
        names = sql.Identifier(name), sql.Identifier(template_database)
        connection.execute(sql.SQL(create).format(*names))
        yield with_database(postgres, name)
        _drop(connection, name)


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


def _migrate(url: str) -> None:
    """Apply the portal's migrations."""
    if importlib.util.find_spec("portal_db.migrate") is not None:
        importlib.import_module("portal_db.migrate").migrate(url)


def _drop(connection: psycopg.Connection, name: str) -> None:
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    connection.execute(statement)
