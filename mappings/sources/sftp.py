"""The words of a file source: which files, when they are whole, how they are written.

Declares; the wire is `connectors/sftp.py`, the bytes are read by `connectors/formats/`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict


class Trailer(Strict):
    """The last record of a CSV file: proof that the file is whole and adds up."""

    starts_with: str = Field(description="first column of the trailer record, e.g. TRL")
    count: int | None = Field(
        default=None, description="column number (1 = first) of the record count"
    )
    total: int | None = Field(default=None, description="column number of the control total")
    total_of: str | None = Field(default=None, description="data column that the total adds up")
    decimal: Literal["comma", "point"] = Field(default="point", description="decimal mark of both")


class CsvFormat(Strict):
    """How a CSV file is written; nothing is sniffed."""

    kind: Literal["csv"]
    delimiter: str = ";"
    encoding: str = "utf-8"
    quote: str = '"'
    header: bool = True
    columns: tuple[str, ...] = Field(
        default=(), description="column names where there is no header"
    )
    trailer: Trailer | None = None
    quoted_newlines: bool = Field(default=False, description="fields may hold line breaks")


class XmlFormat(Strict):
    """How an XML file is written. `records` is a path of local names below the root."""

    kind: Literal["xml"]
    records: str = Field(
        description="path from the root element to the repeated record; . = the root itself"
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="prefix to URI for the paths of this mapping"
    )


class SftpSource(Strict):
    """Files in one folder of a server (`sftp`), or of this machine (`files`)."""

    protocol: Literal["sftp", "files"]
    files: str = Field(description="path with a pattern in its last segment, e.g. out/prices_*.csv")
    format: CsvFormat | XmlFormat = Field(discriminator="kind")
    pick: Literal["latest", "all"] = Field(
        default="latest", description="latest: one whole extract; all: every file there is"
    )
    order: str | None = Field(
        default=None,
        description="regular expression whose first group orders the files (a number or a date)",
    )
    marker: str | None = Field(
        default=None,
        description="suffix of the end marker, e.g. .done; without it size and time must be stable",
    )
