"""Cost follows change: what did not change is not written again (design, section 5)."""

from __future__ import annotations

import psycopg

from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World, counted


def test_first_load_writes_rows_and_no_change_log(world: World) -> None:
    """A first load writes no change rows: the batch is the change."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1, 2, 3))
    outcome = world.sync("mill", "customers")
    assert outcome.state == "done"
    assert counted(outcome) == {"read": 3, "inserted": 3}
    assert world.keys("dealer") == {"D1", "D2", "D3"}
    assert world.sql("SELECT * FROM sync.change") == []
    accounts = world.sql("SELECT erp, dealer_key FROM portal.dealer_account ORDER BY 2")
    assert accounts == [("mill", "D1"), ("mill", "D2"), ("mill", "D3")]


def test_same_bytes_are_not_read_again(world: World) -> None:
    """Same bytes: a run is written with read = unchanged = that batch's count, and nothing else."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1, 2, 3))
    first = world.run("mill", "customers")
    before = world.versions("dealer")
    confirmed = world.one("SELECT confirmed_at FROM sync.cursor")
    world.mill.put("dealer", dealers(1, 2, 3))
    second = world.run("mill", "customers")
    assert second.same_bytes
    assert counted(second) == {"read": 3, "unchanged": 3}
    assert world.versions("dealer") == before
    assert world.sql("SELECT * FROM sync.change") == []
    cursor = world.sql("SELECT batch_id, run_id, confirmed_at > %s FROM sync.cursor", confirmed)
    assert cursor == [(second.batch_id, second.run_id, True)]
    assert world.batch_state(first.batch_id) == world.batch_state(second.batch_id) == "applied"
    world.mill.put("dealer", dealers(1, 2, 3))
    assert world.run("mill", "customers").same_bytes, "also after a run that read nothing"


def test_same_rows_in_another_order_rewrite_nothing(world: World) -> None:
    """Other bytes, same rows: everything is compared and no row is rewritten."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1, 2, 3))
    world.run("mill", "customers")
    before = world.versions("dealer")
    world.mill.put("dealer", dealers(3, 1, 2))
    second = world.run("mill", "customers")
    assert not second.same_bytes
    assert counted(second) == {"read": 3, "unchanged": 3}
    assert world.versions("dealer") == before


def test_second_load_logs_only_the_fields_that_differ(world: World) -> None:
    """The change log holds what differs, old and new; a new row holds all of its fields."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", [dealer("D1", payment_days=30), *dealers(2, 3, 4, 5, 6)])
    world.run("mill", "customers")
    others = world.sql("SELECT key, xmin::text FROM portal.dealer WHERE key > 'D1' ORDER BY 1")
    world.mill.put("dealer", [dealer("D1", payment_days=14), *dealers(2, 3, 4, 5, 7)])
    second = world.run("mill", "customers")
    assert counted(second) == {"read": 6, "inserted": 1, "updated": 1, "unchanged": 4, "deleted": 1}
    logged = world.sql("SELECT key, op, old, new FROM sync.change ORDER BY key")
    assert logged[0] == ("D1", "update", {"payment_days": 30}, {"payment_days": 14})
    assert logged[1][:2] == ("D6", "delete")
    assert logged[1][2]["name"] == "Dealer D6"
    assert logged[1][3] is None
    assert logged[2][:3] == ("D7", "insert", None)
    assert logged[2][3]["status"] == "active"
    assert len(logged) == 3
    now = world.sql(
        "SELECT key, xmin::text FROM portal.dealer WHERE key BETWEEN 'D2' AND 'D5' ORDER BY 1"
    )
    assert now == others[:4]


def test_a_field_that_becomes_empty_is_a_change(world: World) -> None:
    """A value that goes away is logged as old without new, and the row has none."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", [dealer("D1", payment_days=30)])
    world.run("mill", "customers")
    world.mill.put("dealer", [dealer("D1")])
    assert counted(world.run("mill", "customers")) == {"read": 1, "updated": 1}
    assert world.rows("dealer", "payment_days") == {"D1": None}
    assert world.sql("SELECT old, new FROM sync.change") == [({"payment_days": 30}, {})]


def test_another_mapping_reads_the_same_bytes_again(world: World) -> None:
    """Same bytes count only under the same fingerprint."""
    feed = csv_feed("customers", [])
    world.map("mill", {"customers": feed})
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    feed["fields"]["region"] = {"const": "north"}
    world.map("mill", {"customers": feed})
    world.mill.put("dealer", dealers(1))
    second = world.run("mill", "customers")
    assert not second.same_bytes
    assert counted(second) == {"read": 1, "updated": 1}
    assert world.rows("dealer", "region") == {"D1": "north"}


def test_same_bytes_with_an_open_item_are_read_again(world: World) -> None:
    """Nothing open or deferred that could now pass: else the bytes are judged again."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    rows = [*dealers(1, 2), dealer("D3", status="strange")]
    world.mill.put("dealer", rows)
    world.run("mill", "customers")
    world.mill.put("dealer", rows)
    second = world.run("mill", "customers")
    assert not second.same_bytes
    assert counted(second) == {"read": 3, "unchanged": 2, "quarantined": 1}
    assert world.items()["D3"]["attempts"] == 2


def test_exact_decimals_and_provenance(world: World) -> None:
    """Every row says which batch and record it came from, and keeps all of its digits."""
    world.map("mill", {"products": csv_feed("products", [])})
    product = {"key": "007", "name": "Ünï", "status": "active", "base_uom": "PCE"}
    world.mill.put("product", [{**product, "tax_pct": "19.123456"}])
    outcome = world.run("mill", "products")
    found = world.sql("SELECT key, name, tax_pct::text, batch_id, record_no FROM portal.product")
    assert found == [("007", "Ünï", "19.123456", outcome.batch_id, 1)]


def test_the_planner_knows_an_erp_that_is_a_small_part_of_a_table(world: World) -> None:
    """Else what looks for its keys is planned as for one row, and takes minutes."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.sql(
        "INSERT INTO portal.dealer (erp, key, name, status, account_key, currency, "
        "batch_id, record_no, row_hash, as_of) "
        "SELECT 'old', n::text, n::text, 'active', n::text, 'EUR', 1, n, n, now() "
        "FROM generate_series(1, 20000) n"
    )
    world.sql("ANALYZE portal.dealer")
    world.mill.put("dealer", dealers(*range(1000)))
    assert counted(world.sync("mill", "customers"))["inserted"] == 1000
    ((plan,),) = world.sql("EXPLAIN (FORMAT json) SELECT FROM portal.dealer WHERE erp = 'mill'")
    assert 500 < plan[0]["Plan"]["Plan Rows"] < 2000


def test_a_load_does_not_wait_for_who_gathers_statistics_already(world: World) -> None:
    """Autovacuum has the table under this lock; here somebody who would never let go of it."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(1000)))
    url = world.settings.database_url
    assert url is not None
    with psycopg.connect(url) as other:
        other.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")  # a wait ends, too
        other.execute("LOCK TABLE portal.dealer IN SHARE UPDATE EXCLUSIVE MODE")
        assert counted(world.sync("mill", "customers"))["inserted"] == 1000
        assert other.execute("SELECT 1").fetchone() == (1,), "it still has its lock"
