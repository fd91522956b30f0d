"""Airflow's own processes and commands: their environment, their command lines, its database.

Must not: import Airflow (2.5 seconds, and the command needs none of it).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from mappings.errors import Misconfigured
from mappings.private_files import make_home, write_private
from mappings.settings import AIRFLOW_PORT, Settings, child_environment
from portal_db import databases, server
from waybill.ports import LOOPBACK
from waybill.run_file import read_run

COMPONENTS = ("scheduler", "dag-processor", "api-server")


def airflow_environment(settings: Settings, *, port: int | None = None) -> dict[str, str]:
    """The environment for any process of Airflow; `port` is where the API server listens.

    Without `port`: where the one that runs now listens, else where it would.
    """
    if port is None:
        run = read_run(settings)
        address = run.addresses.get("airflow") if run else None
        port = int(address.rsplit(":", 1)[1]) if address else AIRFLOW_PORT
    return child_environment(
        settings,
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__BASE_URL=f"http://{LOOPBACK}:{port}",
        # its answers are JSON for us, and text for a terminal, never colour codes in a log file
        NO_COLOR="1",
    )


def command_line(component: str) -> tuple[str, ...]:
    """The command of one of `COMPONENTS`."""
    options = ("--skip-serve-logs",) if component == "scheduler" else ()
    return (sys.executable, "-m", "airflow", component, *options)


def write_database_url(settings: Settings, portal_url: str) -> str:
    """Tell Airflow where its database is: beside the portal's, in database `airflow`.

    Returns the URL as psycopg takes it. Creates the database where it is absent.
    """
    url = databases.with_database(portal_url, databases.AIRFLOW_DATABASE)
    databases.ensure_database(portal_url, databases.AIRFLOW_DATABASE)
    rest = url.split("://", 1)[1]
    write_private(settings.secrets / "airflow_database_url", f"postgresql+psycopg://{rest}\n")
    return url


def migrate(settings: Settings, url: str) -> bool:
    """Bring Airflow's database to its version; False where it was already there (5 s saved).

    `url` as `write_database_url` returned it. Raises Misconfigured where Airflow refuses.
    """
    version = importlib.metadata.version("apache-airflow-core")
    if _migrated_by(url) == version:
        return False
    log = settings.logs / "airflow-migrate.log"
    with log.open("ab") as output:
        code = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=airflow_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code != 0:
        raise Misconfigured(
            "Airflow could not bring its database to its version",
            code="airflow_migrate",
            remedy=f"The reason stands at the end of {log}.",
        )
    _note_migrated(url, version)
    return True


def airflow_command(settings: Settings, arguments: Sequence[str]) -> int:
    """Run `airflow <arguments>` with the right environment; returns its exit code.

    The embedded database is started for it if nobody else did.
    """
    make_home(settings)
    with server.serving(settings) as portal_url:
        write_database_url(settings, portal_url)
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments], env=airflow_environment(settings)
        )
        while True:
            # Ctrl-C is for Airflow's command; ours waits for its answer.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


def dags_folder(settings: Settings) -> Path:
    """Where Airflow looks for DAG files."""
    return settings.airflow_home / "dags"


def _migrated_by(url: str) -> str | None:
    """The version noted by `_note_migrated`, if the schema is still the one of that moment."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        note = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
        version, _, revision = str(note[0] if note else "").partition(" at ")
        return version if revision and revision == _revision(connection) else None


def _note_migrated(url: str, version: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        text = sql.Literal(f"{version} at {_revision(connection)}")
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, text))


def _revision(connection: psycopg.Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row[0]) if row else None
