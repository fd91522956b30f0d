"""Drives the measured process and looks at the server meanwhile: WAL, dead rows, a reader.

Must not do any of the measured work itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import psutil
import psycopg

from bench.installation import Installation
from portal_db import server


class Subject:
    """The warm process. Use as a context manager."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.worker",
                str(installation.home),
                str(installation.mappings),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.imported_mb: float = self._answer()["mb"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(60)

    def run(self, erp: str, feed: str, **more: object) -> dict[str, Any]:
        """One feed of one ERP; with WAL and the server's CPU beside what the process says."""
        if self.process.stdin is None:
            raise RuntimeError("no way in")
        with psycopg.connect(self.installation.url, autocommit=True) as connection:
            before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
            cpu = server_cpu(self.installation)
            self.process.stdin.write(json.dumps({"erp": erp, "feed": feed, **more}) + "\n")
            self.process.stdin.flush()
            answer = self._answer()
            answer["server_cpu"] = server_cpu(self.installation) - cpu
            wal = connection.execute(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before
            ).fetchone()
        answer["wal_mb"] = float(wal[0]) / 2**20 if wal else 0.0
        return answer

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            message = f"the measured process ended with {self.process.wait()}"
            raise RuntimeError(message)
        return json.loads(line)


def server_cpu(installation: Installation) -> float:
    """CPU seconds of the database server so far, ended backends included."""
    running = server.running(installation.home)
    if running is None:
        return 0.0
    master = psutil.Process(running.pid)
    times = master.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in master.children():
        try:
            used = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


@dataclass
class Seen:
    """What the reader met: its looks, the longest one, and answers that were half old, half new."""

    looks: int = 0
    longest: float = 0.0
    mixed: list[str] = field(default_factory=list)


@contextmanager
def reader(url: str, erp: str, keys: list[str]) -> Iterator[Seen]:
    """Asks for the same prices again and again, as a portal does, while something is loaded.

    All `keys` change in the same load, so one answer holds old batches only, or one new one.
    """
    seen, stop = Seen(), threading.Event()

    def look() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.wait(0.02):
                began = time.monotonic()
                rows = connection.execute(
                    "SELECT batch_id, count(*) FROM portal.price WHERE erp = %s "
                    "AND header_key = ANY(%s) AND min_qty = 1 AND deleted_at IS NULL GROUP BY 1",
                    (erp, keys),
                ).fetchall()
                seen.longest = max(seen.longest, time.monotonic() - began)
                seen.looks += 1
                if sum(n for _, n in rows) not in {0, len(keys)}:
                    seen.mixed.append(f"{rows}")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
