"""An SFTP server of yesterday on loopback: SHA-1 only, names in any bytes, certificates if asked.

Made of asyncssh, which still speaks what paramiko has given up; so tests that need it skip where
asyncssh is not installed. Read only. Knows no data set.
"""

import asyncio
import threading
from pathlib import Path

import asyncssh

SHA1 = {
    "kex_algs": ["diffie-hellman-group14-sha1"],
    "encryption_algs": ["aes128-cbc"],
    "mac_algs": ["hmac-sha1"],
    "signature_algs": ["ssh-rsa"],
}


class OldServer:
    """Serves `folder`; with `legacy` it offers SHA-1 and an RSA host key alone."""

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "waybill",
        password: str = "right",  # noqa: S107  of a practice server
        legacy: bool = True,
        authority: str | None = None,
    ) -> None:
        self._folder = folder
        self._login = user, password
        self._legacy = legacy
        self._authority = authority
        self._key = asyncssh.generate_private_key("ssh-rsa" if legacy else "ssh-ed25519")
        self._server: asyncssh.SSHAcceptor | None = None
        self._lines: list[asyncssh.SSHServerConnection] = []
        self.port = 0

    @property
    def host_key_line(self) -> str:
        """The host key as a client pins it."""
        line = self._key.export_public_key().decode()
        return " ".join(line.split()[:2])

    def start(self) -> None:
        """Listen."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.get_port()

    def stop(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.abort()
            await line.wait_closed()
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed at the loop's next turn

    async def _listen(self) -> asyncssh.SSHAcceptor:
        login, lines = self._login, self._lines

        class SignIn(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                lines.append(conn)

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return (username, password) == login

        folder = self._folder

        def files(channel: asyncssh.SSHServerChannel) -> asyncssh.SFTPServer:
            return asyncssh.SFTPServer(channel, chroot=bytes(folder))

        trusted = None
        if self._authority is not None:
            line = f"cert-authority {self._authority}"
            trusted = asyncssh.import_authorized_keys(line)
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=SignIn,
            server_host_keys=[self._key],
            sftp_factory=files,
            authorized_client_keys=trusted,
            **(SHA1 if self._legacy else {}),
        )
