"""What an ERP can be asked for, out of its own description or a sample: for a new mapping.

Reads a WSDL, `$metadata`, an OpenAPI document, a page of JSON or XML, or a CSV file, and gives
plain data: listings with their columns, and the words of a mapping's source. Must not guess what a
column means, and reaches no address but the one it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors import open_connector
from mappings.connection import Connection
from mappings.errors import Misconfigured
from mappings.sources import SftpSource

Hint = Literal["text", "number", "int", "date", "instant", "bool"]


@dataclass(frozen=True, slots=True)
class Listing:
    """Records that can be read. `columns`: path in the record → what its type says (may be '').

    `children`: path of repeated records inside → their columns. `words`: a mapping's `source`.
    `content`: the sample's own bytes where the listing was found in one.
    """

    name: str
    words: Mapping[str, Any]
    columns: Mapping[str, str]
    children: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    expand: Mapping[str, str] = field(default_factory=dict)
    """Path of a child → what must be asked for with it ($expand)."""
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Description:
    """What was found, and what a connection to it would hold, without any secret."""

    kind: Literal["wsdl", "odata", "openapi", "json", "xml", "csv"]
    protocol: str
    connection: Mapping[str, Any]
    listings: tuple[Listing, ...]
    notes: tuple[str, ...] = ()


def describe(location: str, erp: str, connection: Connection | None) -> Description:
    """`location`: an http(s) URL, `sftp:folder/pattern` of the connection, or a file.

    Raises Misconfigured (code `not_described`) for what is none of these, and what the wire raises.
    """
    if location.startswith("sftp:"):
        files = location.removeprefix("sftp:")
        found = _of_bytes(_over_sftp(files, erp, connection), location, erp)
        (listing,) = found.listings  # a file is one: its pattern is what was asked for
        return replace(found, listings=(replace(listing, words={**listing.words, "files": files}),))
    if not location.startswith(("http://", "https://")):
        path = Path(location)
        if not path.is_file():
            raise Misconfigured(
                f"there is no file {location}",
                code="not_described",
                remedy="Give a file, an http address, or sftp:folder/pattern.",
            )
        return _of_bytes(path.read_bytes(), location, erp)
    if urlsplit(location).query.lower() == "wsdl" or urlsplit(location).path.endswith(".wsdl"):
        from connectors.describe_wsdl import of_wsdl  # noqa: PLC0415  wire libraries when needed

        return of_wsdl(location, erp, connection)
    return _of_bytes(_over_http(location, erp, connection), location, erp)


def _over_http(location: str, erp: str, connection: Connection | None) -> bytes:
    """One document; without a connection nobody signs in."""
    known = connection or anonymous(location, erp)
    with open_connector(known, "odata", erp) as connector:
        return b"".join(connector.fetch(location))


def anonymous(location: str, erp: str) -> Connection:
    """A connection to an address that asks for no sign-in."""
    parts = urlsplit(location)
    root = f"{parts.scheme}://{parts.netloc}"
    return Connection(id=erp, type="http", host=parts.hostname or "", port=parts.port,
                      extra={"service_root": root})  # fmt: skip


def _over_sftp(pattern: str, erp: str, connection: Connection | None) -> bytes:
    if connection is None:
        raise Misconfigured(
            "files over SFTP need a connection first",
            code="not_described",
            remedy=f'Write connection "{erp}" into connections.json, or use --connection.',
        )
    told = {"protocol": "sftp", "files": pattern, "format": {"kind": "csv"}}
    with open_connector(connection, "sftp", erp) as connector:
        pages = connector.read(SftpSource.model_validate(told), None)
        try:
            page = next(pages, None)
            return b"" if page is None else b"".join(page.content)
        finally:
            pages.close()


def _of_bytes(content: bytes, location: str, erp: str) -> Description:
    from connectors import describe_http, describe_sample, describe_wsdl  # noqa: PLC0415  as above

    start = content[:4096].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(b"<"):
        if b"schemas.xmlsoap.org/wsdl" in content[:65536]:
            return describe_wsdl.of_wsdl(location, erp, None)
        if b"Edmx" in content[:65536]:
            return describe_http.of_metadata(content, location)
        return describe_sample.of_xml(content, location)
    if start.startswith((b"{", b"[")):
        openapi = describe_http.of_openapi(content, location)
        return openapi or describe_sample.of_json(content, location)
    if b"openapi:" in start or b"swagger:" in start:
        found = describe_http.of_openapi(content, location)
        if found is not None:
            return found
    if not content.strip():
        raise Misconfigured(
            f"{location} is empty", code="not_described", remedy="Give a sample with some records."
        )
    return describe_sample.of_csv(content, location)
