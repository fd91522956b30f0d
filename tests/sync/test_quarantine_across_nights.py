"""One item a key, attempts added, discards that stick (section 5, quarantine across nights)."""

from __future__ import annotations

import pytest

from mappings.errors import Misconfigured
from sync.quarantine import discard
from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World, counted


@pytest.fixture
def mill(world: World) -> World:
    """D0 … D9, of which D9 came in wrong."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    night(world, "odd")
    return world


def night(world: World, status: str, **more: object) -> dict[str, int]:
    """One night in which D9 has that status; the run's ledger."""
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", status=status, **more)])
    return counted(world.run("mill", "customers"))


def test_dlq_7_the_same_key_failing_again_adds_an_attempt(mill: World) -> None:
    """Same key fails again → same item, attempt + 1; old attempts are kept."""
    first = mill.items()["D9"]
    assert '"odd"' in first["raw"]
    night(mill, "worse")
    item = mill.items()["D9"]
    assert item["id"] == first["id"]
    assert item["attempts"] == 2
    assert item["reasons"][0]["raw"] == "worse"
    attempts = mill.sql(
        "SELECT outcome, detail->'reasons'->0->>'raw' FROM sync.attempt ORDER BY id"
    )
    assert attempts == [("rejected", "odd"), ("rejected", "worse")]


def test_dlq_7_a_good_record_of_the_key_ends_the_item(mill: World) -> None:
    """Later success → superseded, with the run that did it."""
    assert night(mill, "active") == {"read": 10, "unchanged": 9, "inserted": 1}
    assert mill.items() == {}
    item = mill.items("superseded")["D9"]
    assert item["resolved_run"] == mill.one("SELECT max(id) FROM sync.run")
    night(mill, "odd")
    assert mill.items()["D9"]["id"] != item["id"], "a new trouble is a new item"


def test_two_bad_records_without_a_key_are_two_items(mill: World) -> None:
    """Unreadable records are told apart by what they hold, and found again the next night."""
    rows = [*dealers(*range(9)), dealer("", name="one"), dealer("", name="two")]
    mill.mill.put("dealer", rows)
    mill.run("mill", "customers")
    mill.mill.put("dealer", rows[::-1])
    mill.run("mill", "customers")
    items = {k: i for k, i in mill.items().items() if k.startswith("unreadable:")}
    assert sorted(item["attempts"] for item in items.values()) == [2, 2]


def test_a_discard_sticks_until_the_bytes_change(mill: World) -> None:
    """The same raw record is counted quarantined without a new item, until it differs."""
    discard(mill.ctx, mill.items()["D9"]["id"], reason="test dealer", actor="ops")
    assert night(mill, "odd") == {"read": 10, "unchanged": 9, "quarantined": 1}
    assert mill.items() == {}
    assert night(mill, "worse") == {"read": 10, "unchanged": 9, "quarantined": 1}
    assert set(mill.items()) == {"D9"}
    actions = mill.sql("SELECT actor, action, detail->>'reason' FROM sync.audit")
    assert actions == [("ops", "discard", "test dealer")]


def test_a_discard_sticks_until_the_fingerprint_changes(mill: World) -> None:
    """Another mapping judges anew."""
    discard(mill.ctx, mill.items()["D9"]["id"], reason="test dealer", actor="ops")
    feed = csv_feed("customers", [])
    feed["fields"]["region"] = {"const": "north"}
    mill.map("mill", {"customers": feed})
    night(mill, "odd")
    assert set(mill.items()) == {"D9"}


def test_a_discard_needs_a_reason_and_an_open_item(mill: World) -> None:
    """What a person decides is on record, once."""
    number = mill.items()["D9"]["id"]
    with pytest.raises(Misconfigured):
        discard(mill.ctx, number, reason=" ", actor="ops")
    discard(mill.ctx, number, reason="so", actor="ops")
    for again in (number, 4711):
        with pytest.raises(Misconfigured):
            discard(mill.ctx, again, reason="so", actor="ops")


def test_a_held_batch_opens_no_item(mill: World) -> None:
    """Nothing of a held batch is in quarantine: it is the batch that needs a person."""
    bad = [dealer(f"X{n}", status="odd") for n in range(12)]
    mill.mill.put("dealer", [*dealers(*range(9)), *bad])
    assert mill.run("mill", "customers").state == "held"
    assert set(mill.items()) == {"D9"}
