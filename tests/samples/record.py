"""Writes what comes of the sample documents: `python -m tests.samples.record`; then review it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.erps.samples import EXPECTED_HEADER, write_rows
from tests.samples.test_samples import CASES, came

if __name__ == "__main__":
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            case.expected.parent.mkdir(exist_ok=True)
            write_rows(case.expected, EXPECTED_HEADER, came(case, Path(folder)))
