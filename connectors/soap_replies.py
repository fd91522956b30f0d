"""What a SOAP ERP's answer to a message means: done, refused, not done, or nobody knows.

After a message has left only an understood answer counts. Must not send anything.
"""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
from lxml import etree

from connectors.budget import Budget
from connectors.replies import element_texts, elements_at
from connectors.soap_faults import (
    SENDERS_FAULT,
    SessionExpiredError,
    Wording,
    at_the_door,
    http_date,
    retry_after,
)
from mappings.errors import (
    Misconfigured,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
    Uncertain,
    WaybillError,
)


class Replies:
    """Judges whole answers for one sender. `in_session`: its connection signs in by a log-in."""

    def __init__(
        self,
        connection_id: str,
        erp: str,
        words: Wording,
        budget: Budget,
        *,
        safe_503: tuple[str, ...],
        in_session: bool,
    ) -> None:
        self._connection_id = connection_id
        self._erp = erp
        self._words = words
        self._budget = budget
        self._safe_503 = safe_503
        self._in_session = in_session

    def understood(
        self, operation: str, reply: httpx.Response, body: bytes, *, sending: bool
    ) -> etree._Element:
        """What stands in the body of a good answer; raises what any other one means.

        `sending`: it answers a message, so that what is not understood may have been taken.
        Raises SessionExpiredError in a session.
        """
        said = f"{operation}: HTTP {reply.status_code}"
        self._unprocessed(operation, said, reply, body)
        media = reply.headers.get("content-type", "").lower()
        if "xml" not in media or "html" in media:
            raise self.unclear(sending, f"{said} with {media or 'no media type'}", "unavailable")
        answer = self._answer(said, body, sending=sending)
        if etree.QName(answer).localname == "Fault":
            raise self._fault(operation, answer, reply, sending=sending)
        if reply.status_code != httpx.codes.OK:
            raise self.unclear(sending, f"{said} without a fault", "http")
        return answer

    def _unprocessed(self, operation: str, said: str, reply: httpx.Response, body: bytes) -> None:
        """Raises for a status that says: nothing was done."""
        status = reply.status_code
        if status in (401, 403):
            self._budget.refused(operation, status)
            raise self._words.sign_in(said)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise self._later(said, reply, "rate_limited")
        if status == httpx.codes.SERVICE_UNAVAILABLE and self._is_safe(body):
            raise self._later(said, reply, "maintenance")
        if status in (404, 410):
            raise Misconfigured(
                f"{said}: there is no such service",
                erp=self._erp,
                code="address",
                remedy=f'Correct `endpoint` of connection "{self._connection_id}".',
            )

    def _answer(self, said: str, body: bytes, *, sending: bool) -> etree._Element:
        """What stands in the body of a whole envelope."""
        try:
            parser = etree.XMLParser(
                resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
            )
            root = etree.fromstring(body, parser)
        except etree.XMLSyntaxError as error:
            raise self.unclear(
                sending, f"{said}: not whole XML ({error.msg})", "truncated"
            ) from None
        if root.getroottree().docinfo.internalDTD is not None:
            raise self.unclear(sending, f"{said}: the answer carries a DOCTYPE", "doctype")
        inside = elements_at(root, "Body")
        answer = next(
            (one for one in (inside[0] if inside else ()) if isinstance(one.tag, str)), None
        )
        if answer is None:
            raise self.unclear(sending, f"{said}: an empty body", "truncated")
        return answer

    def _fault(
        self, operation: str, fault: etree._Element, reply: httpx.Response, *, sending: bool
    ) -> WaybillError | SessionExpiredError:
        """A fault of the sender is an understood no; one of the server says nothing."""
        texts = element_texts(fault)
        code = texts.get("faultcode") or texts.get("Code/Subcode/Value") or texts.get("Code/Value")
        says = texts.get("faultstring") or texts.get("Reason/Text") or ""
        error = self._words.fault(
            operation, code or "unnamed", says, http_date(reply.headers.get("date"))
        )
        if isinstance(error, SessionExpiredError):
            if sending and not at_the_door(code or ""):
                return self.unclear(True, str(error), "fault")  # it may be there
            if self._in_session:
                return error
            return Transient(str(error), erp=self._erp, code="session")
        if isinstance(error, (RateLimited, SourceChanged)):
            return error
        if isinstance(error, Misconfigured):
            if error.code == "fault" and sending and SENDERS_FAULT.search(code or ""):
                return Refused(self._words.clean(says or code or ""), erp=self._erp, code="fault")
            return error
        return self.unclear(sending, self._words.clean(f"{operation}: {code}: {says}"), "fault")

    def _later(self, said: str, reply: httpx.Response, code: str) -> RateLimited:
        wait = retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
        if wait is not None:
            self._budget.pause(wait)
        return RateLimited(said, retry_after=wait, erp=self._erp, code=code)

    def _is_safe(self, body: bytes) -> bool:
        text = body.decode("utf-8", errors="replace")
        return any(mark == "*" or mark in text for mark in self._safe_503)

    def unclear(self, sending: bool, what: str, code: str) -> WaybillError:  # noqa: FBT001  which of two
        """The error of an answer that says nothing: Uncertain after a message, else Transient."""
        kind: type[WaybillError] = Uncertain if sending else Transient
        return kind(self._words.clean(what), erp=self._erp, code=code)
