"""Older never overwrites newer; replays and what they may write (section 5, order of batches)."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import Misconfigured, NotNow
from sync.release import release
from sync.replay import replay, replay_since
from tests.sync.far_side import csv_feed, dealer, dealers, page_feed
from tests.sync.world import World, counted

CODES = {"active": "active", "blocked": "blocked", "closed": "closed"}


def delta(**lookup: str) -> dict[str, Any]:
    """Customers as a delta; `lookup` adds codes of the status."""
    feed = page_feed("customers", source={"cursor": "changed_at"}, mode="delta")
    feed["fields"]["status"] = {"from": "status", "lookup": "status"}
    return {"customers": feed, "lookups": {"status": {**CODES, **lookup}}}


def map_forge(world: World, **lookup: str) -> None:
    """Write forge's mapping."""
    made = delta(**lookup)
    world.map("forge", {"customers": made["customers"]}, lookups=made["lookups"])


def at(minute: int, key: str, **more: object) -> dict[str, object]:
    """A dealer changed at 10:00 plus so many minutes."""
    return dealer(key, changed_at=f"2026-01-10T10:{minute:02}:00Z", **more)


@pytest.fixture
def forge(world: World) -> World:
    """Batch 1: D1 is odd, D2 and D3 are good. Batch 2: D2 changed. Batch 3: D4."""
    map_forge(world)
    for rows in (
        [at(1, "D1", status="odd", name="one"), at(1, "D2"), at(1, "D3")],
        [at(30, "D2", name="newer")],
        [at(59, "D4")],
    ):
        world.forge.put("dealer", rows)
        world.run("forge", "customers")
    return world


def test_cur_13_an_older_batch_never_overwrites_a_newer_one(world: World) -> None:
    """Batches of one scope are applied in their order only."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", [dealer("D1", name="old")])
    world.forge.declared["dealer"] = 2  # not proved complete: a newer one does not supersede it
    older = world.pull("forge", "customers")
    world.forge.put("dealer", [dealer("D1", name="new")])
    world.run("forge", "customers")
    assert world.batch_state(older) == "landed"
    with pytest.raises(NotNow) as raised:
        world.load(older)
    assert raised.value.code == "overtaken"
    assert world.batch_state(older) == "superseded"
    assert world.rows("dealer", "name") == {"D1": "new"}


def test_a_newer_complete_extract_supersedes_an_open_older_one(world: World) -> None:
    """A superseded batch cannot be loaded either."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1))
    older = world.pull("mill", "customers")
    world.mill.put("dealer", dealers(1, 2))
    newer = world.pull("mill", "customers")
    assert world.sql("SELECT state, superseded_by FROM sync.batch WHERE id = %s", older) == [
        ("superseded", newer)
    ]
    with pytest.raises(NotNow):
        world.load(older)
    world.load(newer)
    assert world.keys("dealer") == {"D1", "D2"}


def test_a_newer_delta_from_the_same_cursor_supersedes_an_open_older_one(forge: World) -> None:
    """It holds everything the older one held."""
    older = forge.pull("forge", "customers")
    forge.forge.put("dealer", [at(59, "D4"), at(59, "D5")])
    newer = forge.run("forge", "customers")
    assert forge.batch_state(older) == "superseded"
    assert newer.state == "done"
    assert forge.keys("dealer") == {"D2", "D3", "D4", "D5"}


def test_loading_an_applied_batch_again_gives_its_outcome_again(world: World) -> None:
    """Loading twice = once."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1, 2))
    first = world.run("mill", "customers")
    before = world.versions("dealer"), world.one("SELECT count(*) FROM sync.run")
    again = world.load(first.batch_id)
    assert (again.run_id, again.parts) == (first.run_id, first.parts)
    assert (world.versions("dealer"), world.one("SELECT count(*) FROM sync.run")) == before


def test_replaying_an_older_batch_writes_only_its_open_items(forge: World) -> None:
    """After a mapping fix: D1 comes in; D2, newer by now, is not touched; nothing is deleted."""
    map_forge(forge, odd="blocked")
    cursor = forge.sql("SELECT cursor, batch_id, run_id, confirmed_at FROM sync.cursor")
    others = forge.sql("SELECT key, xmin::text FROM portal.dealer WHERE key > 'D1' ORDER BY 1")
    outcome = replay(forge.ctx, 1, actor="ops")
    assert counted(outcome) == {"read": 1, "inserted": 1}
    assert forge.rows("dealer", "name") == {
        "D1": "one", "D2": "newer", "D3": "Dealer D3", "D4": "Dealer D4",
    }  # fmt: skip
    assert forge.items() == {}
    assert set(forge.items("released")) == {"D1"}
    now = forge.sql("SELECT key, xmin::text FROM portal.dealer WHERE key > 'D1' ORDER BY 1")
    assert now == others
    assert forge.sql("SELECT cursor, batch_id, run_id, confirmed_at FROM sync.cursor") == cursor
    assert forge.one("SELECT kind FROM sync.run WHERE id = %s", outcome.run_id) == "replay"
    assert forge.sql("SELECT actor, action FROM sync.audit") == [("ops", "replay")]


def test_replaying_an_older_batch_without_a_fix_adds_an_attempt(forge: World) -> None:
    """Judged again, failed again: the same item."""
    outcome = replay(forge.ctx, 1, actor="ops")
    assert counted(outcome) == {"read": 1, "quarantined": 1}
    assert forge.items()["D1"]["attempts"] == 2


def test_replaying_an_older_batch_never_touches_what_newer_data_settled(forge: World) -> None:
    """A key whose item a newer batch has ended is not written again."""
    forge.forge.put("dealer", [at(59, "D1", name="settled")])
    forge.run("forge", "customers")
    map_forge(forge, odd="blocked")
    assert counted(replay(forge.ctx, 1, actor="ops")) == {}
    assert forge.rows("dealer", "name")["D1"] == "settled"


def test_replaying_the_last_batch_judges_all_of_it(world: World) -> None:
    """With deletes, since nothing newer is there; the ERP is not asked."""
    made = csv_feed("customers", [])
    made["fields"]["status"] = {"from": "status", "lookup": "status"}
    world.map("mill", {"customers": made}, lookups={"status": CODES})
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", status="odd")])
    first = world.run("mill", "customers")
    world.mill.stop()
    world.map("mill", {"customers": made}, lookups={"status": {**CODES, "odd": "closed"}})
    outcome = replay(world.ctx, first.batch_id, actor="ops")
    assert counted(outcome) == {"read": 10, "unchanged": 9, "inserted": 1}
    assert world.items() == {}
    assert world.rows("dealer", "status")["D9"] == "closed"
    assert world.sql("SELECT batch_id, run_id FROM sync.cursor") == [
        (first.batch_id, outcome.run_id)
    ]


def test_a_replay_that_a_guard_stops_leaves_its_batch_applied(world: World) -> None:
    """The run is held, the batch is what it was; a release of that run lets the replay in."""
    made = csv_feed("customers", [])
    world.map("mill", {"customers": made})
    world.mill.put("dealer", dealers(*range(20)))
    first = world.run("mill", "customers")
    made["fields"]["status"] = {"from": "name", "lookup": "names"}
    names = {f"Dealer D{n}": "active" for n in range(8)}
    world.map("mill", {"customers": made}, lookups={"names": names})
    held = replay(world.ctx, first.batch_id, actor="ops")
    assert held.state == "held"
    assert [s["guard"] for s in held.stops] == ["rejected_share"]
    assert world.batch_state(first.batch_id) == "applied"
    assert world.items() == {}
    done = release(world.ctx, held.run_id, reason="so", actor="ops")
    assert counted(done) == {"read": 20, "unchanged": 8, "quarantined": 12}
    assert len(world.items()) == 12
    assert world.batch_state(first.batch_id) == "applied"
    assert len(world.keys("dealer")) == 20, "rejected keys have not vanished"


def test_a_replay_that_cannot_be_read_leaves_its_batch_applied(world: World) -> None:
    """A mapping that expects another trailer refuses the bytes: held run, applied batch."""
    made = csv_feed("customers", [])
    world.map("mill", {"customers": made})
    world.mill.put("dealer", dealers(1))
    first = world.run("mill", "customers")
    made["source"]["format"]["trailer"]["starts_with"] = "END"
    world.map("mill", {"customers": made})
    assert replay(world.ctx, first.batch_id, actor="ops").state == "held"
    assert world.batch_state(first.batch_id) == "applied"
    assert world.keys("dealer") == {"D1"}


def test_replay_since_reloads_everything_since_in_order(forge: World) -> None:
    """The end is what a load of all batches in order would have given under this mapping."""
    made = delta(odd="blocked")
    made["customers"]["fields"]["name"] = {"from": "name", "through": ["upper"]}
    forge.map("forge", {"customers": made["customers"]}, lookups=made["lookups"])
    outcomes = replay_since(forge.ctx, 1, actor="ops")
    assert [o.batch_id for o in outcomes] == [1, 2, 3]
    assert forge.rows("dealer", "name") == {
        "D1": "ONE", "D2": "NEWER", "D3": "DEALER D3", "D4": "DEALER D4",
    }  # fmt: skip
    assert forge.items() == {}
    assert forge.one("SELECT batch_id FROM sync.cursor") == 3


def test_replay_since_starts_at_the_last_complete_extract(world: World) -> None:
    """What came before it is not needed, and what had vanished stays so."""
    made = csv_feed("customers", [])
    world.map("mill", {"customers": made})
    for keys in (range(10), range(9), (*range(9), 11)):
        world.mill.put("dealer", dealers(*keys))
        world.run("mill", "customers")
    made["fields"]["name"] = {"from": "name", "through": ["upper"]}
    world.map("mill", {"customers": made})
    assert [o.batch_id for o in replay_since(world.ctx, 2, actor="ops")] == [2, 3]
    names = world.rows("dealer", "name")
    assert names == {f"D{n}": f"DEALER D{n}" for n in (*range(9), 11)}


def test_only_applied_batches_are_replayed(world: World) -> None:
    """A landed one is loaded, a held one released."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1))
    landed = world.pull("mill", "customers")
    for number in (landed, 4711):
        with pytest.raises(Misconfigured):
            replay(world.ctx, number, actor="ops")


def test_a_replay_without_its_evidence_says_so(forge: World) -> None:
    """The bytes are gone: nothing is written, and the operator reads where they should be."""
    folder = forge.settings.home / "landing" / "forge" / "customers" / "1"
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(Misconfigured) as raised:
        replay(forge.ctx, 1, actor="ops")
    assert raised.value.code == "evidence"
    assert str(folder) in str(raised.value)
    assert forge.one("SELECT state FROM sync.run ORDER BY id DESC LIMIT 1") == "failed"
