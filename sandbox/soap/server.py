"""The practice SOAP ERP's HTTP server: loopback only, one thread a request, misbehaves on demand.

A first request opens a search over the rows as they stand; its answer hands out the token of the
next page. Must not know how values are written (`sandbox.soap.render`).
"""

import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.dataset import Dataset
from sandbox.faults import SCENARIOS, Faults
from sandbox.orders import OrderBook
from sandbox.soap.doors import ACCOUNT, Door
from sandbox.soap.habits import Habits
from sandbox.soap.replies import HTML, Reply, SoapService

_PIECE = 256 * 1024


class SoapErp:
    """One ERP: serves the rows of `dataset` that belong to it.

    `dataset` may be replaced while it runs (the next night); searches that are open go on over
    the rows they began with.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        user: str,
        password: str,
        port: int = 0,
        page_size: int = 10_000,
        habits: Habits | None = None,
        orders: Path | None = None,
    ) -> None:
        self.faults = Faults()
        self.habits = habits or Habits()
        self.book = OrderBook(dataset, orders)
        self._user = user
        self._password = password
        self._port = port
        self._service = SoapService(dataset, user, password, page_size, self.habits, self.book)
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.stopping = threading.Event()
        self.requests: list[str] = []
        """Operations as they were asked for, `wsdl` for the WSDL."""

    @property
    def door(self) -> Door:
        """Who is in."""
        return self._service.door

    @property
    def dataset(self) -> Dataset:
        """What is served now."""
        return self._service.dataset

    @dataset.setter
    def dataset(self, dataset: Dataset) -> None:
        self._service.dataset = dataset

    def start(self) -> None:
        """Listen on loopback. OSError where the port is taken."""
        erp = self

        class Handler(_Handler):
            pass

        Handler.erp = erp
        Handler.service = self._service
        self.stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), Handler)
        if self.habits.tls is not None:
            self._server.socket = self.habits.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; requests that hang are let go."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
            self._server = None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:port`, or https. RuntimeError before `start`."""
        if self._server is None:
            message = "the server has not been started"
            raise RuntimeError(message)
        scheme = "https" if self.habits.tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def connection(self) -> dict[str, Any]:
        """What a connection needs: host, port, login, password, extra."""
        host, _, port = self.address.partition("://")[2].partition(":")
        return {
            "conn_type": "soap",
            "host": host,
            "port": int(port),
            "login": self._user,
            "password": self._password,
            "extra": {
                "wsdl": f"{self.address}/soap?wsdl",
                "endpoint": f"{self.address}/soap",
                "documents": "GetDocument PFAD CONTENT",
                **self._sign_in(),
            },
        }

    def _sign_in(self) -> dict[str, str]:
        """The extras of its way in."""
        uri = self.habits.namespace
        extras = {
            "wsse": {},
            "bearer": {"bearer_token": self._password},
            "api_key": {"api_key": self._password},
            "session": {
                "session": "Login USER PASSWORD TOKEN",
                "session_header": f"{{{uri}}}Session",
                "session_logout": "Logout",
            },
            "passport": {**ACCOUNT, "passport_element": f"{{{uri}}}tokenPassport"},
            "request": {"sign_in_elements": "ACCESS/USER ACCESS/PASSWORD"},
        }
        return {"sign_in": self.habits.sign_in, **extras.get(self.habits.sign_in, {})}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    erp: SoapErp
    service: SoapService

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Keep quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date of an answer, by the ERP's own clock."""
        now = time.time() if timestamp is None else timestamp
        return super().date_time_string(now + self.erp.habits.clock.total_seconds())  # pyright: ignore[reportArgumentType]  takes a float

    def do_GET(self) -> None:
        """Serve the WSDL."""
        self.erp.requests.append("wsdl")
        fault = self.erp.faults.take("wsdl", named=True)
        if self.path.lower().endswith("?wsdl") and fault is None:
            self._send(self.service.wsdl())
        elif fault is not None:
            self._send(Reply(503, HTML, "text/html"))
        else:
            self._send(Reply(404, b"not found", "text/plain"))

    def do_POST(self) -> None:
        """Answer an operation, or arm a fault."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/_sandbox/faults":
            self._arm(body)
            return
        action = self.headers.get("SOAPAction") or self.headers.get("Content-Type") or ""
        operation = action.rpartition("action=")[2].strip('"').rpartition("/")[2]
        self.erp.requests.append(operation)
        name = self.headers.get("X-Sandbox-Fault")
        fault = (name, 0.0) if name else self.erp.faults.take(operation)
        how, seconds = fault or ("", 0.0)
        if how == "hang":
            self.erp.stopping.wait()
            self.close_connection = True
            return
        if how == "slow":
            self.erp.stopping.wait(seconds)
        if how == "reset":
            self._cut()
            return
        reply = self.service.answer(body, how, seconds, self._headers())
        if how == "late_fault":
            reply = self.service.late_fault()
        if how == "lost_answer":
            self._cut()
            return
        self._send(reply, cut=how if how in ("truncated", "drop") else "")

    def _headers(self) -> dict[str, str]:
        return {name.lower(): text for name, text in self.headers.items()}

    def _cut(self) -> None:
        """The connection breaks, without a goodbye."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _arm(self, body: bytes) -> None:
        wish = json.loads(body)
        if wish.get("name") not in SCENARIOS:
            self._send(Reply(400, b"unknown scenario", "text/plain"))
            return
        self.erp.faults.arm(
            wish["name"],
            times=wish.get("times", 1),
            where=wish.get("where", ""),
            after=wish.get("after", 0),
            seconds=wish.get("seconds", 0.0),
        )
        self._send(Reply(200, b"{}", "application/json"))

    def _send(self, reply: Reply, cut: str = "") -> None:
        body = reply.body
        half = len(body) // 2
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        # truncated: the ERP's own page stops; drop: the connection stops before its length
        self.send_header("Content-Length", str(half if cut == "truncated" else len(body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        view = memoryview(body)[: half if cut else len(body)]
        for start in range(0, len(view), _PIECE):
            self.wfile.write(view[start : start + _PIECE])
        if cut == "drop":
            self.close_connection = True
