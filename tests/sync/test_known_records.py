"""Records that the portal holds byte for byte are skipped, and nothing ends differently for it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync.load import Order, load
from sync.pull import pull
from tests.sync.far_side import csv_feed, dealer
from tests.sync.world import World, counted

FEED = {"customers": csv_feed("customers", [], guards={"fall_share": "1", "rejected_share": "1"})}


def index_folder(world: World, erp: str = "mill") -> Path:
    return world.settings.home / "cache" / "records" / erp


def staged_rows(world: World, run_id: int) -> dict[str, float]:
    return world.one("SELECT timings FROM sync.run WHERE id = %s", run_id)


def test_a_reordered_extract_reads_no_record(world: World) -> None:
    """Every record is known: none is parsed, none is staged, all are counted."""
    world.map("mill", FEED)
    world.mill.put("dealer", [dealer(f"D{i}") for i in range(9)])
    world.run("mill", "customers")
    before = world.versions("dealer")
    world.mill.put("dealer", [dealer(f"D{i}") for i in reversed(range(9))])
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 9, "unchanged": 9}
    assert "known" in staged_rows(world, outcome.run_id)
    assert world.versions("dealer") == before


def test_changed_new_vanished_and_repeated_records(world: World) -> None:
    """The counts are those of comparing everything."""
    world.map("mill", FEED)
    world.mill.put("dealer", [dealer(f"D{i}") for i in range(6)])
    world.run("mill", "customers")
    world.mill.put(
        "dealer",
        [
            dealer("D0"),
            dealer("D0"),
            dealer("D1", payment_days=9),
            dealer("D2"),
            dealer("D9"),
            dealer("D3", status="strange"),
        ],
    )
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {
        "read": 6,
        "inserted": 1,
        "updated": 1,
        "unchanged": 2,
        "superseded": 1,
        "quarantined": 1,
        "deleted": 2,
    }
    assert world.keys("dealer") == {"D0", "D1", "D2", "D3", "D9"}
    stale = "SELECT key FROM portal.dealer WHERE stale_since IS NOT NULL"
    assert world.sql(stale) == [("D3",)]
    world.mill.put("dealer", [dealer("D0"), dealer("D1", payment_days=9), dealer("D2")])
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 3, "unchanged": 3, "deleted": 2}


def test_a_new_record_of_a_known_records_key_contradicts_it(world: World) -> None:
    """Both copies are refused, as when everything is compared."""
    world.map("mill", FEED)
    world.mill.put("dealer", [dealer("D1"), dealer("D2")])
    world.run("mill", "customers")
    world.mill.put("dealer", [dealer("D1"), dealer("D2"), dealer("D1", payment_days=3)])
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 3, "unchanged": 1, "quarantined": 2}


@pytest.mark.parametrize("harm", ["lost", "cut", "other digests", "other name"])
def test_a_harmed_index_costs_a_comparison_and_nothing_else(world: World, harm: str) -> None:
    """Whatever happens to the cache, the end state is right."""
    world.map("mill", FEED)
    world.mill.put("dealer", [dealer(f"D{i}") for i in range(9)])
    world.run("mill", "customers")
    _harm(index_folder(world), harm)
    world.mill.put("dealer", [dealer(f"D{i}", payment_days=i) for i in reversed(range(8))])
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 8, "updated": 8, "deleted": 1}


def test_an_edited_portal_row_is_not_seen_by_a_load_of_known_records(world: World) -> None:
    """What the drift check is for: the index speaks for the extract, not for the table."""
    world.map("mill", FEED)
    world.mill.put("dealer", [dealer("D1"), dealer("D2")])
    first = world.run("mill", "customers")
    world.admin.execute("UPDATE portal.dealer SET name = 'edited' WHERE key = 'D1'")
    order = Order(kind="replay", everything=True)
    outcome = load(world.ctx, first.batch_id, order=order)
    assert counted(outcome) == {"read": 2, "updated": 1, "unchanged": 1}
    assert world.rows("dealer", "name")["D1"] == "Dealer D1"


def test_what_did_not_change_writes_next_to_no_wal(world: World) -> None:
    """Less than 1 MB, and no dead row, whatever the table's size."""
    world.map("mill", FEED)
    rows = [dealer(f"D{i}") for i in range(5_000)]
    world.mill.put("dealer", rows)
    world.run("mill", "customers")
    world.mill.put("dealer", rows[::-1])
    batch = world.pull("mill", "customers")
    before = world.one("SELECT pg_current_wal_insert_lsn()")
    versions = world.versions("dealer")
    assert counted(world.load(batch)) == {"read": 5_000, "unchanged": 5_000}
    written = world.one("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before)
    assert written < 2**20
    assert world.versions("dealer") == versions


def _harm(folder: Path, harm: str) -> None:
    (records,) = folder.rglob("records")
    if harm == "lost":
        shutil.rmtree(folder)
    elif harm == "cut":
        records.write_bytes(records.read_bytes()[:-20])
    elif harm == "other digests":
        records.write_bytes(bytes(len(records.read_bytes())))
    else:
        (meta,) = folder.rglob("index.json")
        meta.write_text(meta.read_text(encoding="utf-8").replace('"batch_id": ', '"batch_id": 9'))


ROW = st.tuples(st.sampled_from("ABCDEF"), st.sampled_from([None, 1, 2]), st.booleans())
NIGHT = st.tuples(
    st.lists(ROW, max_size=8),
    st.sampled_from(["", "", "", "lost", "cut", "other digests", "other name", "retry"]),
)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(nights=st.lists(NIGHT, min_size=1, max_size=5))
def test_every_sequence_ends_as_without_the_index(
    world: World, nights: list[tuple[list[Any], str]]
) -> None:
    """Two ERPs send the same; one has its index taken away before each load."""
    number = len(world.sql("SELECT DISTINCT erp FROM sync.batch"))
    names = (f"with{number}", f"without{number}")
    for erp in names:
        world.connect(erp, world.mill.connection())
        world.map(erp, FEED)
    for rows, harm in nights:
        world.mill.put(
            "dealer",
            [
                dealer(f"D{key}", payment_days=days, **({} if good else {"status": "strange"}))
                for key, days, good in rows
            ],
        )
        ended = []
        for erp in names:
            folder = index_folder(world, erp)
            if erp == names[1]:
                shutil.rmtree(folder, ignore_errors=True)
            elif harm and harm != "retry" and list(folder.rglob("index.json")):
                _harm(folder, harm)
            batch = pull(world.ctx, erp, "customers")
            assert batch is not None
            ended.append(load(world.ctx, batch))
        assert counted(ended[0]) == counted(ended[1])
        assert [o.state for o in ended] in (["done"] * 2, ["held"] * 2)
        states = [_state(world, erp) for erp in names]
        assert states[0] == states[1]


def _state(world: World, erp: str) -> tuple[object, ...]:
    rows = world.sql(
        "SELECT key, name, payment_days, deleted_at IS NULL, stale_since IS NULL, row_hash "
        "FROM portal.dealer WHERE erp = %s ORDER BY 1",
        erp,
    )
    items = world.sql(
        "SELECT key, state, code, attempts, record_no FROM sync.quarantine WHERE erp = %s "
        "ORDER BY key, id",
        erp,
    )
    changes = world.sql("SELECT key, op, old, new FROM sync.change WHERE erp = %s ORDER BY id", erp)
    digests = world.sql(
        "SELECT delta_sha256 FROM sync.run WHERE erp = %s AND state = 'held' ORDER BY id", erp
    )
    return rows, items, sorted(map(str, changes)), digests
