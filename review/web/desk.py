"""What the pages share: settings, database connections by role, the engine's context.

One object per application, closed with it. Must not render or route.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine
from starlette.requests import Request

from mappings.errors import Misconfigured
from mappings.private_files import DESK_KEY
from mappings.reading import read_mappings
from mappings.settings import Settings
from portal_db.engine import Role, open_engine
from portal_db.server import database_url
from review.web.gate import Gate, Page
from sync.context import Context

STATEMENT_SECONDS = 20


@dataclass(slots=True)
class Desk:
    """One running application's handles; `prefix` is the path it is mounted under."""

    settings: Settings
    gate: Gate
    prefix: str
    pages: tuple[Page, ...] = ()
    _engines: dict[Role, Engine] = field(default_factory=dict)
    _context: Context | None = None
    _mapping_files: tuple[tuple[str, int, int], ...] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def signer(self, purpose: str) -> URLSafeTimedSerializer:
        """Signs what a browser keeps for us; one purpose's signature is no good for another."""
        return URLSafeTimedSerializer(self.settings.secret(DESK_KEY), salt=f"desk.{purpose}")

    @contextmanager
    def reading(self, role: Role) -> Iterator[psycopg.Connection[Any]]:
        """A connection in one read-only snapshot as `waybill_<role>`, with a bounded statement."""
        with self._engine(role).connect() as pooled:
            raw = pooled.connection.driver_connection
            if raw is None:
                message = "the pool gave no connection"
                raise RuntimeError(message)
            raw.rollback()
            raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            raw.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
            try:
                yield raw
            finally:
                if not raw.closed:
                    raw.rollback()

    @contextmanager
    def noting(self, role: Role) -> Iterator[psycopg.Connection[Any]]:
        """The same role outside a read-only transaction, committed: for `note_reading` alone."""
        with self._engine(role).connect() as pooled:
            raw = pooled.connection.driver_connection
            if raw is None:
                message = "the pool gave no connection"
                raise RuntimeError(message)
            raw.rollback()
            with raw.transaction():
                yield raw

    def context(self) -> Context:
        """The engine's context, with the mappings as they stand in their files now."""
        with self._lock:
            stamps = _stamps(self.settings.mappings)
            if self._context is None:
                self._context = Context.open(self.settings)
            elif stamps != self._mapping_files:
                self._context.mappings = read_mappings(self.settings.mappings)
            self._mapping_files = stamps
            return self._context

    def reader(self, role: Role) -> Context:
        """The engine's context for what only looks: the same mappings, as `waybill_<role>`."""
        return replace(self.context(), engine=self._engine(role))

    def close(self) -> None:
        """Give every connection back."""
        with self._lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
            if self._context is not None:
                self._context.close()
                self._context = None

    def _engine(self, role: Role) -> Engine:
        with self._lock:
            if role not in self._engines:
                url = self.settings.database_url or database_url(self.settings)
                if url is None:
                    raise Misconfigured(
                        "no database is running",
                        code="database",
                        remedy="Start it with `waybill up`, or set WAYBILL_DATABASE_URL.",
                    )
                self._engines[role] = open_engine(url, role)
            return self._engines[role]


def desk_of(request: Request) -> Desk:
    """The application's shared object."""
    desk: Desk = request.app.state.desk
    return desk


def _stamps(folders: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            about = path.stat()
            found.append((str(path), about.st_mtime_ns, about.st_size))
    return tuple(found)
