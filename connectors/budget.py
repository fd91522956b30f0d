"""What one ERP account allows: how often, how many at once, how many mistakes.

A connector asks before every request and says what it was told. Who keeps the count (the database,
for all processes together) is not known here. Must not send, sleep on its own or reach a database.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

COUNTED = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses that vendors count as mistakes of the caller."""


class Budget(Protocol):
    """The limits of one ERP account, shared by everybody who calls it. Thread-safe."""

    def request(self, endpoint: str) -> AbstractContextManager[None]:
        """Held around one request, from before it leaves until its answer is read.

        Waits for its turn. Raises RateLimited (`rate_limit`; `error_budget` while too many
        requests of this endpoint were mistaken) where it would wait longer than its patience;
        nothing has left then. `endpoint` is what the vendor counts by: an entity set, an
        operation, never a key or a secret.
        """
        ...

    def inside(self, endpoint: str) -> None:
        """Before a request of a session that holds its place already: waits as `request` does for
        a pause, the errors and the rate, and holds nothing. Raises as `request`.
        """
        ...

    def refused(self, endpoint: str, status: int) -> None:
        """The ERP refused a request with one of `COUNTED`: it counts against the errors."""
        ...

    def pause(self, seconds: float) -> None:
        """The ERP asked everybody to wait that long."""
        ...


class _Unlimited:
    def request(self, endpoint: str) -> AbstractContextManager[None]:
        del endpoint
        return nullcontext()

    def inside(self, endpoint: str) -> None:
        del endpoint

    def refused(self, endpoint: str, status: int) -> None:
        del endpoint, status

    def pause(self, seconds: float) -> None:
        del seconds


UNLIMITED: Budget = _Unlimited()
"""For an account without limits, and for tests."""

__all__ = ["COUNTED", "UNLIMITED", "Budget"]
