"""The words of a SOAP source. Declares; the wire is `connectors/soap.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict


class SoapPaging(Strict):
    """Pages by a token that each answer hands out for the next request; no token ends it."""

    request: str = Field(
        description="request element that carries the token, path from the operation's root"
    )
    response: str = Field(
        description="answer element that holds the next token; absent or empty at the end"
    )
    size_request: str | None = Field(None, description="request element for the page size")
    size: int | None = Field(None, description="records per page to ask for")


class SoapSource(Strict):
    """One operation of the ERP's WSDL whose answer holds records."""

    protocol: Literal["soap"]
    operation: str = Field(description="operation name in the WSDL")
    records: str = Field(description="path from the answer's root element to the repeated record")
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="prefix to URI, for paths that use a prefix"
    )
    request: dict[str, str] = Field(default_factory=dict, description="fixed request elements")
    page: SoapPaging | None = None
    count: str | None = Field(
        None, description="answer element declaring how many records there are in all"
    )
    since: str | None = Field(
        None, description="request element that takes the cursor (delta feeds)"
    )
    cursor: str | None = Field(
        None, description="record element whose largest value is the next cursor"
    )
    error: str | None = Field(
        None, description="answer element that holds a business error code inside HTTP 200"
    )
    error_text: str | None = Field(None, description="answer element with that error's text")
    error_ok: tuple[str, ...] = Field((), description="codes of `error` that mean success")
