"""Fuzzes the Excel reader: `python -m bench.fuzz.excel --seconds 600`.

Half of the cases spoil the sheet's XML inside a sound archive, half the archive's bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile

from bench.fuzz.documents import plan
from bench.fuzz.drive import run
from tests.connectors.formats.xlsx import error, formula, number, text, xlsx

ROWS = (
    (text("KOD"), text("FIYAT"), text("TARIH")),
    (text("007"), number("13.75"), number("46053", 1)),
    (number("8690000000001"), formula("1+1", "2"), number("46053.5", 2)),
    (),
    (text("X"), error("#N/A"), formula("A1*2", None)),
)
WHOLE = xlsx(*ROWS)


def stored(data: bytes) -> bytes:
    """The same archive without compression: a spoiled byte is a spoiled letter of its XML."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return target.getvalue()


PLANS = [(plan({"kind": "excel"}, "KOD", "FIYAT", "TARIH"), [WHOLE, stored(WHOLE)])]
WORDS = [
    b"<c ",
    b"<row ",
    b"<v>",
    b"</v>",
    b't="s"',
    b't="e"',
    b'r="XFD1048576"',
    b"&#x1F;",
    b"PK\x01\x02",
]

if __name__ == "__main__":
    sys.exit(run("excel", PLANS, WORDS))
