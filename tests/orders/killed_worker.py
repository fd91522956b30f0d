"""A process that delivers and kills itself at a statement: for crash tests of messages out.

Started once, it imports everything, then forks a child for each line of JSON it reads:
`{"erp": "anvil", "at": 5, "after": true}` delivers and sends itself SIGKILL after its 5th statement
(`at` 0: never). Answers a line: `{"status": …, "statements": n}`. Settings come from the
environment.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from sqlalchemy import event

import connectors.odata_send
import connectors.sftp_send
import connectors.soap_send  # noqa: F401  loaded once, before any fork: see `main`
from mappings.reading import MappingSet, read_mappings
from mappings.settings import REPOSITORY, Settings, child_environment
from portal_db.engine import open_engine
from sync.context import Context
from sync.deliver import deliver_due
from sync.landing import Landing
from tests.sync.killer import Killer, counting


class Workers:
    """Delivers in child processes that may be told when to die."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.orders.killed_worker"],
            cwd=REPOSITORY,
            env=child_environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def deliver(self, erp: str, *, at: int = 0, after: bool = False) -> dict[str, int]:
        """One call of `deliver_due`; how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"erp": erp, "at": at, "after": after}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def child(wish: dict[str, Any], count_file: Path) -> None:
    """Deliver in this (forked) process."""
    killer = Killer(int(wish["at"]), count_file, after=bool(wish["after"]))
    factory = counting(killer)
    with _context(Settings.read()) as ctx:

        @event.listens_for(ctx.engine, "connect", insert=True)
        def _count(connection: Any, _record: object) -> None:
            connection.cursor_factory = factory

        deliver_due(ctx, erp=wish["erp"])
    count_file.write_text(str(killer.statements), encoding="ascii")


@functools.cache
def _mappings() -> MappingSet:
    """Read once, by the process that forks."""
    return read_mappings(Settings.read().mappings)


def _context(settings: Settings) -> Context:
    """As `Context.open`, over mappings that are read already."""
    assert settings.database_url is not None
    engine = open_engine(settings.database_url, "sync")
    return Context(settings, engine, _mappings(), Landing(settings.landing))


def forked(wish: dict[str, Any]) -> dict[str, int]:
    """Do it in a child; how that ended."""
    with tempfile.TemporaryDirectory() as folder:
        count_file = Path(folder) / "statements"
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(wish, count_file)
                status = 0
            except BaseException as error:  # noqa: BLE001  a child must never return to the loop
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        counted = int(count_file.read_text(encoding="ascii")) if count_file.exists() else 0
        return {"status": os.waitstatus_to_exitcode(status), "statements": counted}


def main() -> None:
    """Serve wishes until the input ends."""
    _mappings()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(forked(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
