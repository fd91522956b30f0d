"""dlt, sling and ingestr over the same file, each in an environment of its own under var/.

They load the clean file into one table and do less: no checks, no quarantine, no history. Where
one cannot be installed it is left out, and says so. Must not touch our environment or our lock.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from bench.installation import Installation
from portal_db.databases import with_database

_PACKAGES = {
    "dlt": ("dlt[parquet,postgres]==1.31.0", "adbc-driver-manager", "adbc-driver-postgresql"),
    "sling": ("sling==1.4.11", "sling-linux-amd64==1.4.11"),
    "ingestr": ("ingestr==0.15.9",),
}
_KEY = "header_key,min_qty"


def run(
    name: str, case: str, installation: Installation, file: Path, rows: int
) -> dict[str, Any] | None:
    """One load by one peer, or None where it is not there. The end state's size is compared."""
    python = _environment(name, installation.folder)
    if python is None:
        return None
    clean = file.with_name(file.name.replace(".csv", "_clean.csv"))
    _clean(file, clean)
    table = f"bench_{name}"
    with psycopg.connect(installation.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table}")  # pyright: ignore[reportArgumentType, reportCallIssue]
        before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        url = _their_url(name, with_database(installation.url, "waybill"))
        mode = "first" if case == "first" else "merge"
        began = time.monotonic()
        ended = subprocess.run(
            [
                str(python),
                str(Path(__file__).with_name("peer_load.py")),
                name,
                url,
                str(clean),
                table,
                mode,
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - began
        wal = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before
        ).fetchone()
        if ended.returncode:
            print(f"{name} {case} failed: {ended.stderr[-2000:]}", file=sys.stderr)
            return None
        counted = connection.execute(
            f"SELECT count(*), count(DISTINCT ({_KEY})) FROM {table}.price"  # pyright: ignore[reportArgumentType, reportCallIssue]
        ).fetchone()
    print(f"{name} {case}: {seconds:.2f} s", file=sys.stderr, flush=True)
    return {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "wal_mb": float(wal[0]) / 2**20 if wal else None,
        "right": bool(counted) and counted == (rows, rows),
    }


def _their_url(name: str, url: str) -> str:
    """The server's socket as the peer takes it, who also expects a host, or a password."""
    start, _, socket = url.partition("?host=")
    if name == "dlt":
        return start.replace("postgres@/", f"postgres:none@{quote(socket, safe='')}/")
    return f"{start.replace('postgres@/', 'postgres:none@localhost/')}?host={socket}"


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
