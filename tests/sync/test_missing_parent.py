"""Parents that are not there yet: NotNow, deferral, retry (section 5, parents and children)."""

from __future__ import annotations

import pytest

from mappings.errors import NotNow
from sync.feed import finish
from sync.retry import retry_waiting
from tests.sync.far_side import csv_feed, dealer, dealers, price, product
from tests.sync.world import World, counted


def own_price(key: str, dealer_key: str, **more: object) -> dict[str, object]:
    """A price for one dealer."""
    return price(key, level="customer", dealer_scope="dealer", dealer_key=dealer_key, **more)


def feeds(**prices: object) -> dict[str, object]:
    """Customers, products and prices."""
    return {
        "customers": csv_feed("customers", []),
        "products": csv_feed("products", ["category"]),
        "prices": csv_feed("prices", [], **prices),
    }


@pytest.fixture
def mill(world: World) -> World:
    """D1, D2 and P1 are there; prices not yet."""
    world.map("mill", feeds())
    world.mill.put("dealer", dealers(1, 2))
    world.mill.put("product", [product("P1")])
    world.mill.put("category", [])
    world.run("mill", "customers")
    world.run("mill", "products")
    return world


def test_dependants_end_as_not_now_until_required_feeds_have_run(world: World) -> None:
    """While a required feed has no done run, its dependants end as NotNow."""
    world.map("mill", feeds())
    world.mill.put("dealer", dealers(1))
    world.mill.put("product", [product("P1")])
    world.mill.put("category", [])
    world.mill.put("price", [price("H1")])
    for feed, missing in (("customers", "mill/customers"), ("products", "mill/products")):
        with pytest.raises(NotNow, match=missing):
            world.pull("mill", "prices")
        world.run("mill", feed)
    assert counted(world.run("mill", "prices")) == {"read": 1, "inserted": 1}


def test_a_held_run_does_not_count_as_loaded(world: World) -> None:
    """Required is a done run."""
    world.map("mill", feeds())
    world.mill.put("dealer", dealers(1), count=2)
    assert world.run("mill", "customers").state == "held"
    with pytest.raises(NotNow):
        world.pull("mill", "prices")


def test_cur_14_child_before_parent_is_deferred_and_applied_when_it_lands(mill: World) -> None:
    """Deferred: in quarantine with reason missing_parent and retry_until; then a retry run."""
    mill.mill.put("price", [price("H1"), own_price("H2", "D9"), own_price("H3", "D1")])
    outcome = mill.sync("mill", "prices")
    assert counted(outcome) == {"read": 3, "inserted": 2, "deferred": 1}
    item = mill.items()["H2|1.000000"]
    assert item["code"] == "missing_parent"
    assert item["retry_until"] is not None
    assert item["waits_for"] == [{"erp": "mill", "part": "dealer", "key": "D9"}]
    mill.mill.put("dealer", dealers(1, 2, 9))
    mill.sync("mill", "customers")
    assert mill.keys("price", "header_key") == {"H1", "H2", "H3"}
    assert mill.items() == {}
    assert set(mill.items("released")) == {"H2|1.000000"}
    retried = mill.sql(
        "SELECT batch_id, state, read, inserted, deferred FROM sync.run WHERE kind = 'retry'"
    )
    assert retried == [(outcome.batch_id, "done", 1, 1, 0)], "read is the number retried"
    first = mill.sql("SELECT read, inserted, deferred FROM sync.run WHERE id = %s", outcome.run_id)
    assert first == [(3, 2, 1)], "old counts are never rewritten"


def test_a_retry_does_not_move_the_cursor_or_delete(mill: World) -> None:
    """It speaks for the records it retries, for nothing else."""
    mill.mill.put("price", [*(price(f"H{n}") for n in range(9)), own_price("H9", "D9")])
    outcome = mill.sync("mill", "prices")
    cursor = mill.sql(
        "SELECT batch_id, run_id, confirmed_at FROM sync.cursor WHERE feed = 'prices'"
    )
    mill.mill.put("dealer", dealers(1, 2, 9))
    mill.sync("mill", "customers")
    assert len(mill.keys("price", "header_key")) == 10
    after = mill.sql("SELECT batch_id, run_id, confirmed_at FROM sync.cursor WHERE feed = 'prices'")
    assert after == cursor
    assert mill.batch_state(outcome.batch_id) == "applied"


def test_deferred_records_do_not_count_for_the_rejection_guard(mill: World) -> None:
    """20 of 21 wait, and the batch is let in all the same."""
    mill.mill.put("price", [price("H0"), *(own_price(f"X{n}", "D9") for n in range(20))])
    outcome = mill.sync("mill", "prices")
    assert outcome.state == "done"
    assert counted(outcome) == {"read": 21, "inserted": 1, "deferred": 20}


def test_a_live_row_whose_newer_version_waits_says_so(mill: World) -> None:
    """It has not vanished: it stays, stale."""
    mill.mill.put("price", [price("H1"), price("H2")])
    mill.sync("mill", "prices")
    mill.mill.put("price", [price("H1"), own_price("H2", "D9")])
    assert counted(mill.sync("mill", "prices")) == {"read": 2, "unchanged": 1, "deferred": 1}
    stale = mill.sql("SELECT header_key FROM portal.price WHERE stale_since IS NOT NULL")
    assert stale == [("H2",)]
    mill.mill.put("dealer", dealers(1, 2, 9))
    mill.sync("mill", "customers")
    found = mill.sql("SELECT dealer_key, stale_since FROM portal.price WHERE header_key = 'H2'")
    assert found == [("D9", None)]


def test_past_its_limit_it_is_an_ordinary_open_item(mill: World) -> None:
    """Past the limit it counts as quarantined, has no retry_until, and stays like that."""
    mill.map("mill", feeds(defer_days=0))
    rows = [price("H1"), own_price("H2", "D9")]
    mill.mill.put("price", rows)
    assert counted(mill.sync("mill", "prices")) == {"read": 2, "inserted": 1, "deferred": 1}
    mill.map("mill", feeds(defer_days=7))
    for attempt in (2, 3):
        mill.mill.put("price", rows)
        outcome = mill.sync("mill", "prices")
        assert counted(outcome) == {"read": 2, "unchanged": 1, "quarantined": 1}
        item = mill.items()["H2|1.000000"]
        assert item["retry_until"] is None
        assert item["attempts"] == attempt
        assert item["code"] == "missing_parent"


def test_waiting_again_keeps_the_limit_of_the_first_night(mill: World) -> None:
    """The limit runs from the first deferral, not from the latest."""
    rows = [price("H1"), own_price("H2", "D9")]
    mill.mill.put("price", rows)
    mill.sync("mill", "prices")
    until = mill.items()["H2|1.000000"]["retry_until"]
    mill.mill.put("price", rows)
    mill.sync("mill", "prices")
    item = mill.items()["H2|1.000000"]
    assert item["retry_until"] == until
    assert item["attempts"] == 2


def test_a_chain_of_missing_parents_waits_as_a_whole(mill: World) -> None:
    """A parent that waits is no parent: deeper than there are parts in the feed."""
    chain = [{"key": f"C{n}", "parent_key": f"C{n - 1}", "name": "x"} for n in range(1, 13)]
    mill.mill.put("category", chain)
    outcome = mill.sync("mill", "products")
    assert counted(outcome, "category") == {"read": 12, "deferred": 12}
    assert mill.keys("category") == set()
    mill.mill.put("category", [{"key": "C0", "name": "top"}, *chain])
    assert counted(mill.sync("mill", "products"), "category") == {"read": 13, "inserted": 13}
    assert mill.items() == {}


def test_a_cycle_of_parents_is_quarantined(mill: World) -> None:
    """A category above itself is a rejection."""
    rows = [
        {"key": "C1", "parent_key": "C2", "name": "x"},
        {"key": "C2", "parent_key": "C1", "name": "y"},
        {"key": "C3", "name": "fine"},
    ]
    mill.mill.put("category", rows)
    outcome = mill.sync("mill", "products")
    assert counted(outcome, "category") == {"read": 3, "inserted": 1, "quarantined": 2}
    assert {item["code"] for item in mill.items().values()} == {"cycle"}


def test_another_erps_parents_release_what_waits_for_them(world: World) -> None:
    """`refers` names whose keys they are; that ERP's run retries the waiting children."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.map("forge", {"prices": forge_prices()}, refers={"dealer": "mill"})
    world.mill.put("dealer", dealers(1))
    world.forge.put("price", [own_price("H1", "D1"), own_price("H2", "D2")])
    with pytest.raises(NotNow, match="mill/customers"):
        world.pull("forge", "prices")
    world.sync("mill", "customers")
    assert counted(world.sync("forge", "prices")) == {"read": 2, "inserted": 1, "deferred": 1}
    world.mill.put("dealer", dealers(1, 2))
    world.sync("mill", "customers")
    assert world.keys("price", "header_key") == {"H1", "H2"}
    found = world.sql("SELECT DISTINCT erp, dealer_erp FROM portal.price")
    assert found == [("forge", "mill")]


def forge_prices() -> dict[str, object]:
    """Prices of another ERP, as a delta."""
    from tests.sync.far_side import page_feed  # noqa: PLC0415  used here alone

    return page_feed("prices", mode="delta")


def test_retrying_twice_changes_nothing(mill: World) -> None:
    """A killed retry is simply done again."""
    mill.mill.put("price", [price("H1"), own_price("H2", "D9")])
    mill.sync("mill", "prices")
    mill.mill.put("dealer", dealers(1, 2, 9))
    batch_id = mill.pull("mill", "customers")
    mill.load(batch_id)
    first = retry_waiting(mill.ctx, "mill", "customers")
    assert [counted(o) for o in first] == [{"read": 1, "inserted": 1}]
    before = mill.versions("price")
    assert retry_waiting(mill.ctx, "mill", "customers") == []
    assert finish(mill.ctx, batch_id).state == "done"
    assert mill.versions("price") == before


def test_parents_and_children_in_one_batch_need_no_retry(world: World) -> None:
    """A parent counts as there when it is staged in the same run."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put(
        "dealer", [dealer("D1", account_key="D2"), dealer("D2", parent_key="D3"), dealer("D3")]
    )
    assert counted(world.run("mill", "customers")) == {"read": 3, "inserted": 3}


def test_a_parent_rejected_in_this_batch_makes_its_children_wait(world: World) -> None:
    """Not staged, not in the portal: the children wait for the next night's."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", [dealer("D1", account_key="D2"), dealer("D2", status="odd")])
    outcome = world.sync("mill", "customers")
    assert counted(outcome) == {"read": 2, "deferred": 1, "quarantined": 1}
    world.mill.put("dealer", [dealer("D1", account_key="D2"), dealer("D2")])
    assert counted(world.sync("mill", "customers")) == {"read": 2, "inserted": 2}
    assert world.items() == {}
