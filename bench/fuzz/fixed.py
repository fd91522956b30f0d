"""Fuzzes the fixed-width reader: `python -m bench.fuzz.fixed --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import FIXED, plan
from bench.fuzz.drive import run

FORM = {
    "kind": "fixed",
    "width": 22,
    "columns": {"key": {"start": 3, "length": 10}, "price": {"start": 13, "length": 10}},
}
TRAILER = {
    "starts_with": "99",
    "count": {"start": 3, "length": 6},
    "total": {"start": 13, "length": 10},
    "total_of": "price",
    "decimal": "hundredths",
}
PLANS = [
    (plan({**FORM, "encoding": encoding, **more}, "key", "price"), [FIXED.encode()])
    for encoding in ("cp1254", "utf-8")
    for more in ({"trailer": TRAILER, "starts_with": "01"}, {})
] + [(plan({**FORM, "lines": False}, "key", "price"), [FIXED.replace("\r\n", "").encode()])]
WORDS = [b"\r\n", b"\n", b"\r", b"\0", b"\x1a", b"99", b"01", b"\xef\xbb\xbf", b"\xff\xfe"]

if __name__ == "__main__":
    sys.exit(run("fixed", PLANS, WORDS))
