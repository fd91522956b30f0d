"""How files are written: the words of every format that a file source may name.

Declares only; the bytes are read by the module of `connectors/formats/` that has the format's
`kind` as its name. Nothing is sniffed. Must not import anything heavy.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mappings.sources.base import Strict

Mark = Literal["comma", "point"]


class Trailer(Strict):
    """The last record of a CSV file: proof that the file is whole and adds up."""

    starts_with: str = Field(description="first column of the trailer record, e.g. TRL")
    count: int | None = Field(
        default=None, description="column number (1 = first) of the record count"
    )
    total: int | None = Field(default=None, description="column number of the control total")
    total_of: str | None = Field(default=None, description="data column that the total adds up")
    decimal: Mark = Field(default="point", description="decimal mark of both")


class CsvFormat(Strict):
    """How a CSV file is written; nothing is sniffed."""

    kind: Literal["csv"]
    delimiter: str = ";"
    encoding: str = "utf-8"
    quote: str = '"'
    header: bool = True
    columns: tuple[str, ...] = Field(
        default=(),
        description="column names where there is no header; with one, the names expected in it",
    )
    drift: Literal["report", "refuse", "ignore"] = Field(
        default="report",
        description="what happens where the header is not `columns`: noted, refused, or nothing",
    )
    misread: tuple[str, ...] = Field(
        default=(),
        description="texts that betray a wrong encoding (Ã¼, þ): their records are quarantined",
    )
    trailer: Trailer | None = None
    quoted_newlines: bool = Field(default=False, description="fields may hold line breaks")


class Cut(Strict):
    """One column of a fixed-width record, in characters; `start` 1 is the first."""

    start: int = Field(ge=1, description="place of its first character, 1 = first")
    length: int = Field(ge=1, description="how many characters")


class FixedTrailer(Strict):
    """The last record of a fixed-width file, cut at places of its own."""

    starts_with: str = Field(description="what the trailer record begins with, e.g. 99")
    count: Cut | None = Field(default=None, description="where the record count stands")
    total: Cut | None = Field(default=None, description="where the control total stands")
    total_of: str | None = Field(default=None, description="column that the total adds up")
    decimal: Literal["comma", "point", "hundredths"] = Field(
        default="point", description="how total and column are written; hundredths: no mark"
    )


class FixedFormat(Strict):
    """How a file of fixed-width records is written, a record a line or `width` characters."""

    kind: Literal["fixed"]
    columns: dict[str, Cut] = Field(description="our name of each column and where it is cut out")
    width: int | None = Field(
        default=None, ge=1, description="length of a record; with it, another length is quarantined"
    )
    lines: bool = Field(
        default=True, description="a record a line; false: `width` characters without line ends"
    )
    encoding: str = "utf-8"
    starts_with: str | None = Field(
        default=None, description="only records that begin so; the others are told, not read"
    )
    strip: bool = Field(default=True, description="spaces that fill a column up fall away")
    trailer: FixedTrailer | None = None


class XmlFormat(Strict):
    """How an XML file is written. `records` is a path of local names below the root."""

    kind: Literal["xml"]
    records: str = Field(
        description="path from the root element to the repeated record; . = the root itself"
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="prefix to URI for the paths of this mapping"
    )


class FacturxFormat(Strict):
    """An invoice's XML inside its PDF (ZUGFeRD, Factur-X); its paths are those of XML."""

    kind: Literal["facturx"]
    records: str = Field(default=".", description="as of an XML file; . = one invoice a file")
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="prefix to URI for the paths of this mapping"
    )
    names: tuple[str, ...] = Field(
        default=("factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"),
        description="names that the attached XML may have; exactly one must be there",
    )


class JsonLinesFormat(Strict):
    """A JSON object a line, UTF-8. Paths are as in JSON pages."""

    kind: Literal["jsonl"]


class ExcelFormat(Strict):
    """One sheet of an Excel file (xlsx, xlsb, xls) or of OpenDocument, values as last saved."""

    kind: Literal["excel"]
    sheet: str | None = Field(default=None, description="its name; without it the only sheet")
    header: bool = True
    header_row: int = Field(default=1, ge=1, description="row of the names, 1 = first")
    columns: tuple[str, ...] = Field(
        default=(), description="column names where there is no header"
    )


class EdifactFormat(Strict):
    """UN/EDIFACT messages of one type. What no UNA says, this partner's profile says."""

    kind: Literal["edifact"]
    message: str = Field(description="PRICAT, INVRPT, INVOIC, ORDRSP, DESADV …; others are told")
    records: str = Field(
        default=".",
        description=". = the message, LIN = its lines, LIN/PRI = each price of a line",
    )
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="segment that begins a group: the segments that may follow in it "
        "(empty: all, up to the next of its kind)",
    )
    decimal: Mark = Field(default="point", description="decimal mark where there is no UNA")
    encoding: str | None = Field(
        default=None, description="where UNB's syntax identifier says nothing true (UNOC as UTF-8)"
    )
    tolerate: tuple[Literal["missing_terminator", "leading_text", "long_una"], ...] = Field(
        default=(), description="faults of this partner that are reported and read all the same"
    )


class DatanormFormat(Strict):
    """DATANORM 4 or 5: article records (A) with the B, D and Z records that follow them."""

    kind: Literal["datanorm"]
    records: str = Field(default="A", description="A = articles, A/Z = each price of an article")
    encoding: str = "cp850"
    version: Literal["4", "5"] = Field(description="what the file's first record must say")


class Unpack(Strict):
    """The file is packed; what is inside is read, up to these limits."""

    kind: Literal["zip", "gzip"]
    member: str = Field(default="*", description="zip: which files in it, by pattern, by name")
    most: int = Field(default=1, ge=1, description="zip: how many files may match")
    most_bytes: int = Field(
        default=4 * 1024**3, ge=1, description="unpacked bytes in all; more is refused"
    )
    most_ratio: int = Field(
        default=200, ge=1, description="unpacked to packed bytes, from one megabyte on"
    )
    most_entries: int = Field(default=10_000, ge=1, description="zip: entries in its directory")


FileFormat = Annotated[
    CsvFormat
    | FixedFormat
    | XmlFormat
    | FacturxFormat
    | JsonLinesFormat
    | ExcelFormat
    | EdifactFormat
    | DatanormFormat,
    Field(discriminator="kind"),
]
