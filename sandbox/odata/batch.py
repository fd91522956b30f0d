"""The OData ERP's $batch: an order and its lines as one transaction, in JSON or multipart.

Written from the standard's side, with nothing of our own connector in it. Knows no socket.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any, cast

from starlette.responses import JSONResponse, Response

LARGEST = 100
Take = Callable[[str, Any, str | None], Response]
"""(entity, body, idempotency key) → the answer that a request of its own would get."""


@dataclass(frozen=True)
class Asked:
    """One operation."""

    name: str
    url: str
    body: Any
    key: str | None


def answer(media_type: str, content: bytes, take: Take) -> Response:
    """What the whole $batch is answered: one document, and what belongs to it."""
    multipart = media_type.startswith("multipart/mixed")
    asked = _of_parts(media_type, content) if multipart else _of_json(content)
    if not 0 < len(asked) <= LARGEST:
        text = {"error": {"code": "BadRequest", "message": "1 to 100 operations"}}
        return JSONResponse(text, status_code=400)
    first, *below = asked
    body = dict(first.body)
    for one in below:
        place, _, path = one.url.partition("/")
        if place != f"${first.name}":
            text = {"error": {"code": "BadRequest", "message": f"{one.url} is nowhere"}}
            return JSONResponse(text, status_code=400)
        body.setdefault(path, []).append(one.body)
    done = take(first.url, body, first.key)
    told = json.loads(bytes(done.body))
    if done.status_code >= 400:  # noqa: PLR2004  refused
        statuses = [(done.status_code, told)] + [(424, {})] * len(below)
        return _parts([(done.status_code, told, "")]) if multipart else _json(asked, statuses)
    lines = told.pop("OrderLines", [])
    good = [(201, told), *((201, line) for line in lines)]
    if not multipart:
        return _json(asked, good)
    return _parts([(s, b, one.name) for one, (s, b) in zip(asked, good, strict=True)], whole=True)


def _of_json(content: bytes) -> list[Asked]:
    return [
        Asked(
            one["id"],
            one["url"],
            one.get("body"),
            {k.lower(): v for k, v in one.get("headers", {}).items()}.get("idempotency-key"),
        )
        for one in json.loads(content)["requests"]
    ]


def _of_parts(media_type: str, content: bytes) -> list[Asked]:
    whole = message_from_bytes(b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + content)
    found = []
    for part in whole.walk():
        if part.get_content_type() != "application/http":
            continue
        text = cast("bytes", part.get_payload(decode=True))
        line, _, rest = text.partition(b"\r\n")
        inner = message_from_bytes(rest)
        body = cast("bytes", inner.get_payload(decode=True))
        url = line.split(b" ")[1].decode()
        found.append(Asked(part["Content-ID"], url, json.loads(body), inner["Idempotency-Key"]))
    return found


def _json(asked: list[Asked], told: list[tuple[int, Any]]) -> Response:
    found = [
        {"id": one.name, "status": status, "body": body}
        for one, (status, body) in zip(asked, told, strict=True)
    ]
    return JSONResponse({"responses": list(reversed(found))})  # in any order, as the standard says


def _parts(told: list[tuple[int, Any, str]], *, whole: bool = False) -> Response:
    """A change set answered part by part (`whole`), or by one refusal for all of it."""
    texts = []
    for status, body, name in told:
        content = json.dumps(body)
        named = f"Content-ID: {name}\r\n" if name else ""
        texts.append(
            f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{named}\r\n"
            f"HTTP/1.1 {status} Done\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n{content}\r\n"
        )
    inside = "".join(f"--set\r\n{text}" for text in texts) + "--set--\r\n"
    part = f"Content-Type: multipart/mixed; boundary=set\r\n\r\n{inside}" if whole else texts[0]
    return Response(
        f"--answer\r\n{part}--answer--\r\n", media_type="multipart/mixed; boundary=answer"
    )
