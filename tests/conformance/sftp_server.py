"""An SFTP server over an empty folder of its own, and a connector to it, for tests of the wire."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.protocol import End, Page
from connectors.sftp import SftpConnector
from mappings.connection import Connection
from mappings.sources.sftp import CsvFormat, SftpSource
from sandbox.faults import Faults
from sandbox.sftp.server import Account, SftpServer, new_key, read_key

CSV = CsvFormat(kind="csv")


class Folder:
    """A served folder; `put` exports a file into `out`."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.out.mkdir(parents=True)
        self.faults = Faults()
        self._server = SftpServer(Account("u", "p", folder, self.faults), read_key(new_key()))

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def put(self, name: str, content: bytes = b"A\n1\n", age: float = 0) -> Path:
        path = self.out / name
        path.write_bytes(content)
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    def connection(self, **extra: str) -> Connection:
        key = self._server.host_key
        pinned = {"host_key": f"{key.get_name()} {key.get_base64()}"}
        return Connection(
            "x", "sftp", "127.0.0.1", self._server.port, "u", "p", extra=pinned | extra
        )

    def connector(self, *, extra: dict[str, str] | None = None, **settings: Any) -> SftpConnector:
        words = {"poll_seconds": 0.02, **settings}
        return SftpConnector(self.connection(**(extra or {})), "x", **words)

    def read(self, of: SftpSource, since: str | None = None, **settings: Any) -> Taken:
        with self.connector(**settings) as connector:
            return Taken(connector, of, since)


class Taken:
    """What a read gave: name → bytes, in order, and its end."""

    def __init__(self, connector: SftpConnector, of: SftpSource, since: str | None = None) -> None:
        pages = connector.read(of, since)
        self.files: dict[str, bytes] = {}
        while True:
            try:
                page: Page = next(pages)
            except StopIteration as stop:
                self.end: End = stop.value
                return
            self.files[page.name] = b"".join(page.content)


def source(**changed: Any) -> SftpSource:
    words: dict[str, Any] = {"files": "out/p_*.csv", "format": CSV} | changed
    return SftpSource(protocol="sftp", **words)


@contextmanager
def served(folder: Path) -> Iterator[Folder]:
    found = Folder(folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()
