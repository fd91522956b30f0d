"""What each fault of `sandbox.faults` looks like in this ERP's answers."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.odata.entities import Entity
from sandbox.odata.rows import Record

HTML = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Please wait</body></html>"
UNTIL_THE_END = 3600.0
RETRY_SECONDS = 1


def error(status: int, code: str, message: str, **headers: str) -> JSONResponse:
    """An error as OData writes it."""
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers=headers)


async def instead(name: str, seconds: float, *, retry_date: bool) -> Response | None:
    """The answer that a fault puts in place of ours; None where it only delays or spoils it."""
    if name == "slow":
        await asyncio.sleep(seconds)
    elif name == "hang":
        await asyncio.sleep(UNTIL_THE_END)
    elif name == "rate_limit":
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        wait = format_datetime(until, usegmt=True) if retry_date else str(round(seconds))
        return error(
            429, "Application_TooManyRequests", "Too many requests.", **{"Retry-After": wait}
        )
    elif name == "maintenance":
        return HTMLResponse(HTML, status_code=503)
    elif name == "html_200":
        return HTMLResponse(HTML)
    elif name == "business_error":
        return error(200, "Internal_ServerError", "The posting period is closed.")
    return None


def spoil(name: str, body: dict[str, Any], entity: Entity, request: Request) -> None:
    """Change a page in place as a fault wants it."""
    found: list[Record] = body["value"]
    if name == "empty":
        body["value"] = []
        body.pop("@odata.nextLink", None)
        if "@odata.count" in body:
            body["@odata.count"] = 0
    elif name == "repeated_link":
        body["@odata.nextLink"] = str(request.url)
    elif name == "count_mismatch" and "@odata.count" in body:
        body["@odata.count"] += 1
    elif name == "schema_changed":
        old = _renamed(entity)
        for record in found:
            record[f"{old}New"] = record.pop(old, None)
    elif name == "bad_rows":
        for record, (name_of, value) in zip(found, _bad_values(entity), strict=False):
            record[name_of] = value


class Nothing(Response):
    """No answer at all: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The server closes a connection whose answer was cut off after its head."""
        del scope, receive
        head = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"", "more_body": True})


class CutShort(Response):
    """Half of an answer: as a whole one (`truncated`), or the connection ends with it (`drop`)."""

    def __init__(self, whole: Response, *, whole_length: bool) -> None:
        super().__init__(status_code=whole.status_code)
        body = bytes(whole.body)
        self.half = body[: len(body) // 2]
        length = len(body) if whole_length else len(self.half)
        kept = [pair for pair in whole.raw_headers if pair[0] != b"content-length"]
        self.raw_headers = [*kept, (b"content-length", str(length).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the half; an answer that is not completed makes the server close the connection."""
        del scope, receive
        whole = dict(self.raw_headers)[b"content-length"] == str(len(self.half)).encode()
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.half, "more_body": not whole})


def _renamed(entity: Entity) -> str:
    names = [one.name for one in entity.properties if one.name not in entity.key]
    return "UnitPrice" if "UnitPrice" in names else names[0]


def _bad_values(entity: Entity) -> Iterable[tuple[str, str | None]]:
    """A bad number, an impossible date, a missing key: one for each of the first records."""
    for edm, bad in (("Edm.Decimal", "12,5O"), ("Edm.Date", "2026-02-30")):
        for one in entity.properties:
            if one.edm == edm:
                yield one.name, bad
                break
    yield entity.key[0], None
