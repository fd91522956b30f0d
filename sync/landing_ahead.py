"""Reads a large landed page a few pieces ahead, in a thread: unpacking and hashing take their time.

Bytes come as they lie there, in order. Must not understand or change them.
"""

from __future__ import annotations

import io
import queue
import threading
from typing import Any, Protocol

PIECE_BYTES = 1024 * 1024
_PIECES = 3
_STOP_SECONDS = 0.1


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ReadAhead(io.RawIOBase):
    """A stream made by a thread. `stop` before anybody else touches its source."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_PIECES)
        self._stopped = threading.Event()
        self._waiting: memoryview = memoryview(b"")
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="landing-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  Buffer has no name before 3.12
        """Fill the buffer, as far as there is something; raises what reading raised."""
        if not self._waiting and not self._ended:
            piece = self._queue.get()
            if isinstance(piece, BaseException):
                self._ended = True
                raise piece
            self._waiting = memoryview(piece)
            self._ended = not piece
        piece, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def stop(self) -> None:
        """End the thread: the source stands where it stopped reading."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        piece: bytes | BaseException = b"-"
        while piece and not isinstance(piece, BaseException):
            try:
                piece = self._source.read(PIECE_BYTES)
            except BaseException as error:  # noqa: BLE001  raised where the page is read
                piece = error
            while not self._stopped.is_set():
                try:
                    self._queue.put(piece, timeout=_STOP_SECONDS)
                    break
                except queue.Full:
                    continue
            if self._stopped.is_set():
                return
