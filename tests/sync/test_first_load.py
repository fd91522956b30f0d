"""An ERP's first price list is built aside and attached: nobody waits, nothing is different."""

from __future__ import annotations

import threading
import time

import psycopg

from tests.sync.far_side import csv_feed, dealers, price, product
from tests.sync.world import World, counted

FEEDS = {
    "customers": csv_feed("customers", []),
    "products": csv_feed("products", []),
    "prices": csv_feed("prices", []),
}


def prepared(world: World) -> None:
    world.map("mill", FEEDS)
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    world.mill.put("product", [product("P1")])
    world.run("mill", "products")


def named(key: str, product_key: str) -> dict[str, object]:
    return price(key, product_scope="product", product_key=product_key)


def test_a_first_list_is_the_erps_partition_and_a_second_changes_it(world: World) -> None:
    """Rows, key, provenance and counts are those of the ordinary way."""
    prepared(world)
    world.mill.put("price", [named("H1", "P1"), price("H2"), price("H3", currency="euro")])
    first = world.run("mill", "prices")
    assert counted(first) == {"read": 3, "inserted": 2, "quarantined": 1}
    found = world.sql(
        "SELECT tableoid::regclass::text, erp, header_key, min_qty::text, unit_price::text, "
        "dealer_erp, product_erp, batch_id, record_no, deleted_at FROM portal.price ORDER BY 3"
    )
    assert found == [
        ("portal.price_mill", "mill", "H1", "1.000000", "10.000000", "mill", "mill",
         first.batch_id, 1, None),
        ("portal.price_mill", "mill", "H2", "1.000000", "10.000000", "mill", "mill",
         first.batch_id, 2, None),
    ]  # fmt: skip
    assert world.staging_tables() == []
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'price_mill'"
    assert world.one(owner) == "waybill_owner"
    world.mill.put("price", [named("H1", "P1"), price("H2", unit_price="11.00"), price("H4")])
    second = world.run("mill", "prices")
    assert counted(second) == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1}
    assert world.sql("SELECT DISTINCT erp FROM portal.price") == [("mill",)]


def test_a_key_that_comes_twice_is_settled_the_ordinary_way(world: World) -> None:
    """Identical copies: one is superseded. Others: none is let in."""
    prepared(world)
    twice = price("H2")
    world.mill.put("price", [price("H1"), twice, twice, price("H3"), price("H3", per=10)])
    outcome = world.run("mill", "prices")
    assert counted(outcome) == {"read": 5, "inserted": 2, "superseded": 1, "quarantined": 2}
    assert world.keys("price", "header_key") == {"H1", "H2"}
    assert world.staging_tables() == []


def test_a_missing_product_is_deferred_from_a_first_list_too(world: World) -> None:
    """What it refers to is asked of every row."""
    prepared(world)
    world.mill.put("price", [price("H1"), named("H2", "P1"), named("H3", "P9")])
    outcome = world.run("mill", "prices")
    assert counted(outcome) == {"read": 3, "inserted": 2, "deferred": 1}


def test_readers_of_prices_do_not_wait_for_a_first_list(world: World) -> None:
    """A reader who is in the middle of something and the attach let each other be."""
    prepared(world)
    world.mill.put("price", [price(f"H{i}") for i in range(50)])
    batch = world.pull("mill", "prices")
    url = world.settings.database_url
    assert url is not None
    with psycopg.connect(url) as reader:
        assert reader.execute("SELECT count(*) FROM portal.price").fetchone() == (0,)
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(world.load(batch)))
        thread.start()
        thread.join(60)
        assert done, "the load waited for the reader"
        reader.execute("SET lock_timeout = '1s'")
        assert reader.execute("SELECT count(*) FROM portal.price").fetchone() == (50,)


def test_a_price_of_a_first_list_changes_within_its_page(world: World) -> None:
    """No index is written for a new price (HOT): each column of a key stands in the row itself."""
    prepared(world)
    world.mill.put("price", [price(f"H{i}") for i in range(20)])
    world.run("mill", "prices")
    world.mill.put("price", [price(f"H{i}", unit_price="11.00") for i in range(20)])
    assert counted(world.run("mill", "prices")) == {"read": 20, "updated": 20}
    world.forget()  # a session tells what it did when it ends
    query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'price_mill'"
    found, until = (0, 0), time.monotonic() + 10
    while found[0] < 20 and time.monotonic() < until:
        found = world.sql(query)[0]
    assert found == (20, 20)
