"""The installation that a command works on: its settings, its database, the engine's context.

Must not: know any command.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mappings.private_files import make_home
from mappings.settings import Settings

if TYPE_CHECKING:
    from sync.context import Context


@contextmanager
def opened(settings: Settings) -> Iterator[Context]:
    """The engine's context over a database that is up to date, for as long as the block lasts.

    The embedded server is started, and stopped again, if nobody else runs it.
    """
    import psycopg  # noqa: PLC0415 - heavy

    from portal_db import server  # noqa: PLC0415 - heavy
    from portal_db.migrate import migrate  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    make_home(settings)
    with server.serving(settings) as url:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute("SELECT to_regclass('sync.feed_promise')").fetchone()
        if row is None or row[0] is None:
            migrate(url)
        with Context.open(settings) as context:
            yield context


def actor() -> str:
    """Who acts, for the audit: the operating system's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
