"""Which error is tried again, and when: the classes of `mappings.errors` as a retry policy.

The policy is asked in the task's own process, with the exception itself. A task whose process was
killed is not asked about: Airflow's plain `RETRIES` and `RETRY_DELAY` hold, and running a task
again is always safe. Must not: know any feed, ERP or connector.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule

from mappings.errors import (
    BatchRefused,
    Misconfigured,
    NotNow,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
    Uncertain,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

RETRIES = 5
RETRY_DELAY = timedelta(seconds=15)
"""Before the second try; doubled for each further one."""
LONGEST_DELAY = timedelta(minutes=10)
LONGEST_RETRY_AFTER = timedelta(hours=1)
"""An ERP that asks for more than this is taken to mean this: the next schedule comes anyway."""

_JITTER = 0.25

RULES = [
    RetryRule(RateLimited, RetryAction.RETRY, reason="the ERP asked us to come back later"),
    RetryRule(Transient, RetryAction.RETRY, reason="it may work in a moment"),
    RetryRule(
        [NotNow, Misconfigured, SourceChanged, BatchRefused, Uncertain, Refused],
        RetryAction.FAIL,
        reason="trying again cannot help: a person has to look",
    ),
    RetryRule(Exception, RetryAction.FAIL, reason="an error that nobody foresaw: a bug"),
]
"""First match wins. NotNow never comes here: tasks turn it into a skip."""


class ByErrorClass(ExceptionRetryPolicy):
    """`RULES`, with a delay that grows, or the one that the ERP asked for."""

    def __init__(self) -> None:
        super().__init__(RULES, default=RetryAction.FAIL)

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Retry with a delay, or fail now."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        if decision.action is not RetryAction.RETRY:
            return decision
        return RetryDecision.retry(delay_before(exception, try_number), decision.reason)


def delay_before(exception: BaseException, try_number: int) -> timedelta:
    """How long to wait after try `try_number` (1 = the first) ended with `exception`.

    What the ERP asked for is never undercut; otherwise doubling with a quarter of jitter, so
    that many feeds of one ERP that fell together do not come back together.
    """
    asked = exception.retry_after if isinstance(exception, RateLimited) else None
    if asked is not None:
        return min(timedelta(seconds=asked), LONGEST_RETRY_AFTER)
    plain = min(RETRY_DELAY * 2 ** (try_number - 1), LONGEST_DELAY)
    return plain * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing
