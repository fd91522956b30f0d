"""The bytes of one file over SFTP, in blocks, and whether it was the same file all the time.

Must not retry or choose files; that is `sftp.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from connectors.sftp_client import Channel
from connectors.sftp_entries import Entry
from connectors.sftp_session import Session
from mappings.errors import Transient, WaybillError

BLOCK_BYTES = 256 * 1024

LASTING = frozenset({"changed", "deadline"})
"""Codes of Transient that trying again at once cannot help."""

_FEW = 8

WINDOW_BYTES = 32 * 1024 * 1024
"""So much of a file is asked ahead: what has come waits in memory until it is taken."""

_ONE_REQUEST = 32 * 1024
"""paramiko reads this much at a time; asking ahead pays for more than that."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a file is asked for. `requests`: how many may be on their way, None: as many as there
    are. `sized`: the server's word on sizes counts. `window`: bytes asked ahead at once.
    """

    requests: int | None = None
    sized: bool = True
    window: int = WINDOW_BYTES

    def gentler(self, tries: int) -> Manner:
        """After so many broken tries: some servers bear few requests at once, some one alone."""
        return self if tries == 0 else replace(self, requests=_FEW if tries == 1 else 1)


def blocks(
    session: Session,
    channel: Channel,
    path: bytes,
    listed: int | None,
    start: int,
    deadline: float,
    manner: Manner,
) -> Iterator[bytes]:
    """The file from byte `start` to its end. `listed`: its size in the listing, None if unknown.

    The end is where the server says that nothing follows; where it said another size before, the
    file changed meanwhile. Raises Transient: `changed`, `deadline` where `time.monotonic()` passes
    it; Refused (`not_found`).
    """
    where = path.decode("utf-8", "backslashreplace")
    with session.failures(f"reading {where}"), channel.reading(path) as file:
        size = listed if listed is not None or not manner.sized else file.size()
        at = start
        file.seek(start)
        ahead = manner.requests != 1 and manner.sized
        asked = at
        while True:
            if ahead and size is not None and at >= asked and size - at > _ONE_REQUEST:
                asked = min(size, at + manner.window)
                file.prefetch(asked, manner.requests)
            if time.monotonic() > deadline:
                raise Transient(
                    f"reading {where} took longer than it may ({at} bytes so far)", code="deadline"
                )
            # exactly up to the size first: what was asked ahead is taken without another request
            end = asked if at < asked else size
            left = BLOCK_BYTES if end is None or end <= at else end - at
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                if manner.sized and listed is not None and at < listed:
                    file.size()  # a connection that broke reads as an end: this says that it broke
                break
            at += len(block)
            yield block
            if manner.sized and listed is not None and at > listed:
                break
        # a document is asked for once by its name; only what was listed can have changed since
        if manner.sized and listed is not None and at != listed:
            more = "more" if at > listed else f"{at}"
            raise Transient(
                f"{where} changed while it was read: {listed} bytes listed, {more} read",
                code="changed",
                remedy="It is read again at the next try. If the server's sizes are never true, "
                'write "file_sizes": "unknown" into the extra of the connection.',
            )


class Line:
    """One SFTP channel, used by one thread at a time; opened again when it was closed."""

    def __init__(self, session: Callable[[], Session]) -> None:
        """`session` gives the living connection, opening it where need be."""
        self._give = session
        self._session: Session | None = None
        self._channel: Channel | None = None

    def open(self) -> None:
        """Open the channel. Raises as `Session.channel` does."""
        self._session = self._give()
        self._channel = self._session.channel()

    def whole(self, path: bytes, entry: Entry, deadline: float, manner: Manner) -> list[bytes]:
        """A small file's bytes. Raises Transient."""
        if self._session is None or self._channel is None:
            self.open()
        assert self._session is not None  # noqa: S101  opened above
        assert self._channel is not None  # noqa: S101  as above
        return list(blocks(self._session, self._channel, path, entry.size, 0, deadline, manner))

    def close(self) -> None:
        """Give the channel back."""
        line, session = self._channel, self._session
        self._channel = self._session = None
        if line is not None and session is not None:
            # what is broken cannot be closed properly, and need not be
            with suppress(WaybillError), session.failures("closing"):
                line.close()
