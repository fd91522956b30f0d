"""The transport below httpx: when a failure happened, what is kept open, what is never altered."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from connectors.http_client import open_client
from connectors.http_transport import Transport
from mappings.connection import Connection
from tests.connectors.tls_authority import Authority

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Say = Callable[[bytes], tuple[bytes, bool]]


class Server:
    """Answers every request with what `say` gives: bytes, and whether it hangs up behind them."""

    def __init__(self, say: Say, context: ssl.SSLContext | None = None) -> None:
        self.say = say
        self.context = context
        self.heads: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain:
            try:
                if self.context is None:
                    self._talk(plain)
                    return
                with self.context.wrap_socket(plain, server_side=True) as peer:
                    self._talk(peer)
            except OSError:
                return

    def _talk(self, peer: socket.socket) -> None:
        over = False
        while not over:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = peer.recv(65536)
                if not piece:
                    return
                head += piece
            self.heads.append(head)
            answer, over = self.say(head)
            peer.sendall(answer)


@contextmanager
def talking(
    *answers: bytes, hangs_up: bool = False, idle: float = 5.0, seconds: float = 5.0
) -> Iterator[tuple[Server, httpx.Client]]:
    """A server that gives these answers in turn, the last one again and again, and a client."""
    left = list(answers)
    server = Server(lambda _: (left.pop(0) if len(left) > 1 else left[0], hangs_up))
    transport = Transport(ssl.create_default_context(), idle)
    with httpx.Client(transport=transport, timeout=seconds, trust_env=False) as client:
        try:
            yield server, client
        finally:
            server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
)
def test_what_breaks_off_is_never_a_short_page(answer: bytes) -> None:
    with (
        talking(answer, hangs_up=True) as (server, client),
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(server.address)


def test_only_a_connect_error_promises_that_nothing_left() -> None:
    with talking(OK) as (server, client):
        assert client.get(server.address).text == "ok"
    with Transport(ssl.create_default_context(), 5.0) as transport:
        request = httpx.Request("POST", server.address, content=b"an order")
        with pytest.raises(httpx.ConnectError):
            transport.handle_request(request)
        with pytest.raises(httpx.UnsupportedProtocol):
            transport.handle_request(httpx.Request("GET", "ftp://127.0.0.1/"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"])
def test_a_server_that_is_silent_is_left(answer: bytes) -> None:
    with (
        talking(answer, seconds=0.1) as (server, client),
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(server.address)


def test_bodies_come_as_they_were_sent_and_are_unpacked_by_httpx() -> None:
    page = b'{"value": [' + b"1," * 400_000 + b"1]}"
    packed = gzip.compress(page)
    length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page)
    pieces = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces += b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    until_the_end = b"HTTP/1.0 200 OK\r\n\r\n" + page
    with talking(length + page, pieces) as (server, client):
        assert client.get(server.address).content == page
        with client.stream("GET", server.address) as answer:
            raw = list(answer.iter_raw())
        assert b"".join(raw) == packed
        assert max(map(len, raw)) <= 65536  # what is packed may grow a thousandfold
        assert client.get(server.address).content == page
        assert server.connections == 1
    with talking(until_the_end, hangs_up=True) as (server, client):
        assert client.get(server.address).content == page


def test_addresses_and_headers_leave_as_they_were_given() -> None:
    with talking(OK) as (server, client):
        client.get(f"{server.address}/a%2fb//P('x')?$skiptoken=%c3%a4&k=a+b")
    line, *rest = server.heads[0].decode("latin-1").split("\r\n")
    assert line == "GET /a%2fb//P('x')?$skiptoken=%c3%a4&k=a+b HTTP/1.1"
    names = [one.partition(":")[0].lower() for one in rest if one]
    assert len(names) == len(set(names))


def test_a_connection_is_used_again_unless_it_waited_too_long_or_is_over() -> None:
    with talking(OK) as (server, client):
        for _ in range(3):
            client.get(server.address)
        assert server.connections == 1
        with client.stream("GET", server.address):
            pass  # its body was not read: nothing more can be asked on it
        client.get(server.address)
        assert server.connections == 2
    with talking(OK, idle=0.0) as (server, client):
        client.get(server.address)
        client.get(server.address)
        assert server.connections == 2
    over = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with talking(over, hangs_up=True) as (server, client):
        assert client.get(server.address).text == client.get(server.address).text == "ok"
        assert server.connections == 2


def test_closing_ends_a_request_that_is_under_way() -> None:
    with talking(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow") as (server, client):
        threading.Timer(0.1, client.close).start()
        with pytest.raises(httpx.TransportError):
            client.get(server.address)


def test_a_server_is_trusted_and_shown_who_we_are_as_the_connection_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = Server(lambda _: (OK, False), authority.server_context(clients=True))
    ours = authority.client("waybill", datetime.now(UTC) + timedelta(days=90))

    def asked(**extra: str) -> str:
        root, patience = httpx.URL(server.address), httpx.Timeout(5.0)
        where = Connection("acme", "https", "127.0.0.1", server.port, extra=extra)
        with open_client(where, root, patience) as client:
            return client.get(root).text

    try:
        assert asked(ca_file=authority.file, **ours) == "ok"
        with pytest.raises(httpx.ConnectError) as stranger:
            asked(**ours)
        assert isinstance(stranger.value.__cause__, ssl.SSLCertVerificationError)
        with pytest.raises(httpx.TransportError, match="certificate"):
            asked(ca_file=authority.file)
    finally:
        server.close()
