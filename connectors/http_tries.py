"""How often a question is asked again, and how long is waited before. Knows no protocol."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from mappings.errors import RateLimited, Transient

T = TypeVar("T")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often; seconds, and bytes of one answer."""

    request_timeout: float = 60.0
    connect_timeout: float = 10.0
    tries: int = 4
    longest_wait: float = 5.0
    largest_answer: int = 512 * _MIB


def again(limits: Limits, once: Callable[[], T]) -> T:
    """What `once` gives, after at most `tries` of what is Transient; else its last error.

    A RateLimited that asks for more than `longest_wait` is the caller's business at once.
    """

    def wait(state: tenacity.RetryCallState) -> float:
        """Exponential, and no less than the server asked for; with jitter, so that those who were
        refused together do not come back together.
        """
        pause = tenacity.wait_random_exponential(multiplier=0.1, max=limits.longest_wait)(state)
        error = state.outcome.exception() if state.outcome else None
        asked = (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0
        return max(pause, asked * random.uniform(1.0, 1.1))  # noqa: S311  spreads, hides nothing

    def is_worth_a_try(error: BaseException) -> bool:
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return error.retry_after <= limits.longest_wait
        return isinstance(error, Transient)

    trying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(limits.tries),
        retry=tenacity.retry_if_exception(is_worth_a_try),
        wait=wait,
        reraise=True,
    )
    return trying(once)
