"""How new a database is, without loading what migrates it. Must not change anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

_FOLDER = Path(__file__).parent / "migrations" / "versions"


def newest() -> str:
    """The revision that this code's migrations end with: the one that no other follows.

    Their order is that of their `down_revision`, not of their numbers.
    """
    texts = [path.read_text(encoding="utf-8") for path in _FOLDER.glob("v*.py")]
    ends = {_word(text, "revision") for text in texts}
    ends -= {_word(text, "down_revision") for text in texts}
    return max(end for end in ends if end is not None)


def _word(text: str, name: str) -> str | None:
    found = re.search(rf'^{name} = "(\w+)"', text, re.MULTILINE)
    return found.group(1) if found else None


def current(connection: psycopg.Connection[Any]) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    row = connection.execute("SELECT to_regclass('sync.alembic_version')").fetchone()
    if row is None or row[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM sync.alembic_version").fetchone()
    return str(row[0]) if row else None
