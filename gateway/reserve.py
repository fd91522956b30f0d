"""Threads and connections for the short queries of callers who wait, and for nothing else.

Whatever deliveries, placing or a hung ERP use up, what was synced is still read in time. Must not
reach an ERP.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sync.context import Context

_T = TypeVar("_T")
_SEATS = 4
_PATIENCE = 2.0
_RECENT = 1.0
_SHARE = 4
"""An ask is begun while our own part of an answer takes less than this part of the whole time."""


class Reserve:
    """Runs queries of ours; `close` when done. `ctx` has the connections kept for them."""

    def __init__(self, ctx: Context, *, seats: int = _SEATS, patience: float = _PATIENCE) -> None:
        self.ctx = ctx.beside(seats, patience=patience)
        self._threads = ThreadPoolExecutor(seats, thread_name_prefix="reserve")
        self._took = 0.0
        self._at = 0.0

    def close(self) -> None:
        """Begin nothing new and give the connections back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.ctx.close()

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """What `work` returns, from a thread that nobody waits for beyond the caller's time.

        Where the caller leaves before a thread was free, it is never begun.
        """
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, functools.partial(work, *arguments))
        finally:
            self._at = time.monotonic()
            self._took = self._at - began

    @property
    def behind(self) -> float:
        """Seconds that a query of ours took just now, its wait for a thread and for this process
        included; 0 where there was none lately.
        """
        return self._took if time.monotonic() - self._at < _RECENT else 0.0


def time_to_ask(left: float, within: float, behind: float) -> float:
    """Seconds that an ERP may take, so that our own part still fits into what is `left`.

    0: it is not asked at all. Where more is asked than this machine can answer, the ERP's part is
    shed first: what was synced is read by a query or two.
    """
    if behind > within / _SHARE:
        return 0.0
    return max(0.0, left - behind)
