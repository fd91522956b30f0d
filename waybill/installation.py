"""The installation that a command works on: its settings, its database, the engine's context.

Must not: know any command.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mappings.errors import Misconfigured
from mappings.private_files import make_home
from mappings.settings import Settings

if TYPE_CHECKING:
    from sync.context import Context


@contextmanager
def opened(settings: Settings) -> Iterator[Context]:
    """The engine's context over a database that is up to date, for as long as the block lasts.

    The embedded server is started, and stopped again, if nobody else runs it, and brought up to
    date. A server of the customer's is migrated the first time only; later that is somebody's
    decision. Raises Misconfigured (code `database`) where it has yet to be taken.
    """
    import psycopg  # noqa: PLC0415 - heavy

    from portal_db import server, versions  # noqa: PLC0415 - heavy
    from portal_db.migrate import migrate  # noqa: PLC0415 - heavy
    from sync.context import Context  # noqa: PLC0415 - heavy

    make_home(settings)
    with server.serving(settings) as url:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            at = versions.current(connection)
        if at is None or (at < versions.newest() and settings.database_url is None):
            migrate(url)
        elif at != versions.newest():
            raise Misconfigured(
                f"the database is at version {at}, this Waybill needs {versions.newest()}",
                code="database",
                remedy="Run `waybill migrate` when nothing else runs."
                if at < versions.newest()
                else "Install the newer Waybill that migrated it.",
            )
        with Context.open(settings) as context:
            yield context


def actor() -> str:
    """Who acts, for the audit: the operating system's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
