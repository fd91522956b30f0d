"""The same price file over SFTP: our whole pipeline from an sshd on loopback, beside psql's COPY.

`python -m bench.over_sftp --rows 2000000 --json FILE`. Needs OpenSSH's server. Must not compare
values: `bench` does that.
"""

from __future__ import annotations

import argparse
import getpass
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.__main__ import ROOT, make_files
from bench.installation import Installation
from bench.priority import before_others
from bench.subject import Subject
from bench.wire_sftp import server

CASES = ("first", "same_bytes", "same_rows", "changed_1")


def main() -> None:
    """Every case once a round, psql's COPY before each."""
    parser = argparse.ArgumentParser(prog="bench.over_sftp", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    parser.add_argument("--folder", default=str(ROOT / "var" / "bench"))
    given = parser.parse_args()
    folder = Path(given.folder)
    files = make_files(folder, given.rows, ("first", "same_rows", "changed_1", "clean"))
    found: dict[str, list[tuple[float, float]]] = {}
    installation = Installation(folder)
    try:
        with before_others(installation.home, wanted=given.priority):
            for number in range(given.rounds):
                _round(installation, f"sftp{number}", files, found)
    finally:
        installation.close()
    items: list[dict[str, Any]] = [
        {
            "case": f"sftp_{case}",
            "rows": given.rows,
            "seconds": round(statistics.median(one for one, _ in taken), 2),
            "ratio": round(statistics.median(one / limit for one, limit in taken), 2),
        }
        for case, taken in found.items()
    ]
    print(json.dumps(items, indent=1))
    if given.json:
        given.json.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")


def _round(
    installation: Installation,
    erp: str,
    files: dict[str, Path],
    found: dict[str, list[tuple[float, float]]],
) -> None:
    with tempfile.TemporaryDirectory(prefix="waybill-sftp-") as name:
        place = Path(name)
        (place / "files").symlink_to(installation.folder / "exports" / erp)
        with server(place) as (port, host):
            sign_in = {"host_key": host, "private_key_file": str(place / "mine")}
            installation.add_erp(
                erp, "sftp", conn_type="sftp", host="127.0.0.1", port=port,
                login=getpass.getuser(), extra=sign_in,
            )  # fmt: skip
            with Subject(installation) as subject:
                for feed in ("customers", "products"):
                    subject.run(erp, feed)
                for case in CASES:
                    began = time.monotonic()
                    subprocess.run(installation.psql_copy(files["clean"]), check=True)
                    limit = time.monotonic() - began
                    installation.offer(erp, files["first" if case == "same_bytes" else case])
                    answer = subject.run(erp, "prices")
                    if answer["state"] != "done" or not answer["agrees"]:
                        message = f"{case}: {answer}"
                        raise RuntimeError(message)
                    found.setdefault(case, []).append((answer["seconds"], limit))
                    print(f"{case}: {answer['seconds']:.2f} s / {limit:.2f} s", file=sys.stderr)
    installation.forget_prices(erp)


if __name__ == "__main__":
    main()
