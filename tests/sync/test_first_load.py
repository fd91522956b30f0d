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


CONSTANTS = {
    "level": {"const": "customer"}, "dealer_scope": {"const": "dealer"}, "per": {"const": "100"},
}  # fmt: skip
INDEXES = """
    SELECT c.relname, x.indrelid::regclass::text, pg_relation_size(x.indexrelid) > 8192,
           pg_get_indexdef(x.indexrelid) LIKE '%% WHERE %%'
    FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
    LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid
    WHERE x.indrelid = 'portal.price_mill'::regclass AND (i.inhparent IS NOT NULL) = {}
"""


def test_what_the_mapping_says_of_every_price_stands_in_each_row(world: World) -> None:
    """It does not travel, and stays no default of the table; the next night finds nothing new."""
    fields = FEEDS["prices"]["fields"] | CONSTANTS
    world.map("mill", FEEDS | {"prices": FEEDS["prices"] | {"fields": fields}})
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    mine = [named(f"H{i}", "P1") | {"dealer_key": "D1", "level": "?", "per": 1} for i in (1, 2)]
    world.mill.put("product", [product("P1")])
    world.run("mill", "products")
    world.mill.put("price", mine)
    assert counted(world.run("mill", "prices")) == {"read": 2, "inserted": 2}
    kept = "SELECT DISTINCT level, dealer_scope, per FROM portal.price"
    assert world.sql(kept) == [("customer", "dealer", 100)]
    defaults = "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'portal.price_mill'::regclass"
    assert world.one(defaults) == 0
    mine[0]["unit_price"] = "12.00"
    world.mill.put("price", mine)
    assert counted(world.run("mill", "prices")) == {"read": 2, "updated": 1, "unchanged": 1}
    assert world.sql(kept) == [("customer", "dealer", 100)]


def test_a_first_list_has_every_index_of_the_table_once(world: World) -> None:
    """Those that can have no row of it are made while it is empty, the others when it is full."""
    parents = world.one("SELECT count(*) FROM pg_index WHERE indrelid = 'portal.price'::regclass")
    prepared(world)
    world.mill.put("price", [named("H1", "P1"), price("H2")])
    world.run("mill", "prices")
    assert len(world.sql(INDEXES.format("true"))) == parents
    assert world.sql(INDEXES.format("false")) == []
    rule = (
        "SELECT header_key FROM portal.price WHERE erp = 'mill' AND product_scope <> 'product' "
        "AND portal.price_scope(dealer_scope, dealer_group_kind, dealer_key) "
        "= portal.price_scope('all', NULL, NULL)"
    )
    with world.ctx.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        [[plan]] = connection.execute(f"EXPLAIN (FORMAT JSON) {rule}").fetchall()
        assert "price_rule_idx" in str(plan)
        assert connection.execute(rule).fetchall() == [("H2",)]


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
