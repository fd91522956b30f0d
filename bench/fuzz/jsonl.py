"""Fuzzes the reader of JSON lines: `python -m bench.fuzz.jsonl --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import JSONL, JSONL_DEEP_PLAN, JSONL_PLAN
from bench.fuzz.drive import run

LONG = "".join(f'{{"key":"{n}","price":{n}.5,"lines":[{{"no":{n}}}]}}\n' for n in range(40))
PLANS = [
    (plan, [JSONL.encode(), b"\xef\xbb\xbf" + JSONL.encode(), LONG.encode()])
    for plan in (JSONL_PLAN, JSONL_DEEP_PLAN)
]
WORDS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u0000", b"\\ud800", b"-0", b"1e999", b"null",
    b"\n", b"\r", b"\xff", b'"lines":', b'{"key":', b"NaN", b"[" * 2000,
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(run("jsonl", PLANS, WORDS))
