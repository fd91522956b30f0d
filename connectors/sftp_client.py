"""What reading needs of an SSH library, and our client of paramiko: names as bytes, a listing that
streams.

Names on a server are bytes. They are shown in the connection's encoding (`file_names`, else UTF-8),
and what is not in it escaped; asking for a file uses its bytes, so that any name can be read. Must
not sign in or choose files.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Protocol, Self

import paramiko
from paramiko.sftp import CMD_CLOSE, CMD_HANDLE, CMD_NAME, CMD_OPENDIR, CMD_READDIR

from connectors.sftp_entries import Entry


class RemoteFile(Protocol):
    """An open file of the server."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def seek(self, offset: int) -> None:
        """Where the next read begins."""
        ...

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b'' at the end."""
        ...

    def prefetch(self, size: int, requests: int | None) -> None:
        """Ask ahead from where the next read begins up to `size`, at most `requests` at once; all
        that was asked before has been read.
        """
        ...

    def size(self) -> int | None:
        """What the server says of its length."""
        ...


class Channel(Protocol):
    """One SFTP channel, used by one thread at a time."""

    def reading(self, path: bytes) -> RemoteFile:
        """Open a file."""
        ...

    def listing(self, folder: bytes, names: str | None) -> Iterator[Entry]:
        """The files of a folder while they are told; `names`: the encoding of their names."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class Client(paramiko.SFTPClient):
    """paramiko's client as a `Channel`."""

    def reading(self, path: bytes) -> RemoteFile:
        """Open a file by the bytes of its path."""
        return _File(self.open(path, "rb"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  it takes bytes

    def listing(self, folder: bytes, names: str | None) -> Iterator[Entry]:
        """paramiko's own listing decodes names as UTF-8 and ends at the first that is not."""
        kind, message = self._request(CMD_OPENDIR, self._adjust_cwd(folder))  # pyright: ignore[reportAttributeAccessIssue]  not in its stubs
        if kind != CMD_HANDLE:
            text = "the server gave no handle for a folder"
            raise paramiko.SFTPError(text)
        handle = message.get_binary()
        while True:
            try:
                kind, message = self._request(CMD_READDIR, handle)  # pyright: ignore[reportAttributeAccessIssue]  not in its stubs
            except EOFError:  # the end of the list; a lost connection is an SSHException
                break
            if kind != CMD_NAME:
                text = "the server answered a listing with something else"
                raise paramiko.SFTPError(text)
            yield from _entries(message, names)
        self._request(CMD_CLOSE, handle)  # pyright: ignore[reportAttributeAccessIssue]  not in its stubs


class _File:
    """paramiko's file as a `RemoteFile`."""

    def __init__(self, file: paramiko.SFTPFile) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def seek(self, offset: int) -> None:
        self._file.seek(offset)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def prefetch(self, size: int, requests: int | None) -> None:
        self._file.prefetch(size, requests)

    def size(self) -> int | None:
        return self._file.stat().st_size


def shown(raw: bytes, names: str | None) -> str:
    r"""A name for people and patterns; bytes that are no text as `\xfe`."""
    return raw.decode(names or "utf-8", "backslashreplace")


def _entries(message: paramiko.Message, names: str | None) -> Iterator[Entry]:
    for _ in range(message.get_int()):
        raw = message.get_binary()
        message.get_binary()  # the line that `ls -l` would show
        attributes = paramiko.SFTPAttributes._from_msg(message)  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]  not in its stubs
        if raw in {b".", b".."} or stat.S_ISDIR(attributes.st_mode or 0):
            continue
        modified = None if attributes.st_mtime is None else int(attributes.st_mtime)
        yield Entry(shown(raw, names), attributes.st_size, modified, raw)
