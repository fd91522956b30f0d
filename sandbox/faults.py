"""Misbehaviour on demand: which fault a practice ERP shows next. Shared by all three servers.

A fault is armed for one server (`erp`) by name, for a number of requests or until disarmed, and
optionally only for requests whose path or operation contains `where`. Servers ask `take` once a
request and act on the name they get. Must not know any protocol.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass

SCENARIOS: dict[str, str] = {
    "slow": "answers after `seconds`",
    "hang": "accepts the request and never answers",
    "rate_limit": "429 with Retry-After (seconds); SFTP: refuses a new session",
    "maintenance": "503 with an HTML page; SFTP: closes the connection",
    "html_200": "an HTML page with status 200",
    "truncated": "the answer or file stops in the middle",
    "drop": "the connection is reset in the middle of the answer",
    "session_expired": "the session or token is not known any more (once, in mid-paging)",
    "wrong_password": "sign-in is refused whatever the password",
    "schema_changed": "one column or element has another name",
    "bad_rows": "some records hold a bad number, an impossible date, a missing key",
    "business_error": "HTTP 200 with an error code inside",
    "empty": "an empty, well-formed answer or file",
    "no_marker": "SFTP: the end marker is missing",
    "bad_trailer": "SFTP: the trailer does not add up",
    "growing": "SFTP: the file is still being written",
    "wrong_size": "SFTP: the server tells another size than the file has",
    "no_size": "SFTP: the server tells no size",
    "few_requests": "SFTP: the connection is cut when more than 16 requests are open",
    "changed_host_key": "SFTP: another host key than the pinned one",
    "search_expired": "SOAP: the search is forgotten in mid-paging",
    "new_element": "SOAP: records hold one element that the WSDL does not declare",
    "repeated_link": "OData: nextLink points at the page it came from",
    "throttled_400": "REST: 400 with the vendor's own code for too many requests",
    "count_mismatch": "the declared count is not what the pages hold",
    "lost_answer": "does what it was asked, then the connection breaks without an answer",
    "late_fault": "SOAP: does what it was asked, then answers a server's fault about its session",
    "reset": "the connection breaks before anything was done",
}
"""Scenario name → what the server does; servers implement those that make sense for them."""


@dataclass
class _Armed:
    name: str
    times: int | None
    where: str
    after: int
    seconds: float


class Faults:
    """The armed faults of one server. Thread-safe."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()
        self._rates: dict[str, float] = {}
        self._where = ""
        self._dice = random.Random(0)
        self._seconds = 0.0
        self.taken: list[str] = []

    def shake(
        self, rates: Mapping[str, float], *, seed: int, where: str = "", seconds: float = 0.0
    ) -> None:
        """From now on show faults at random: name → share of the requests that hold `where`."""
        unknown = rates.keys() - SCENARIOS.keys()
        if unknown:
            message = f"unknown scenarios {sorted(unknown)}"
            raise ValueError(message)
        with self._lock:
            self._rates, self._where, self._seconds = dict(rates), where, seconds
            self._dice = random.Random(seed)

    def arm(
        self,
        name: str,
        *,
        times: int | None = 1,
        where: str = "",
        after: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Show `name` on the next `times` matching requests (None: until disarmed).

        `after` matching requests pass untouched first. Raises ValueError for an unknown name.
        """
        if name not in SCENARIOS:
            message = f"unknown scenario {name!r}; known: {', '.join(SCENARIOS)}"
            raise ValueError(message)
        with self._lock:
            self._armed.append(_Armed(name, times, where, after, seconds))

    def disarm(self) -> None:
        """Behave again."""
        with self._lock:
            self._armed.clear()
            self._rates.clear()

    def peek(self, request: str, only: Container[str]) -> str | None:
        """The name that `take` would give now; nothing is counted."""
        with self._lock:
            for fault in self._armed:
                if fault.where in request and fault.name in only and fault.after <= 0:
                    return fault.name
        return None

    def take(
        self, request: str, only: Container[str] | None = None, *, named: bool = False
    ) -> tuple[str, float] | None:
        """The (name, seconds) of the fault for this request, or None; counts it as shown.

        `only`: the faults that make sense for this kind of request; others stay armed.
        `named`: only faults that were armed for this kind of request, not for all.
        """
        with self._lock:
            for fault in self._armed:
                if fault.where not in request or (only is not None and fault.name not in only):
                    continue
                if named and not fault.where:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._armed.remove(fault)
                self.taken.append(fault.name)
                return fault.name, fault.seconds
            return self._thrown(request, only)

    def _thrown(self, request: str, only: Container[str] | None) -> tuple[str, float] | None:
        """A fault by the dice."""
        if not self._rates or self._where not in request:
            return None
        thrown = self._dice.random()
        for name, share in self._rates.items():
            thrown -= share
            if thrown < 0:
                if only is not None and name not in only:
                    return None
                self.taken.append(name)
                return name, self._seconds
        return None
