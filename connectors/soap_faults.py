"""SOAP faults and HTTP answers by what happens next: the classes of `mappings.errors`.

Must not send anything. Texts of the ERP are shortened and cleared of secrets before they are said.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from mappings.errors import (
    Misconfigured,
    RateLimited,
    SourceChanged,
    Transient,
    WaybillError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mappings.connection import Connection

_AUTH: Final = re.compile(
    r"FailedAuthentication|InvalidSecurity|InvalidSecurityToken|Unauthori[sz]ed|AccessDenied|InvalidCredentials|Authentication",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"MessageExpired|ExpiredMessage|InvalidTimestamp", re.IGNORECASE)
_SESSION: Final = re.compile(
    r"Session(Expired|Invalid|Timed?Out|NotFound)|InvalidSession", re.IGNORECASE
)
SENDERS_FAULT: Final = re.compile(r"(^|:)(Client|Sender)\b")
_SEARCH: Final = re.compile(r"Search(Id)?(Expired|Invalid|NotFound)|InvalidSearch", re.IGNORECASE)
_LIMIT: Final = re.compile(
    r"RequestLimit|RateLimit|Throttl|TooManyRequests|LimitExceeded", re.IGNORECASE
)
_UNKNOWN: Final = re.compile(
    r"unknown operation|operation .*not (found|supported|known)|not understood", re.IGNORECASE
)
_SHOWN: Final = 300


def at_the_door(code: str) -> bool:
    """Does a fault's code say that nothing was done: an unknown session, or the sender's fault?

    A server that speaks of a session in its text alone may have been at work already.
    """
    return _SESSION.search(code) is not None or SENDERS_FAULT.search(code) is not None


class SessionExpiredError(Exception):
    """The ERP knows the session no more; sign in again and go on, once."""


class Wording:
    """How this ERP's messages are worded: with its remedy, without its secrets."""

    def __init__(self, connection: Connection, erp: str) -> None:
        self.erp = erp
        self._id = connection.id
        self._secrets = sorted(connection.secrets, key=len, reverse=True)

    def hide(self, secret: str) -> None:
        """Never show this either: a session's token."""
        self._secrets = sorted({*self._secrets, secret}, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """The ERP's own words: one line, short, no secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_SHOWN]

    def sign_in(self, why: str) -> Misconfigured:
        """Sign-in refused."""
        return Misconfigured(
            f"sign-in refused ({self.clean(why)})",
            erp=self.erp,
            code="auth",
            remedy=f'Update login and password of connection "{self._id}", then retry.',
        )

    def broken(self, what: str, code: str) -> Transient:
        """Something that may work in a moment."""
        return Transient(
            self.clean(what),
            erp=self.erp,
            code=code,
            remedy="It is tried again by itself; if it stays, ask the ERP's operator.",
        )

    def fault(
        self, operation: str, code: str, text: str, at: datetime | None
    ) -> WaybillError | SessionExpiredError:
        """The error for a SOAP fault; `at` is the ERP's clock, for the skew."""
        said = f"{operation}: {code}: {text}"
        if _CLOCK.search(code):
            return Misconfigured(
                f"{self.clean(said)}; our clocks differ by {_skew(at)}",
                erp=self.erp,
                code="auth_clock",
                remedy="Set both clocks by a time server.",
            )
        if _SESSION.search(code) or _SESSION.search(text):
            return SessionExpiredError(self.clean(said))
        if _SEARCH.search(code):
            return self.broken(f"{said}. The search has to begin anew", "search_expired")
        if _LIMIT.search(code):
            return RateLimited(self.clean(said), erp=self.erp, code="rate_limited")
        if _AUTH.search(code):
            return self.sign_in(said)
        return self._plain_fault(said, code.rpartition(":")[2].partition(".")[0], text)

    def _plain_fault(self, said: str, local: str, text: str) -> WaybillError:
        """By SOAP's own code: whose fault it is."""
        if local in ("Client", "Sender"):
            if _UNKNOWN.search(text):
                return SourceChanged(
                    self.clean(said),
                    erp=self.erp,
                    code="operation",
                    remedy="Compare the mapping's operation with the ERP's current WSDL.",
                )
            return Misconfigured(
                self.clean(said),
                erp=self.erp,
                code="fault",
                remedy="Compare the mapping's request with what the ERP's owner documents.",
            )
        if local in ("VersionMismatch", "MustUnderstand"):
            return Misconfigured(self.clean(said), erp=self.erp, code="fault")
        return self.broken(said, "fault")

    def business(self, operation: str, code: str, text: str) -> Misconfigured:
        """A business error inside HTTP 200: asking again cannot help."""
        return Misconfigured(
            f"{operation} was refused by the ERP: {self.clean(code)} {self.clean(text)}".rstrip(),
            erp=self.erp,
            code="business_error",
            remedy="Settle it in the ERP or correct the mapping's request, then retry.",
        )

    def status(
        self, operation: str, status: int, media_type: str, headers: Mapping[str, str]
    ) -> WaybillError | None:
        """The error of an HTTP answer, judged before any of its body is read; None where none.

        A status 500 with XML is None: its body holds the fault.
        """
        said = f"{operation}: HTTP {status}"
        if status in (401, 403):
            return self.sign_in(said)
        if status == 429:  # noqa: PLR2004  Too Many Requests
            return RateLimited(
                said,
                retry_after=retry_after(headers.get("retry-after"), datetime.now(UTC)),
                erp=self.erp,
                code="rate_limited",
            )
        if status in (404, 410):
            return Misconfigured(
                f"{said}: there is no such service",
                erp=self.erp,
                code="address",
                remedy=f'Correct `endpoint` of connection "{self._id}".',
            )
        xml = "xml" in media_type and "html" not in media_type
        related = media_type.startswith("multipart/related") and "boundary=" in media_type
        if media_type.startswith("multipart/") and not related:
            return Misconfigured(
                f"{said}: the answer is {media_type}",
                erp=self.erp,
                code="media_type",
                remedy="Ask the ERP's owner to answer in XML or as multipart/related (MTOM).",
            )
        if status in (200, 202, 400, 500) and xml:
            return None
        if status >= 500 or not xml:  # noqa: PLR2004  server errors
            return self.broken(f"{said} with {media_type or 'no media type'}", "unavailable")
        return Misconfigured(said, erp=self.erp, code="http")


def _skew(at: datetime | None) -> str:
    """How far the ERP's clock is from ours, by its answer's Date."""
    if at is None:
        return "an unknown time"
    ahead = (at - datetime.now(UTC)).total_seconds()
    return f"{abs(ahead):.0f} s (theirs is {'ahead' if ahead > 0 else 'behind'})"


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After in seconds or as an HTTP date; None where unsaid or unreadable."""
    if header is None:
        return None
    header = header.strip()
    if header.isdecimal():
        return float(header)
    at = http_date(header)
    return max(0.0, (at - now).total_seconds()) if at else None


def http_date(header: str | None) -> datetime | None:
    """An HTTP date as an instant; None where there is none."""
    if not header:
        return None
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
