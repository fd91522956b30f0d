"""SFTP: a message is a file. Temp name, whole and read back, then its name, then its marker.

Until the file has its name and its marker the ERP does not take it, so a transfer that broke before
did not go out; from the rename on it may have. The name is our reference: `find` looks where the
ERP may have moved it. Must not read feeds, parse values or try again by itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Final, Self, TypeVar

from connectors.budget import UNLIMITED, Budget
from connectors.protocol import Exchange, Message, Receipt
from connectors.replies import cleared
from connectors.sftp_session import Session
from mappings.connection import Connection
from mappings.errors import Misconfigured, Refused, Transient, Uncertain, WaybillError
from mappings.targets import SftpFind, SftpTarget

_T = TypeVar("_T")
TEMPORARY: Final = ".part"
_CONNECT_SECONDS: Final = 8.0
_LARGEST_ANSWER: Final = 4 * 1024 * 1024


class SftpSender:
    """One account at one SFTP server, for one target. Use as a context manager."""

    def __init__(
        self, connection: Connection, erp: str, target: SftpTarget, *, budget: Budget = UNLIMITED
    ) -> None:
        self.exchange = Exchange()
        self._connection = connection
        self._erp = erp
        self._target = target
        self._budget = budget
        self._open: Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def ready(self) -> None:
        """See `connectors.protocol.Sender`: signs in."""
        self._quietly(self._session)

    def send(self, message: Message) -> Receipt:
        """See `connectors.protocol.Sender`; the receipt says `handed_over`."""
        target = self._target
        content = written(message, target)
        name = f"{message.reference}{target.suffix}"
        place = f"{target.inbox}/{name}"
        self.exchange = Exchange(request=f"{place}\n{cleared(content, self._connection.secrets)}")
        with self._budget.request(target.inbox):
            beside = f"{target.inbox}/.{name}{TEMPORARY}"
            session = self._quietly(lambda: self._put(beside, content))
            try:
                with session.failures(f"naming {place}"):
                    _named(session, beside, place)
                    if target.marker is not None:
                        with session.sftp.open(place + target.marker, "wb"):
                            pass
            except WaybillError as error:
                self.close()
                raise Uncertain(error.what, erp=self._erp, code=error.code) from error
        self.exchange.answer = f"{len(content)} bytes read back, named, marked"
        self.exchange.detail = {"file": name}
        return Receipt(handed_over=True)

    def find(self, reference: str) -> Receipt | None:
        """See `connectors.protocol.Sender`. In the inbox without its marker is not there yet."""
        how = self._target.find
        if how == "cannot":
            raise Misconfigured(
                "this ERP cannot be asked for a message", erp=self._erp, code="cannot_find"
            )
        name = f"{reference}{self._target.suffix}"
        self.exchange = Exchange(request=f"looking for {name}")
        with self._budget.request(self._target.inbox):
            return self._quietly(lambda: self._found(name, how))

    def _found(self, name: str, how: SftpFind) -> Receipt | None:
        """An answer first; then inbox, archive and error, then the inbox again: it may move."""
        target = self._target
        if how.answers is not None and self._is_there(f"{how.answers}/{name}"):
            return self._answered(f"{how.answers}/{name}")
        for folder in (target.inbox, how.archive, how.error, target.inbox):
            place = f"{folder}/{name}"
            if not self._is_there(place):
                continue
            self.exchange.answer = f"found {place}"
            if folder == how.error:
                raise Refused("the ERP could not read the file", erp=self._erp, code="error_folder")
            marked = target.marker is None or self._is_there(place + target.marker)
            if folder != target.inbox or marked:
                return Receipt(handed_over=True)
        self.exchange.answer = "in no folder"
        return None

    def _answered(self, place: str) -> Receipt:
        session = self._session()
        try:
            with session.failures(f"reading {place}"), session.sftp.open(place, "rb") as file:
                content = file.read(_LARGEST_ANSWER)
        except Refused:
            raise Transient(f"{place} went away", erp=self._erp, code="moved") from None
        self.exchange.answer = cleared(content, self._connection.secrets)
        records = answered(content, self._target, place)
        if not records:
            raise Transient(f"{place} holds no record yet", erp=self._erp, code="growing")
        return Receipt(records[0], tuple(records))

    # the wire

    def _put(self, beside: str, content: bytes) -> Session:
        """The whole file under its temporary name, read back."""
        session = self._session()
        try:
            with session.failures(f"writing {beside}"):
                with session.sftp.open(beside, "wb") as file:
                    file.set_pipelined(True)
                    file.write(content)
                size = session.sftp.stat(beside).st_size
        except Refused:
            raise Misconfigured(
                f"there is no folder {self._target.inbox} on the server",
                code="path",
                remedy="Correct `inbox` in the mapping, or ask the ERP's owner.",
            ) from None
        if size != len(content):
            raise Transient(f"{beside} has {size} bytes of {len(content)}", code="transfer")
        return session

    def _is_there(self, place: str) -> bool:
        session = self._session()
        try:
            with session.failures(f"looking at {place}"):
                session.sftp.stat(place)
        except Refused:
            return False
        return True

    def _session(self) -> Session:
        if self._open is not None and not self._open.alive:
            self.close()
        if self._open is None:
            seconds = self._target.timeout_seconds
            self._open = Session(
                self._connection,
                connect_seconds=min(_CONNECT_SECONDS, seconds),
                request_seconds=seconds,
            )
        return self._open

    def _quietly(self, work: Callable[[], _T]) -> _T:
        """What fails here changed nothing; a broken connection is dropped."""
        try:
            return work()
        except WaybillError as error:
            if isinstance(error, Transient):
                self.close()
            raise error.located(self._erp, None) from None


def _named(session: Session, beside: str, place: str) -> None:
    """Rename in one step; a server without that extension takes a plain rename."""
    try:
        session.sftp.posix_rename(beside, place)
    except OSError as error:
        if "unsupported" not in str(error).lower():
            raise
        session.sftp.rename(beside, place)


def written(message: Message, target: SftpTarget) -> bytes:
    """A CSV file: a header, then a record a line, each with the whole message's fields before it.

    Raises Refused (`encoding`) where a text cannot be written in the file's encoding.
    """
    lines = message.lines or ({},)
    columns = list(dict.fromkeys([*message.fields, *(name for line in lines for name in line)]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=target.delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    for line in lines:
        record = {**message.fields, **line}
        writer.writerow([record.get(name, "") for name in columns])
    try:
        return text.getvalue().encode(target.encoding)
    except UnicodeEncodeError as error:
        raise Refused(
            f"{error.object[error.start : error.end]!r} cannot be written in {target.encoding}",
            code="encoding",
        ) from None


def answered(content: bytes, target: SftpTarget, place: str) -> list[dict[str, str | None]]:
    """The records of an answer file. Raises SourceChanged where it is not as it was declared."""
    try:
        text = content.decode(target.encoding)
    except UnicodeDecodeError:
        raise Transient(f"{place} is not {target.encoding}", code="encoding") from None
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=target.delimiter))
    rows = [row for row in rows if row]
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):  # noqa: PLR2004  header and one record
        return []
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
