"""Files of a folder of this machine (a mount, a share) as pages, chosen as over SFTP.

A file counts as whole by its marker, or by a size and time that stand still; its size is compared
again after reading. Must not parse a file, write one, or leave the folder that it was given.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Self

from connectors.protocol import End, Page
from connectors.sftp_files import Choice, Entry, choose, folder_and_pattern, safe_location
from mappings.connection import Connection
from mappings.errors import Misconfigured, NotNow, Refused, Transient
from mappings.sources import SftpSource, Source

_BLOCK_BYTES = 1024 * 1024
_MEDIA = {"csv": "text/csv", "xml": "application/xml"}


class FolderConnector:
    """One folder. The connection names it as Airflow's own file connections do: extra `path`."""

    def __init__(
        self, connection: Connection, erp: str, *, poll_seconds: float = 1.0, polls: int = 2
    ) -> None:
        """`polls` looks, `poll_seconds` apart, must agree where there is no marker.

        Raises Misconfigured (`path`) where the connection names no folder.
        """
        self._erp = erp
        self._poll_seconds = poll_seconds
        self._polls = polls
        named = connection.extra.get("path", "")
        if not named or not Path(named).is_absolute():
            raise Misconfigured(
                f"connection {connection.id!r} names no folder",
                erp=erp,
                code="path",
                remedy='Give its extra an absolute "path".',
            )
        self._top = Path(named)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open."""

    def check(self) -> str:
        """List the top folder; one line about it. Raises Misconfigured, Transient."""
        return f"{self._top}, {len(self._list('.'))} files in it"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """One page a file. `since` is not used: the latest file is read again, unchanged or not.

        Raises as `sftp_files.choose` does, and Transient (`changed`) when a file changed while it
        was read.
        """
        del since
        if not isinstance(source, SftpSource):
            message = f"not a source of files: {type(source).__name__}"
            raise TypeError(message)
        folder, _ = folder_and_pattern(source.files)
        choice = self._settled(source, folder)
        media = _MEDIA.get(source.format.kind, "application/octet-stream")
        for entry in choice.files:
            yield Page(entry.name, media, _blocks(self._top / folder / entry.name, entry.size))
        if not choice.files:
            return End(complete=False, reason=f"no file matches {source.files}", notes=choice.notes)
        proof = f"marker {source.marker}" if source.marker else "size and time stood still"
        reason = f"{len(choice.files)} read to the end ({proof})"
        if not choice.complete:
            reason += "; others were not ready"
        return End(complete=choice.complete, reason=reason, notes=choice.notes)

    def fetch(self, location: str) -> Iterator[bytes]:
        """One document by its path below the folder. Raises Refused (`not_found`, `path`)."""
        path = self._top / safe_location(location)
        if not path.resolve().is_relative_to(self._top.resolve()):
            raise Refused(f"the document's path {location!r} leaves the folder", code="path")
        if not path.is_file():
            raise Refused(f"there is no {location}", code="not_found")
        yield from _blocks(path, None)

    def _settled(self, source: SftpSource, folder: str) -> Choice:
        """What to read, once it stands still. Raises NotNow (`growing`) where it does not."""
        choice = choose(source, self._list(folder), now=time.time())
        if source.marker is not None or not choice.files:
            return choice
        for _ in range(self._polls - 1):
            time.sleep(self._poll_seconds)
            if choose(source, self._list(folder), now=time.time()).files != choice.files:
                raise NotNow(
                    f"{source.files} is still being written",
                    code="growing",
                    remedy="The next schedule looks again.",
                )
        return choice

    def _list(self, folder: str) -> list[Entry]:
        try:
            with_times = [(one.name, one.lstat()) for one in (self._top / folder).iterdir()]
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Misconfigured(
                f"there is no folder {folder} in {self._top}",
                erp=self._erp,
                code="path",
                remedy="Correct `files` in the mapping or the connection's path, or mount it.",
            ) from error
        except PermissionError as error:
            raise Misconfigured(
                f"{error.filename} may not be read",
                erp=self._erp,
                code="path",
                remedy="Let the account that runs Waybill read it.",
            ) from error
        except OSError as error:
            raise Transient(f"{self._top / folder}: {error.strerror or error}") from error
        return [
            Entry(name, at.st_size, int(at.st_mtime))
            for name, at in with_times
            if stat.S_ISREG(at.st_mode)
        ]


def _blocks(path: Path, listed: int | None) -> Iterator[bytes]:
    """The file's bytes. Raises Transient (`changed`) where they are not as many as listed."""
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                done += len(block)
                yield block
        now = path.stat().st_size
    except OSError as error:
        raise Transient(f"reading {path.name}: {error.strerror or error}") from error
    if listed is not None and (done != listed or now != listed):
        raise Transient(
            f"{path.name} changed while it was read: {listed} bytes listed, {done} read",
            code="changed",
            remedy="It is read again at the next try.",
        )
