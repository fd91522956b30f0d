"""Why a page of XML is not read, and what to do. Must not read anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.formats.xml_feed import ENCODING_ERRORS
from mappings.errors import BatchRefused

if TYPE_CHECKING:
    from lxml import etree


_CUT_ERRORS: Final = frozenset({4, 77})
"""libxml2: document empty, tag not finished. Other errors at the very end of a page are a cut too,
unless the page ends as a whole one does."""


def is_cut(error: etree.XMLSyntaxError, tail: bytes) -> bool:
    """Whether the page's end is missing. `tail`: its last bytes, to tell a cut from a fault."""
    ends = error.code in _CUT_ERRORS or not tail.rstrip().endswith(b">")
    return ends and error.code not in ENCODING_ERRORS


def cut(error: etree.XMLSyntaxError) -> BatchRefused:
    """The page's end is missing."""
    return BatchRefused(
        f"the XML ends in the middle: {error.msg}",
        code="truncated",
        remedy="Pull the page again.",
    )


def endless(size: int) -> BatchRefused:
    """No record ended within `size` bytes."""
    return BatchRefused(
        f"no end of a record within {size:,} bytes",
        code="too_large",
        remedy="Check `records` of the source, or ask the ERP for smaller records.",
    )


def doctype() -> BatchRefused:
    """A DOCTYPE is never read."""
    return BatchRefused(
        "the XML carries a DOCTYPE, which is never read",
        code="doctype",
        remedy="Ask the ERP's owner to send it without one.",
    )


def refused(error: etree.XMLSyntaxError) -> BatchRefused:
    """Not well-formed, or not in the encoding that it declares."""
    line, column = error.position
    if error.code in ENCODING_ERRORS:
        return BatchRefused(
            f"the bytes are not in the declared encoding (line {line}, column {column})",
            code="encoding",
            remedy="Ask the ERP's owner to declare the encoding it writes.",
        )
    return BatchRefused(
        f"the XML is not well-formed (line {line}, column {column}): {error.msg}",
        code="malformed",
        remedy="Look at the landed page, then ask the ERP's owner.",
    )
