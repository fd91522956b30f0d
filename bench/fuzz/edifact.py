"""Fuzzes the EDIFACT reader: `python -m bench.fuzz.edifact --seconds 600`."""

from __future__ import annotations

import sys

from bench.fuzz.documents import EDIFACT, plan
from bench.fuzz.drive import run

ALL = ["missing_terminator", "leading_text", "long_una"]
PLANS = [
    (
        plan(
            {"kind": "edifact", "message": "PRICAT", "records": records, **more},
            f"{up}CUX[2]/1.2",
            "UNA/1",
            *own,
        ),
        [EDIFACT.encode("latin-1"), EDIFACT.replace("UNA:+,? '\n", "").encode("latin-1")],
    )
    for records, up, own in (
        ("LIN/PRI", "../../", ("PRI/1.2", "RNG/2.2", "../IMD/3.4[]")),
        ("LIN", "../", ("LIN/3.1", "PIA[2.2=SA]/2.1")),
        (".", "", ("BGM/2",)),
    )
    for more in ({}, {"tolerate": ALL, "groups": {"PRI": ["RNG"]}})
]
WORDS = [
    b"'", b"+", b":", b"?", b"?'", b"UNA", b"UNA:+.? '", b"UNB+", b"UNZ+1+PC1'", b"UNH+1+PRICAT'",
    b"UNT+4+1'", b"UNS+S'", b"LIN+", b"PRI+", b"\xe9", b"\x81", b"\r\n", b"*", b"UNG+'", b"UNE+'",
]  # fmt: skip

if __name__ == "__main__":
    sys.exit(run("edifact", PLANS, WORDS))
