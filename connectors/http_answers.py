"""What an HTTP answer means for a run: every bad one as a class of `mappings.errors`.

Knows status codes, error bodies and Retry-After; sends nothing and keeps no state. Texts that come
from the server are shortened here and must be cleared of secrets by the caller.
"""

from __future__ import annotations

import json
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from mappings.errors import Misconfigured, RateLimited, SourceChanged, Transient, WaybillError

# Vendors that answer 400 or 403 where they mean 429.
_THROTTLE = re.compile(
    r"SSS_REQUEST_LIMIT_EXCEEDED|ConcurrentRequestLimit|TooManyRequests|RATE_?LIMIT|throttl|"
    r"request limit exceeded|quota exceeded",
    re.IGNORECASE,
)
# Vendors whose interface costs extra and who say so with a 403.
_PLAN = re.compile(r"\b(your|custom|pricing|subscription) plan\b|not licen[cs]ed", re.IGNORECASE)
_SAMPLE = 4096
_PASSING = frozenset({408, 425, 500, 502, 504})
_SHOWN = 200


def problem(answer: httpx.Response, body: bytes, what: str, now: datetime) -> WaybillError | None:
    """The error that an answer other than 401 stands for; None where it may be data.

    `what` names the request for the operator (`Prices`). `now` is used for a Retry-After date
    where the server tells no date of its own.
    """
    status = answer.status_code
    if answer.is_success:
        if is_html(answer, body):
            return Transient(
                f"{what}: an HTML page with status {status} instead of data", code="html"
            )
        return None
    said = said_in(body)
    if status == httpx.codes.TOO_MANY_REQUESTS or (status in {400, 403} and _THROTTLE.search(said)):
        return RateLimited(
            f"{what}: too many requests ({status}{said})",
            retry_after=retry_after(answer, now),
            code="rate_limit",
        )
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        wait = retry_after(answer, now)
        if wait is not None:
            return RateLimited(
                f"{what}: out of service (503{said})", retry_after=wait, code="maintenance"
            )
        return Transient(f"{what}: out of service (503{said})", code="maintenance")
    if status in _PASSING or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        if status == httpx.codes.NOT_IMPLEMENTED:
            return Misconfigured(
                f"{what}: the ERP cannot answer this query (501{said})",
                code="not_implemented",
                remedy="Leave out of the mapping what the ERP does not support.",
            )
        return Transient(f"{what}: the ERP failed ({status}{said})", code="server")
    text = body[:_SAMPLE].decode("utf-8", "replace")
    return _refusal(answer, status, said, what, text)


def _refusal(
    answer: httpx.Response, status: int, said: str, what: str, body_text: str
) -> WaybillError:
    if answer.is_redirect:
        target = httpx.URL(answer.headers.get("location", "")).host or "another address"
        return Misconfigured(
            f"{what}: the address redirects to {target} ({status})",
            code="redirect",
            remedy="Put the final address into the connection.",
        )
    if status == httpx.codes.NOT_FOUND:
        return SourceChanged(
            f"{what}: not there (404{said})",
            code="missing_entity",
            remedy="Check `entity` or `path` in the mapping and `service_root` of the connection.",
        )
    if status == httpx.codes.GONE:
        return SourceChanged(
            f"{what}: the ERP forgot where we were (410{said})",
            code="gone",
            remedy="Read the feed from its beginning.",
        )
    if status in {402, 403} and _PLAN.search(body_text):
        return Misconfigured(
            f"{what}: the ERP's contract does not include its interface ({status}{said})",
            code="plan",
            remedy="Ask the ERP's owner for a plan with API access.",
        )
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return SourceChanged(
            f"{what}: the ERP refuses what is asked (422{said})",
            code="unprocessable",
            remedy="Correct the query of the mapping's source; asking again cannot help.",
        )
    if status == httpx.codes.FORBIDDEN:
        return Misconfigured(
            f"{what}: not allowed (403{said})",
            code="forbidden",
            remedy="Give the connection's account the right to read it.",
        )
    if status == httpx.codes.BAD_REQUEST:
        return SourceChanged(
            f"{what}: the ERP does not understand the query (400{said})",
            code="bad_request",
            remedy="Compare `filter`, `cursor` and `expand` with the ERP's metadata.",
        )
    return Misconfigured(f"{what}: refused ({status}{said})", code="refused")


def _host(error: httpx.HTTPError) -> str:
    """Host and port that were called; never the rest of the address, which may hold a secret."""
    try:
        url = error.request.url
    except RuntimeError:
        return ""
    return f" to {url.host}:{url.port}" if url.port else f" to {url.host}"


def broken_wire(error: httpx.HTTPError | httpx.InvalidURL, what: str) -> WaybillError:
    """The error that a failure below HTTP stands for."""
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return Misconfigured(
            f"{what}: not an address that can be called",
            code="address",
            remedy="Correct the addresses of the connection.",
        )
    if _is_certificate(error):
        return Misconfigured(
            f"{what}: the server's certificate is not trusted",
            code="security",
            remedy="Check the server; `ca_file` of the connection names an authority of your own.",
        )
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return Transient(f"{what}: no connection{_host(error)}", code="connect")
    if isinstance(error, httpx.TimeoutException):
        return Transient(f"{what}: no answer in time", code="timeout")
    if isinstance(error, httpx.DecodingError):
        return Transient(f"{what}: a compressed answer that cannot be unpacked", code="truncated")
    return Transient(f"{what}: the connection broke", code="dropped")


def is_html(answer: httpx.Response, body: bytes) -> bool:
    """True for a page meant for people, whatever its status says."""
    if "html" in answer.headers.get("content-type", ""):
        return True
    return body[:256].lstrip()[:1] == b"<" and b"<methodResponse" not in body[:_SAMPLE]


def retry_after(answer: httpx.Response, now: datetime) -> float | None:
    """Seconds to wait, from Retry-After in seconds or as a date; None where it does not say.

    A date is measured against the server's own clock where the answer tells it.
    """
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    since = server_at(answer) or now
    return max(0.0, (until - since).total_seconds())


def server_at(answer: httpx.Response) -> datetime | None:
    """The server's clock, where the answer tells it."""
    return _http_date(answer.headers.get("date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def said_in(body: bytes) -> str:
    """`, code: message` out of an OData, OAuth or plain error body; '' for anything else."""
    try:
        found = json.loads(body[:65536])
    except ValueError:
        return ""
    error = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(error, str):
        parts = [error, found.get("error_description")]
    elif isinstance(error, dict):
        message = error.get("message")
        if isinstance(message, dict):
            message = message.get("value")
        data = error.get("data")  # JSON-RPC tells more there
        if isinstance(data, dict):
            message = data.get("message") or message
        parts = [error.get("code") or error.get("name"), message]
        parts += [
            one.get("o:errorCode")
            for one in found.get("o:errorDetails", ())
            if isinstance(one, dict)
        ]
    else:
        return ""
    text = ": ".join(" ".join(str(part).split()) for part in parts if part)
    return f", {text[:_SHOWN]}" if text else ""
