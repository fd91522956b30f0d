"""JSON in and out: exact numbers as text, errors with a code and a remedy, never a trace.

Must not decide anything.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from mappings.errors import Misconfigured, Transient, WaybillError

STATUS: dict[str, int] = {
    "not_found": 404,
    "no_route": 404,
    "incomplete": 400,
    "keys": 400,
    "product": 422,
    "blocked": 422,
    "stock": 409,
    "state": 409,
    "price_changed": 409,
    "idempotency": 422,
    "mapping": 404,
}
"""Code of a refusal → HTTP status. What is not here is 422."""


class Plain(Response):
    """JSON whose decimals are text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - any JSON
        """The bytes of one answer."""
        return json.dumps(content, default=plain, ensure_ascii=False).encode()


def plain(value: object) -> object:
    """What json does not know, as text: never a float."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)


def refusal(error: WaybillError) -> Plain:
    """An error that we foresaw, for whoever called."""
    if isinstance(error, Transient):
        status = 503
    elif isinstance(error, Misconfigured) and error.code not in STATUS:
        status = 500
    else:
        status = STATUS.get(error.code, 422)
    body: dict[str, object] = {"error": error.code, "says": error.what}
    if error.remedy:
        body["remedy"] = error.remedy
    detail = getattr(error, "detail", None)
    if detail:
        body["detail"] = detail
    return Plain(body, status_code=status)
