"""The words of a file source: which files, and when they are whole.

How they are written is said in `formats.py`. Declares; the wire is `connectors/sftp.py`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict
from mappings.sources.formats import (
    CsvFormat,
    DatanormFormat,
    EdifactFormat,
    ExcelFormat,
    FacturxFormat,
    FileFormat,
    FixedFormat,
    JsonLinesFormat,
    Trailer,
    Unpack,
    XmlFormat,
)

__all__ = [
    "CsvFormat",
    "DatanormFormat",
    "EdifactFormat",
    "ExcelFormat",
    "FacturxFormat",
    "FixedFormat",
    "JsonLinesFormat",
    "SftpSource",
    "Trailer",
    "Unpack",
    "XmlFormat",
]


class SftpSource(Strict):
    """Files in one folder of a server (`sftp`), or of this machine (`files`)."""

    protocol: Literal["sftp", "files"]
    files: str = Field(description="path with a pattern in its last segment, e.g. out/prices_*.csv")
    format: FileFormat
    unpack: Unpack | None = Field(default=None, description="the files are packed")
    pick: Literal["latest", "all"] = Field(
        default="latest",
        description="latest: one whole extract; all: every file there is, in a delta every file "
        "behind the last one read",
    )
    order: str | None = Field(
        default=None,
        description="regular expression whose first group orders the files (a number or a date)",
    )
    gapless: bool = Field(
        default=False,
        description="the group of `order` counts up by one: a missing number stops the feed",
    )
    again: int = Field(
        default=0,
        ge=0,
        description="delta: so many files before the last one are looked at again, for new "
        "content under an old name",
    )
    marker: str | None = Field(
        default=None,
        description="suffix of the end marker, e.g. .done; without it size and time must be stable",
    )
    marker_minutes: int = Field(
        default=60,
        ge=0,
        description="how long a file may wait for its marker before that is a fault of the export",
    )
