"""dlt, sling and ingestr over the same file, each in an environment of its own under var/.

They load the clean file into one table and do less: no checks, no quarantine, no history. Where
one cannot be installed it is left out, and says so. Must not touch our environment or our lock.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from bench.installation import Installation
from portal_db.databases import with_database

_PACKAGES = {
    "dlt": ("dlt[parquet,postgres]==1.31.0", "adbc-driver-manager", "adbc-driver-postgresql"),
    "sling": ("sling==1.4.11", "sling-linux-amd64==1.4.11"),
    "ingestr": ("ingestr==0.15.9",),
}


def run(
    name: str, case: str, installation: Installation, tcp: str, file: Path, rows: int
) -> dict[str, Any] | None:
    """One load by one peer, or None where it is not there. Rows, keys and the sum of the prices
    are compared with the file's.

    `tcp`: the server's URL for a tool that cannot speak by a unix socket.
    """
    python = _environment(name, installation.folder)
    if python is None:
        return None
    clean = file.with_name(file.name.replace(".csv", "_clean.csv"))
    _clean(file, clean)
    schema = f"bench_{name}"
    named = sql.Identifier(schema)
    with psycopg.connect(installation.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(named))
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA {} TO bench_peer").format(named))
        before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        url = _their_url(name, with_database(installation.url, "waybill"), tcp)
        mode = "first" if case == "first" else "merge"
        loader = str(Path(__file__).with_name("peer_load.py"))
        began = time.monotonic()
        ended, peak = _ended([str(python), loader, name, url, str(clean), schema, mode])
        seconds = time.monotonic() - began
        wal = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before
        ).fetchone()
        if ended is not None:
            print(f"{name} {case} failed: {ended[-2000:]}", file=sys.stderr)
            return None
        found = connection.execute(
            sql.SQL(
                "SELECT count(*), count(DISTINCT (header_key, min_qty)), "
                "sum(unit_price::numeric(18, 4)) FROM {}.price"
            ).format(named)
        ).fetchone()
    right = found == (rows, rows, _sum(clean))
    print(
        f"{name} {case}: {seconds:.2f} s{'' if right else ', WRONG'}", file=sys.stderr, flush=True
    )
    return {
        "seconds": seconds,
        "peak_mb": peak,
        "wal_mb": float(wal[0]) / 2**20 if wal else None,
        "right": right,
    }


def _ended(command: list[str]) -> tuple[str | None, float]:
    """What a failed command said, None where it did not fail; and its largest process, in MB."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        failed = said.read().decode(errors="replace") if process.returncode else None
    return failed, used.ru_maxrss / 1024


def _sum(clean: Path) -> Decimal:
    """All prices of a file, exactly."""
    with clean.open(encoding="utf-8", newline="") as file:
        return sum((Decimal(row["unit_price"]) for row in csv.DictReader(file)), Decimal(0))


def _their_url(name: str, url: str, tcp: str) -> str:
    """dlt takes the server's socket, if it finds a password; the others speak TCP alone."""
    start, _, socket = url.partition("?host=")
    if name == "dlt":
        return start.replace("postgres@/", f"postgres:none@{quote(socket, safe='')}/")
    return f"{tcp}?sslmode=disable"


def _environment(name: str, folder: Path) -> Path | None:
    place = folder / "peers" / name
    python = place / "bin" / "python"
    if not (place / ".ready").exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(place)], check=False)
        got = made.returncode == 0 and subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *_PACKAGES[name]],
            check=False,
            capture_output=True,
        )
        if not got or got.returncode:
            print(f"{name} is left out: it cannot be installed here", file=sys.stderr)
            return None
        (place / ".ready").touch()
    return python


def _clean(file: Path, clean: Path) -> None:
    """The same rows as the peers like them: UTF-8, decimal point, ISO dates."""
    if clean.exists():
        return
    with file.open(encoding="cp1254") as source, clean.open("w", encoding="utf-8") as target:
        next(source)
        target.write(
            "header_key,dealer_key,product_key,min_qty,unit_price,currency,valid_from,valid_to,uom\n"
        )
        for line in source:
            if line.startswith("TRL;"):
                continue
            key, dealer, product, qty, price, currency, day, end, uom = line.rstrip("\n").split(";")
            days = [f"{d[6:]}-{d[3:5]}-{d[:2]}" if d else "" for d in (day, end)]
            numbers = f"{qty.replace(',', '.')},{price.replace(',', '.')}"
            target.write(f"{key},{dealer},{product},{numbers},{currency},{','.join(days)},{uom}\n")
