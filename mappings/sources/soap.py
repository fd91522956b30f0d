"""The words of a SOAP source. Declares; the wire is `connectors/soap.py`.

A path of an answer begins below the first element of its body; one that begins with `/` at the
envelope (`/Header/Paging/Next`), for ERPs that answer in the header too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mappings.sources.base import Strict
from mappings.sources.sftp import CsvFormat, XmlFormat


class SoapPaging(Strict):
    """Pages by a token that each answer hands out for the next request; no token ends it."""

    request: str = Field(
        description="request element that carries the token, path from the operation's root"
    )
    response: str = Field(
        description="answer element that holds the next token; absent or empty at the end"
    )
    size_request: str | None = Field(default=None, description="request element for the page size")
    size: int | None = Field(default=None, description="records per page to ask for")
    operation: str | None = Field(
        default=None,
        description="operation of all pages but the first, where it is another one; it is sent "
        "the token and the page's number alone (NetSuite's searchMoreWithId)",
    )
    index_request: str | None = Field(
        default=None,
        description="request element for the page's number, 1 = first; the token may then stay "
        "the same, and `pages` says where to end",
    )
    pages: str | None = Field(default=None, description="answer element: how many pages there are")


class SoapSource(Strict):
    """One operation of the ERP's WSDL whose answer holds records."""

    protocol: Literal["soap"]
    operation: str = Field(description="operation name in the WSDL")
    records: str = Field(
        description="path from the answer's root element to the repeated record, or to the element "
        "whose text is the `payload`"
    )
    payload: Annotated[CsvFormat | XmlFormat, Field(discriminator="kind")] | None = Field(
        default=None,
        description="the records are a text inside that element (escaped or CDATA): its form",
    )
    references: bool = Field(
        default=False,
        description="elements of the answer point at others by `href` or `ref` (rpc/encoded with "
        "multiRef, as Axis 1 writes); paths read as if each stood in its place",
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="prefix to URI, for paths that use a prefix"
    )
    request: dict[str, str] = Field(default_factory=dict, description="fixed request elements")
    page: SoapPaging | None = None
    count: str | None = Field(
        default=None, description="answer element declaring how many records there are in all"
    )
    since: str | None = Field(
        default=None, description="request element that takes the cursor (delta feeds)"
    )
    cursor: str | None = Field(
        default=None, description="record element whose largest value is the next cursor"
    )
    volatile: tuple[str, ...] = Field(
        default=(),
        description="answer elements outside the records that are made anew for each answer (a "
        "time stamp, a search id); with the paging token they are left out when a batch is "
        "compared with the last one, so that the same records count as the same bytes",
    )
    error: str | None = Field(
        default=None, description="answer element that holds a business error code inside HTTP 200"
    )
    error_text: str | None = Field(
        default=None, description="answer element with that error's text"
    )
    error_ok: tuple[str, ...] = Field(default=(), description="codes of `error` that mean success")

    @model_validator(mode="after")
    def _one_way(self) -> SoapSource:
        if self.references and self.payload is not None:
            message = "`references` and `payload` exclude each other: a text holds no element"
            raise ValueError(message)
        return self
