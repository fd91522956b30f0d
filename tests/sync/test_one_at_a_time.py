"""One pull or load of a feed at a time, and nobody's wish is lost (section 5)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mappings.errors import Misconfigured
from sync.context import Context
from sync.feed import sync_feed
from sync.load import load
from sync.pull import pull
from sync.release import release
from sync.turn import turn, want
from tests.sync.far_side import csv_feed, dealer, dealers, page_feed
from tests.sync.world import World, counted


def test_a_second_starter_leaves_a_note_and_ends(world: World) -> None:
    """It sets wanted_at; nothing is asked of the ERP."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(1))
    with Context.open(world.settings) as other, turn(other, "forge", "customers") as mine:
        assert mine
        assert pull(world.ctx, "forge", "customers") is None
    assert world.one("SELECT wanted_at IS NOT NULL FROM sync.cursor")
    assert world.forge.requests == []
    assert world.sql("SELECT * FROM sync.batch") == []
    world.pull("forge", "customers")
    assert world.one("SELECT wanted_at IS NULL FROM sync.cursor"), "the next pull is the answer"


def test_the_holder_pulls_once_more_if_someone_asked_meanwhile(world: World) -> None:
    """Asked for in the middle of a pull: what it missed is in the second batch."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(1))
    asked = []

    def meanwhile(entity: str, page: int) -> None:
        del entity, page
        if not asked:
            asked.append(True)
            with Context.open(world.settings) as other:
                asked.append(pull(other, "forge", "customers"))
            world.forge.put("dealer", dealers(1, 2))

    world.forge.before = meanwhile
    batch_id = world.pull("forge", "customers")
    assert asked == [True, None]
    assert world.sql("SELECT id, state FROM sync.batch ORDER BY id") == [
        (batch_id - 1, "superseded"),
        (batch_id, "landed"),
    ]
    world.load(batch_id)
    assert world.keys("dealer") == {"D1", "D2"}


def test_a_wish_during_the_load_is_answered_too(world: World) -> None:
    """sync_feed goes once more when it was asked while it loaded."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(1))
    asked = []

    def progress(step: str, done: int, total: int | None) -> None:
        del done, total
        if step == "apply" and not asked:
            asked.append(True)
            want(world.ctx, "forge", "customers", "")
            world.forge.put("dealer", dealers(1, 2))

    outcome = sync_feed(world.ctx, "forge", "customers", progress=progress)
    assert outcome is not None
    assert counted(outcome) == {"read": 2, "inserted": 1, "unchanged": 1}
    assert world.one("SELECT wanted_at IS NULL FROM sync.cursor")


def test_two_processes_load_the_same_batch_once(world: World) -> None:
    """Both end with the same run; the rows are written once."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(50)))
    batch_id = world.pull("mill", "customers")
    together = threading.Barrier(2)

    def one(_: int) -> tuple[int, dict[str, int]]:
        with Context.open(world.settings) as ctx:
            together.wait()
            outcome = load(ctx, batch_id)
            return outcome.run_id, counted(outcome)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, range(2))
    assert first == second
    assert first[1] == {"read": 50, "inserted": 50}
    assert world.sql("SELECT state FROM sync.run") == [("done",)]
    assert world.staging_tables() == []


def test_two_people_release_the_same_run_once(world: World) -> None:
    """The second is told; the batch stays applied."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(20)))
    world.run("mill", "customers")
    world.mill.put("dealer", [dealer("D0", name="new")])
    shown = world.run("mill", "customers")
    together = threading.Barrier(2)

    def one(_: int) -> str:
        with Context.open(world.settings) as ctx:
            together.wait()
            try:
                return release(ctx, shown.run_id, reason="so", actor="ops").state
            except Misconfigured as error:
                return error.code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, range(2))) == ["batch", "done"]
    assert world.batch_state(shown.batch_id) == "applied"
    assert world.keys("dealer") == {"D0"}


def test_feeds_of_one_erp_do_not_wait_for_each_other(world: World) -> None:
    """The turn is that of one (ERP, feed)."""
    world.map(
        "mill", {"customers": csv_feed("customers", []), "products": csv_feed("products", [])}
    )
    world.mill.put("dealer", dealers(1))
    with Context.open(world.settings) as other, turn(other, "mill", "products") as mine:
        assert mine
        assert world.run("mill", "customers").state == "done"


def test_no_transaction_is_open_while_the_network_is_in_use(world: World) -> None:
    """Nor a lock on a table: only the turn's advisory lock."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(1), dealers(2))
    seen = []

    def look(entity: str, page: int) -> None:
        del entity, page
        seen.extend(
            world.sql(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            )
        )

    world.forge.before = look
    world.pull("forge", "customers")
    assert seen == []


@pytest.mark.parametrize("kind", ["WaybillError", "bug"])
def test_an_error_gives_the_turn_back(world: World, kind: str) -> None:
    """Whatever happens, the next one gets its turn."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1))
    batch_id = world.pull("mill", "customers")

    def progress(step: str, done: int, total: int | None) -> None:
        del done, total
        if step == "apply":
            raise Misconfigured("no") if kind == "WaybillError" else ZeroDivisionError

    with pytest.raises((Misconfigured, ZeroDivisionError)):
        world.load(batch_id, progress=progress)
    assert world.keys("dealer") == set(), "one transaction: all of it or none of it"
    ((state, error),) = world.sql("SELECT state, error FROM sync.run")
    assert state == "failed"
    assert error["code"] == ("misconfigured" if kind == "WaybillError" else "bug")
    assert world.staging_tables() == []
    assert world.load(batch_id).state == "done"
