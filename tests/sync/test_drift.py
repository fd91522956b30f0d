"""Rows that somebody edited are found by comparing everything, and repaired (issue: drift)."""

from __future__ import annotations

from sync.drift import check_drift
from tests.sync.far_side import csv_feed, dealers, price, product
from tests.sync.world import World, counted

FEED = {"customers": csv_feed("customers", [])}


def test_an_edited_a_deleted_and_a_made_up_row_are_repaired(world: World) -> None:
    """The table is again what the extract says; the change log says what it was."""
    world.map("mill", FEED)
    world.mill.put("dealer", dealers(*range(1, 12)))
    world.run("mill", "customers")
    world.admin.execute("UPDATE portal.dealer SET name = 'edited' WHERE key = 'D1'")
    world.admin.execute("DELETE FROM portal.dealer WHERE key = 'D2'")
    world.admin.execute("CREATE TEMP TABLE one AS SELECT * FROM portal.dealer WHERE key = 'D3'")
    world.admin.execute("UPDATE one SET key = 'X'")
    world.admin.execute("INSERT INTO portal.dealer SELECT * FROM one")
    (found,) = check_drift(world.ctx, "mill", "customers")
    assert found.repaired == 3
    assert found.outcome is not None
    assert counted(found.outcome) == {
        "read": 11,
        "inserted": 1,
        "updated": 1,
        "unchanged": 9,
        "deleted": 1,
    }
    assert world.rows("dealer", "name")["D1"] == "Dealer D1"
    assert world.keys("dealer") == {f"D{i}" for i in range(1, 12)}
    logged = world.sql("SELECT key, op, old ->> 'name' FROM sync.change ORDER BY key")
    assert logged == [
        ("D1", "update", "edited"),
        ("D2", "insert", None),
        ("X", "delete", "Dealer D3"),
    ]
    (again,) = check_drift(world.ctx, "mill", "customers")
    assert again.repaired == 0


def test_after_the_check_the_next_load_still_skips_what_it_knows(world: World) -> None:
    """The check renews what later loads lean on."""
    world.map("mill", FEED)
    world.mill.put("dealer", dealers(1, 2, 3))
    world.run("mill", "customers")
    check_drift(world.ctx, "mill", "customers")
    world.mill.put("dealer", dealers(3, 2, 1))
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 3, "unchanged": 3}
    timings = world.one("SELECT timings FROM sync.run WHERE id = %s", outcome.run_id)
    assert timings["known"] >= 0


def test_a_price_edited_tenfold_is_drift_and_no_suspect(world: World) -> None:
    """The old value is not the ERP's, so no change check may keep the right one out."""
    world.map(
        "mill",
        {
            **FEED,
            "products": csv_feed("products", []),
            "prices": csv_feed("prices", []),
        },
    )
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    world.mill.put("product", [product("P1")])
    world.run("mill", "products")
    world.mill.put("price", [price("H1")])
    world.run("mill", "prices")
    world.admin.execute("UPDATE portal.price SET unit_price = 100")
    (found,) = check_drift(world.ctx, "mill", "prices")
    assert found.repaired == 1
    assert world.sql("SELECT unit_price::text FROM portal.price") == [("10.000000",)]


def test_another_mapping_is_left_to_the_next_load(world: World) -> None:
    """What a changed mapping changes is not drift."""
    feed = csv_feed("customers", [])
    world.map("mill", {"customers": feed})
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    feed["fields"]["region"] = {"const": "north"}
    world.map("mill", {"customers": feed})
    (found,) = check_drift(world.ctx, "mill", "customers")
    assert found.outcome is None
    assert "mapping" in found.says
