"""Delta feeds: cursors, overlap, tombstones, versions (sections 2 and 5)."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import WaybillError
from sync.cursors import split_cursors
from tests.sync.far_side import dealer, page_feed
from tests.sync.world import World, counted


def delta_feed() -> dict[str, Any]:
    """Customers as a delta with cursor, tombstones and a version."""
    return page_feed(
        "customers",
        source={"cursor": "changed_at", "deleted": "true"},
        mode="delta",
        deleted="@removed",
        version={"from": "changed_at"},
    )


def at(minute: int, key: str, **more: object) -> dict[str, object]:
    """A dealer changed at 10:00 plus so many minutes."""
    return dealer(key, changed_at=f"2026-01-10T10:{minute:02}:00Z", **more)


def removed(minute: int, key: str) -> dict[str, object]:
    """A tombstone."""
    when = f"2026-01-10T10:{minute:02}:00Z"
    return {"@removed": {"reason": "deleted"}, "key": key, "changed_at": when}


@pytest.fixture
def forge(world: World) -> World:
    """A delta feed that has loaded D1, D2 and D3."""
    world.map("forge", {"customers": delta_feed()})
    world.forge.put("dealer", [at(1, "D1"), at(2, "D2"), at(3, "D3")])
    world.run("forge", "customers")
    return world


def cursor(world: World) -> str:
    """The stored cursor of the main part."""
    return split_cursors(world.one("SELECT cursor FROM sync.cursor"))["dealer"]


def test_cur_1_next_pull_starts_behind_its_cursor(forge: World) -> None:
    """Overlap: rows committed late are picked up although their stamp is older."""
    forge.forge.put("dealer", [at(2, "D9")])
    second = forge.run("forge", "customers")
    asked = forge.forge.requests[-1].partition("ge ")[2][:20]
    assert "2026-01-10T09:50:00Z" < asked <= "2026-01-10T09:53:00Z", forge.forge.requests
    assert counted(second) == {"read": 1, "inserted": 1}
    assert cursor(forge) == "2026-01-10T10:03:00Z", "the cursor never goes back"


def test_cur_2_overlap_read_again_is_idempotent(forge: World) -> None:
    """Rows of the overlap are unchanged; one added with the same stamp is applied once."""
    before = forge.versions("dealer")
    forge.forge.put("dealer", [at(2, "D2"), at(3, "D3"), at(3, "D4")])
    second = forge.run("forge", "customers")
    assert counted(second) == {"read": 3, "inserted": 1, "unchanged": 2}
    assert before < forge.versions("dealer")
    third = forge.run("forge", "customers")
    assert third.same_bytes
    assert forge.keys("dealer") == {"D1", "D2", "D3", "D4"}


def test_cur_3_cursor_is_the_largest_text_that_was_read(forge: World) -> None:
    """Not rounded, not reformatted: seven digits stay seven digits."""
    stamp = "2026-01-10T10:20:00.1234567Z"
    feed = delta_feed()
    feed["version"] = {"from": "changed_at", "through": ["cut_to_micros", "iso_instant"]}
    forge.map("forge", {"customers": feed})
    forge.forge.put("dealer", [dealer("D5", changed_at=stamp), at(4, "D4")])
    forge.run("forge", "customers")
    assert cursor(forge) == stamp


def test_cur_8_cursor_moves_only_with_the_data(forge: World) -> None:
    """A pull that breaks, and a load that did not happen yet, leave it where it was."""
    forge.forge.put("dealer", [at(30, "D4")], [at(40, "D5")])
    forge.forge.status["dealer", 2] = 404
    with pytest.raises(WaybillError):
        forge.pull("forge", "customers")
    assert cursor(forge) == "2026-01-10T10:03:00Z"
    forge.forge.status.clear()
    batch_id = forge.pull("forge", "customers")
    assert cursor(forge) == "2026-01-10T10:03:00Z"
    forge.load(batch_id)
    assert cursor(forge) == "2026-01-10T10:40:00Z"
    assert forge.keys("dealer") == {"D1", "D2", "D3", "D4", "D5"}


def test_a_delta_never_deletes_what_it_does_not_hold(forge: World) -> None:
    """A delta says nothing about the rest."""
    forge.forge.put("dealer", [at(9, "D2", name="new")])
    assert counted(forge.run("forge", "customers")) == {"read": 1, "updated": 1}
    assert forge.keys("dealer") == {"D1", "D2", "D3"}


def test_cur_11_tombstone_deletes_only_its_key(forge: World) -> None:
    """It counts as updated if it removes a row, else unchanged."""
    forge.forge.put("dealer", [removed(9, "D2"), removed(9, "D99")])
    second = forge.run("forge", "customers")
    assert counted(second) == {"read": 2, "updated": 1, "unchanged": 1, "deleted": 1}
    assert forge.keys("dealer") == {"D1", "D3"}
    assert forge.one("SELECT count(*) FROM portal.dealer WHERE key = 'D99'") == 0
    forge.forge.put("dealer", [removed(9, "D2"), removed(10, "D98")])
    assert counted(forge.run("forge", "customers")) == {"read": 2, "unchanged": 2}


def test_the_later_of_a_good_and_a_bad_record_of_one_key_speaks_for_it(forge: World) -> None:
    """Superseded is a record overtaken by a later one of its key, good or bad."""
    bad, worse = at(8, "D2", status="odd"), at(9, "D2", status="worse")
    forge.forge.put("dealer", [bad, worse, at(9, "D3", status="odd"), at(9, "D3", name="good")])
    second = forge.run("forge", "customers")
    assert counted(second) == {"read": 4, "superseded": 2, "quarantined": 1, "updated": 1}
    assert forge.rows("dealer", "name")["D3"] == "good"
    stale = forge.sql("SELECT key FROM portal.dealer WHERE stale_since IS NOT NULL")
    assert stale == [("D2",)]
    ((key, item),) = forge.items().items()
    assert (key, item["reasons"][0]["raw"]) == ("D2", "worse")
    forge.forge.put("dealer", [at(10, "D2", name="fine"), at(10, "D2", status="odd")])
    third = forge.run("forge", "customers")
    assert counted(third) == {"read": 2, "superseded": 1, "quarantined": 1}
    assert forge.rows("dealer", "name")["D2"] == "Dealer D2"


@pytest.mark.parametrize("key", ["D2", "D9"])
def test_cur_11_delete_and_recreate_in_one_page_ends_as_present(forge: World, key: str) -> None:
    """The last of one key counts; the one before is superseded."""
    forge.forge.put("dealer", [removed(8, key), at(9, key, name="again")])
    second = forge.run("forge", "customers")
    expected = "updated" if key == "D2" else "inserted"
    assert counted(second) == {"read": 2, expected: 1, "superseded": 1}
    assert forge.rows("dealer", "name")[key] == "again"


def test_cur_11_create_and_delete_in_one_page_ends_as_gone(forge: World) -> None:
    """The other way round."""
    forge.forge.put("dealer", [at(8, "D2", name="short-lived"), removed(9, "D2")])
    second = forge.run("forge", "customers")
    assert counted(second) == {"read": 2, "updated": 1, "superseded": 1, "deleted": 1}
    assert "D2" not in forge.keys("dealer")


def test_a_deleted_key_that_returns_is_inserted(forge: World) -> None:
    """A key that returns is inserted."""
    forge.forge.put("dealer", [removed(9, "D2")])
    forge.run("forge", "customers")
    forge.forge.put("dealer", [at(10, "D2")])
    assert counted(forge.run("forge", "customers")) == {"read": 1, "inserted": 1}


def test_csv_14_version_decides_which_of_one_key_wins(forge: World) -> None:
    """A delta with a version: the last one by version wins, wherever it stands."""
    forge.forge.put("dealer", [at(9, "D2", name="newest"), at(8, "D2", name="older")])
    assert counted(forge.run("forge", "customers")) == {"read": 2, "updated": 1, "superseded": 1}
    assert forge.rows("dealer", "name")["D2"] == "newest"


def test_a_tombstone_supersedes_the_open_item_of_its_key(forge: World) -> None:
    """What is gone needs nobody any more."""
    forge.forge.put("dealer", [at(9, "D2", status="odd")])
    forge.run("forge", "customers")
    assert set(forge.items()) == {"D2"}
    forge.forge.put("dealer", [removed(10, "D2")])
    forge.run("forge", "customers")
    assert forge.items() == {}
    assert "D2" not in forge.keys("dealer")


def test_a_tombstone_without_a_key_is_quarantined(forge: World) -> None:
    """Nothing is deleted on a guess."""
    forge.forge.put("dealer", [{"@removed": {"reason": "deleted"}, "changed_at": None}])
    assert counted(forge.run("forge", "customers")) == {"read": 1, "quarantined": 1}
    assert forge.keys("dealer") == {"D1", "D2", "D3"}


def test_cursor_must_stand_where_the_pull_found_it(forge: World) -> None:
    """The commit requires the cursor to equal cursor_from, else the batch is superseded."""
    forge.forge.put("dealer", [at(9, "D4")])
    batch_id = forge.pull("forge", "customers")
    forge.sql('UPDATE sync.cursor SET cursor = \'{"dealer": "2026-01-10T11:00:00Z"}\'')
    with pytest.raises(WaybillError) as raised:
        forge.load(batch_id)
    assert raised.value.code == "overtaken"
    assert forge.batch_state(batch_id) == "superseded"
    assert forge.keys("dealer") == {"D1", "D2", "D3"}
    assert forge.one("SELECT state FROM sync.run ORDER BY id DESC LIMIT 1") == "failed"
