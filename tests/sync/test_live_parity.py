"""A sample of live prices and stock, held beside what the portal has, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.dataset import load as load_dataset
from sync.ask import Asker
from sync.live_parity import compare_live, offering
from tests.flows.practice import GENERATED, Practice


@pytest.fixture
def practice(database: str, tmp_path: Path) -> Iterator[Practice]:
    """birch's master data, prices and stock, synced."""
    one = Practice(load_dataset("tiny"), GENERATED, database, tmp_path / "home")
    one.start()
    try:
        for feed in ("customers", "products", "prices", "stock"):
            one.sync("birch", feed)
        yield one
    finally:
        one.stop()


def test_what_an_erp_says_now_is_held_beside_ours_and_kept(practice: Practice) -> None:
    assert offering(practice.ctx) == ["anvil", "birch"]
    with Asker(practice.ctx) as asker:
        found = compare_live(practice.ctx, asker, "birch", 3, actor="aylin")
        stock = [one for one in found if one.question == "stock"]
        assert stock
        assert all(one.agrees and one.portal_value == one.erp_value for one in stock)
        prices = [one for one in found if one.question == "price"]
        assert len(prices) == 3
        assert any(one.erp_value is not None for one in prices), "the ERP answered"
        practice.db.execute("UPDATE portal.stock SET on_hand = on_hand + 1 WHERE erp = 'birch'")
        again = compare_live(practice.ctx, asker, "birch", 3, actor="aylin")
        wrong = [one for one in again if one.question == "stock"]
        assert all(one.agrees is False and "min old" in one.says for one in wrong)
        practice.odata.stop()
        dead = compare_live(practice.ctx, asker, "birch", 1, actor="aylin")
        assert {one.agrees for one in dead} == {None}, "no answer is no agreement"
    assert practice.one("SELECT count(*) FROM sync.live_comparison") == sum(
        map(len, (found, again, dead))
    )
    assert practice.one("SELECT count(*) FROM sync.audit WHERE action = 'ask live'") == 3
