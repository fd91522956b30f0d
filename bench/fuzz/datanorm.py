"""Fuzzes the DATANORM reader: `python -m bench.fuzz.datanorm --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import DATANORM, plan
from bench.fuzz.drive import run

PLANS = [
    (plan({"kind": "datanorm", "version": "5", "records": way}, *paths), [DATANORM.encode("cp850")])
    for way, paths in (("A", ("A/2", "A/8")), ("A/Z", ("../A/2", "Z/11")))
]
WORDS = [b";", b"\r\n", b"A;N;", b"Z;N;2TOP;", b"B;N;", b"E;3;", b"V;050;", b"\0", b"\x1a", b"P;"]

if __name__ == "__main__":
    sys.exit(run("datanorm", PLANS, WORDS))
