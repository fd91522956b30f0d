"""A snapshot speaks for its scope only, and only when it is proved complete (section 5)."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest

from mappings.errors import WaybillError
from tests.sync.far_side import csv_feed, dealer, dealers, invoice, line, page_feed, product
from tests.sync.world import World, counted


def test_cur_9_key_absent_from_a_complete_extract_is_soft_deleted(world: World) -> None:
    """A key absent from a complete batch is soft-deleted; its row stays, with when."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", dealers(*range(9)))
    second = world.run("mill", "customers")
    assert counted(second) == {"read": 9, "unchanged": 9, "deleted": 1}
    gone = world.sql("SELECT key, batch_id FROM portal.dealer WHERE deleted_at IS NOT NULL")
    assert gone == [("D9", second.batch_id)]


def test_a_key_that_returns_is_inserted(world: World) -> None:
    """A key that returns is counted inserted, in the row it had."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", dealers(*range(9)))
    world.run("mill", "customers")
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", name="back")])
    third = world.run("mill", "customers")
    assert counted(third) == {"read": 10, "unchanged": 9, "inserted": 1}
    assert world.rows("dealer", "name")["D9"] == "back"
    assert world.one("SELECT count(*) FROM portal.dealer WHERE key = 'D9'") == 1
    logged = world.sql("SELECT op FROM sync.change WHERE key = 'D9' ORDER BY id")
    assert logged == [("delete",), ("insert",)]


def test_cur_9_paged_extract_that_misses_its_declared_count_deletes_nothing(world: World) -> None:
    """Every declared total met; without such proof the batch adds and changes only."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(*range(10)))
    world.run("forge", "customers")
    world.forge.put("dealer", dealers(*range(5)), [dealer("D5", name="new")])
    world.forge.declared["dealer"] = 10
    second = world.run("forge", "customers")
    assert second.state == "done"
    assert counted(second) == {"read": 6, "unchanged": 5, "updated": 1}
    assert len(world.keys("dealer")) == 10


def test_cur_9_failed_pull_changes_nothing(world: World) -> None:
    """A pull that breaks off leaves an abandoned batch, no evidence and the portal as it was."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(*range(10)))
    world.run("forge", "customers")
    before = world.portal()
    world.forge.put("dealer", dealers(1), dealers(2))
    world.forge.status["dealer", 2] = 404
    with pytest.raises(WaybillError):
        world.pull("forge", "customers")
    assert world.portal() == before
    ((batch_id, state),) = world.sql("SELECT id, state FROM sync.batch ORDER BY id DESC LIMIT 1")
    assert state == "abandoned"
    folder = world.ctx.landing.location(world.ctx.landing.folder("forge", "customers", batch_id))
    assert not world.settings.home.joinpath(folder).exists()


@pytest.mark.parametrize("erp", ["mill", "forge"])
def test_cur_9_empty_extract_deletes_nothing(world: World, erp: str) -> None:
    """An empty or header-only extract is held, whatever it proves."""
    build = csv_feed if erp == "mill" else page_feed
    far = world.mill if erp == "mill" else world.forge
    world.map(erp, {"customers": build("customers", [])})
    far.put("dealer", dealers(*range(10)))
    world.run(erp, "customers")
    far.put("dealer", [])
    second = world.run(erp, "customers")
    assert second.state == "held"
    assert [stop["guard"] for stop in second.stops] == ["empty"]
    assert len(world.keys("dealer")) == 10
    assert world.batch_state(second.batch_id) == "held"


def test_sftp_13_zero_byte_file_deletes_nothing(world: World) -> None:
    """A file without a byte is refused or held, never "delete everything"."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    path = world.mill.put("dealer", [])
    path.write_bytes(b"")
    outcome = None
    with contextlib.suppress(WaybillError):
        outcome = world.run("mill", "customers")
    assert outcome is None or outcome.state == "held"
    assert len(world.keys("dealer")) == 10


def test_sftp_13_header_only_file_of_a_second_part_deletes_nothing(world: World) -> None:
    """Empty extracts never delete: that holds for every root of a feed, not for its main one."""
    world.map("mill", {"products": csv_feed("products", ["category"])})
    world.mill.put("product", [product("P1"), product("P2")])
    world.mill.put("category", [{"key": "C1", "name": "one"}, {"key": "C2", "name": "two"}])
    world.run("mill", "products")
    world.mill.put("category", [])
    world.run("mill", "products")
    assert world.keys("category") == {"C1", "C2"}


@pytest.mark.parametrize(("count", "trailer"), [(12, True), (None, False)])
def test_csv_13_truncated_file_is_held_and_deletes_nothing(
    world: World,
    count: int | None,
    trailer: bool,  # noqa: FBT001  a case of the test
) -> None:
    """Missing trailer, or one that counts otherwise: the whole file is held."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    before = world.portal()
    world.mill.put("dealer", dealers(*range(8)), count=count, trailer=trailer)
    second = world.run("mill", "customers")
    assert second.state == "held"
    assert world.portal() == before
    assert [s["guard"] for s in second.stops] == ["trailer"]


def test_a_key_rejected_in_this_batch_has_not_vanished(world: World) -> None:
    """Its last good row stays with stale_since, which the next good record clears."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", status="odd", name="bad")])
    second = world.run("mill", "customers")
    assert counted(second) == {"read": 10, "unchanged": 9, "quarantined": 1}
    assert world.rows("dealer", "name")["D9"] == "Dealer D9"
    since = world.one("SELECT stale_since FROM portal.dealer WHERE key = 'D9'")
    assert since is not None
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", status="odd", name="still bad")])
    world.run("mill", "customers")
    assert world.one("SELECT stale_since FROM portal.dealer WHERE key = 'D9'") == since
    world.mill.put("dealer", dealers(*range(10)))
    fourth = world.run("mill", "customers")
    assert counted(fourth) == {"read": 10, "unchanged": 10}
    assert world.one("SELECT count(*) FROM portal.dealer WHERE stale_since IS NOT NULL") == 0


def test_a_record_without_a_readable_key_blocks_every_delete(world: World) -> None:
    """It could be any of those that seem gone."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", [*dealers(*range(9)), dealer("")])
    second = world.run("mill", "customers")
    assert counted(second) == {"read": 10, "unchanged": 9, "quarantined": 1}
    assert len(world.keys("dealer")) == 10
    ((key, item),) = world.items().items()
    assert key.startswith("unreadable:")
    assert item["code"] == "key_missing"
    world.mill.put("dealer", dealers(*range(9)))
    third = world.run("mill", "customers")
    assert counted(third)["deleted"] == 1
    assert world.items() == {}, "a complete extract without it ends the item"


def test_a_broken_line_blocks_every_delete(world: World) -> None:
    """A line with too few columns has no readable key either."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", dealers(*range(9)), loose=["D9;cut off"])
    second = world.run("mill", "customers")
    assert counted(second) == {"read": 10, "unchanged": 9, "quarantined": 1}
    assert len(world.keys("dealer")) == 10


def test_a_vanished_key_supersedes_its_open_item(world: World) -> None:
    """A key absent from a complete batch is soft-deleted and its open item superseded."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    world.mill.put("dealer", [*dealers(*range(9)), dealer("D9", status="odd")])
    world.run("mill", "customers")
    world.mill.put("dealer", dealers(*range(9)))
    third = world.run("mill", "customers")
    assert counted(third)["deleted"] == 1
    assert world.items() == {}
    assert world.items("superseded")["D9"]["resolved_run"] == third.run_id
    assert world.one("SELECT stale_since FROM portal.dealer WHERE key = 'D9'") is None


def test_deleting_a_root_soft_deletes_its_children(world: World) -> None:
    """A child lives and dies with its root, and returns with it."""
    world.map("mill", {"products": csv_feed("products", ["product_text"])})
    texts = [{"owner": f"P{n}", "language": "en", "name": f"t{n}"} for n in range(6)]
    world.mill.put("product", [product(f"P{n}") for n in range(6)])
    world.mill.put("product_text", texts)
    world.run("mill", "products")
    world.mill.put("product", [product(f"P{n}") for n in range(5)])
    world.mill.put("product_text", texts[:5])
    second = world.run("mill", "products")
    assert counted(second, "product_text") == {"read": 5, "unchanged": 5, "deleted": 1}
    assert world.keys("product_text", "product_key") == {f"P{n}" for n in range(5)}
    world.mill.put("product", [product(f"P{n}") for n in range(6)])
    world.mill.put("product_text", texts)
    third = world.run("mill", "products")
    assert counted(third, "product_text") == {"read": 6, "unchanged": 5, "inserted": 1}


def test_a_snapshot_of_named_values_deletes_only_among_them(world: World) -> None:
    """Scope by values: the other warehouse's rows are not spoken for."""
    stock = csv_feed("stock", ["warehouse"])
    here = [{"product_key": f"P{n}", "warehouse_key": "W1", "on_hand": n} for n in range(10)]
    there = [{"product_key": f"P{n}", "warehouse_key": "W2", "on_hand": n} for n in range(3)]
    world.map("mill", {"products": csv_feed("products", []), "stock": stock})
    world.mill.put("product", [product(f"P{n}") for n in range(10)])
    world.mill.put("warehouse", [{"key": "W1", "name": "1"}, {"key": "W2", "name": "2"}])
    world.mill.put("stock", [*here, *there])
    world.run("mill", "products")
    world.run("mill", "stock")
    stock["scope"] = {"field": "warehouse_key", "values": ["W1"]}
    world.map("mill", {"products": csv_feed("products", []), "stock": stock})
    world.mill.put("stock", here[:9])
    second = world.run("mill", "stock")
    assert counted(second, "stock") == {"read": 9, "unchanged": 9, "deleted": 1}
    live = world.keys("stock", "warehouse_key || product_key")
    assert live == {f"W1P{n}" for n in range(9)} | {"W2P0", "W2P1", "W2P2"}
    assert world.keys("warehouse") == {"W1", "W2"}


def test_a_window_deletes_only_inside_it(world: World) -> None:
    """Scope by window: invoices before it stay although the extract does not hold them."""
    invoices = page_feed("invoices", ["invoice_line"], scope={"field": "issued_on", "days": 30})
    world.map("forge", {"customers": page_feed("customers"), "invoices": invoices})
    world.forge.put("dealer", dealers(1))
    world.run("forge", "customers")
    old = [invoice(f"A{n}", issued_on="2026-01-05", invoice_line=[]) for n in range(5)]
    new = [
        invoice(f"B{n}", issued_on="2026-02-20", net="20.00", gross="20.00", open_amount="20.00",
                invoice_line=[line(1), line(2)])
        for n in range(10)
    ]  # fmt: skip
    world.forge.put("invoice", old + new)
    world.run("forge", "invoices", now=datetime(2026, 1, 31, 12, tzinfo=UTC))
    world.forge.put("invoice", new[:9])
    second = world.run("forge", "invoices", now=datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert counted(second, "invoice") == {"read": 9, "unchanged": 9, "deleted": 1}
    assert counted(second, "invoice_line") == {"read": 18, "unchanged": 18, "deleted": 2}
    assert world.keys("invoice") == {f"A{n}" for n in range(5)} | {f"B{n}" for n in range(9)}
    keys = {k for (k,) in world.sql("SELECT scope_key FROM sync.cursor WHERE feed = 'invoices'")}
    assert keys == {"issued_on>="}, "windows share one cursor and one order of batches"
