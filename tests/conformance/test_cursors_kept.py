"""Cursors, part two (CUR-8 to 14): interruptions, deletions, lost cursors, order, parents."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.errors import NotNow, Transient, WaybillError
from mappings.reading import read_mapping
from mappings.trust import sweep_schedule
from sync.cursors import split_cursors
from sync.feed import sweep_feed
from tests.conformance.stamp_erp import StampErp
from tests.sync.far_side import (
    csv_feed,
    dealer,
    dealers,
    fields_of,
    page_feed,
    price,
    product,
)
from tests.sync.test_killed import Killed
from tests.sync.world import World, counted


def delta_feed(**more: Any) -> dict[str, Any]:
    """Customers by their stamp, with markers for what is gone."""
    return page_feed(
        "customers",
        source={"cursor": "changed_at", "deleted": "true"},
        mode="delta",
        deleted="@removed",
        version={"from": "changed_at"},
        **more,
    )


def at(minute: int, key: str, **more: object) -> dict[str, object]:
    """A dealer changed at 11:00 plus so many minutes."""
    return dealer(key, changed_at=f"2026-01-10T11:{minute:02}:00Z", **more)


def removed(minute: int, key: str) -> dict[str, object]:
    """A deletion marker."""
    when = f"2026-01-10T11:{minute:02}:00Z"
    return {"@removed": {"reason": "deleted"}, "key": key, "changed_at": when}


@pytest.fixture
def erp(world: World) -> Iterator[StampErp]:
    """`slate`: an ERP that answers by stamp, two rows a page."""
    one = StampErp(page=2)
    one.start()
    world.connect("slate", one.connection())
    world.map("slate", {"customers": delta_feed()})
    yield one
    one.stop()


@pytest.fixture
def killed(world: World, erp: StampErp, forking: subprocess.Popen[str]) -> Killed:
    """A process that can be killed."""
    del erp
    return Killed(world, forking)


def cursor(world: World) -> str | None:
    """The stored cursor of the main part."""
    found = world.sql("SELECT cursor FROM sync.cursor WHERE erp = 'slate' AND feed = 'customers'")
    return split_cursors(found[0][0]).get("dealer") if found else None


def pages_asked(erp: StampErp) -> list[int]:
    """Numbers of the pages that were asked for, in order."""
    return [
        int(path.rpartition("&page=")[2]) if "&page=" in path else 1
        for path in erp.requests
        if path.startswith("/api/dealer?")
    ]


def test_CUR_8_cursor_moves_only_with_the_commit(world: World, erp: StampErp) -> None:
    """Landed is not loaded: until the load's one transaction the next pull starts where it did."""
    erp.put_rows("dealer", [at(1, "D1")])
    first = world.pull("slate", "customers")
    assert cursor(world) is None
    world.load(first)
    assert cursor(world) == "2026-01-10T11:01:00Z"
    erp.put_rows("dealer", [at(30, "D2")])
    second = world.pull("slate", "customers")
    world.sql("CREATE FUNCTION sync.fail() RETURNS trigger LANGUAGE plpgsql AS "
              "$$ BEGIN RAISE 'the last statement of the commit fails'; END $$")  # fmt: skip
    world.sql("CREATE TRIGGER fail BEFORE UPDATE ON sync.cursor FOR EACH ROW WHEN "
              "(NEW.batch_id <> OLD.batch_id) EXECUTE FUNCTION sync.fail()")  # fmt: skip
    with pytest.raises(Exception, match="the last statement"):
        world.load(second)
    assert (cursor(world), world.keys("dealer")) == ("2026-01-10T11:01:00Z", {"D1"})
    world.sql("DROP TRIGGER fail ON sync.cursor")
    world.load(second)
    assert (cursor(world), world.keys("dealer")) == ("2026-01-10T11:30:00Z", {"D1", "D2"})


def test_CUR_8_killed_between_pages_goes_on_without_gap_or_restart(
    world: World, erp: StampErp, killed: Killed, tmp_path: Path
) -> None:
    """kill -9 in the middle: pages that had landed are kept, the rest is asked for."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(9)])
    announced = tmp_path / "pid"

    def kill(entity: str, page: int) -> None:
        if entity == "dealer" and page == 4 and announced.exists():
            os.kill(int(announced.read_text(encoding="ascii")), signal.SIGKILL)
            announced.unlink()

    erp.between = kill
    wish = {"verb": "pull", "erp": "slate", "feed": "customers", "announce": str(announced)}
    assert killed.wish(**wish)["status"] == -9
    assert pages_asked(erp) == [1, 2, 3, 4]
    erp.requests.clear()
    batch_id = world.pull("slate", "customers")
    assert min(pages_asked(erp)) > 1, "what had landed is not asked for again"
    assert world.sql("SELECT id, state FROM sync.batch") == [(batch_id, "landed")]
    assert counted(world.load(batch_id)) == {"read": 9, "inserted": 9}
    assert world.keys("dealer") == {f"D{n}" for n in range(9)}
    assert cursor(world) == "2026-01-10T11:08:00Z"
    folder = Path(world.ctx.landing.location(f"slate/customers/{batch_id}"))
    assert len(list(folder.glob("*.zst"))) == 5
    manifest = world.ctx.landing.read_manifest(f"slate/customers/{batch_id}")
    assert [page["page"] for page in manifest["pages"]] == [1, 2, 3, 4, 5]


def test_CUR_8_failed_for_a_moment_goes_on_at_the_next_try(world: World, erp: StampErp) -> None:
    """A page that answers 502 for a while: the task's retry asks for that page, not for all."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(9)])
    erp.status["dealer", 4] = 502
    with pytest.raises(Transient):
        world.pull("slate", "customers")
    ((state, says),) = world.sql("SELECT state, state_reason FROM sync.batch")
    assert (state, "the next pull goes on" in says) == ("pulling", True)
    assert cursor(world) is None
    erp.requests.clear()
    with pytest.raises(Transient):  # no page further than the last time: begin anew next time
        world.pull("slate", "customers")
    assert set(pages_asked(erp)) == {4}
    assert world.sql("SELECT state FROM sync.batch") == [("abandoned",)]
    with pytest.raises(Transient):
        world.pull("slate", "customers")
    erp.status.clear()
    erp.requests.clear()
    assert counted(world.run("slate", "customers")) == {"read": 9, "inserted": 9}
    assert pages_asked(erp) == [4, 5]


def test_CUR_8_place_that_the_erp_forgot_is_read_from_its_beginning(
    world: World, erp: StampErp
) -> None:
    """The next link is gone: that source begins again, in the same pull, and nothing doubles."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(6)])
    erp.status["dealer", 3] = 502
    with pytest.raises(Transient):
        world.pull("slate", "customers")
    erp.status.clear()
    erp.lost.add("4")
    erp.requests.clear()
    erp.between = lambda _entity, page: erp.lost.clear() if page == 1 else None
    assert counted(world.run("slate", "customers")) == {"read": 6, "inserted": 6}
    assert pages_asked(erp) == [3, 1, 2, 3]


@pytest.mark.parametrize("change", ["bytes", "mapping", "age"])
def test_CUR_8_what_cannot_be_trusted_is_not_gone_on_with(
    world: World, erp: StampErp, change: str
) -> None:
    """Other bytes on the disk, another mapping, too old: read anew."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(6)])
    erp.status["dealer", 3] = 502
    with pytest.raises(Transient):
        world.pull("slate", "customers")
    erp.status.clear()
    erp.requests.clear()
    if change == "bytes":
        page = next(Path(world.ctx.landing.location("slate/customers/1")).glob("00001*"))
        page.write_bytes(page.read_bytes()[:-3])
    elif change == "mapping":
        world.map("slate", {"customers": delta_feed()}, title="Slate")
    else:
        world.sql("UPDATE sync.batch SET pulled_at = now() - interval '2 hours'")
    assert counted(world.run("slate", "customers")) == {"read": 6, "inserted": 6}
    assert pages_asked(erp) == [1, 2, 3]
    assert world.batch_state(1) == "abandoned"


def test_CUR_9_key_absent_from_a_whole_extract_is_deleted_and_from_no_other(
    world: World, erp: StampErp
) -> None:
    """Whole: soft-deleted. Short of its declared count, failed, or empty: nothing is deleted."""
    world.map("slate", {"customers": page_feed("customers")})
    erp.put_rows("dealer", dealers(*range(12)))
    world.run("slate", "customers")
    everyone = {f"D{n}" for n in range(12)}
    whole = dict(erp.rows["dealer"])
    del erp.rows["dealer"]["D0"]
    erp.declared["dealer"] = 12  # declares what it does not send
    world.run("slate", "customers")
    assert world.keys("dealer") == everyone
    erp.declared.clear()
    erp.status["dealer", 5] = 404
    with pytest.raises(WaybillError):
        world.run("slate", "customers")
    assert world.keys("dealer") == everyone
    erp.status.clear()
    erp.rows["dealer"] = {}
    assert world.run("slate", "customers").state == "held"
    assert world.keys("dealer") == everyone
    erp.rows["dealer"] = {key: row for key, row in whole.items() if key != "D0"}
    assert counted(world.run("slate", "customers")) == {"read": 11, "unchanged": 11, "deleted": 1}
    gone = world.sql("SELECT key FROM portal.dealer WHERE deleted_at IS NOT NULL")
    assert gone == [("D0",)], "softly: the row is there, and says since when it is gone"


def test_CUR_10_forgotten_cursor_leads_to_a_full_read_that_is_compared(
    world: World, erp: StampErp
) -> None:
    """410 for the cursor: not a failed feed, but everything again, and what differs is written."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(10)])
    world.run("slate", "customers")
    before = dict(world.sql("SELECT key, xmin::text FROM portal.dealer"))
    erp.forgets_before = "2026-01-10T12:00:00Z"
    del erp.rows["dealer"]["D3"]
    erp.put_rows("dealer", [at(40, "D4", name="renamed"), at(41, "D99")])
    outcome = world.run("slate", "customers")
    assert outcome.state == "done"
    assert counted(outcome) == {
        "read": 10, "inserted": 1, "updated": 1, "unchanged": 8, "deleted": 1,
    }  # fmt: skip
    after = dict(world.sql("SELECT key, xmin::text FROM portal.dealer"))
    untouched = {f"D{n}" for n in (0, 1, 2, 5, 6, 7, 8, 9)}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}
    assert world.keys("dealer") == {f"D{n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 99)}
    assert cursor(world) == "2026-01-10T11:41:00Z"
    assert world.sql("SELECT mode, sweep, state FROM sync.batch ORDER BY id DESC LIMIT 2") == [
        ("snapshot", "cursor_expired", "applied"),
        ("delta", None, "abandoned"),
    ]
    assert world.sql("SELECT cause, missed_deleted FROM sync.sweep") == [("cursor_expired", 1)]
    erp.forgets_before = None
    erp.put_rows("dealer", [at(50, "D100")])
    assert counted(world.run("slate", "customers"))["inserted"] == 1, "deltas go on from there"


@pytest.mark.parametrize("known", [True, False])
def test_CUR_11_marker_deletes_its_key_alone_and_a_recreated_key_stays(
    world: World,
    erp: StampErp,
    known: bool,  # noqa: FBT001  a case of the test
) -> None:
    """Deleted and made again within one page ends as present."""
    erp.put_rows("dealer", [at(n, f"D{n}") for n in range(4)])
    world.run("slate", "customers")
    erp.gone["dealer"] = [removed(20, "D1")]
    assert counted(world.run("slate", "customers"))["deleted"] == 1
    assert world.keys("dealer") == {"D0", "D2", "D3"}
    key = "D2" if known else "D9"
    erp.page = 100
    erp.gone["dealer"] = [removed(30, key), at(31, key, name="again")]
    erp.rows["dealer"].pop(key, None)
    world.run("slate", "customers")
    assert world.rows("dealer", "name")[key] == "again"
    assert world.keys("dealer") == {"D0", "D2", "D3", key}


def test_CUR_12_stock_that_moves_without_its_items_stamp_is_found(
    world: World, erp: StampErp
) -> None:
    """A sale changes the quantity and not the item: the mapping says so, the sweep finds it."""
    stock = page_feed(
        "stock",
        source={"cursor": "changed_at"},
        mode="delta",
        version={"from": "changed_at"},
        misses=["silent_changes", "deletions"],
    )
    plain = {"warehouse_key": "W1", "changed_at": "2026-01-10T09:00:00Z"}
    erp.put_rows("product", [product(f"P{n}") for n in range(5)])
    stock["parts"]["warehouse"] = {
        "source": {"protocol": "odata", "entity": "warehouse"},
        "fields": fields_of("warehouse"),
    }
    world.map("slate", {"products": page_feed("products"), "stock": stock})
    erp.put_rows("warehouse", [{"key": "W1", "name": "one"}])
    erp.put_rows(
        "stock", [{"product_key": f"P{n}", "on_hand": 10, **plain} for n in range(5)], "product_key"
    )
    world.run("slate", "products")
    erp.rows["stock"]["P4"]["changed_at"] = "2026-01-10T11:00:00Z"
    world.run("slate", "stock")
    erp.put_rows(
        "stock",
        [
            {"product_key": "P0", "on_hand": 9, **plain, "changed_at": "2026-01-10T14:00:00Z"},
            {"product_key": "P1", "on_hand": 3, **plain},  # sold; its stamp stays
        ],
        "product_key",
    )
    world.run("slate", "stock")
    world.run("slate", "stock")
    assert world.rows("stock", "on_hand", "product_key") == {
        "P0": 9, "P1": 10, "P2": 10, "P3": 10, "P4": 10,
    }  # fmt: skip
    erp.put_rows("stock", [{"product_key": "P2", "on_hand": 1, **plain}], "product_key")
    outcome = sweep_feed(world.ctx, "slate", "stock")
    assert outcome is not None
    assert world.rows("stock", "on_hand", "product_key")["P1"] == 3
    assert world.rows("stock", "on_hand", "product_key")["P2"] == 1
    found = world.sql("SELECT missed_updated, pending, misses FROM sync.sweep")
    assert found == [(2, 0, ["silent_changes", "deletions"])]
    mapping = read_mapping(world.settings.mappings[0] / "slate.yaml")
    assert (sweep_schedule(mapping, "stock") or "").endswith("* * *"), "every night, by itself"


def test_CUR_13_older_observation_never_overwrites_a_newer_one(world: World, erp: StampErp) -> None:
    """Older by batch, older by version within a batch, and older in a retry."""
    erp.put_rows("dealer", [at(1, "D1", name="old"), at(1, "D2")])
    older = world.pull("slate", "customers")
    erp.put_rows("dealer", [at(5, "D1", name="new")])
    world.load(world.pull("slate", "customers"))
    with pytest.raises(NotNow):
        world.load(older)
    assert world.rows("dealer", "name")["D1"] == "new"
    erp.page = 100
    erp.gone["dealer"] = [at(9, "D1", name="newest"), at(8, "D1", name="late and older")]
    world.run("slate", "customers")
    assert world.rows("dealer", "name")["D1"] == "newest"
    # a record that waited for its parent, overtaken by a later one of its key meanwhile
    erp.gone["dealer"] = []
    erp.put_rows("dealer", [at(10, "D3", parent_key="D9", name="waits")])
    assert counted(world.sync("slate", "customers"))["deferred"] == 1
    erp.put_rows("dealer", [at(11, "D3", name="does not wait")])
    world.sync("slate", "customers")
    erp.put_rows("dealer", [at(12, "D9")])
    world.sync("slate", "customers")
    assert world.rows("dealer", "name")["D3"] == "does not wait"


def test_CUR_14_child_before_its_parent_waits_and_past_its_limit_needs_a_person(
    world: World,
) -> None:
    """Deferred, then applied by the parent's run; with no time left an open `missing_parent`."""

    def own_price(key: str, dealer_key: str) -> dict[str, object]:
        return price(key, level="customer", dealer_scope="dealer", dealer_key=dealer_key)

    def feeds(days: int) -> dict[str, object]:
        return {
            "customers": csv_feed("customers", []),
            "prices": csv_feed("prices", [], defer_days=days),
        }

    world.map("mill", feeds(7))
    world.mill.put("dealer", dealers(1))
    world.sync("mill", "customers")
    world.mill.put("price", [price("H1"), own_price("H2", "D2")])
    assert counted(world.sync("mill", "prices")) == {"read": 2, "inserted": 1, "deferred": 1}
    world.mill.put("dealer", dealers(1, 2))
    world.sync("mill", "customers")
    assert world.keys("price", "header_key") == {"H1", "H2"}
    assert world.items() == {}
    world.map("mill", feeds(0))
    world.mill.put("price", [price("H1"), own_price("H2", "D2"), own_price("H3", "D7")])
    world.sync("mill", "prices")
    world.mill.put("price", [price("H1"), own_price("H2", "D2"), own_price("H3", "D7")])
    assert counted(world.sync("mill", "prices"))["quarantined"] == 1
    item = world.items()["H3|1.000000"]
    assert (item["code"], item["retry_until"]) == ("missing_parent", None)
