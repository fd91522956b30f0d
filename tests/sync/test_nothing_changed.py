"""Cost follows change: what did not change is not written again (design, section 5)."""

from __future__ import annotations

from tests.sync.far_side import csv_feed, dealers
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
