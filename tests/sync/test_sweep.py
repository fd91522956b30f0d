"""Sweeps: what counts as missed, what is shown, and when a sweep does not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mappings.errors import Misconfigured, NotNow
from sync import history
from sync.feed import sweep_feed
from sync.pull import pull
from tests.conformance.stamp_erp import StampErp
from tests.sync.far_side import csv_feed, dealer, invoice, line, page_feed
from tests.sync.world import World, counted
from waybill.cli_look import caught


def feed(name: str = "customers", nested: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A delta by stamp that sees no deletions."""
    words: dict[str, Any] = {"misses": ["deletions"], "version": {"from": "changed_at"}, **more}
    return page_feed(name, nested, source={"cursor": "changed_at"}, mode="delta", **words)


def at(minute: int, key: str, **more: object) -> dict[str, object]:
    """A dealer changed at 11:00 plus so many minutes."""
    return dealer(key, changed_at=f"2026-01-10T11:{minute:02}:00Z", **more)


@pytest.fixture
def erp(world: World) -> Iterator[StampErp]:
    """`slate`: ten dealers, loaded."""
    one = StampErp()
    one.start()
    world.connect("slate", one.connection())
    world.map("slate", {"customers": feed()})
    one.put_rows("dealer", [at(n, f"D{n}") for n in range(10)])
    world.run("slate", "customers")
    yield one
    one.stop()


def test_what_the_next_delta_would_have_brought_is_not_missed(world: World, erp: StampErp) -> None:
    """Changed while the sweep began: pending. Changed without a newer stamp, or gone: missed."""
    asked: list[str] = []

    def meanwhile(entity: str, page: int) -> None:
        del entity, page
        asked.append(erp.requests[-1])
        if len(asked) == 2:  # the delta has been, the sweep begins
            silent = dealer("D6", changed_at="2026-01-10T09:00:00Z", name="silent")
            erp.put_rows("dealer", [at(50, "D5", name="fresh"), silent])
            erp.rows["dealer"].pop("D7")

    erp.between = meanwhile
    outcome = sweep_feed(world.ctx, "slate", "customers")
    assert outcome is not None
    assert counted(outcome) == {"read": 9, "updated": 2, "unchanged": 7, "deleted": 1}
    found = world.sql(
        "SELECT cause, complete, compared, missed_inserted, missed_updated, missed_deleted, "
        "pending FROM sync.sweep"
    )
    assert found == [("asked", True, 10, 0, 1, 1, 1)]


def test_a_child_has_its_roots_stamp(world: World, erp: StampErp) -> None:
    """A line that is edited alone moves no stamp; the sweep finds the line."""
    mapped = {
        "customers": feed(),
        "invoices": feed("invoices", ("invoice_line",), misses=["silent_changes"]),
    }
    world.map("slate", mapped)
    old, new = "2026-01-10T09:00:00Z", "2026-01-10T11:00:00Z"
    lines = [line(1), line(2), line(3)]
    erp.put_rows(
        "invoice",
        [
            invoice("I1", changed_at=old, invoice_line=lines),
            invoice("I2", changed_at=new, invoice_line=lines),
        ],
    )
    accounts = world.keys("dealer")
    assert "D1" in accounts
    world.run("slate", "invoices")
    edited = [line(1, description="edited"), line(2), line(3)]
    erp.put_rows("invoice", [invoice("I1", changed_at=old, invoice_line=edited)])
    assert counted(world.run("slate", "invoices"), "invoice_line") == {"read": 3, "unchanged": 3}
    sweep_feed(world.ctx, "slate", "invoices")
    assert world.sql("SELECT missed_updated, pending FROM sync.sweep") == [(1, 0)]


def test_what_the_last_sweep_found_is_shown_with_the_feed(world: World, erp: StampErp) -> None:
    """The mapping's own words, when it is swept, and the share of rows that were missed."""
    (row,) = history.feeds(world.ctx, "slate")
    assert (row["misses"], row["sweep"], row["last_sweep"]) == (["deletions"], "0 4 * * *", None)
    assert caught(row) == "never swept"
    erp.rows["dealer"].pop("D3")
    sweep_feed(world.ctx, "slate", "customers")
    (row,) = history.feeds(world.ctx, "slate")
    assert row["last_sweep"]["missed"] == 1
    assert caught(row) == "1 of 10 missed (10.00 %)"
    erp.declared["dealer"] = 12
    sweep_feed(world.ctx, "slate", "customers")
    (row,) = history.feeds(world.ctx, "slate")
    assert caught(row) == "0 of 9 missed (0.00 %, not complete)"


def test_a_sweep_waits_for_a_decision_about_a_held_delta(world: World, erp: StampErp) -> None:
    """A newer whole extract would take the held batch out of that person's hands."""
    world.map("slate", {"customers": feed(guards={"rejected_share": "0.01", "rejected_least": 1})})
    erp.put_rows("dealer", [at(20, "D1", status="odd")])
    with pytest.raises(NotNow) as raised:
        sweep_feed(world.ctx, "slate", "customers")
    assert raised.value.code == "held"
    assert world.sql("SELECT count(*) FROM sync.sweep") == [(0,)]
    assert world.sql("SELECT state FROM sync.batch ORDER BY id DESC LIMIT 1") == [("held",)]


def test_a_feed_of_whole_extracts_has_no_sweep(world: World) -> None:
    """Every pull of it compares everything."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", [dealer("D1")])
    with pytest.raises(Misconfigured) as raised:
        pull(world.ctx, "mill", "customers", sweep="asked")
    assert raised.value.code == "no_sweep"


def test_an_unfinished_sweep_is_no_delta_to_go_on_with(world: World, erp: StampErp) -> None:
    """Going on is for the same question only."""
    erp.page = 3
    erp.status["dealer", 3] = 502
    with pytest.raises(Exception, match="502"):
        pull(world.ctx, "slate", "customers", sweep="asked")
    assert world.sql("SELECT state, sweep FROM sync.batch ORDER BY id DESC LIMIT 1") == [
        ("pulling", "asked")
    ]
    erp.status.clear()
    erp.put_rows("dealer", [at(30, "D11")])
    assert counted(world.run("slate", "customers"))["inserted"] == 1
    last = world.sql("SELECT mode, state FROM sync.batch ORDER BY id DESC LIMIT 2")
    assert last == [("delta", "applied"), ("snapshot", "abandoned")]
