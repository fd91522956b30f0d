"""What the connector has to see in a page of plain JSON, or of XML-RPC: records, totals, the way
on, refusals.

No value is mapped. Numbers are never floats. Must not send anything or keep state.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.formats import json_walk, xmlrpc
from connectors.http_answers import said_in
from connectors.http_sign_in import SignedOutError
from connectors.json_places import at
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    RateLimited,
    SourceChanged,
    Transient,
    WaybillError,
)
from mappings.sources.rest import LinkPaging, NumberPaging, RestErrors, RestSource, TokenPaging

_LINK = re.compile(r'<([^>]*)>\s*((?:;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^;,"]*)\s*)*)')
_REL_NEXT = re.compile(
    r';\s*rel\s*=\s*"?(?:[^";,]*\s)?next(?:\s[^";,]*)?"?\s*(?:;|$)', re.IGNORECASE
)
_SHOWN = 200
_decoder = msgspec.json.Decoder(float_hook=str)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one page says about itself."""

    records: int
    declared: int | None
    cursors: list[str]
    on: str | None
    """Token or address of the next page; for numbered pages how many there are; None: not said."""
    digest: bytes
    """Of the records alone: a server that pages in a circle sends the same ones."""


def look(content: bytes, headers: Mapping[str, str], source: RestSource) -> Seen:
    """Look into a page.

    Raises what the page says instead of records: SignedOutError, Misconfigured (`forbidden`),
    RateLimited, Transient (`truncated`, `error_in_body`), SourceChanged (`bad_request`,
    `missing_records`), BatchRefused (`encoding`).
    """
    page = _parsed(content, source.path) if source.speaks == "json" else _called(content, source)
    refusals = source.refusals
    if refusals is not None:
        _judge(page, refusals, source.path)
    records = at(page, source.records)
    if not isinstance(records, list):
        raise SourceChanged(
            f"{source.path}: the answer holds no array of records{said_in(content)}",
            code="missing_records",
            remedy="Check `records` in the mapping, and `errors` if the ERP says no in a 200.",
        )
    cursors: list[str] = []
    if source.cursor:
        values = (at(record, source.cursor) for record in records)
        cursors = [str(value) for value in values if value not in (None, "", False)]
    declared = at(page, source.count) if source.count else None
    if source.count_header:
        declared = headers.get(source.count_header)
    return Seen(
        len(records),
        _number(declared),
        cursors,
        _on(page, headers, source),
        _digest(records),
    )


def _digest(records: list[Any]) -> bytes:
    try:
        text = msgspec.json.encode(records)
    except (TypeError, UnicodeEncodeError):  # numbers and half pairs of the slower reader
        text = json_walk.compact(records).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()


def _parsed(content: bytes, what: str) -> Any:  # noqa: ANN401  any JSON
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return _decoder.decode(content)
    except UnicodeDecodeError as error:
        message = f"{what}: the page is not UTF-8: {error.reason}"
        raise BatchRefused(message, code="encoding") from None
    except (msgspec.DecodeError, RecursionError):
        try:  # a number or a text that the quick reader does not hold
            return json_walk.parsed(content.decode("utf-8"))
        except (ValueError, RecursionError):
            message = f"{what}: the answer is not whole JSON"
            raise Transient(message, code="truncated") from None


def _called(content: bytes, source: RestSource) -> Any:  # noqa: ANN401  any JSON
    try:
        return xmlrpc.parsed(content)
    except xmlrpc.NotWholeError:
        message = f"{source.path}: the answer is not whole XML"
        raise Transient(message, code="truncated") from None
    except xmlrpc.NotXmlRpcError as error:
        raise SourceChanged(
            f"{source.path}: the answer is none of XML-RPC ({error})",
            code="missing_records",
            remedy="Check `path` of the source and `service_root` of the connection.",
        ) from None


def _on(page: Any, headers: Mapping[str, str], source: RestSource) -> str | None:  # noqa: ANN401  any JSON
    paging = source.page
    found: Any = None
    if isinstance(paging, LinkPaging):
        if not paging.next:
            return next_link(headers.get("link", ""))
        found = at(page, paging.next)
    elif isinstance(paging, TokenPaging):
        found = at(page, paging.next)
    elif isinstance(paging, NumberPaging) and paging.pages:
        found = at(page, paging.pages)
    return None if found in (None, "", False) else str(found)


def next_link(header: str) -> str | None:
    """The address with rel="next" of a Link header; None where there is none."""
    for found in _LINK.finditer(header):
        if _REL_NEXT.search(found.group(2)):
            return found.group(1)
    return None


def _judge(page: Any, errors: RestErrors, what: str) -> None:  # noqa: ANN401  any JSON
    found = at(page, errors.path)
    if found in (None, "", False, []) or found == {}:
        return
    code = str(at(page, errors.code)) if errors.code else str(found)[:_SHOWN]
    if code in errors.ok:
        return
    text = at(page, errors.text) if errors.text else None
    said = " ".join(f"{code}: {text}".split() if text else code.split())[:_SHOWN]
    if code in errors.expired:
        raise SignedOutError(said)
    raise _refusal(code, said, errors, what)


def _refusal(code: str, said: str, errors: RestErrors, what: str) -> WaybillError:
    if code in errors.throttled:
        return RateLimited(f"{what}: too many requests ({said})", code="rate_limit")
    if code in errors.passing:
        return Transient(f"{what}: the ERP failed ({said})", code="error_in_body")
    if code in errors.denied:
        return Misconfigured(
            f"{what}: not allowed ({said})",
            code="forbidden",
            remedy="Give the connection's account the right to read it.",
        )
    return SourceChanged(
        f"{what}: the ERP refuses the question ({said})",
        code="bad_request",
        remedy="Compare the mapping's source with what the ERP offers.",
    )


def _number(value: object) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    text = str(value).strip()
    return int(text) if text.isdecimal() else None
