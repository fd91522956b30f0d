"""A small SFTP server on loopback: one folder, password and public-key sign-in.

What lies below `writable` may be written and renamed, all else is read only.

Misbehaves as `sandbox.faults` says. Knows no data set and no file format.
"""

import io
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_SUCCEEDED,
)
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK, SFTP_PERMISSION_DENIED

from sandbox.faults import Faults
from sandbox.sftp.spoiled import spoil

CONNECTING = frozenset({"changed_host_key", "maintenance"})
SIGNING_IN = frozenset({"wrong_password"})
OPENING_SESSION = frozenset({"rate_limit"})
LISTING = frozenset({"no_marker", "growing"})
SIZES = frozenset({"wrong_size", "no_size"})
CONTENT = frozenset({"truncated", "schema_changed", "bad_rows", "empty", "bad_trailer"})
WRITING = frozenset({"reset", "drop", "slow", "lost_answer"})
READING = frozenset({"slow", "hang", "drop", "few_requests"}) | CONTENT
"""Which scenarios are looked for at which moment of a session."""

_HANG_SECONDS = 3600.0
_FEW = 16
_GROWTH = 1000


@dataclass
class Account:
    """Who may sign in, how, to which folder, and what goes wrong."""

    user: str
    password: str | None
    folder: Path
    faults: Faults
    public_keys: list[paramiko.PKey] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    writable: tuple[str, ...] = ()
    sign_ins: int = 0
    """How often someone tried to sign in, let in or not."""


class SftpServer:
    """Listens on 127.0.0.1 until `stop`; one thread a connection."""

    def __init__(self, account: Account, host_key: paramiko.PKey, port: int = 0) -> None:
        self.account = account
        self.host_key = host_key
        self.port = port
        self._listener: socket.socket | None = None
        self._transports: list[paramiko.Transport] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; `port` is then the real one."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=50)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="sftp-accept", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listener and every connection."""
        self.account.stopping.set()
        if self._listener is not None:
            # wakes `accept`, which closing alone does not
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for transport in self._transports:
            transport.close()
        if self._thread is not None:
            self._thread.join(5)

    def _accept(self) -> None:
        assert self._listener is not None  # noqa: S101  set by start
        while not self.account.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._transports = [t for t in self._transports if t.is_active()]
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        fault = self.account.faults.take("connect", CONNECTING)
        if fault is not None and fault[0] == "maintenance":
            connection.close()
            return
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        other = fault is not None and fault[0] == "changed_host_key"
        transport.add_server_key(read_key(new_key()) if other else self.host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, account=self.account)
        try:
            transport.start_server(event=threading.Event(), server=_SignIn(self.account, transport))
        except (paramiko.SSHException, EOFError, OSError):
            transport.close()


def new_key() -> str:
    """A fresh Ed25519 private key as OpenSSH text."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    return pem.decode()


def read_key(text: str) -> paramiko.PKey:
    """The key pair of an OpenSSH text of type Ed25519."""
    return paramiko.Ed25519Key.from_private_key(io.StringIO(text))


class _SignIn(paramiko.ServerInterface):
    def __init__(self, account: Account, transport: paramiko.Transport) -> None:
        self._account = account
        self.transport = transport

    def get_allowed_auths(self, username: str) -> str:
        del username
        kinds = ["password"] if self._account.password is not None else []
        return ",".join([*kinds, *(["publickey"] if self._account.public_keys else [])])

    def check_auth_password(self, username: str, password: str) -> int:
        self._account.sign_ins += 1
        if self._account.faults.take("sign-in", SIGNING_IN) is not None:
            return AUTH_FAILED
        right = (username, password) == (self._account.user, self._account.password)
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._account.sign_ins += 1
        if self._account.faults.take("sign-in", SIGNING_IN) is not None:
            return AUTH_FAILED
        right = username == self._account.user and key in self._account.public_keys
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        if self._account.faults.take("session", OPENING_SESSION) is not None:
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):
    """The folder; paths cannot leave it, and only some of it may be written."""

    def __init__(self, server: _SignIn, *args: object, account: Account, **kwargs: object) -> None:
        super().__init__(server, *args, **kwargs)
        self._account = account
        self._transport = server.transport
        self._growing = False
        self._grown = 0
        self._served: dict[str, int] = {}

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        place = self._place(path)
        if not place.is_dir():
            return SFTP_NO_SUCH_FILE
        fault = self._account.faults.take(path, LISTING)
        self._growing = self._growing or (fault is not None and fault[0] == "growing")
        self._served.clear()
        found: list[paramiko.SFTPAttributes] = []
        with os.scandir(place) as entries:
            for entry in entries:
                if fault is not None and fault[0] == "no_marker" and entry.name.endswith(".done"):
                    continue
                attributes = paramiko.SFTPAttributes.from_stat(entry.stat(), entry.name)
                if entry.is_file():
                    self._spoil_size(attributes, f"{path}/{entry.name}", Path(entry.path))
                found.append(self._grow(attributes, entry.name))
        return found

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        place = self._place(path)
        if not place.exists():
            return SFTP_NO_SUCH_FILE
        attributes = paramiko.SFTPAttributes.from_stat(place.stat())
        if place.is_file():
            self._spoil_size(attributes, path, place)
        return self._grow(attributes, place.name)

    lstat = stat

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        del attr
        place = self._place(path)
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return self._open_to_write(path, place)
        if not place.is_file():
            return SFTP_NO_SUCH_FILE
        name, seconds = self._account.faults.take(path, READING) or ("", 0.0)
        if name in {"slow", "hang"}:
            self._account.stopping.wait(seconds or (_HANG_SECONDS if name == "hang" else 1.0))
            if name == "hang":
                return SFTP_FAILURE
        content = place.read_bytes()
        stops = len(content) * 3 // 5 if name == "drop" else None
        if name in CONTENT:
            content = spoil(name, place.name, content)
            self._served[place.name] = len(content)
        handle = _Handle(content, self._transport, stops)
        handle.told = self._account.faults.peek(path, SIZES)
        handle.few = name == "few_requests"
        return handle

    def rename(self, oldpath: str, newpath: str) -> int:
        """Refuses to replace, as SFTP says; `posix_rename` does not."""
        if self._place(newpath).exists():
            return SFTP_FAILURE
        return self.posix_rename(oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """In one step."""
        old, new = self._place(oldpath), self._place(newpath)
        if not (self._may_write(old) and self._may_write(new)):
            return SFTP_PERMISSION_DENIED
        if not old.exists():
            return SFTP_NO_SUCH_FILE
        name, _ = self._account.faults.take(f"rename {newpath}", WRITING - {"slow"}) or ("", 0.0)
        if name in {"reset", "drop"}:
            self._transport.close()
            return SFTP_FAILURE
        old.replace(new)
        if name == "lost_answer":
            self._transport.close()
        return SFTP_OK

    def remove(self, path: str) -> int:
        """Delete a file that may be written."""
        place = self._place(path)
        if not self._may_write(place):
            return SFTP_PERMISSION_DENIED
        place.unlink(missing_ok=True)
        return SFTP_OK

    def _may_write(self, place: Path) -> bool:
        return any(place.parent == self._account.folder / one for one in self._account.writable)

    def _open_to_write(self, path: str, place: Path) -> paramiko.SFTPHandle | int:
        if not self._may_write(place):
            return SFTP_PERMISSION_DENIED
        if not place.parent.is_dir():
            return SFTP_NO_SUCH_FILE
        name, seconds = self._account.faults.take(f"write {path}", WRITING) or ("", 0.0)
        if name == "slow":
            self._account.stopping.wait(seconds)
        if name == "reset":
            self._transport.close()
            return SFTP_FAILURE
        place.write_bytes(b"")
        if name == "lost_answer":
            self._transport.close()
            return SFTP_FAILURE
        return _Written(place, self._transport, breaks=name == "drop")

    def _spoil_size(self, attributes: paramiko.SFTPAttributes, path: str, place: Path) -> None:
        """A spoiled file lists as the server will give it: only its content tells."""
        told = self._account.faults.peek(path, SIZES)
        if told is not None:
            _untrue(attributes, told)
            return
        if place.name in self._served:
            attributes.st_size = self._served[place.name]
            return
        name = self._account.faults.peek(path, CONTENT)
        if name is not None:
            attributes.st_size = len(spoil(name, place.name, place.read_bytes()))

    def _grow(self, attributes: paramiko.SFTPAttributes, name: str) -> paramiko.SFTPAttributes:
        if self._growing and not name.endswith(".done"):
            self._grown += _GROWTH
            attributes.st_size = (attributes.st_size or 0) + self._grown
        return attributes

    def _place(self, path: str) -> Path:
        parts = [part for part in PurePosixPath("/", path).parts[1:] if part not in {"..", "."}]
        return self._account.folder.joinpath(*parts)


class _Written(paramiko.SFTPHandle):
    """One file being written. `breaks`: the connection is cut at its first bytes."""

    def __init__(self, place: Path, transport: paramiko.Transport, *, breaks: bool) -> None:
        super().__init__()
        self._place = place
        self._transport = transport
        self._breaks = breaks

    def write(self, offset: int, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  paramiko hands on bytes
        with self._place.open("r+b") as file:
            file.seek(offset)
            file.write(data[: len(data) // 2] if self._breaks else data)
        if self._breaks:
            self._transport.close()
            return SFTP_FAILURE
        return SFTP_OK

    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(self._place.stat())


class _Handle(paramiko.SFTPHandle):
    """One open file, as it was when it was opened. At byte `stops` the connection is cut."""

    def __init__(self, content: bytes, transport: paramiko.Transport, stops: int | None) -> None:
        super().__init__()
        self._content = content
        self._transport = transport
        self._stops = stops
        self.told: str | None = None
        self.few = False

    def read(self, offset: int, length: int) -> bytes | int:
        if self._stops is not None and offset + length > self._stops:
            self._transport.close()
            return SFTP_FAILURE
        if self.few and _waiting(self._transport) > _FEW:
            self._transport.close()
            return SFTP_FAILURE
        return self._content[offset : offset + length]

    def stat(self) -> paramiko.SFTPAttributes:
        attributes = paramiko.SFTPAttributes()
        attributes.st_size = len(self._content)
        if self.told is not None:
            _untrue(attributes, self.told)
        return attributes


def _untrue(attributes: paramiko.SFTPAttributes, fault: str) -> None:
    """The size as servers tell it that do not know: none at all, or half as much again."""
    size = attributes.st_size or 0
    attributes.st_size = size + size // 2 + 1
    if fault == "no_size":
        flags = vars(attributes)  # what of it is sent is in a field that no stub names
        flags["_flags"] &= ~attributes.FLAG_SIZE
        attributes.st_size = None


def _waiting(transport: paramiko.Transport) -> int:
    """Requests that have come and are not answered yet: each is some thirty bytes."""
    channels = list(vars(transport)["_channels"].values())
    return sum(len(one.in_buffer) for one in channels) // 30
