"""The side path for servers that know only what is not safe any more (SHA-1, ssh-rsa, CBC).

A second SSH client, asyncssh, used where a connection asks for it by name and is warned each time;
the host key is pinned all the same. Reads only. Must not be the way to a server that can do better.
"""

from __future__ import annotations

import asyncio
import logging
import stat
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

from connectors.sftp_client import shown
from connectors.sftp_entries import Entry
from connectors.sftp_keys import key_text, pinned_key
from connectors.sftp_session import Session
from mappings.connection import Connection
from mappings.errors import Misconfigured, Refused, Transient, WaybillError

try:
    import asyncssh
except ImportError as _missing:
    raise Misconfigured(
        "the connection asks for the client of legacy servers, which is not installed",
        code="legacy",
        remedy='Install it with `pip install "waybill[legacy-sftp]"`, or remove "legacy".',
    ) from _missing

_LOG = logging.getLogger("connectors.sftp_legacy")
_T = TypeVar("_T")

WARNING = (
    "WARNING: this connection uses methods that are not safe any more (SHA-1): somebody on the way "
    'may read and change what is sent. Have the server brought up to date, then remove "legacy"'
)
_KEX = "+diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1"
_CIPHERS = "+aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc"
_MACS = "+hmac-sha1,hmac-sha1-96"
_KEYS = "+ssh-rsa"


class LegacySession(Session):
    """A `Session` over the second client."""

    warning = WARNING

    def __init__(
        self, connection: Connection, *, connect_seconds: float, request_seconds: float
    ) -> None:
        """As `Session`. Raises the same."""
        self._where = f"{connection.host}:{connection.port or 22}"
        self._id = connection.id
        self._seconds = request_seconds
        _LOG.warning("connection %s: %s", connection.id, WARNING)
        words = _sign_in_words(connection)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sftp-legacy", daemon=True
        )
        self._thread.start()
        try:
            with self.failures("connecting"):
                self._line: asyncssh.SSHClientConnection = self.wait(
                    asyncssh.connect(
                        connection.host,
                        connection.port or 22,
                        connect_timeout=connect_seconds,
                        login_timeout=connect_seconds,
                        **words,
                    )
                )
            self.sftp = self.channel()  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue, reportIncompatibleVariableOverride]  reads the same
        except BaseException:
            self.close()
            raise

    @property
    def server(self) -> str:
        """What the server says that it is."""
        return str(self._line.get_extra_info("server_version", "SSH"))

    @property
    def alive(self) -> bool:
        """False once the connection is gone."""
        return not self._line.is_closed()

    def close(self) -> None:
        """Sign out."""
        line: asyncssh.SSHClientConnection | None = getattr(self, "_line", None)
        if line is not None and self._loop.is_running():
            with suppress(WaybillError), self.failures("signing out"):
                self._loop.call_soon_threadsafe(line.abort)
                self.wait(line.wait_closed())
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        if not self._loop.is_running():
            self._loop.close()

    def channel(self) -> LegacyChannel:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  reads the same
        """A further SFTP channel."""
        with self.failures("opening a session"):
            client = self.wait(self._line.start_sftp_client(path_encoding=None))
            return LegacyChannel(self, client)

    def wait(self, work: Coroutine[Any, Any, _T] | Any) -> _T:  # noqa: ANN401  asyncssh's own awaitable
        """The outcome of something that is done in the loop's thread, within its time."""

        async def done() -> _T:
            return await asyncio.wait_for(work, self._seconds)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    @contextmanager
    def failures(self, doing: str) -> Iterator[None]:
        """Translate what the second client raises."""
        try:
            with super().failures(doing):
                yield
        except WaybillError:
            raise
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
            raise Refused(f"{doing}: no such file or folder", code="not_found") from error
        except asyncssh.SFTPPermissionDenied as error:
            raise Misconfigured(
                f"{doing}: the server does not permit it",
                code="permission",
                remedy=f'Ask for read access for the login of connection "{self._id}".',
            ) from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise Misconfigured(
                f"{self._where} shows another host key than the pinned one",
                code="security",
                remedy="Stop here and ask the ERP's owner by another way. Only if the key was "
                f'changed on purpose, put the new one into `host_key` of connection "{self._id}".',
            ) from error
        except asyncssh.PermissionDenied as error:
            raise Misconfigured(
                f"sign-in refused by {self._where}",
                code="auth",
                remedy=f'Update login, password or key of connection "{self._id}", then retry.',
            ) from error
        except asyncssh.KeyExchangeFailed as error:
            raise Misconfigured(
                f"{self._where} and the second client agree on no method ({error})",
                code="unsupported_algorithm",
                remedy="Ask the ERP's owner to bring the server up to date.",
            ) from error
        except (asyncssh.Error, TimeoutError) as error:
            raise Transient(
                f"{doing}: the connection to {self._where} broke ({error or type(error).__name__})",
                code="connection",
            ) from error


class LegacyChannel:
    """asyncssh's client as a `Channel`."""

    def __init__(self, session: LegacySession, client: asyncssh.SFTPClient) -> None:
        self._session = session
        self._client = client

    def reading(self, path: bytes) -> _LegacyFile:
        """Open a file."""
        file = self._session.wait(self._client.open(path, "rb", encoding=None))
        return _LegacyFile(self._session, file)

    def listing(self, folder: bytes, names: str | None) -> Iterator[Entry]:
        """The files of a folder."""
        for one in self._session.wait(self._client.readdir(folder)):
            raw = one.filename if isinstance(one.filename, bytes) else one.filename.encode()
            if raw in {b".", b".."} or stat.S_ISDIR(one.attrs.permissions or 0):
                continue
            modified = None if one.attrs.mtime is None else int(one.attrs.mtime)
            yield Entry(shown(raw, names), one.attrs.size, modified, raw)

    def close(self) -> None:
        """Give it back."""
        self._client.exit()


class _LegacyFile:
    """asyncssh's file as a `RemoteFile`; it asks ahead by itself."""

    def __init__(self, session: LegacySession, file: asyncssh.SFTPClientFile) -> None:
        self._session = session
        self._file = file
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.wait(self._file.close())

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, size: int) -> bytes:
        data = self._session.wait(self._file.read(size, self._at))
        found = data if isinstance(data, bytes) else data.encode()
        self._at += len(found)
        return found

    def prefetch(self, size: int, requests: int | None) -> None:
        del size, requests

    def size(self) -> int | None:
        return self._session.wait(self._file.stat()).size


def _sign_in_words(connection: Connection) -> dict[str, Any]:
    """Pinned key, secrets, and the methods of then on top of today's."""
    pinned_key(connection)  # says what to do where there is none
    line = " ".join(connection.extra["host_key"].split()[:2])
    text = key_text(connection)
    try:
        known = asyncssh.import_public_key(line)
        keys = (
            []
            if text is None
            else [asyncssh.import_private_key(text, connection.extra.get("private_key_passphrase"))]
        )
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise Misconfigured(
            "the host key or the private key cannot be read",
            code="auth",
            remedy=f'Correct `host_key` and `private_key` of connection "{connection.id}".',
        ) from error
    return {
        "username": connection.login or "",
        "password": connection.password,
        "client_keys": keys,
        "agent_path": None,
        "config": None,
        "known_hosts": ([known], [], []),
        "kex_algs": _KEX,
        "encryption_algs": _CIPHERS,
        "mac_algs": _MACS,
        "server_host_key_algs": _KEYS,
        "signature_algs": _KEYS,
        "password_auth": connection.password is not None,
        "kbdint_auth": False,
    }
