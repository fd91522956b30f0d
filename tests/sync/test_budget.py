"""An account's budget in PostgreSQL: rate, places, mistakes and pauses, shared by processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.budget import Budget
from mappings.errors import Misconfigured, RateLimited
from mappings.settings import REPOSITORY, child_environment
from sync.budget import erp_budget, look
from tests.sync import far_side
from tests.sync.world import World


def mapped(world: World, **limits: int) -> None:
    world.map("forge", {"customers": far_side.page_feed("customers")}, limits=limits)
    assert world.ctx  # opened here, not by several threads at once


def bulk(world: World, **more: Any) -> Budget:
    return erp_budget(world.ctx, "forge", "bulk", **more)


def test_REST_3_one_account_never_has_more_requests_under_way_than_it_allows(world: World) -> None:
    mapped(world, concurrent=3, reserve=1)
    lock, under_way, most = threading.Lock(), 0, 0

    def one(lane: Any) -> None:
        nonlocal under_way, most
        # a budget of its own each: as if each were another task
        with erp_budget(world.ctx, "forge", lane, patience=20).request("Prices"):
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.01)
            with lock:
                under_way -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, ["bulk", "bulk", "bulk", "now"] * 6))
    assert 2 <= most <= 3
    assert world.one("SELECT count(*) FROM sync.budget_slot") == 0


def test_REST_3_the_reserve_is_never_taken_by_a_bulk_load(world: World) -> None:
    mapped(world, concurrent=3, reserve=1)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(bulk(world).request("Prices"))
        with pytest.raises(RateLimited) as refused:
            held.enter_context(bulk(world, patience=0.02).request("Prices"))
        assert refused.value.code == "rate_limit"
        began = time.monotonic()
        with erp_budget(world.ctx, "forge", "now").request("Credit"):
            assert time.monotonic() - began < 0.5
            found = look(world.ctx, "forge")
            assert (found["in_flight_bulk"], found["in_flight_now"]) == (2, 1)
            with pytest.raises(RateLimited):
                held.enter_context(
                    erp_budget(world.ctx, "forge", "now", patience=0.02).request("Credit")
                )


def test_two_mappings_of_one_connection_share_its_budget(world: World) -> None:
    mapped(world, concurrent=1)
    feeds = {"customers": far_side.page_feed("customers")}
    world.map("twin", feeds, connection="forge", limits={"concurrent": 1})
    with (
        bulk(world).request("Prices"),
        pytest.raises(RateLimited),
        erp_budget(world.ctx, "twin", "bulk", patience=0.02).request("Prices"),
    ):
        pass


def test_the_rate_is_held_over_any_minute_and_leaves_some_to_people(world: World) -> None:
    mapped(world, requests_per_minute=60, concurrent=20, reserve=1)

    waits: list[float] = []

    def granted(lane: Any) -> int:
        count = 0
        while True:
            try:
                with erp_budget(world.ctx, "forge", lane, patience=0.001).request("Prices"):
                    count += 1
            except RateLimited as error:
                waits.append(error.retry_after or 0)
                return count

    assert granted("bulk") == 5
    assert granted("now") == 5
    assert granted("bulk") == 0
    assert all(0 < seconds < 60 for seconds in waits)


def test_a_sessions_requests_keep_to_the_rate_and_need_no_place_of_their_own(world: World) -> None:
    mapped(world, requests_per_minute=60, concurrent=1, errors_per_hour=3)
    with bulk(world).request("session"):  # the one place there is
        for _ in range(9):
            bulk(world, patience=0.001).inside("Prices")
        with pytest.raises(RateLimited, match="60 requests a minute are used up"):
            bulk(world, patience=0.001).inside("Prices")
        assert world.one("SELECT count(*) FROM sync.budget_slot") == 1


def test_one_request_a_minute_is_one(world: World) -> None:
    mapped(world, requests_per_minute=1)
    with bulk(world).request("Prices"):
        pass
    with pytest.raises(RateLimited) as refused, bulk(world, patience=0.1).request("Prices"):
        pass
    assert refused.value.retry_after == pytest.approx(60, abs=2)


def test_who_has_patience_waits_for_the_next_turn(world: World) -> None:
    mapped(world, requests_per_minute=600)
    began = time.monotonic()
    for _ in range(105):  # a hundred at once, then about eight a second
        with bulk(world).request("Prices"):
            pass
    assert time.monotonic() - began >= 4 * 60 / 501


@given(per_minute=st.integers(1, 400), asks=st.lists(st.floats(0, 5), max_size=200))
def test_no_window_of_a_minute_holds_more_than_its_rate(per_minute: int, asks: list[float]) -> None:
    """The arithmetic of `sync.take_budget`, over any pattern of asking."""
    at_once = max(1, per_minute // 6)
    step = 60 / (per_minute - at_once + 1)
    at, due, granted = 0.0, 0.0, list[float]()
    for pause in [*asks, *[0.0] * 400]:
        at += pause
        level = max(due, at) - at
        if level > step * (at_once - 1):
            at += level - step * (at_once - 1)
            level = max(due, at) - at
        due = at + level + step
        granted.append(at)
    for first, last in zip(granted, granted[per_minute:], strict=False):
        assert last - first >= 60 - 1e-6


def test_REST_4_after_so_many_refusals_of_an_endpoint_no_more_are_sent(world: World) -> None:
    mapped(world, errors_per_hour=10)
    budget = bulk(world, patience=0.02)
    for _ in range(10):
        with budget.request("Prices"):
            budget.refused("Prices", 404)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught, budget.request("Prices"):
            pass
        assert caught.value.code == "error_budget"
        assert caught.value.retry_after == pytest.approx(3600, abs=60)
        assert "10 requests were refused within the hour (last: 404)" in str(caught.value)
    with budget.request("Customers"):  # an endpoint of its own
        pass
    found = look(world.ctx, "forge")
    assert (found["state"], found["stopped"]) == ("stopped", ["Prices"])
    # an hour passes
    world.sql(
        "UPDATE sync.budget_error SET refused_at = "
        "ARRAY(SELECT r - interval '1 hour' FROM unnest(refused_at) r)"
    )
    with budget.request("Prices"):
        pass


def test_REST_4_requests_under_way_count_as_if_they_failed(world: World) -> None:
    """Ten parallel workers after the ninth mistake must not make eighteen."""
    mapped(world, errors_per_hour=10)
    lock, sent = threading.Lock(), 0

    def one(_: int) -> None:
        nonlocal sent
        budget = bulk(world, patience=5)
        try:
            with budget.request("Prices"):
                with lock:
                    sent += 1
                time.sleep(0.01)
                budget.refused("Prices", 401)
        except RateLimited:
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(24)))
    assert sent == 10


def test_a_pull_stops_asking_what_the_erp_does_not_know(world: World) -> None:
    """End to end: the same wrong entity, night after night, is asked for three times an hour."""
    mapped(world, errors_per_hour=3)
    codes = []
    for _ in range(5):
        with pytest.raises(Exception) as caught:  # noqa: PT011  judged below
            world.pull("forge", "customers")
        codes.append(getattr(caught.value, "code", caught.value))
    assert codes == ["missing_entity"] * 3 + ["error_budget"] * 2
    assert len([r for r in world.forge.requests if "dealer" in r]) == 3


def test_a_pause_holds_for_everybody(world: World) -> None:
    mapped(world)
    bulk(world).pause(1000)
    bulk(world).pause(10)  # does not shorten the other
    with (
        pytest.raises(RateLimited) as refused,
        erp_budget(world.ctx, "forge", "now").request("Credit"),
    ):
        pass
    assert refused.value.retry_after == pytest.approx(1000, abs=10)
    world.sql("UPDATE sync.budget SET paused_until = clock_timestamp() + interval '0.2 s'")
    with bulk(world).request("Prices"):
        pass


_TAKES_A_PLACE = """
import sys, time
from datetime import timedelta
from mappings.settings import Settings
from sync.budget import erp_budget
from sync.context import Context
with Context.open(Settings.read()) as ctx:
    with erp_budget(ctx, "forge", "bulk", lease=timedelta(seconds=1.5)).request("Prices"):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_process_gives_its_place_back_by_its_lease(world: World) -> None:
    mapped(world, concurrent=1)
    other = subprocess.Popen(
        [sys.executable, "-c", _TAKES_A_PLACE],
        cwd=REPOSITORY,
        env=child_environment(
            world.settings, WAYBILL_DATABASE_URL=str(world.settings.database_url)
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        time.sleep(2)  # longer than the lease: it is renewed while the process lives
        with pytest.raises(RateLimited), bulk(world, patience=0.02).request("Prices"):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        if other.stdout is not None:
            other.stdout.close()
    with bulk(world, patience=5).request("Prices"):
        pass


def test_a_reserve_that_leaves_nothing_to_the_feeds_is_refused(world: World) -> None:
    mapped(world, concurrent=2, reserve=2)
    with pytest.raises(Misconfigured, match=r"limits\.reserve: must be less than"):
        bulk(world)


def test_limits_are_shown(world: World) -> None:
    mapped(world, requests_per_minute=60, errors_per_hour=2)
    budget = bulk(world, lease=timedelta(seconds=5))
    budget.refused("Prices", 403)
    found = look(world.ctx, "forge")
    assert found["state"] == "open"
    assert found["refusals"]["Prices"]["count"] == 1
    assert json.dumps(found, default=str)
