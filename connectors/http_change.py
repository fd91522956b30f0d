"""Changing a record that others change, too: PATCH with the ETag that was read, never `*`.

412 means that somebody was quicker: the record is read and the difference made anew, a few times.
Must not know what the record is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec

from connectors import http_answers
from connectors.http_session import Answer, Session
from connectors.http_sign_in import sign_in_refused
from mappings.errors import (
    Misconfigured,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
    Uncertain,
    WaybillError,
)

NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What httpx raises before a byte of the request can have left."""

_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_EXACT: Final = msgspec.json.Decoder(dict[str, Any], float_hook=str)
_UNDERSTOOD: Final = frozenset({400, 404, 409, 422, 428})


def change(
    session: Session,
    url: str,
    difference: Callable[[dict[str, Any]], Mapping[str, Any] | None],
    what: str,
    *,
    tries: int = 3,
    headers: Mapping[str, str] | None = None,
) -> str | None:
    """Read the record at `url` and PATCH what `difference` says of it; None from it: nothing to do.

    Returns the record's new ETag where the ERP tells it. Raises Refused (`conflict` after `tries`
    times 412, or the ERP's own no), Misconfigured (`no_etag`), Uncertain once a byte may have
    left and no understood answer came, and as `Session.get`.
    """
    every = {**_JSON, **(headers or {})}
    for _ in range(tries):
        answer, record = session.get_checked(url, every, what, _record(what))
        wanted = difference(record)
        if wanted is None:
            return answer.headers.get("etag")
        reply = _patch(session, url, {**every, "If-Match": _etag(answer, record, what)},
                       msgspec.json.encode(wanted), what)  # fmt: skip
        if reply.is_success and not http_answers.is_html(reply, reply.content):
            return reply.headers.get("etag")
        if reply.status_code != httpx.codes.PRECONDITION_FAILED:
            raise _refusal(session, reply, what)
    raise Refused(
        f"{what}: changed by others {tries} times while we wanted to change it",
        erp=session.erp,
        code="conflict",
        remedy="Send it again later, or ask who changes it all the time.",
    )


def _record(what: str) -> Callable[[Answer], dict[str, Any]]:
    def look(answer: Answer) -> dict[str, Any]:
        try:
            return _EXACT.decode(answer.content)
        except msgspec.DecodeError:
            message = f"{what}: the answer is not one whole JSON object"
            raise Transient(message, code="truncated") from None

    return look


def _etag(answer: Answer, record: Mapping[str, Any], what: str) -> str:
    found = answer.headers.get("etag") or record.get("@odata.etag")
    if not found or found == "*":
        raise Misconfigured(
            f"{what}: the ERP hands out no ETag, so a change could overwrite another's",
            code="no_etag",
            remedy="Change it by an operation that does not replace the record.",
        )
    return str(found)


def _patch(
    session: Session, url: str, headers: Mapping[str, str], body: bytes, what: str
) -> httpx.Response:
    try:
        with session.budget.request(what):
            return session.send_once("PATCH", url, headers, body, what)
    except NOT_SENT as error:
        raise Transient(
            f"{what}: no connection ({type(error).__name__})", erp=session.erp, code="connect"
        ) from None
    except httpx.HTTPError as error:
        raise Uncertain(
            f"{what}: no answer to a change ({type(error).__name__})",
            erp=session.erp,
            code="dropped",
        ) from None


def _refusal(session: Session, reply: httpx.Response, what: str) -> WaybillError:
    said = http_answers.said_in(reply.content)
    for secret in session.secrets:
        said = said.replace(secret, "***")
    status = reply.status_code
    if status in _UNDERSTOOD:
        return Refused(f"{what}: refused ({status}{said})", erp=session.erp, code="refused")
    if status == httpx.codes.UNAUTHORIZED:
        return sign_in_refused(session.connection, session.erp, "401")
    problem = http_answers.problem(reply, reply.content, what, datetime.now(UTC))
    if isinstance(problem, Misconfigured | SourceChanged | RateLimited):
        for secret in session.secrets:
            problem.what = problem.what.replace(secret, "***")
        return problem.located(session.erp, None)
    return Uncertain(
        f"{what}: an answer to a change that says nothing ({status}{said})",
        erp=session.erp,
        code="server",
    )
