"""`python -m sandbox`: the practice ERPs of a data set, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from sandbox.dataset import load
from sandbox.runner import Practice, State, write_private


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; writes the run file once everything listens."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument(
        "--data",
        default="default",
        help="a size (default, tiny), or a folder with a data set or with the Parquet files of "
        "Wide World Importers",
    )
    parser.add_argument("--seed", type=int, default=1, help="of generated data")
    parser.add_argument("--state", type=Path, default=Path("practice"), help="folder to keep")
    parser.add_argument("--run-file", type=Path, help="where addresses and sign-ins are written")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        dataset = load(given.data, seed=given.seed)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    practice = Practice(dataset, State(given.state), f"{given.data} seed {given.seed}")
    try:
        practice.start()
        if given.run_file is not None:
            write_private(given.run_file, json.dumps(practice.describe(), indent=2))
        for erp, server in practice.servers.items():
            sys.stdout.write(f"{erp}: {server.address}\n")
        sys.stdout.write(f"faults and nights: {practice.admin}\n")
        sys.stdout.flush()
        stop.wait()
    finally:
        practice.stop()
        if given.run_file is not None:
            given.run_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
