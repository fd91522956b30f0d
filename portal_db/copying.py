"""Binary COPY of Arrow tables into staging, by a thread while the next records are read.

The thread alone uses the connection until it has ended: what failed there is raised where the
caller hands over the next table, or at the end. Must not know a part, and must not judge.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import pgpq
import psycopg
import pyarrow as pa

_WAITING = 1
"""Tables that may wait for the thread: enough for both sides to be busy, few enough to hold."""
_ROWS = 8_192
"""Rows encoded at a time: the server works on some while the next are encoded."""

_COPY_BYTES = 6 * 1024 * 1024
"""After so many the next COPY begins: one uses 16 MB of the server's cache in turn, and what it
wrote before must be read again by whoever builds the indexes."""
_SEND_BYTES = 2 * 1024 * 1024
"""What may wait in a local socket: with Linux' fifth of a megabyte the server waits for Python."""

_Table = tuple[LiteralString, pa.Table]
_Waiting = queue.Queue[_Table | None]


class Copying:
    """How tables get into the database: at once, or in the background while `ahead` lasts."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._queue: _Waiting | None = None
        self._failed: BaseException | None = None
        self.copied: Counter[str] = Counter()
        """COPY statement → rows that the server says it took."""

    def put(self, statement: LiteralString, table: pa.Table) -> None:
        """Append rows by a COPY statement whose columns are those of `table`, in order."""
        if self._queue is None:
            with self._copy(statement, table.schema) as write:
                write(table)
            return
        if self._failed is not None:
            raise self._failed
        self._queue.put((statement, table))

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Copy in the background; everything is in the database when the block ends."""
        waiting = self._queue = queue.Queue(_WAITING)
        _widen(self._connection)
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

    def _work(self, waiting: _Waiting) -> None:
        try:
            one = waiting.get()
            while one is not None:
                self._several(*one, waiting)
                one = waiting.get()
        except BaseException as error:  # noqa: BLE001  raised where the caller meets it
            self._failed = error
            while waiting.get() is not None:
                pass  # the caller must never wait for a place

    def _several(self, statement: LiteralString, table: pa.Table, waiting: _Waiting) -> None:
        """One COPY of this table and of those that already wait to follow it into the same
        columns: no lock is held while nothing is there.
        """
        with self._copy(statement, table.schema) as write:
            sent = write(table)
            while sent < _COPY_BYTES and (rows := _next(waiting, statement)) is not None:
                sent += write(rows)

    @contextmanager
    def _copy(
        self, statement: LiteralString, schema: pa.Schema
    ) -> Iterator[Callable[[pa.Table], int]]:
        """Something that writes a table and says how many bytes that were."""
        encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.write(encoder.write_header())

                def write(table: pa.Table) -> int:
                    sent = 0
                    for batch in table.to_batches(max_chunksize=_ROWS):
                        encoded = encoder.write_batch(batch)
                        copy.write(encoded)
                        sent += len(encoded)
                    return sent

                yield write
                copy.write(encoder.finish())
            self.copied[statement] += cursor.rowcount  # known until the cursor is closed


def _next(waiting: _Waiting, statement: LiteralString) -> pa.Table | None:
    """The table that waits, if one does and goes into the same columns."""
    with waiting.mutex:
        one = waiting.queue[0] if waiting.queue else None
    if one is None or one[0] != statement:
        return None
    taken = waiting.get()  # nobody else takes one
    return None if taken is None else taken[1]


def _widen(connection: psycopg.Connection[Any]) -> None:
    """Let a local socket hold more; one to another machine adapts itself."""
    with socket.socket(fileno=os.dup(connection.fileno())) as one:
        if one.family == socket.AF_UNIX:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
