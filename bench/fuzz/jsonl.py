"""Fuzzes the reader of JSON lines: `python -m bench.fuzz.jsonl --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import JSONL, JSONL_PLAN
from bench.fuzz.drive import run

PLANS = [(JSONL_PLAN, [JSONL.encode()])]
WORDS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0000", b"\\ud800", b"-0", b"1e999", b"null",
    b"\n", b"\r", b"\xff", b'"lines":', b'{"key":', b"NaN", b"[" * 2000,
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(run("jsonl", PLANS, WORDS))
