"""Binary COPY of Arrow tables into staging, by a thread while the next records are read.

The thread alone uses the connection until it has ended: what failed there is raised where the
caller hands over the next table, or at the end. Must not know a part, and must not judge.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import pgpq
import psycopg
import pyarrow as pa

_WAITING = 1
"""Tables that may wait for the thread: enough for both sides to be busy, few enough to hold."""
_ROWS = 65_536


class Copying:
    """How tables get into the database: at once, or in the background while `ahead` lasts."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._queue: queue.Queue[tuple[LiteralString, pa.Table] | None] | None = None
        self._failed: BaseException | None = None

    def put(self, statement: LiteralString, table: pa.Table) -> None:
        """Append rows by a COPY statement whose columns are those of `table`, in order."""
        if self._queue is None:
            self._copy(statement, table)
            return
        if self._failed is not None:
            raise self._failed
        self._queue.put((statement, table))

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Copy in the background; everything is in the database when the block ends."""
        waiting = self._queue = queue.Queue(_WAITING)
        thread = threading.Thread(target=self._work, args=(waiting,), name="copying", daemon=True)
        thread.start()
        try:
            yield
        finally:
            waiting.put(None)
            thread.join()
            self._queue = None
        if self._failed is not None:
            raise self._failed

    def _work(self, waiting: queue.Queue[tuple[LiteralString, pa.Table] | None]) -> None:
        while (one := waiting.get()) is not None:
            if self._failed is not None:
                continue  # the caller must never wait for a place
            try:
                self._copy(*one)
            except BaseException as error:  # noqa: BLE001  raised where the caller meets it
                self._failed = error

    def _copy(self, statement: LiteralString, table: pa.Table) -> None:
        encoder = pgpq.ArrowToPostgresBinaryEncoder(table.schema)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in table.to_batches(max_chunksize=_ROWS):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
