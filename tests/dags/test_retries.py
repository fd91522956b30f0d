from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from dags.retries import LONGEST_DELAY, LONGEST_RETRY_AFTER, RETRY_DELAY, ByErrorClass, delay_before
from mappings import errors


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.Transient("a time-out"), RetryAction.RETRY),
        (errors.RateLimited("429"), RetryAction.RETRY),
        (errors.Misconfigured("401"), RetryAction.FAIL),
        (errors.SourceChanged("a column is gone"), RetryAction.FAIL),
        (errors.BatchRefused("the trailer does not add up"), RetryAction.FAIL),
        (errors.NotNow("closed"), RetryAction.FAIL),
        (errors.Uncertain("no answer"), RetryAction.FAIL),
        (errors.Refused("no"), RetryAction.FAIL),
        (ZeroDivisionError("a bug"), RetryAction.FAIL),
    ],
)
def test_the_class_of_the_error_decides(error: Exception, action: RetryAction) -> None:
    assert ByErrorClass().evaluate(error, try_number=1, max_tries=5).action is action


def test_every_class_of_error_has_a_rule_of_its_own() -> None:
    classes = {
        one for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.WaybillError)
        and one is not errors.WaybillError
    }  # fmt: skip
    named = {spec for rule in ByErrorClass().rules for spec in rule._specs}
    assert classes <= named


def test_an_erp_that_asks_for_time_gets_it_and_no_more_than_an_hour() -> None:
    decision = ByErrorClass().evaluate(errors.RateLimited("429", retry_after=7.0), 1, 5)
    assert decision.retry_delay == timedelta(seconds=7)
    assert delay_before(errors.RateLimited("429", retry_after=1e6), 1) == LONGEST_RETRY_AFTER


@pytest.mark.parametrize("tries", range(1, 12))
def test_delays_double_with_jitter_up_to_a_limit(tries: int) -> None:
    plain = min(RETRY_DELAY * 2 ** (tries - 1), LONGEST_DELAY)
    for _ in range(20):
        delay = delay_before(errors.Transient("a time-out"), tries)
        assert plain * 0.75 <= delay <= plain * 1.25
