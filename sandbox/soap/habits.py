"""What differs between SOAP ERPs of one kind: the way in, the wire's form, how pages follow.

Declares only.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

NAMESPACE = "urn:practice:erp:portal"


@dataclass(frozen=True)
class Habits:
    """One ERP's ways; the defaults are those of Anvil."""

    sign_in: Literal["wsse", "basic", "bearer", "api_key", "session", "passport", "request"] = (
        "wsse"
    )
    sessions: int = 2
    """How many sessions one account may have open at once."""
    version: Literal["1.1", "1.2"] = "1.1"
    style: Literal["document", "rpc"] = "document"
    references: bool = False
    """Whatever has children is written behind the answer and referred to (Axis 1: multiRef)."""
    any_request: bool = False
    """Requests take what they take by xsd:any."""
    answer: Literal["plain", "cdata", "escaped", "mtom"] = "plain"
    """cdata, escaped: the records are a text inside the list's element. mtom: multipart."""
    header: bool = False
    """The declared count and the next token stand in the SOAP header."""
    paging: Literal["token", "search"] = "token"
    """search: a search id that stays, and an operation of its own for further pages."""
    namespace: str = NAMESPACE
    clock: timedelta = timedelta()
    """How far its clock is ahead."""
    tls: ssl.SSLContext | None = None

    @property
    def envelope(self) -> str:
        """Namespace of its SOAP version."""
        if self.version == "1.2":
            return "http://www.w3.org/2003/05/soap-envelope"
        return "http://schemas.xmlsoap.org/soap/envelope/"

    @property
    def media_type(self) -> str:
        """Of its answers."""
        kind = "application/soap+xml" if self.version == "1.2" else "text/xml"
        return f"{kind}; charset=utf-8"
