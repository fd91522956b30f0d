"""The databases of one server: the portal's, and Airflow's beside it.

Must not: start a server (that is `server`), or create tables (that is `migrate`).
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from mappings.errors import Misconfigured

PORTAL_DATABASE = "waybill"
AIRFLOW_DATABASE = "airflow"
_BUILTIN_LOCALES = 170000  # the first version that has them


def with_database(url: str, database: str) -> str:
    """`url` with another database of the same server; the portal's own name means no change."""
    if database == PORTAL_DATABASE:
        return url
    parts = urlsplit(url)
    # urlunsplit drops the empty authority of postgresql:///name and with it two slashes
    scheme, rest = parts.scheme, urlunsplit(("", "", f"/{database}", parts.query, ""))
    return f"{scheme}://{parts.netloc}{rest}"


def ensure_database(url: str, name: str) -> None:
    """Create database `name` on the server of `url` if it is absent.

    The embedded server and any of version 17 or later get the built-in C.UTF-8 locale, so that
    sorting and lower() are the same everywhere; older servers the nearest they have.
    Raises Misconfigured, with the statement to run, where the role may not create databases.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone():
            return
        locale = (
            "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            if connection.info.server_version >= _BUILTIN_LOCALES
            else "LOCALE 'C'"
        )
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' ").format(
            sql.Identifier(name)
        ) + sql.SQL(locale)
        try:
            connection.execute(statement)
        except psycopg.errors.DuplicateDatabase:
            return
        except psycopg.errors.InsufficientPrivilege:
            raise Misconfigured(
                f"the role of the database URL may not create database {name!r}",
                remedy=f"Run as a superuser: {statement.as_string(connection)};",
            ) from None
