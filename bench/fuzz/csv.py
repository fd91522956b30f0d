"""Fuzzes the CSV reader: `python -m bench.fuzz.csv --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import CSV, csv_plan
from bench.fuzz.drive import run

TRAILER = {"starts_with": "TRL", "count": 2, "total": 3, "total_of": "FİYAT", "decimal": "comma"}
PLANS = [
    (csv_plan(encoding=encoding, quoted_newlines=newlines, **more), [CSV.encode(encoding)])
    for encoding in ("cp1254", "utf-8", "utf-16")
    for newlines in (True, False)
    for more in ({"trailer": TRAILER}, {"misread": ("ğü", "Ã")})
]
WORDS = [b";", b'"', b'""', b"\r", b"\n", b"\r\n", b"\0", b"\x1a", b"TRL", b"\xef\xbb\xbf", b"\x81"]

if __name__ == "__main__":
    sys.exit(run("csv", PLANS, WORDS))
