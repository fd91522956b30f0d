"""OData's $batch as multipart/mixed, the form of version 2 and of older services of version 4.

A group is a change set: a part of parts, answered by as many, or by one answer where it failed as
a whole. Must not decide what an operation means, and must not send by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from email.errors import MessageDefect
from email.message import Message
from email.parser import BytesParser
from itertools import groupby
from typing import Any, Final, cast

import msgspec

from connectors.odata_batch import (
    EXACT,
    Operation,
    Result,
    must_be_sound,
    untold,
    with_victims,
)

_BATCH: Final = "batch_waybill"
_GET: Final = "GET"
_STATUS: Final = re.compile(rb"HTTP/\d\.\d (\d{3})\b[^\r\n]*\r?\n")


def request_body(operations: Sequence[Operation]) -> tuple[str, bytes]:
    """(media type, body) of the request. Changes without a group are a change set each.

    ValueError: none, too many, an id twice, a group torn apart, a GET in a group.
    """
    must_be_sound(operations)
    if any(one.method == _GET and one.group is not None for one in operations):
        message = "a change set holds no GET"
        raise ValueError(message)
    parts = [_part(found) for found in _sets(operations)]
    body = b"".join(b"--%b\r\n%b\r\n" % (_BATCH.encode(), part) for part in parts)
    return f"multipart/mixed; boundary={_BATCH}", body + b"--%b--\r\n" % _BATCH.encode()


def results(
    operations: Sequence[Operation], media_type: str, content: bytes, what: str
) -> list[Result]:
    """The result of every operation, in their order. One whose change set failed has its error.

    Raises Uncertain where the answer does not tell of each: some may have happened.
    """
    found: list[Result] = []
    sets = list(_sets(operations))
    try:
        parts = _parts(b"Content-Type: " + media_type.encode("latin-1") + b"\r\n\r\n" + content)
        for asked, part in zip(sets, parts, strict=True):
            found += _answers(asked, part)
    except (msgspec.DecodeError, MessageDefect, ValueError, KeyError):
        raise untold(what) from None
    return with_victims(operations, found)


def _sets(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Operations that are one part of the request: a change set, or one GET."""
    for _, found in groupby(enumerate(operations), lambda n: n[1].group or n[0]):
        yield [one for _, one in found]


def _part(found: list[Operation]) -> bytes:
    if found[0].method == _GET:
        return _request(found[0])
    boundary = f"changeset_{found[0].id}".encode()
    inner = b"".join(b"--%b\r\n%b\r\n" % (boundary, _request(one)) for one in found)
    head = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n" % boundary
    return head + inner + b"--%b--\r\n" % boundary


def _request(one: Operation) -> bytes:
    headers = {"Accept": "application/json", **one.headers}
    body = b""
    if one.body is not None:
        body = json.dumps(one.body, ensure_ascii=False).encode()
        headers.setdefault("Content-Type", "application/json")
        headers["Content-Length"] = str(len(body))
    lines = [
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        f"Content-ID: {one.id}",
        "",
        f"{one.method} {one.url} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


# the answer


def _parts(data: bytes) -> list[Message]:
    """The parts of a multipart message. Raises ValueError where it is none, or not whole."""
    message = BytesParser().parsebytes(data)
    inner = message.get_payload()
    if not message.is_multipart() or message.defects or not isinstance(inner, list):
        defects = ", ".join(type(one).__name__ for one in message.defects)
        text = f"no whole multipart message ({defects})"
        raise ValueError(text)
    return cast("list[Message]", inner)


def _answers(asked: list[Operation], part: Message) -> Iterator[Result]:
    """What one part says of the operations of one set."""
    if part.get_content_maintype() != "multipart":
        status, body = _response(part)
        if len(asked) > 1 and status < 400:  # noqa: PLR2004  one answer for all is a refusal
            text = "one good answer for several operations"
            raise ValueError(text)
        yield from (Result(one.id, status, body) for one in asked)
        return
    payload = part.get_payload()
    if part.defects or not isinstance(payload, list) or len(payload) != len(asked):
        text = "a change set that is not answered whole"
        raise ValueError(text)
    inner = cast("list[Message]", payload)
    named = {one["Content-ID"]: one for one in inner}
    by_name = set(named) == {one.id for one in asked}
    for place, one in enumerate(asked):
        status, body = _response(named[one.id] if by_name else inner[place])
        yield Result(one.id, status, body)


def _response(part: Message) -> tuple[int, Any]:
    """Status and JSON body of an application/http part."""
    if part.get_content_type() != "application/http":
        text = f"a part of {part.get_content_type()}"
        raise ValueError(text)
    content = part.get_payload(decode=True)
    told = _STATUS.match(content) if isinstance(content, bytes) else None
    if told is None or not isinstance(content, bytes):
        text = "a part without a status"
        raise ValueError(text)
    inside = BytesParser().parsebytes(content[told.end() :])
    body = inside.get_payload(decode=True)
    if not isinstance(body, bytes) or not body.strip():
        return int(told[1]), None
    length = inside["Content-Length"]
    if length is not None and len(body.rstrip()) > int(length):
        text = "a body longer than it says"
        raise ValueError(text)
    found = EXACT.decode(body)
    return int(told[1]), found.get("d", found) if set(found) == {"d"} else found
