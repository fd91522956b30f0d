"""How new a database is, without loading what migrates it. Must not change anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

_FOLDER = Path(__file__).parent / "migrations" / "versions"


def newest() -> str:
    """The revision that this code's migrations end with."""
    found = (re.match(r"v(\d+)_", path.name) for path in _FOLDER.glob("v*.py"))
    return max(match.group(1) for match in found if match)


def current(connection: psycopg.Connection[Any]) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    row = connection.execute("SELECT to_regclass('sync.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM sync.alembic_version").fetchone()
    return str(row[0]) if row else None
