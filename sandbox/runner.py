"""Runs the practice ERPs of one data set in one process, and lets them be told to misbehave.

Credentials, host key, ports and the number of nights passed are kept in a state folder, so that
a second start is the same ERPs again. An HTTP endpoint on loopback arms faults and starts the
next night. Must not: import anything outside `sandbox`, or know what reads from these servers.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol, cast

from sandbox.dataset import Dataset
from sandbox.faults import SCENARIOS, Faults

LOOPBACK = "127.0.0.1"
FIRST_PORT = 18111
_TRIES = 200

PROTOCOLS = {
    "anvil": "soap",
    "birch": "odata",
    "cedar": "sftp",
    "wwi_soap": "soap",
    "wwi_rest": "odata",
    "wwi_sftp": "sftp",
}
_CLASSES = {"soap": "SoapErp", "odata": "ODataErp", "sftp": "SftpErp"}


class Server(Protocol):
    """What every practice ERP is."""

    dataset: Dataset
    faults: Faults

    @property
    def address(self) -> str:
        """Where it listens, for people."""
        ...

    def start(self) -> None:
        """Listen."""
        ...

    def stop(self) -> None:
        """Listen no more."""
        ...

    def connection(self) -> dict[str, Any]:
        """Host, port, login, password and extras, for whoever wants to connect."""
        ...


class State:
    """What outlives a process, in one private folder: credentials, ports, nights passed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = folder / "state.json"
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.credentials: dict[str, dict[str, str]] = known.get("credentials", {})
        self.ports: dict[str, int] = known.get("ports", {})
        self.nights: dict[str, list[list[float]]] = known.get("nights", {})

    def credentials_of(self, erp: str) -> dict[str, str]:
        """User and password of one ERP, made when first asked for."""
        if erp not in self.credentials:
            self.credentials[erp] = {"user": "waybill", "password": secrets.token_urlsafe(18)}
        return self.credentials[erp]

    def port_of(self, name: str) -> int:
        """The port it had, or the next free one from `FIRST_PORT` upwards."""
        taken = {port for other, port in self.ports.items() if other != name}
        wanted = self.ports.get(name)
        if wanted is None or not _is_free(wanted):
            wanted = next(
                port
                for port in range(FIRST_PORT, FIRST_PORT + _TRIES)
                if port not in taken and _is_free(port)
            )
        self.ports[name] = wanted
        return wanted

    def save(self) -> None:
        """Write everything in one step, for the owner alone."""
        known = {"credentials": self.credentials, "ports": self.ports, "nights": self.nights}
        write_private(self._file, json.dumps(known, indent=2))


@dataclass
class Practice:
    """The running practice ERPs of one data set. `name` tells data sets apart in the state."""

    dataset: Dataset
    state: State
    name: str
    servers: dict[str, Server] = field(default_factory=dict)
    _admin: ThreadingHTTPServer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start every server and the endpoint; earlier nights are gone through again first."""
        for seed, share in self.state.nights.get(self.name, []):
            self.dataset = self.dataset.changed(int(seed), share)
        for erp in self.dataset.erps:
            server = self._make(erp)
            server.start()
            self.servers[erp] = server
        port = self.state.port_of("admin")
        self._admin = ThreadingHTTPServer((LOOPBACK, port), _handler(self))
        threading.Thread(target=self._admin.serve_forever, daemon=True, name="admin").start()
        self.state.save()

    def stop(self) -> None:
        """Stop whatever was started."""
        if self._admin is not None:
            self._admin.shutdown()
            self._admin.server_close()
        for server in self.servers.values():
            server.stop()

    @property
    def admin(self) -> str:
        """Where faults are armed and nights begin."""
        return f"http://{LOOPBACK}:{self.state.ports['admin']}"

    def describe(self) -> dict[str, Any]:
        """Addresses, sign-ins and armed faults. Holds passwords."""
        erps = {
            erp: {
                "protocol": PROTOCOLS[erp],
                "address": server.address,
                "connection": server.connection(),
            }
            for erp, server in self.servers.items()
        }
        return {"pid": os.getpid(), "data": self.name, "admin": self.admin, "erps": erps}

    def next_night(self, seed: int, share: float) -> None:
        """Change every ERP's data as a day of business would, and remember it for later starts."""
        with self._lock:
            self.dataset = self.dataset.changed(seed, share)
            for erp, server in self.servers.items():
                server.dataset = self.dataset.of(erp)
            self.state.nights.setdefault(self.name, []).append([seed, share])
            self.state.save()

    def _make(self, erp: str) -> Server:
        protocol = PROTOCOLS[erp]
        kind: Callable[..., Server] = getattr(
            importlib.import_module(f"sandbox.{protocol}"), _CLASSES[protocol]
        )
        known = self.state.credentials_of(erp)
        port, rows = self.state.port_of(erp), self.dataset.of(erp)
        orders = self.state.folder / f"{erp}-orders.jsonl"
        if protocol == "odata":
            return kind(
                rows,
                client_id=known["user"],
                client_secret=known["password"],
                port=port,
                orders=orders,
            )
        if protocol == "sftp":
            server = kind(
                rows,
                user=known["user"],
                password=known["password"],
                folder=self.state.folder / erp,
                port=port,
                host_key=known.get("host_key"),
                orders=orders,
            )
            known["host_key"] = vars(server)["host_key_text"]  # whoever pinned it goes on
            return server
        return kind(rows, user=known["user"], password=known["password"], port=port, orders=orders)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _handler(practice: Practice) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """`GET /`, `POST /fault`, `POST /behave`, `POST /night`; bodies and answers are JSON."""

        def do_GET(self) -> None:
            """Who serves where, without sign-ins."""
            erps = {
                name: {"protocol": PROTOCOLS[name], "address": server.address}
                for name, server in practice.servers.items()
            }
            self._answer(200, {"data": practice.name, "erps": erps, "scenarios": SCENARIOS})

        def do_POST(self) -> None:
            """Arm a fault, disarm all, or let a night pass."""
            try:
                length = int(self.headers.get("Content-Length") or 0)
                body = cast("dict[str, Any]", json.loads(self.rfile.read(length) or b"{}"))
                self._answer(200, _act(practice, self.path, body))
            except (LookupError, TypeError, ValueError) as error:
                self._answer(400, {"error": str(error)})

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Keep quiet."""

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def _act(practice: Practice, path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path == "/fault":
        erp = body.pop("erp")
        if erp not in practice.servers:
            raise ValueError(f"no practice ERP {erp!r}; there are {', '.join(practice.servers)}")
        practice.servers[erp].faults.arm(body.pop("name"), **body)
        return {"armed": erp}
    if path == "/behave":
        for server in practice.servers.values():
            server.faults.disarm()
        return {"armed": None}
    if path == "/night":
        seed = int(body.get("seed", 1 + len(practice.state.nights.get(practice.name, []))))
        practice.next_night(seed, float(body.get("share", 0.01)))
        return {"nights": len(practice.state.nights[practice.name])}
    raise ValueError(f"no such path: {path}")
