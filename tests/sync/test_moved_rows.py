"""A row that somebody writes to between the comparison and the commit is changed as it is then."""

from __future__ import annotations

import threading
import time

import psycopg

from sync.load import Outcome
from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World, counted

_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_the_log_tells_what_was_there_when_it_was_changed(world: World) -> None:
    """The load has compared and waits for the cursor; meanwhile a row gets another version."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put(
        "dealer", [dealer("D1", name="one"), dealer("D2", name="two"), *dealers(*range(3, 10))]
    )
    world.run("mill", "customers")
    world.mill.put(
        "dealer", [dealer("D1", name="uno"), dealer("D2", name="due"), *dealers(*range(3, 9))]
    )
    batch = world.pull("mill", "customers")
    url = world.settings.database_url
    assert url is not None
    done: list[Outcome] = []
    with psycopg.connect(url) as other:
        other.execute("SELECT FROM sync.cursor FOR UPDATE")
        thread = threading.Thread(target=lambda: done.append(world.load(batch)))
        thread.start()
        until = time.monotonic() + 30
        while not world.one(_WAITS) and time.monotonic() < until:
            time.sleep(0.01)
        other.execute("UPDATE portal.dealer SET name = 'by hand' WHERE key = 'D1'")
    thread.join(30)
    assert counted(done[0]) == {"read": 8, "updated": 2, "unchanged": 6, "deleted": 1}
    names = world.rows("dealer", "name")
    assert (names["D1"], names["D2"], "D9" in names) == ("uno", "due", False)
    logged = world.sql("SELECT key, op, old ->> 'name', new ->> 'name' FROM sync.change ORDER BY 1")
    assert logged == [
        ("D1", "update", "by hand", "uno"),
        ("D2", "update", "two", "due"),
        ("D9", "delete", "Dealer D9", None),
    ]
