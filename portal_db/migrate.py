"""Brings a database to the newest schema: roles, schemas, Alembic versions, promises.

One at a time by advisory lock; every statement under a lock and a statement time-out. Must not
touch rows of synced tables.
"""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError, InternalError, ProgrammingError

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from portal_db.engine import driver_url
from portal_db.security import role_sql

_LOCK = 0x57415942  # "WAYB": any number nobody else uses
_OLDEST_SERVER = 150000


def migrate(url: str) -> None:
    """Bring the database at `url` (postgresql://…) up to date; does nothing when it is.

    Raises Misconfigured where the server is too old or the user may not create what is needed,
    with the SQL that an administrator has to run.
    """
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            _check_server(connection)
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            connection.commit()
            try:
                _upgrade(connection)
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
                connection.commit()
    finally:
        engine.dispose()


def _check_server(connection: Connection) -> None:
    version = int(str(connection.execute(text("SHOW server_version_num")).scalar_one()))
    if version < _OLDEST_SERVER:
        raise Misconfigured(
            f"the database server is PostgreSQL {version // 10000}",
            code="database",
            remedy="Waybill needs PostgreSQL 15 or later; point WAYBILL_DATABASE_URL at one.",
        )


def _make_roles(connection: Connection) -> None:
    """Roles belong to the server: another database's migration may be at the same rows."""
    for again in (True, True, True, True, False):
        try:
            connection.exec_driver_sql(role_sql())
            connection.commit()
        except (InternalError, IntegrityError):  # "tuple concurrently updated", the same grant
            connection.rollback()
            if not again:
                raise
            time.sleep(0.2)
        else:
            return


def _upgrade(connection: Connection) -> None:
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.exec_driver_sql("SET statement_timeout = '120s'")
    connection.commit()
    try:
        _make_roles(connection)
        connection.exec_driver_sql(
            'GRANT CREATE ON DATABASE "'
            + str(connection.engine.url.database)
            + '" TO waybill_owner;'
        )
        connection.commit()
        connection.exec_driver_sql("SET ROLE waybill_owner")
        for schema in ("portal", "sync", "staging"):
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.commit()
    except ProgrammingError as error:
        connection.rollback()
        raise Misconfigured(
            f"the database user may not create roles or schemas ({error.orig})",
            code="database",
            remedy=f"Have an administrator run, once:\n{role_sql()}",
        ) from error
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.execute(
        text(
            "INSERT INTO sync.feed_promise (feed, promise_minutes) VALUES (:feed, :minutes) "
            "ON CONFLICT (feed) DO UPDATE SET promise_minutes = excluded.promise_minutes "
            "WHERE feed_promise.promise_minutes <> excluded.promise_minutes"
        ),
        [{"feed": f.name, "minutes": f.promise_minutes} for f in FEEDS.values()],
    )
    connection.commit()
    connection.exec_driver_sql("RESET ROLE; RESET lock_timeout; RESET statement_timeout")
    connection.commit()
