"""`$WAYBILL_HOME/run.json`: who runs this installation now, and at which addresses.

Holds no secret. Written by `waybill up`, removed when it ends; one left behind by a killed `up`
is recognised, because it no longer holds the lock. Must not: start or stop anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from mappings.errors import WaybillError
from mappings.private_files import locked, write_private
from mappings.settings import Settings


@dataclass(frozen=True, slots=True)
class Run:
    """A running installation. `addresses`: name → URL; `started_at`: ISO 8601, UTC."""

    pid: int
    started_at: str
    addresses: dict[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """One line for people: who, since when, where."""
        where = ", ".join(f"{name} at {url}" for name, url in self.addresses.items())
        return f"process {self.pid}, since {self.started_at}" + (f": {where}" if where else "")


class AlreadyRunning(WaybillError):
    """Somebody runs this installation already; `run` says who and where, if it is known yet."""

    def __init__(self, what: str, *, run: Run | None = None, remedy: str | None = None) -> None:
        super().__init__(what, code="already_running", remedy=remedy)
        self.run = run

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The error that says who runs the installation of these settings."""
        run = read_run(settings)
        return cls(
            f"{settings.home} is in use: {run.describe() if run else 'it is just starting'}",
            run=run,
            remedy="Stop it with `waybill stop`, or set another WAYBILL_HOME.",
        )


def up_lock(settings: Settings) -> Path:
    """The file whose lock `waybill up` holds for as long as it lives."""
    return settings.home / "up.lock"


def read_run(settings: Settings) -> Run | None:
    """Who runs this installation now; None where nobody does."""
    if not settings.home.exists():
        return None
    try:
        with locked(up_lock(settings), shared=True, wait=False):
            return None  # nobody holds it: the file, if there is one, was left behind
    except BlockingIOError:
        return _read(settings)


def write_run(settings: Settings, run: Run) -> None:
    """Say who runs. Only the holder of the lock may."""
    write_private(settings.run_file, json.dumps(asdict(run), indent=2) + "\n")


def remove_run(settings: Settings) -> None:
    """Nobody runs any more. Only the holder of the lock may say so."""
    settings.run_file.unlink(missing_ok=True)


def _read(settings: Settings) -> Run | None:
    try:
        return Run(**json.loads(settings.run_file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
