"""The bytes of one file over SFTP, in blocks, and whether it was the same file all the time.

Must not retry or choose files; that is `sftp.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import paramiko

from connectors.sftp_files import Entry
from connectors.sftp_session import Session
from mappings.errors import Transient

BLOCK_BYTES = 256 * 1024

LASTING = frozenset({"changed", "deadline"})
"""Codes of Transient that trying again at once cannot help."""

_ONE_REQUEST = 32 * 1024
"""paramiko reads this much at a time; asking ahead pays for more than that."""


def blocks(
    session: Session,
    sftp: paramiko.SFTPClient,
    path: str,
    listed: int | None,
    start: int,
    deadline: float,
) -> Iterator[bytes]:
    """The file from byte `start` on. `listed`: its size in the listing, None where unknown.

    Raises Transient: `changed` where size and bytes do not agree before and after, `deadline`
    where `time.monotonic()` passes it; Refused (`not_found`).
    """
    with session.failures(f"reading {path}"), sftp.open(path, "rb") as file:
        size = listed if listed is not None else file.stat().st_size
        at = start
        file.seek(start)
        if size is not None and size - start > _ONE_REQUEST:
            file.prefetch(size)
        while size is None or at < size:
            if time.monotonic() > deadline:
                raise Transient(
                    f"reading {path} took longer than it may ({at} bytes so far)", code="deadline"
                )
            block = file.read(BLOCK_BYTES if size is None else min(BLOCK_BYTES, size - at))
            if not block:
                break
            at += len(block)
            yield block
        # a document is asked for once by its name; only what was listed can have changed since
        now = sftp.stat(path).st_size if listed is not None else size
    if size is not None and (at != size or (now is not None and now != size)):
        raise Transient(
            f"{path} changed while it was read: {size} bytes listed, {at} read, {now} at the end",
            code="changed",
            remedy="It is read again at the next try.",
        )


class Line:
    """One SFTP channel, used by one thread at a time; opened again when it was closed."""

    def __init__(self, session: Callable[[], Session]) -> None:
        """`session` gives the living connection, opening it where need be."""
        self._give = session
        self._session: Session | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def open(self) -> None:
        """Open the channel. Raises as `Session.channel` does."""
        self._session = self._give()
        self._sftp = self._session.channel()

    def whole(self, path: str, entry: Entry, deadline: float) -> list[bytes]:
        """A small file's bytes. Raises Transient."""
        if self._session is None or self._sftp is None:
            self.open()
        assert self._session is not None  # noqa: S101  opened above
        assert self._sftp is not None  # noqa: S101  as above
        return list(blocks(self._session, self._sftp, path, entry.size, 0, deadline))

    def close(self) -> None:
        """Give the channel back."""
        line, self._sftp, self._session = self._sftp, None, None
        if line is not None:
            # what is broken cannot be closed properly, and need not be
            with suppress(paramiko.SSHException, EOFError, OSError):
                line.close()
