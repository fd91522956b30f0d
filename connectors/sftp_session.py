"""One SSH connection with SFTP channels: pinned host key, sign-in, and what failures mean.

Every exception of paramiko and of sockets becomes a class of `mappings.errors` here. Must not
choose files or know what a page is; that is `sftp_files.py` and `sftp.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from connectors.sftp_client import Client
from connectors.sftp_keys import pinned_key, private_key
from connectors.sftp_offer import said
from mappings.connection import Connection
from mappings.errors import (
    Misconfigured,
    RateLimited,
    Refused,
    Transient,
    WaybillError,
)

_RESOURCE_SHORTAGE = 4
_PORT = 22

PREFERRED_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""Twice as fast as the default ones where the server has them. Windows and the number of requests
in flight stay paramiko's: other values are many times slower."""


def open_session(
    connection: Connection, *, connect_seconds: float, request_seconds: float
) -> Session:
    """A signed-in connection; of the second client where the connection says `legacy: true`.

    Raises as `Session`, and Misconfigured (`legacy`) where the second client is not installed.
    """
    if connection.extra.get("legacy", "").lower() == "true":
        from connectors.sftp_legacy import LegacySession  # noqa: PLC0415  an extra of the package

        return LegacySession(
            connection, connect_seconds=connect_seconds, request_seconds=request_seconds
        )
    return Session(connection, connect_seconds=connect_seconds, request_seconds=request_seconds)


class Session:
    """A signed-in connection. `sftp` is its first channel, `channel()` opens further ones."""

    warning: str | None = None
    """What is not as it should be with this connection, for people."""

    def __init__(
        self, connection: Connection, *, connect_seconds: float, request_seconds: float
    ) -> None:
        """Connect, compare the host key, sign in once.

        Raises Misconfigured (`security`, `auth`, `address`, `unsupported_algorithm`), RateLimited
        (no further session), Transient.
        """
        self._where = f"{connection.host}:{connection.port or _PORT}"
        self._id = connection.id
        self._seconds = request_seconds
        pinned = pinned_key(connection)
        key = private_key(connection)
        with self.failures("connecting"):
            raw = socket.create_connection(
                (connection.host, connection.port or _PORT), timeout=connect_seconds
            )
        try:
            self._transport = paramiko.Transport(raw)
        except (paramiko.SSHException, OSError) as error:
            raw.close()
            raise Transient(f"{self._where} does not speak SSH: {error}", code="connect") from error
        try:
            self._begin(connection, pinned, connect_seconds)
            self._sign_in(connection, key, connect_seconds)
            self.sftp = self.channel()
        except BaseException:
            self._transport.close()
            raise

    @property
    def server(self) -> str:
        """What the server says that it is."""
        return self._transport.remote_version

    @property
    def alive(self) -> bool:
        """False once the connection is gone."""
        return self._transport.is_active()

    def close(self) -> None:
        """Sign out."""
        self._transport.close()

    def channel(self) -> Client:
        """A further SFTP channel of the same connection, for another thread."""
        with self.failures("opening a session"):
            found = Client.from_transport(self._transport)
            if found is None:
                message = "the server opened no SFTP channel"
                raise paramiko.SSHException(message)
            channel = found.get_channel()
            if channel is not None:
                channel.settimeout(self._seconds)
            return found

    @contextmanager
    def failures(self, doing: str) -> Iterator[None]:
        """Translate what the wire raises inside the block. `doing` is shown to operators."""
        try:
            yield
        except WaybillError:
            raise
        except paramiko.ChannelException as error:
            if error.code == _RESOURCE_SHORTAGE:
                raise RateLimited(
                    f"{self._where} opens no further session", code="rate_limited"
                ) from error
            raise Misconfigured(
                f"{self._where} refuses SFTP sessions: {error}",
                code="session_refused",
                remedy=f'Ask for SFTP to be allowed for the login of connection "{self._id}".',
            ) from error
        except socket.gaierror as error:
            raise Misconfigured(
                f"there is no host {self._where.rpartition(':')[0]}",
                code="address",
                remedy=f'Correct the host of connection "{self._id}".',
            ) from error
        except FileNotFoundError as error:
            raise Refused(f"{doing}: no such file or folder", code="not_found") from error
        except PermissionError as error:
            raise Misconfigured(
                f"{doing}: the server does not permit it",
                code="permission",
                remedy=f'Ask for read access for the login of connection "{self._id}".',
            ) from error
        except TimeoutError as error:
            raise Transient(
                f"{doing}: no answer from {self._where} within its time", code="timeout"
            ) from error
        except (UnicodeError, LookupError) as error:
            raise Misconfigured(
                f"{doing}: a name cannot be written in the server's encoding ({error})",
                code="file_name",
                remedy=f'Correct `file_names` in the extra of connection "{self._id}".',
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Transient(
                f"{doing}: the connection to {self._where} broke ({_said(error)})",
                code="connection",
            ) from error

    def _begin(self, connection: Connection, pinned: tuple[str, bytes], seconds: float) -> None:
        options = self._transport.get_security_options()
        options.ciphers = (*PREFERRED_CIPHERS, *(c for c in options.ciphers if "gcm" not in c))
        # a server with several host keys must show the pinned one
        first = _algorithms(pinned[0])
        known = [k for k in first if k in options.key_types]
        options.key_types = (*known, *(k for k in options.key_types if k not in known))
        self._transport.banner_timeout = seconds
        try:
            self._transport.start_client(timeout=seconds)
        except IncompatiblePeer as error:
            offered = said(connection.host, connection.port or _PORT, seconds)
            raise Misconfigured(
                f"{self._where} offers only methods that are not safe any more ({error}). "
                f"{offered}",
                code="unsupported_algorithm",
                remedy="Ask for Ed25519 or rsa-sha2 host keys and current key exchange. If the "
                'server cannot be changed, `pip install "waybill[legacy-sftp]"` and write '
                f'"legacy": "true" into the extra of connection "{self._id}".',
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Transient(
                f"{self._where} closed the connection before it began ({_said(error)})",
                code="connect",
            ) from error
        shown = self._transport.get_remote_server_key()
        if shown.asbytes() != pinned[1]:
            raise Misconfigured(
                f"{self._where} shows another host key than the pinned one: "
                f"{shown.get_name()} {shown.fingerprint}",
                code="security",
                remedy="Stop here and ask the ERP's owner by another way. Only if the key was "
                f'changed on purpose, put the new one into `host_key` of connection "{self._id}".',
            )

    def _sign_in(self, connection: Connection, key: paramiko.PKey | None, seconds: float) -> None:
        transport = self._transport
        transport.auth_timeout = seconds
        user = connection.login or ""
        if key is None and connection.password is None:
            raise Misconfigured(
                "there is neither a password nor a private key",
                code="auth",
                remedy=f'Add one to connection "{self._id}".',
            )
        try:
            further: list[str] = []
            if key is not None:
                further = transport.auth_publickey(user, key)
            if connection.password is not None and (key is None or further):
                transport.auth_password(user, connection.password)
            if not transport.is_authenticated():
                message = f"the server asks for more: {', '.join(further)}"
                raise paramiko.AuthenticationException(message)  # noqa: TRY301  one refusal
        except paramiko.AuthenticationException as error:
            how = "public key" if key is not None else "password"
            if not transport.is_active() and "timeout" in str(error).lower():
                raise Transient(
                    f"{self._where} did not answer the sign-in", code="timeout"
                ) from error
            raise Misconfigured(
                f"sign-in of {user!r} by {how} refused by {self._where}",
                code="auth",
                remedy=f'Update login, password or key of connection "{self._id}", then retry.',
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Transient(
                f"the connection to {self._where} broke while signing in ({_said(error)})",
                code="connection",
            ) from error


def _algorithms(kind: str) -> tuple[str, ...]:
    """Signature algorithms that a host key of this type is used with, best first."""
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
