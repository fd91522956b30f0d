"""A document out of a SOAP answer: base64 in an element, or a part that the element points at.

Must not call anything.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lxml import etree

from connectors.formats.mime import Multipart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.soap_body import Body

_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"


def document(body: Body, answered: str) -> Iterator[bytes]:
    """The document's bytes; `answered` is the local name of the element that holds it.

    Raises LookupError where there is none, ValueError where it cannot be read (its text goes on
    after "the document").
    """
    boundary = _boundary(body)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    envelope = b"".join(body if boundary is None else _part(body, boundary, 0))
    element = etree.fromstring(envelope, parser).find(f".//{{*}}{answered}")
    include = None if element is None else element.find(_INCLUDE)
    if boundary is not None and include is not None:
        number = _number(body, boundary, include.get("href") or "")
        yield from _part(body, boundary, number)
        return
    if element is None or not element.text:
        raise LookupError(answered)
    try:
        yield base64.b64decode("".join(element.text.split()), validate=True)
    except binascii.Error:
        message = "is not base64"
        raise ValueError(message) from None


def _boundary(body: Body) -> bytes | None:
    """Of an answer in parts, by its first line."""
    first = next(iter(body), b"").lstrip(b"\r\n")
    return first[2:].split(b"\r\n", 1)[0] if first.startswith(b"--") else None


def _part(body: Body, boundary: bytes, wanted: int) -> Iterator[bytes]:
    parts = Multipart(boundary)
    for piece in body:
        for number, content in parts.feed(piece):
            if number == wanted:
                yield content


def _number(body: Body, boundary: bytes, href: str) -> int:
    """Which part a `cid:` address means."""
    parts = Multipart(boundary)
    for piece in body:
        for _ in parts.feed(piece):
            pass
    wanted = unquote(href.removeprefix("cid:"))
    for number, headers in enumerate(parts.headers):
        if headers.get("content-id", "").strip("<>") == wanted:
            return number
    message = f"points at {href}, which is no part of the answer"
    raise ValueError(message)
