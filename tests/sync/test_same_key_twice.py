"""The same key more than once in one batch (section 5, the ledger's law)."""

from __future__ import annotations

import pytest

from tests.sync.far_side import csv_feed, dealer, dealers, invoice, line, page_feed
from tests.sync.world import World, counted


@pytest.fixture
def mill(world: World) -> World:
    """Customers D0 … D9, loaded."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(10)))
    world.run("mill", "customers")
    return world


def test_csv_14_identical_copies_are_superseded(mill: World) -> None:
    """Identical → one stays, the others are superseded."""
    mill.mill.put("dealer", dealers(*range(10), 3, 3))
    assert counted(mill.run("mill", "customers")) == {"read": 12, "unchanged": 10, "superseded": 2}
    assert mill.items() == {}


def test_csv_14_different_copies_in_a_snapshot_are_all_quarantined(mill: World) -> None:
    """Otherwise all copies are quarantined; the stored row stays and says since when."""
    copies = [dealer("D3", name="a"), dealer("D3", name="b")]
    mill.mill.put("dealer", [*dealers(0, 1, 2, 4, 5, 6, 7, 8, 9), *copies])
    outcome = mill.run("mill", "customers")
    assert counted(outcome) == {"read": 11, "unchanged": 9, "quarantined": 2}
    assert mill.rows("dealer", "name")["D3"] == "Dealer D3"
    assert mill.items()["D3"]["code"] == "duplicate_key"
    assert mill.one("SELECT stale_since IS NOT NULL FROM portal.dealer WHERE key = 'D3'")


@pytest.mark.parametrize("bad_first", [True, False])
def test_csv_14_a_good_and_a_bad_copy_are_both_quarantined(
    mill: World,
    bad_first: bool,  # noqa: FBT001  a case of the test
) -> None:
    """They are not identical: which one is right is not ours to guess."""
    copies = [dealer("D3", status="odd"), dealer("D3", name="good")]
    mill.mill.put(
        "dealer", [*dealers(0, 1, 2, 4, 5, 6, 7, 8, 9), *(copies if bad_first else copies[::-1])]
    )
    outcome = mill.run("mill", "customers")
    assert counted(outcome) == {"read": 11, "unchanged": 9, "quarantined": 2}
    assert mill.rows("dealer", "name")["D3"] == "Dealer D3"
    assert set(mill.items()) == {"D3"}


@pytest.fixture
def forge(world: World) -> World:
    """Customers D1, and invoices with their lines inside."""
    invoices = page_feed("invoices", ["invoice_line"])
    world.map("forge", {"customers": page_feed("customers"), "invoices": invoices})
    world.forge.put("dealer", dealers(1))
    world.run("forge", "customers")
    return world


def test_identical_documents_are_superseded_with_their_lines(forge: World) -> None:
    """Identical means root and children."""
    one = invoice("I1", invoice_line=[line(1), line(2), line(3)])
    forge.forge.put("invoice", [one, one])
    outcome = forge.run("forge", "invoices")
    assert counted(outcome, "invoice") == {"read": 2, "inserted": 1, "superseded": 1}
    assert counted(outcome, "invoice_line") == {"read": 6, "inserted": 3, "superseded": 3}


def test_documents_that_differ_in_a_line_are_both_quarantined(forge: World) -> None:
    """Same head, another line: contradicting."""
    one = invoice("I1", invoice_line=[line(1), line(2), line(3)])
    two = invoice("I1", invoice_line=[line(1), line(2), line(3, description="other")])
    forge.forge.put("invoice", [one, two])
    outcome = forge.run("forge", "invoices")
    assert counted(outcome, "invoice") == {"read": 2, "quarantined": 2}
    assert counted(outcome, "invoice_line") == {"read": 6, "quarantined": 6}
    assert forge.keys("invoice") == set()


def test_the_same_line_twice_is_superseded_if_identical(forge: World) -> None:
    """A child twice: identical → one superseded."""
    forge.forge.put("invoice", [invoice("I1", invoice_line=[line(1), line(2), line(3), line(3)])])
    outcome = forge.run("forge", "invoices")
    assert counted(outcome, "invoice") == {"read": 1, "inserted": 1}
    assert counted(outcome, "invoice_line") == {"read": 4, "inserted": 3, "superseded": 1}


def test_two_different_lines_of_one_number_quarantine_the_document(forge: World) -> None:
    """A child twice: different → the document contradicts itself, as a whole."""
    lines = [line(1), line(2, net="15.00"), line(2, net="5.00")]
    forge.forge.put("invoice", [invoice("I1", invoice_line=lines), invoice("I2", invoice_line=[])])
    outcome = forge.run("forge", "invoices")
    assert counted(outcome, "invoice") == {"read": 2, "inserted": 1, "quarantined": 1}
    assert counted(outcome, "invoice_line") == {"read": 3, "quarantined": 3}
    assert forge.items()["I1"]["children"] == {"invoice_line": 3}
