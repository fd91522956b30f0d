"""Fuzzes packed files, zip and gzip: `python -m bench.fuzz.packed --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import CSV, gzipped, plan, zipped
from bench.fuzz.drive import run

PLAIN = CSV.encode()
FORM = {"kind": "csv", "quoted_newlines": True}
LIMITS = {"most_bytes": 20_000_000, "most_ratio": 200}
PLANS = [
    (
        plan(FORM, "KOD", unpack={"kind": "zip", "member": "*.csv", "most": 3, **LIMITS}),
        [zipped({"a.csv": PLAIN, "b.csv": PLAIN, "c.txt": b"x"}), zipped({"a.csv": PLAIN * 300})],
    ),
    (
        plan(FORM, "KOD", unpack={"kind": "gzip", **LIMITS}),
        [gzipped(PLAIN), gzipped(PLAIN) + gzipped(b"4;d;1\r\n"), gzipped(PLAIN * 300)],
    ),
]
WORDS = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b\x08", b"\xff\xff\xff\xff", b"\0\0"]

if __name__ == "__main__":
    sys.exit(run("packed", PLANS, WORDS))
