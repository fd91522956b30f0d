"""EDIFACT bytes for tests, and what the reader makes of them."""

from __future__ import annotations

import io
from typing import Any

from connectors.formats import read_page
from connectors.formats.raw import Broken, Interchange, RawChunk, ReadPlan
from mappings.sources.sftp import EdifactFormat, SftpSource

UNB = "UNB+UNOC:3+S:14+R:14+261121:0530+"


def form(**words: Any) -> EdifactFormat:
    return EdifactFormat(**{"kind": "edifact", "message": "PRICAT", "records": "LIN", **words})


def source(**words: Any) -> SftpSource:
    return SftpSource(protocol="sftp", files="x", format=form(**words))


def message(
    number: int | str, *segments: str, kind: str = "PRICAT", count: int | None = None
) -> str:
    """A message with a right count, unless another is said."""
    said = len(segments) + 2 if count is None else count
    body = "".join(f"{segment}'" for segment in segments)
    return f"UNH+{number}+{kind}:D:96A:UN'{body}UNT+{said}+{number}'"


def lines(*prices: str) -> list[str]:
    """A line and a price each."""
    found: list[str] = []
    for number, price in enumerate(prices, 1):
        found += [f"LIN+{number}++A{number}:EN", f"PRI+AAA:{price}"]
    return found


def interchange(
    *messages: str, control: str = "C1", una: str = "", count: int | None = None, end: str = "'"
) -> str:
    """An interchange with a right count, unless another is said."""
    said = len(messages) if count is None else count
    return f"{una}{UNB}{control}'{''.join(messages)}UNZ+{said}+{control}{end}"


PATHS = ("LIN/3.1", "PRI/1.2", "UNA/1")


class Read:
    """Everything that a read gave."""

    def __init__(
        self,
        data: str | bytes,
        paths: tuple[str, ...] = PATHS,
        written_in: str = "latin-1",
        **words: Any,
    ) -> None:
        content = data.encode(written_in) if isinstance(data, str) else data
        plan = ReadPlan("price", source(**words), paths)
        self.rows: dict[int, tuple[str | None, ...]] = {}
        self.broken: list[Broken] = []
        self.controls: list[str] = []
        self.remarks: list[str] = []
        for one in read_page(io.BytesIO(content), plan, 1, {}):
            if isinstance(one, RawChunk):
                values = zip(*(c.to_pylist() for c in one.columns.columns), strict=True)
                self.rows |= dict(zip(one.record_no.to_pylist(), values, strict=True))
            elif isinstance(one, Broken):
                self.broken.append(one)
            elif isinstance(one, Interchange):
                self.controls.append(one.control)
            else:
                self.remarks.append(getattr(one, "code", ""))
