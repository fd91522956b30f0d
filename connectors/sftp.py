"""SFTP: whole files of one folder as pages, documents by path. Reads only; moves nothing.

A file counts as whole by its marker, or by a size and time that stand still; its size is compared
again after reading. Must not parse a file or keep what it read: the landing store does.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from queue import SimpleQueue
from typing import Self, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from connectors.budget import UNLIMITED, Budget
from connectors.protocol import End, Page
from connectors.sftp_end import end_of, media_of
from connectors.sftp_files import (
    Choice,
    Entry,
    choose,
    folder_and_pattern,
    place_behind,
    rest_behind,
    safe_location,
)
from connectors.sftp_reading import LASTING, Line, Manner, blocks
from connectors.sftp_session import Session, open_session
from mappings.connection import Connection
from mappings.errors import Misconfigured, NotNow, RateLimited, Refused, Transient
from mappings.sources import SftpSource, Source

_T = TypeVar("_T")

SMALL_BYTES = 1024 * 1024
"""Files up to this size are read whole, several at a time: their round trips overlap."""

_AHEAD = 4
"""Small files in flight for each channel."""

_PLACE_BYTES = 4 * 1024 * 1024
"""So much is read between two places to go on at, or a hundred files: each is a line in a table."""


class SftpConnector:
    """One connection to one ERP's SFTP server; opened when first used, closed on exit."""

    def __init__(
        self,
        connection: Connection,
        erp: str,
        *,
        connect_seconds: float = 8.0,
        request_seconds: float = 60.0,
        deadline_seconds: float = 3600.0,
        poll_seconds: float = 1.0,
        polls: int = 2,
        tries: int = 4,
        channels: int = 4,
        budget: Budget = UNLIMITED,
    ) -> None:
        """`deadline_seconds` bounds a whole `read` or `fetch`; `polls` looks, `poll_seconds` apart,
        must agree where there is no marker; `tries` for what is Transient.
        """
        self._connection = connection
        self._erp = erp
        self._connect_seconds = connect_seconds
        self._request_seconds = request_seconds
        self._deadline_seconds = deadline_seconds
        self._poll_seconds = poll_seconds
        self._polls = polls
        self._tries = tries
        self._channels = channels
        self._names = connection.extra.get("file_names")
        self._manner = Manner(sized=connection.extra.get("file_sizes") != "unknown")
        self._budget = budget
        self._place = ExitStack()  # of the account's sessions, as long as ours is open
        self._open: Session | None = None
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out."""
        if self._open is not None:
            self._open.close()
            self._open = None
        self._place.close()

    def check(self) -> str:
        """Sign in and list the top folder; one line about the server."""
        entries = self._patiently(lambda: sum(1 for _ in self._list(".")))
        session = self._session()
        signed_in = f"{self._connection.login} signed in"
        line = f"{session.server}, {signed_in}, {entries} files in the top folder"
        return line if session.warning is None else f"{line}. {session.warning}"

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """One page a file. `since`: name of the last file read before, for `pick: all`; the latest
        file is read again, unchanged or not.

        Raises as `sftp_session.Session` and `sftp_files.choose` do, and Transient (`changed`)
        when a file changed while it was read.
        """
        return (yield from self._read(source, since, None))

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """The files behind those that an earlier read had; see `Resumable`."""
        return (yield from self._read(source, since, after))

    def _read(
        self, source: Source, since: str | None, after: str | None
    ) -> Generator[Page, None, End]:
        if not isinstance(source, SftpSource):
            message = f"not an SFTP source: {type(source).__name__}"
            raise TypeError(message)
        deadline = time.monotonic() + self._deadline_seconds
        folder, _ = folder_and_pattern(source.files)
        choice = self._settled(source, folder, since)
        left = choice.files if after is None else rest_behind(choice.files, after)
        media = media_of(source)
        done, fresh = len(choice.files) - len(left), 0
        for entry, content in self._contents(folder, left, deadline):
            done, fresh = done + 1, fresh + (entry.size or _PLACE_BYTES) + _PLACE_BYTES // 100
            place = None
            if fresh >= _PLACE_BYTES and done < len(choice.files):
                place, fresh = place_behind(choice.files, done), 0
            yield Page(entry.name, media, content, after=place)
        warning = self._session().warning
        return end_of(source, choice, () if warning is None else (warning,))

    def fetch(self, location: str) -> Iterator[bytes]:
        """One document by its path below the top folder. Raises Refused (`not_found`, `path`)."""
        path = safe_location(location)
        deadline = time.monotonic() + self._deadline_seconds
        yield from self._stream(path.encode(self._names or "utf-8"), None, deadline)

    # choosing

    def _settled(self, source: SftpSource, folder: str, since: str | None) -> Choice:
        """What to read, once it stands still. Raises NotNow (`growing`) where it does not."""

        def look() -> Choice:
            return choose(source, self._list(folder), since, now=time.time())

        choice = self._patiently(look)
        if source.marker is not None or not choice.files:
            return choice
        for _ in range(self._polls - 1):
            time.sleep(self._poll_seconds)
            again = self._patiently(look)
            if again.files != choice.files:
                raise NotNow(
                    f"{_first_difference(choice, again)} is still being written",
                    code="growing",
                    remedy="The next schedule looks again.",
                )
        return choice

    def _list(self, folder: str) -> Iterator[Entry]:
        """The files of a folder while the server tells them."""
        session = self._session()
        try:
            with session.failures(f"listing {folder}"):
                yield from session.sftp.listing(folder.encode(self._names or "utf-8"), self._names)
        except Refused as error:
            raise Misconfigured(
                f"there is no folder {folder} on the server",
                code="path",
                remedy="Correct `files` in the mapping, or ask the ERP's owner.",
            ) from error

    # reading

    def _contents(
        self, folder: str, files: tuple[Entry, ...], deadline: float
    ) -> Iterator[tuple[Entry, Iterator[bytes] | list[bytes]]]:
        small = [e for e in files if e.size is not None and e.size <= SMALL_BYTES]
        if len(small) < len(files) or len(files) == 1:
            for entry in files:
                yield entry, self._stream(self._path(folder, entry), entry, deadline)
            return
        yield from self._together(folder, small, deadline)

    def _together(
        self, folder: str, files: list[Entry], deadline: float
    ) -> Iterator[tuple[Entry, list[bytes]]]:
        """Small files in order, some of them on their way at once, a channel a thread."""
        free: SimpleQueue[Line] = SimpleQueue()
        lines = self._lines(min(self._channels, len(files)))
        for line in lines:
            free.put(line)

        def one(entry: Entry) -> list[bytes]:
            line = free.get()
            tries = count()
            try:
                path = self._path(folder, entry)
                return self._patiently(
                    lambda: line.whole(path, entry, deadline, self._manner.gentler(next(tries))),
                    line.close,
                )
            finally:
                free.put(line)

        waiting: deque[tuple[Entry, Future[list[bytes]]]] = deque()
        with ThreadPoolExecutor(len(lines), thread_name_prefix="sftp") as pool:
            try:
                for entry in files:
                    waiting.append((entry, pool.submit(one, entry)))
                    if len(waiting) >= len(lines) * _AHEAD:
                        first, coming = waiting.popleft()
                        yield first, coming.result()
                while waiting:
                    first, coming = waiting.popleft()
                    yield first, coming.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
                for line in lines:
                    line.close()

    def _lines(self, width: int) -> list[Line]:
        """Up to `width` channels: as many as the server opens, at least one."""
        lines = [Line(self._session)]
        self._patiently(lines[0].open)
        for _ in range(width - 1):
            line = Line(self._session)
            try:
                line.open()
            except (RateLimited, Misconfigured):
                break
            lines.append(line)
        return lines

    def _stream(self, path: bytes, entry: Entry | None, deadline: float) -> Iterator[bytes]:
        """A file in blocks; a connection lost on the way is taken up again where it broke."""
        done, tries, size = 0, 0, entry.size if entry else None
        while True:
            try:
                session = self._session()
                manner = self._manner.gentler(tries)
                for block in blocks(session, session.sftp, path, size, done, deadline, manner):
                    done += len(block)
                    yield block
            except Transient as error:
                tries += 1
                self.close()
                if tries >= self._tries or error.code in LASTING:
                    raise
                time.sleep(min(0.1 * 2**tries, 2.0))
            else:
                return

    def _path(self, folder: str, entry: Entry) -> bytes:
        return folder.encode(self._names or "utf-8") + b"/" + entry.asked_by

    # the connection

    def _session(self) -> Session:
        with self._opening:
            if self._open is not None and not self._open.alive:
                self.close()
            if self._open is None:
                with ExitStack() as place:
                    place.enter_context(self._budget.request("session"))
                    self._open = open_session(
                        self._connection,
                        connect_seconds=self._connect_seconds,
                        request_seconds=self._request_seconds,
                    )
                    self._place = place.pop_all()
            return self._open

    def _patiently(self, work: Callable[[], _T], renew: Callable[[], None] | None = None) -> _T:
        """Do it again where it failed for a moment; the last failure is raised.

        Before each further try `renew` drops what is broken, by default the connection.
        """
        drop = renew or self.close
        retrying = Retrying(
            stop=stop_after_attempt(self._tries),
            wait=wait_exponential_jitter(multiplier=0.1, max=3.0, jitter=0.2),
            retry=retry_if_exception(_passing),
            before_sleep=lambda _: drop(),
            reraise=True,
        )
        return retrying(work)


def _passing(error: BaseException) -> bool:
    return isinstance(error, Transient) and error.code not in LASTING


def _first_difference(choice: Choice, again: Choice) -> str:
    before = set(choice.files)
    changed = [entry.name for entry in again.files if entry not in before]
    return changed[0] if changed else f"the folder of {choice.files[0].name}"
