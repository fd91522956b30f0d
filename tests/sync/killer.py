"""Kills its own process at a chosen statement, as a power cut would: for crash tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psycopg


class Killer:
    """Counts statements; at the chosen one the process is gone, as by a power cut."""

    def __init__(self, at: int, count_file: Path, *, after: bool) -> None:
        self.at, self.after, self.count_file = at, after, count_file
        self.statements = 0

    def __enter__(self) -> None:
        self.statements += 1
        if self.statements == self.at and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)

    def __exit__(self, *exc: object) -> None:
        if self.statements == self.at and self.after:
            os.kill(os.getpid(), signal.SIGKILL)


def counting(killer: Killer) -> type[psycopg.Cursor[Any]]:
    """A cursor whose every statement passes the killer."""

    class Counting(psycopg.Cursor[Any]):
        def execute(self, *args: Any, **more: Any) -> Any:
            with killer:
                return super().execute(*args, **more)

        def executemany(self, *args: Any, **more: Any) -> Any:
            with killer:
                return super().executemany(*args, **more)

        def copy(self, *args: Any, **more: Any) -> Any:
            with killer:
                return super().copy(*args, **more)

    return Counting
