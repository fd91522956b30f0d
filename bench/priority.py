"""Lets everything that is measured run before the machine's other work, psql and peers alike.

Linux schedules by session ("autogroup"), and every backend of PostgreSQL opens one of its own: so
the processes are looked up again and again while the block lasts. Only root may; elsewhere
nothing happens and the results say so. Must not touch a process outside the bench and its server.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from portal_db import server

_NICE = "-20"
_LOOK_SECONDS = 0.02


@contextlib.contextmanager
def before_others(home: Path, *, wanted: bool) -> Iterator[bool]:
    """Yields whether it was granted; until the block ends, new processes get it within 20 ms."""
    if not wanted or not _lift(os.getpid()):
        yield False
        return
    stop = threading.Event()

    def look() -> None:
        done: set[tuple[int, float]] = set()
        while not stop.wait(_LOOK_SECONDS):
            for one in _server(home):
                with contextlib.suppress(psutil.Error):
                    name = (one.pid, one.create_time())
                    if name not in done and _lift(one.pid):
                        done.add(name)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield True
    finally:
        stop.set()
        thread.join()


def _server(home: Path) -> list[psutil.Process]:
    running = server.running(home)
    if running is None:
        return []
    try:
        master = psutil.Process(running.pid)
        return [master, *master.children()]
    except psutil.Error:
        return []


def _lift(pid: int) -> bool:
    try:
        (Path("/proc") / str(pid) / "autogroup").write_text(_NICE, encoding="ascii")
    except OSError:
        return False
    return True
