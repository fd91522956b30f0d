"""Connections to the portal database, each acting as one of our roles.

One URL (`WAYBILL_DATABASE_URL` or the embedded server's); `SET ROLE` narrows what a connection
may do. Must not hold a connection open at import time.
"""

from __future__ import annotations

from typing import Any, Literal

import psycopg
from sqlalchemy import Engine, create_engine, event

from portal_db.identifiers import digits

Role = Literal["owner", "sync", "portal_app", "review", "auditor"]


def driver_url(url: str) -> str:
    """The same URL with SQLAlchemy's name of our driver (psycopg 3)."""
    scheme, rest = url.split("://", 1)
    if scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        message = f"not a PostgreSQL URL: it begins with {scheme}://"
        raise ValueError(message)
    return f"postgresql+psycopg://{rest}"


def open_engine(
    url: str,
    role: Role,
    *,
    work_mem_mb: int = 64,
    pool_size: int = 5,
    more: int = 10,
    patience: float | None = None,
) -> Engine:
    """An engine whose every connection is `waybill_<role>`, in UTC, with a bounded lock wait.

    `pool_size` connections are kept, `more` are opened where all are in use. `patience`: seconds
    that a statement, a lock and the wait for a connection may take (default: 30 for a lock and a
    connection, no limit for a statement).
    """
    longest = 30.0 if patience is None else patience
    engine = create_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=more,
        pool_timeout=longest,
        pool_pre_ping=True,
        future=True,
    )

    @event.listens_for(engine, "connect")
    def _narrow(connection: psycopg.Connection[Any], _record: object) -> None:
        was = connection.autocommit
        connection.autocommit = True
        connection.execute(f"SET ROLE waybill_{role}")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(f"SET work_mem = '{digits(work_mem_mb)}MB'")
        connection.execute(f"SET lock_timeout = '{digits(round(longest * 1000))}ms'")
        if patience is not None:
            connection.execute(f"SET statement_timeout = '{digits(round(longest * 1000))}ms'")
        connection.execute(f"SET application_name = 'waybill-{role}'")
        connection.autocommit = was

    return engine
