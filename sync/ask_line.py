"""The line to one ERP that is asked live: its threads and sessions, and one ask under way on it.

Must not know what is asked, a mapping or the database.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from connectors.protocol import Connector
from mappings.errors import Misconfigured, RateLimited, Transient, WaybillError
from sync.ask_reading import Row

_WHOLE = 0.9
_TOO_LITTLE = 0.1
"""Shares of an ask's time."""


@dataclass(slots=True)
class Line:
    """The line to one ERP: its threads, its idle sessions, and whether it answers."""

    threads: ThreadPoolExecutor
    most_waiting: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: dict[str, list[Connector]] = field(default_factory=dict)
    waiting: int = 0
    failures: int = 0
    closed_until: float = 0.0
    trying: bool = False

    def failed(self, error: WaybillError, pending: Pending, most: int, pause: float) -> None:
        """Count what says that the next ask would end the same way; `most` of them close the line.

        A late answer to an ask that waited for a thread first says nothing about the ERP.
        """
        with self.lock:
            if isinstance(error, Misconfigured) and error.code in {"auth", "auth_cert"}:
                self.failures = most  # a password that is wrong is not tried twice
            elif isinstance(error, Transient) and not isinstance(error, RateLimited):
                self.failures += error.code != "timeout" or pending.had_its_time
            if self.failures >= most:
                self.closed_until = time.monotonic() + pause


class Pending:
    """An ask under way. `result` waits for it; `give_up` ends it, whatever it waits for."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.began = time.monotonic()
        self.future: Future[tuple[Row, ...]] = Future()
        self.had_its_time = True
        """False where it waited for a thread first, and the ERP had less than the whole time."""
        self._lock = threading.Lock()
        self._session: Connector | None = None
        self._over = False

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.deadline - time.monotonic())

    def started(self, within: float) -> bool:
        """A thread takes it up; False where too little of its time is left for any answer."""
        self.had_its_time = self.left >= within * _WHOLE
        return self.left > within * _TOO_LITTLE

    def hold(self, session: Connector) -> None:
        """The session that works on it now. Raises Transient where its time is over."""
        with self._lock:
            if self._over:
                raise late()
            self._session = session

    def let_go(self) -> bool:
        """The session is done with it; False where it was closed meanwhile, or will be."""
        with self._lock:
            self._session = None
            return not self._over

    def give_up(self) -> None:
        """Close the session under it: a thread that waits for a hung ERP comes back, at the latest
        when the read that it is in has had its time (that of the ask which opened the session).

        Not waited for: closing may log out, and the ERP may hang there as well.
        """
        with self._lock:
            self._over = True
            session = self._session
        if session is not None:
            end = threading.Thread(target=_ended, args=(session,), name="ask-end", daemon=True)
            end.start()


def _ended(session: Connector) -> None:
    with contextlib.suppress(Exception):  # nobody is left to be told
        session.__exit__(None, None, None)


def late() -> Transient:
    """The time budget is used up."""
    return Transient("no answer in time", code="timeout")
