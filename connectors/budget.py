"""How much one ERP may be asked: what connectors and senders hold themselves to.

The budget that all processes share lives in PostgreSQL (`sync/`); here is only its shape, and the
one that limits nothing. Must not wait or count by itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Budget(Protocol):
    """Rate, concurrency and error budget of one ERP account, for one lane."""

    def request(self, endpoint: str) -> AbstractContextManager[None]:
        """Wait for a turn, hold it for the block.

        Raises RateLimited past its patience, Transient or Misconfigured (`error_budget`) while the
        error circuit is open.
        """
        ...

    def refused(self, endpoint: str, status: int) -> None:
        """An answer that counts against the error budget."""
        ...

    def pause(self, seconds: float) -> None:
        """The ERP asked to be left alone for so long."""
        ...


class _Unlimited:
    def request(self, endpoint: str) -> AbstractContextManager[None]:
        del endpoint
        return nullcontext()

    def refused(self, endpoint: str, status: int) -> None:
        """Nothing is counted."""

    def pause(self, seconds: float) -> None:
        """Nothing is held back."""


UNLIMITED: Final[Budget] = _Unlimited()
