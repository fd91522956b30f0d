"""A root and its children are judged, written and quarantined as a whole (sections 4 and 5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sync.far_side import csv_feed, dealers, invoice, line, page_feed
from tests.sync.world import World, counted


@pytest.fixture(params=["nested", "own source"])
def documents(request: pytest.FixtureRequest, world: World) -> tuple[World, Any]:
    """(world, run): invoices with lines inside the record, or in a file of their own.

    `run(*documents)` exports the documents and loads them.
    """
    if request.param == "nested":
        invoices = page_feed("invoices", ["invoice_line"])
        world.map("forge", {"customers": page_feed("customers"), "invoices": invoices})
        world.forge.put("dealer", dealers(1))
        world.run("forge", "customers")

        def run(*heads: dict[str, Any]) -> Any:
            world.forge.put("invoice", heads)
            return world.run("forge", "invoices")

    else:
        invoices = csv_feed("invoices", ["invoice_line"])
        world.map("mill", {"customers": csv_feed("customers", []), "invoices": invoices})
        world.mill.put("dealer", dealers(1))
        world.run("mill", "customers")

        def run(*heads: dict[str, Any]) -> Any:
            lines = [{**one, "owner": h["key"]} for h in heads for one in h["invoice_line"]]
            world.mill.put(
                "invoice", [{k: v for k, v in h.items() if k != "invoice_line"} for h in heads]
            )
            world.mill.put("invoice_line", lines)
            return world.run("mill", "invoices")

    return world, run


def good(key: str, **more: str) -> dict[str, Any]:
    """An invoice whose three lines add up."""
    return invoice(key, invoice_line=[line(1), line(2), line(3)], **more)


def stored_lines(world: World, key: str) -> list[tuple[str, str]]:
    """(number, description) of the live lines of an invoice."""
    return world.sql(
        "SELECT line_no, description FROM portal.invoice_line WHERE invoice_key = %s "
        "AND deleted_at IS NULL ORDER BY 1",
        key,
    )


def test_lines_take_their_invoice_and_its_account(documents: Any) -> None:
    """The parent's key and copied fields are filled by the loader."""
    world, run = documents
    outcome = run(good("I1"))
    assert counted(outcome, "invoice_line") == {"read": 3, "inserted": 3}
    found = world.sql("SELECT DISTINCT invoice_key, account_key FROM portal.invoice_line")
    assert found == [("I1", "D1")]


def test_stored_children_are_exactly_those_that_came(documents: Any) -> None:
    """Children are replaced exactly: changed, added and left out in one document."""
    world, run = documents
    run(good("I1"), good("I2"))
    lines = [line(1, net="20.00"), line(2), line(4, net="0.00")]
    outcome = run(invoice("I1", invoice_line=lines), good("I2"))
    assert counted(outcome, "invoice") == {"read": 2, "unchanged": 2}
    assert counted(outcome, "invoice_line") == {
        "read": 6, "updated": 1, "inserted": 1, "unchanged": 4, "deleted": 1,
    }  # fmt: skip
    assert [n for n, _ in stored_lines(world, "I1")] == ["1", "2", "4"]
    assert len(stored_lines(world, "I2")) == 3


def test_a_bad_line_quarantines_the_whole_document(documents: Any) -> None:
    """Neither its head nor its good lines are written; what was stored stays, stale."""
    world, run = documents
    run(good("I1"), good("I2"))
    lines = [line(1, description="new"), line(2), line(3, kind="odd")]
    outcome = run(invoice("I1", number="new", invoice_line=lines), good("I2"))
    assert outcome.state == "done"
    assert counted(outcome, "invoice") == {"read": 2, "unchanged": 1, "quarantined": 1}
    assert counted(outcome, "invoice_line") == {"read": 6, "unchanged": 3, "quarantined": 3}
    assert world.rows("invoice", "number")["I1"] == "I1"
    assert stored_lines(world, "I1") == [("1", "line 1"), ("2", "line 2"), ("3", "line 3")]
    item = world.items()["I1"]
    assert item["part"] == "invoice"
    assert item["children"] == {"invoice_line": 3}
    assert [(r["part"], r["field"]) for r in item["reasons"]] == [("invoice_line", "kind")]
    assert world.one("SELECT stale_since IS NOT NULL FROM portal.invoice WHERE key = 'I1'")
    third = run(good("I1"), good("I2"))
    assert counted(third) == {"read": 8, "unchanged": 8}
    assert world.items() == {}


def test_a_bad_head_takes_its_lines_along(documents: Any) -> None:
    """The other way round."""
    world, run = documents
    outcome = run(good("I1", kind="odd"), good("I2"))
    assert counted(outcome, "invoice") == {"read": 2, "inserted": 1, "quarantined": 1}
    assert counted(outcome, "invoice_line") == {"read": 6, "inserted": 3, "quarantined": 3}
    assert world.keys("invoice_line", "invoice_key") == {"I2"}
    assert set(world.items()) == {"I1"}


def test_lines_must_add_up_to_their_head(documents: Any) -> None:
    """Document sums: a head that is not the sum of its lines is quarantined with them."""
    world, run = documents
    outcome = run(good("I1", net="31.00"), good("I2"))
    assert counted(outcome, "invoice") == {"read": 2, "inserted": 1, "quarantined": 1}
    assert counted(outcome, "invoice_line") == {"read": 6, "inserted": 3, "quarantined": 3}
    assert world.items()["I1"]["code"] == "net_not_sum_of_lines"


def test_a_document_that_lost_all_its_lines_loses_them_here(documents: Any) -> None:
    """Exactly those that came: none."""
    world, run = documents
    run(good("I1"), good("I2"))
    outcome = run(invoice("I1", invoice_line=[]), good("I2"))
    assert counted(outcome, "invoice_line") == {"read": 3, "unchanged": 3, "deleted": 3}
    assert stored_lines(world, "I1") == []


@pytest.fixture
def mill(world: World) -> World:
    """Invoices I1 and I2 from two files, loaded."""
    invoices = csv_feed("invoices", ["invoice_line"])
    world.map("mill", {"customers": csv_feed("customers", []), "invoices": invoices})
    world.mill.put("dealer", dealers(1))
    world.mill.put("invoice", [invoice("I1"), invoice("I2")])
    world.mill.put("invoice_line", lines_of("I1") + lines_of("I2"))
    world.run("mill", "customers")
    world.run("mill", "invoices")
    return world


def lines_of(key: str) -> list[dict[str, object]]:
    """Three lines that name their invoice."""
    return [line(n, owner=key) for n in (1, 2, 3)]


def test_a_child_of_no_root_in_the_batch_is_quarantined_by_itself(mill: World) -> None:
    """An orphan is an item of its own until its root comes, or it goes."""
    mill.mill.put("invoice_line", lines_of("I1") + lines_of("I2") + lines_of("I3")[:1])
    outcome = mill.run("mill", "invoices")
    assert counted(outcome, "invoice_line") == {"read": 7, "unchanged": 6, "quarantined": 1}
    ((key, item),) = mill.items().items()
    assert (key, item["part"], item["code"]) == ("I3|1", "invoice_line", "missing_root")
    mill.mill.put("invoice", [invoice("I1"), invoice("I2"), invoice("I3")])
    mill.mill.put("invoice_line", lines_of("I1") + lines_of("I2") + lines_of("I3"))
    mill.run("mill", "invoices")
    assert mill.items() == {}, "accepted now"


def test_an_orphan_that_no_longer_comes_needs_nobody(mill: World) -> None:
    """A complete extract without it supersedes its item."""
    mill.mill.put("invoice_line", lines_of("I1") + lines_of("I2") + lines_of("I3")[:1])
    mill.run("mill", "invoices")
    mill.mill.put("invoice_line", lines_of("I1") + lines_of("I2"))
    mill.run("mill", "invoices")
    assert mill.items() == {}


def test_a_line_that_names_no_invoice_deletes_no_line(mill: World) -> None:
    """Which document it belongs to cannot be read: no line may be taken for gone."""
    lines = lines_of("I1")[:2] + lines_of("I2")
    mill.mill.put("invoice", [invoice("I1", net="20.00"), invoice("I2")])
    mill.mill.put("invoice_line", lines, loose=["I1;cut off"])
    outcome = mill.run("mill", "invoices")
    assert counted(outcome, "invoice_line")["read"] == 6
    assert counted(outcome, "invoice_line")["quarantined"] >= 1
    assert [n for n, _ in stored_lines(mill, "I1")] == ["1", "2", "3"]
