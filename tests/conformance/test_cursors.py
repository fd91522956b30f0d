"""Cursors, part one (CUR-1 to 7): what a delta asks for next, and that it leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from sync.cursors import split_cursors
from sync.feed import sweep_feed
from tests.conformance.stamp_erp import StampErp
from tests.sync.far_side import dealer, page_feed
from tests.sync.world import World, counted


def delta_feed(**more: Any) -> dict[str, Any]:
    """Customers by their stamp, with a version."""
    version = {"from": "changed_at", "through": ["cut_to_micros", "iso_instant"]}
    return page_feed(
        "customers", source={"cursor": "changed_at"}, mode="delta", **{"version": version, **more}
    )


def stamped(key: str, stamp: str | None, **more: object) -> dict[str, object]:
    """A dealer with its stamp."""
    return dealer(key, changed_at=stamp, **more)


@pytest.fixture
def erp(world: World) -> Iterator[StampErp]:
    """`slate`: an ERP that answers by stamp."""
    one = StampErp()
    one.start()
    world.connect("slate", one.connection())
    world.map("slate", {"customers": delta_feed()})
    yield one
    one.stop()


def cursor(world: World) -> str:
    """The stored cursor of the main part."""
    return split_cursors(world.one("SELECT cursor FROM sync.cursor WHERE erp = 'slate'"))["dealer"]


@pytest.mark.parametrize(("late", "words"), [(8, {}), (50, {"misses": ["late_commits"]})])
def test_CUR_1_row_committed_behind_the_cursor_is_picked_up(
    world: World, erp: StampErp, late: int, words: dict[str, Any]
) -> None:
    """Stamped before the last value read, visible only afterwards: the overlap reaches it."""
    world.map("slate", {"customers": delta_feed(**words)})
    erp.put_rows("dealer", [stamped("D1", "2026-01-10T11:00:00Z")])
    world.run("slate", "customers")
    stamp = datetime(2026, 1, 10, 11, tzinfo=UTC) - timedelta(minutes=late)
    erp.put_rows("dealer", [stamped("D2", f"{stamp:%Y-%m-%dT%H:%M:%SZ}")])
    assert counted(world.run("slate", "customers"))["inserted"] == 1
    assert world.keys("dealer") == {"D1", "D2"}
    assert cursor(world) == "2026-01-10T11:00:00Z", "the cursor does not go back"


def test_CUR_2_row_sharing_the_exact_cursor_value_is_applied_once(
    world: World, erp: StampErp
) -> None:
    """Added after the read with the very stamp that the cursor has."""
    at = "2026-01-10T11:00:00Z"
    erp.put_rows("dealer", [stamped("D1", at)])
    world.run("slate", "customers")
    erp.put_rows("dealer", [stamped("D2", at)])
    assert counted(world.run("slate", "customers")) == {"read": 2, "inserted": 1, "unchanged": 1}
    erp.put_rows("dealer", [stamped("D3", "2026-01-10T11:00:01Z")])
    assert counted(world.run("slate", "customers")) == {"read": 3, "inserted": 1, "unchanged": 2}
    logged = world.sql("SELECT key, op FROM sync.change ORDER BY id")
    assert logged == [("D2", "insert"), ("D3", "insert")]


def test_CUR_3_cursor_never_exceeds_what_was_read(world: World, erp: StampErp) -> None:
    """The largest value as the ERP wrote it: seven digits stay seven, nothing is rounded up."""
    stamps = ["2026-01-10T11:00:00.9999998Z", "2026-01-10T11:00:00.9999999Z"]
    erp.put_rows("dealer", [stamped(f"D{n}", one) for n, one in enumerate(stamps)])
    world.run("slate", "customers")
    assert cursor(world) == stamps[1]
    world.run("slate", "customers")
    assert erp.asked("dealer")[1] <= stamps[0]
    assert cursor(world) == stamps[1]


def test_CUR_4_row_changed_while_the_pull_reads_is_not_skipped(world: World, erp: StampErp) -> None:
    """Pages come by key, and the last one holds the newest stamp: what changed on a page that had
    been read lies behind it. The next start goes back by as long as the pull took.
    """
    world.map("slate", {"customers": delta_feed(overlap_minutes=0)})
    erp.page = 1
    now = datetime(2026, 1, 10, 11, tzinfo=UTC)

    def stamp() -> str:
        return f"{now + timedelta(seconds=time.monotonic() - began):%Y-%m-%dT%H:%M:%S.%fZ}"

    began = time.monotonic()
    erp.put_rows("dealer", [stamped(f"D{n}", stamp()) for n in range(4)])

    def meanwhile(entity: str, page: int) -> None:
        del entity
        if page == 3 and "name" not in changed:
            changed["name"] = "changed behind the reader"
            erp.put_rows("dealer", [stamped("D0", stamp(), name=changed["name"])])
        if page == 4 and "last" not in changed:
            time.sleep(1.2)
            changed["last"] = stamp()
            erp.put_rows("dealer", [stamped("D3", changed["last"])])

    changed: dict[str, str] = {}
    erp.between = meanwhile
    world.run("slate", "customers")
    assert cursor(world) == changed["last"]
    assert world.rows("dealer", "name")["D0"] == "Dealer D0"
    erp.between = None
    world.run("slate", "customers")
    assert world.rows("dealer", "name")["D0"] == "changed behind the reader"


def test_CUR_5_records_without_a_stamp_are_loaded(world: World, erp: StampErp) -> None:
    """The first run is unfiltered; later the sweep finds what no delta brings, and counts it."""
    world.map("slate", {"customers": delta_feed(misses=["null_stamps"])})
    erp.put_rows("dealer", [stamped("D1", "2026-01-10T11:00:00Z"), stamped("D2", None)])
    world.run("slate", "customers")
    assert world.keys("dealer") == {"D1", "D2"}
    erp.put_rows("dealer", [stamped("D2", None, name="renamed"), stamped("D3", None)])
    world.run("slate", "customers")
    assert world.rows("dealer", "name") == {"D1": "Dealer D1", "D2": "Dealer D2"}
    outcome = sweep_feed(world.ctx, "slate", "customers")
    assert outcome is not None
    assert counted(outcome) == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1}
    found = world.sql("SELECT compared, missed_inserted, missed_updated, pending FROM sync.sweep")
    assert found == [(3, 1, 1, 0)]
    assert world.rows("dealer", "name")["D2"] == "renamed"


@pytest.mark.parametrize("minutes", [-10, 10])
def test_CUR_6_clock_of_the_erp_beside_ours_loses_nothing(
    world: World, erp: StampErp, minutes: int
) -> None:
    """Ten minutes behind or ahead: the cursor is a text of the ERP's, never an instant of ours."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    for n in range(4):
        erp.date = format_datetime(clock(), usegmt=True)
        erp.put_rows("dealer", [stamped(f"D{n}", f"{clock():%Y-%m-%dT%H:%M:%S.%fZ}")])
        world.run("slate", "customers")
        assert world.keys("dealer") == {f"D{k}" for k in range(n + 1)}
    age = world.one("SELECT max(now() - confirmed_at) FROM sync.cursor WHERE erp = 'slate'")
    assert timedelta(0) <= age < timedelta(minutes=2), "no age is taken from a wrong clock"


@pytest.mark.parametrize(
    "labels",
    [
        # put back at 03:00: 02:10 comes again, after 02:55 was read
        ["2026-10-25T01:50:00", "2026-10-25T02:55:00", "2026-10-25T02:10:00", "2026-10-25T02:56:00",
         "2026-10-25T03:01:00"],
        # put forward at 02:00: 03:05 is six minutes after 01:59, which is committed late
        ["2026-03-29T01:50:00", "2026-03-29T03:05:00", "2026-03-29T01:59:00",
         "2026-03-29T03:06:00"],
    ],
    ids=["back", "forward"],
)  # fmt: skip
def test_CUR_6_change_of_the_clock_loses_nothing(
    world: World, erp: StampErp, labels: list[str]
) -> None:
    """Stamps in local time without an offset, across both changes of the clock."""
    local = {"from": "changed_at", "through": ["local_instant"]}
    world.map("slate", {"customers": delta_feed(version=local)})
    for n, label in enumerate(labels):
        erp.put_rows("dealer", [stamped(f"D{n}", label)])
        world.run("slate", "customers")
        assert world.keys("dealer") == {f"D{k}" for k in range(n + 1)}, label
    assert cursor(world) == max(labels)


@pytest.mark.slow
def test_CUR_7_fifty_thousand_rows_of_one_stamp_neither_loop_nor_swell(
    world: World, erp: StampErp
) -> None:
    """A mass update under a cursor of whole days: read again as a whole, applied once."""
    erp.page = 10_000
    day = {"from": "changed_at", "through": ["iso_date", "midnight_of"]}
    world.map("slate", {"customers": delta_feed(version=day)})
    erp.put_rows("dealer", [stamped(f"D{n:05}", "2026-01-10") for n in range(50_000)])
    assert counted(world.run("slate", "customers"))["inserted"] == 50_000
    asked = len(erp.requests)
    second = world.run("slate", "customers")
    assert counted(second) == {"read": 50_000, "unchanged": 50_000}
    assert len(erp.requests) == 2 * asked, "five pages and a count, each once"
    assert len(world.one("SELECT cursor FROM sync.cursor")) < 100
    erp.put_rows("dealer", [stamped("D00000", "2026-01-12")])
    third = world.run("slate", "customers")
    assert third.counts.updated == 0
    assert third.counts.unchanged == 50_000, "the day before is still in the overlap"
    fourth = world.run("slate", "customers")
    assert fourth.counts.read == 1, "and then no more"
