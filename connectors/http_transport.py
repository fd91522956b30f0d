"""What carries httpx's requests: urllib3's connections, kept for a moment, read in large pieces.

httpx's own transport spends 0.7 ms of the interpreter on a page of a thousand records, this one
0.45: a body is taken as it lies in the socket. Every failure is raised as the httpx error that says
when it happened: a connect error promises that no byte has left. Must not follow a redirect, unpack
a body, ask again, or know a proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

# It writes the addresses of answers whose headers it cannot read, and an address may hold a key.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_PIECE: Final = 256 * 1024
_PACKED_PIECE: Final = 64 * 1024
"""What may come in one piece of a packed body: unpacked it is up to a thousand times as large."""

_Origin = tuple[str, str, int | None]


class Transport(httpx.BaseTransport):
    """HTTP/1.1 to any number of servers, by `context` where they speak TLS. Thread-safe.

    An open connection is used again within `idle` seconds; `close` ends them all, and a request
    that is under way fails.
    """

    def __init__(self, context: ssl.SSLContext, idle: float) -> None:
        self._context = context
        self._idle = idle
        self._lock = threading.Lock()
        self._waiting: list[tuple[_Origin, float, HTTPConnection]] = []
        self._used: dict[HTTPConnection, Any] = {}
        """Each with its socket, which it lets go of where the server says that it will close."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it and read the head of the answer; its body comes as the answer is read.

        Raises ConnectError, ConnectTimeout and UnsupportedProtocol before a byte has left;
        WriteTimeout, ReadError, ReadTimeout, RemoteProtocolError, LocalProtocolError once one may
        have.
        """
        url = request.url
        if url.scheme not in {"http", "https"}:
            message = f"not a protocol for pages: {url.scheme}"
            raise httpx.UnsupportedProtocol(message)
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port)
        stream = request.stream  # a sign-in may have put another in than the request began with
        content = b"".join(stream) if isinstance(stream, httpx.SyncByteStream) else b""
        connection = self._connection(origin, request.extensions.get("timeout", {}))
        try:
            self._send(connection, request, content)
            with _reading():
                answer = connection.getresponse()
        except BaseException:
            self._give_back(origin, connection, whole=False)
            raise
        return httpx.Response(
            answer.status,
            headers=[(k.encode("latin-1", "replace"), v.encode("latin-1", "replace"))
                     for k, v in answer.headers.iteritems()],
            stream=_Body(self, origin, connection, answer),
            extensions={"http_version": b"HTTP/1.0" if answer.version == 10 else b"HTTP/1.1"},  # noqa: PLR2004  http.client's word for it
        )  # fmt: skip

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            used, self._used = self._used, {}
        for _, _, connection in waiting:
            connection.close()
        for wire in used.values():
            with contextlib.suppress(OSError):  # it may be over meanwhile
                wire.shutdown(socket.SHUT_RDWR)  # whoever waits for its bytes wakes, and closes it

    def _connection(self, origin: _Origin, timeout: dict[str, float | None]) -> HTTPConnection:
        """One that is open."""
        connection = self._open_already(origin)
        if connection is None:
            scheme, host, port = origin
            patience = timeout.get("connect")
            if scheme == "https":
                connection = HTTPSConnection(
                    host, port, timeout=patience, ssl_context=self._context
                )
            else:
                connection = HTTPConnection(host, port, timeout=patience)
            try:
                connection.connect()
            except (OSError, urllib3.exceptions.HTTPError) as error:
                connection.close()
                late = isinstance(error, TimeoutError | urllib3.exceptions.ConnectTimeoutError)
                refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # a kind of late
                kind = httpx.ConnectTimeout if late and not refused else httpx.ConnectError
                raise kind(str(error)) from error
        connection.timeout = timeout.get("read")
        with self._lock:
            self._used[connection] = connection.sock
        return connection

    def _open_already(self, origin: _Origin) -> HTTPConnection | None:
        """The one used last; those that have waited too long are closed."""
        oldest = time.monotonic() - self._idle
        with self._lock:
            late = [c for _, since, c in self._waiting if since < oldest]
            self._waiting = [one for one in self._waiting if one[1] >= oldest]
            found = next((one for one in reversed(self._waiting) if one[0] == origin), None)
            if found is not None:
                self._waiting.remove(found)
        for one in late:
            one.close()
        if found is None:
            return None
        if found[2].is_connected:
            return found[2]
        found[2].close()
        return self._open_already(origin)

    def _give_back(self, origin: _Origin, connection: HTTPConnection, *, whole: bool) -> None:
        """Keep it where its answer was read to the end and it is still open."""
        with self._lock:
            ours = connection in self._used  # not where we were closed meanwhile
            self._used.pop(connection, None)
            if ours and whole and not connection.is_closed:
                self._waiting.append((origin, time.monotonic(), connection))
                return
        connection.close()

    @staticmethod
    def _send(connection: HTTPConnection, request: httpx.Request, content: bytes) -> None:
        headers = {k.decode("ascii"): v.decode("latin-1") for k, v in request.headers.raw}
        target = request.url.raw_path.decode("ascii")
        try:
            connection.request(
                request.method, target, content or None, headers,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError:
            return  # it may have said why before it heard us out: reading tells
        except (ValueError, http.client.HTTPException) as error:
            raise httpx.LocalProtocolError(str(error)) from error


class _Body(httpx.SyncByteStream):
    """The bytes of one answer, as they were sent."""

    def __init__(
        self,
        transport: Transport,
        origin: _Origin,
        connection: HTTPConnection,
        answer: urllib3.HTTPResponse,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        packed = "content-encoding" in self._answer.headers
        most = _PACKED_PIECE if packed else _PIECE
        while True:
            with _reading():
                piece = self._answer.read1(most, decode_content=False)
            if not piece:
                return
            yield piece

    def close(self) -> None:
        whole = self._answer.isclosed()
        self._answer.close()
        self._transport._give_back(self._origin, self._connection, whole=whole)  # noqa: SLF001  its own part


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """What fails while an answer is read, as httpx's errors."""
    try:
        yield
    except (TimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
        raise httpx.ReadTimeout(str(error)) from error
    except urllib3.exceptions.SSLError as error:
        raise httpx.ReadError(str(error)) from error
    except (http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except OSError as error:
        raise httpx.ReadError(str(error)) from error
