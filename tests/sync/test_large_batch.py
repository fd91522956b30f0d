"""A batch of many bytes is read by a thread of its own: nothing is different for it."""

from __future__ import annotations

from tests.sync.far_side import csv_feed, product
from tests.sync.world import World, counted

PAGE = "x" * 450_000
ROWS = 40
"""Together 18 MB: more than one thread reads alone."""


def large(count: int) -> list[dict[str, object]]:
    return [product(f"P{n}", description=PAGE) for n in range(count)]


def test_a_large_batch_is_read_to_its_end(world: World) -> None:
    """A line that cannot be read has its number; the others are let in."""
    world.map("mill", {"products": csv_feed("products", [])})
    world.mill.put("product", large(ROWS), loose=["half;a;line"], count=ROWS + 1)
    outcome = world.run("mill", "products")
    assert counted(outcome) == {"read": ROWS + 1, "inserted": ROWS, "quarantined": 1}
    numbers = world.sql("SELECT record_no FROM sync.quarantine WHERE part = 'product'")
    assert numbers == [(ROWS + 1,)]


def test_what_is_wrong_with_the_end_of_a_large_batch_holds_it(world: World) -> None:
    """What the thread finds is raised where the records are taken in."""
    world.map("mill", {"products": csv_feed("products", [])})
    world.mill.put("product", large(ROWS), trailer=False)
    outcome = world.run("mill", "products")
    assert outcome.state == "held"
    assert world.keys("product") == set()
    assert world.staging_tables() == []
