"""Messages to a SOAP ERP that wants a log-in: a session around them, renewed once, ended after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.settings import Settings
from sandbox.dataset import Dataset
from sandbox.soap.habits import Habits
from tests.orders.practice import Practice, practising


@pytest.fixture
def shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    habits = Habits(sign_in="session", sessions=8)  # those whose log-in broke stay open there
    with practising(settings, "anvil", all_of_tiny, tmp_path, habits=habits) as one:
        one.server.requests.clear()
        yield one


def calls(shop: Practice) -> list[str]:
    """What was called since the last look."""
    called = [one for one in shop.server.requests if one != "wsdl"]
    shop.server.requests.clear()
    return called


def test_orders_go_out_in_one_session_whose_token_is_kept_nowhere(shop: Practice) -> None:
    placed = [shop.place(f"k{n}", dealer=n) for n in range(2)]
    shop.deliver()
    assert {shop.state(one) for one in placed} == {"delivered"}
    assert calls(shop) == ["Login", "CreateOrder", "CreateOrder", "Logout"]
    assert shop.server.door.sessions == set()
    kept = shop.one("SELECT string_agg(concat(request, answer, detail, says), ' ') "
                    "FROM sync.delivery_attempt")  # fmt: skip
    assert "Session" in kept
    assert ">***<" in kept
    assert "practice" not in kept.replace("urn:practice:erp", "")


def test_a_session_that_ended_is_opened_once_more_for_the_message_it_refused(
    shop: Practice,
) -> None:
    shop.server.faults.arm("session_expired", where="CreateOrder")
    placed = shop.place("k1")
    shop.deliver()
    assert calls(shop) == ["Login", "CreateOrder", "Login", "CreateOrder", "Logout"]
    assert shop.attempts(placed) == [("send", "delivered")]
    assert shop.in_erp(placed) == 1


def test_an_erp_that_forgets_every_session_pauses_the_lane(shop: Practice) -> None:
    shop.server.faults.arm("session_expired", where="CreateOrder", times=None)
    placed = shop.place("k1")
    shop.deliver()
    assert calls(shop) == ["Login", "CreateOrder", "Login", "CreateOrder"]  # and not for ever
    assert shop.sql("SELECT state, code, strikes FROM sync.outbox") == [("retryable", "auth", 0)]
    assert shop.one("SELECT state FROM sync.circuit") == "paused"
    assert shop.in_erp(placed) == 0


def test_a_lost_answer_is_uncertain_and_is_asked_for_in_a_session(shop: Practice) -> None:
    shop.server.faults.arm("lost_answer", where="CreateOrder")
    placed = shop.place("k1")
    shop.deliver()
    assert shop.state(placed) == "uncertain"
    shop.settle()
    assert shop.attempts(placed) == [("send", "uncertain"), ("find", "found")]
    assert shop.in_erp(placed) == 1
    assert shop.server.door.sessions == set()


def test_a_server_that_speaks_of_a_session_may_have_taken_the_order(shop: Practice) -> None:
    shop.server.faults.arm("late_fault", where="CreateOrder")
    placed = shop.place("k1")
    shop.settle()
    assert shop.attempts(placed) == [("send", "uncertain"), ("find", "found")]
    assert shop.in_erp(placed) == 1


@pytest.mark.parametrize("fault", ["reset", "lost_answer", "truncated"])
def test_a_log_in_that_fails_is_no_doubt_about_the_message(shop: Practice, fault: str) -> None:
    shop.server.faults.arm(fault, where="Login", times=2)
    placed = shop.place("k1")
    shop.settle()
    assert shop.attempts(placed) == [("send", "not_sent"), ("send", "delivered")]
    assert shop.in_erp(placed) == 1
