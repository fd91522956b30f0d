"""A process that does one verb of the engine and kills itself at a statement: for crash tests.

Started once, it imports everything, then forks a child for each line of JSON it reads:
`{"verb": "load", "batch": 3, "at": 17, "after": true}` loads batch 3 and sends itself SIGKILL
after its 17th statement (`at` 0: never). Answers a line: `{"status": …, "statements": n}`, where
a killed child has status -9. Settings come from the environment that each wish brings along: one
process serves all tests of a module, because what it imports takes seconds.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import event

from mappings.settings import Settings
from sync.context import Context
from sync.load import load
from sync.pull import pull
from sync.retry import retry_waiting
from tests.sync.killer import Killer, counting


def child(wish: dict[str, Any], count_file: Path) -> None:
    """One verb in this (forked) process."""
    killer = Killer(int(wish.get("at", 0)), count_file, after=bool(wish.get("after")))
    factory = counting(killer)
    with Context.open(Settings.read(wish["environment"])) as ctx:

        @event.listens_for(ctx.engine, "connect", insert=True)
        def _count(connection: Any, _record: object) -> None:
            connection.cursor_factory = factory

        if wish["verb"] == "load":
            load(ctx, int(wish["batch"]))
        elif wish["verb"] == "pull":
            pull(ctx, wish["erp"], wish["feed"])
        elif wish["verb"] == "retry":
            retry_waiting(ctx, wish["erp"], wish["feed"])
    count_file.write_text(str(killer.statements), encoding="ascii")


def main() -> None:
    """Serve wishes until the input ends."""
    for line in sys.stdin:
        wish = json.loads(line)
        if wish["verb"] == "warm":  # imports what a load imports late, before anything is forked
            with Context.open(Settings.read(wish["environment"])) as ctx:
                load(ctx, int(wish["batch"]))
            answer = {"status": 0, "statements": 0}
        else:
            answer = forked(wish)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


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
        if "announce" in wish:
            Path(wish["announce"]).write_text(str(pid), encoding="ascii")
        _, status = os.waitpid(pid, 0)
        counted = int(count_file.read_text(encoding="ascii")) if count_file.exists() else 0
        return {"status": os.waitstatus_to_exitcode(status), "statements": counted}


if __name__ == "__main__":
    main()
