"""What stops a batch, and how a person lets it in or keeps it out (section 5, guards)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappings.errors import Misconfigured
from sync.feed import sync_feed
from sync.release import refuse, release
from tests.sync.far_side import csv_feed, dealer, dealers, page_feed, price
from tests.sync.world import World, counted


def prices(*values: str, **more: object) -> list[dict[str, object]]:
    """Prices H0, H1 … with these values."""
    return [price(f"H{n}", unit_price=value, **more) for n, value in enumerate(values)]


@pytest.fixture
def forge(world: World) -> World:
    """A price list that refers to nothing, of 40 prices of 10.00."""
    world.map("forge", {"prices": page_feed("prices")})
    world.forge.put("price", prices(*["10.00"] * 40))
    world.run("forge", "prices")
    return world


@pytest.fixture
def mill(world: World) -> World:
    """Customers D0 … D19."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(20)))
    world.run("mill", "customers")
    return world


def guards(outcome: Any) -> list[str]:
    """The guards that stopped a run."""
    return [stop["guard"] for stop in outcome.stops]


def test_too_many_rejections_hold_the_batch(mill: World) -> None:
    """rejected_share and rejected_least together."""
    mill.mill.put(
        "dealer", [*dealers(*range(20)), *(dealer(f"X{n}", status="?") for n in range(9))]
    )
    assert mill.run("mill", "customers").state == "done", "nine are fewer than ten"
    mill.mill.put(
        "dealer", [*dealers(*range(20)), *(dealer(f"X{n}", status="?") for n in range(10))]
    )
    outcome = mill.run("mill", "customers")
    assert guards(outcome) == ["rejected_share"]
    assert counted(outcome) == {"read": 30, "unchanged": 20, "quarantined": 10}


def test_a_fall_holds_the_batch(mill: World) -> None:
    """A complete snapshot that fell by more than 20 %."""
    mill.mill.put("dealer", dealers(*range(16)))
    assert mill.run("mill", "customers").state == "done", "exactly 20 % is let in"
    mill.mill.put("dealer", dealers(*range(12)))
    outcome = mill.run("mill", "customers")
    assert guards(outcome) == ["fall_share"]
    assert outcome.stops[0]["measured"] == str(Decimal("0.250000000"))
    assert len(mill.keys("dealer")) == 16


def test_a_fall_is_measured_from_every_live_row(mill: World) -> None:
    """Also where known records are skipped: one whose newer version was refused lives, too."""
    mill.mill.put("dealer", [*dealers(*range(19)), dealer("D19", status="?")])
    assert counted(mill.run("mill", "customers")) == {
        "read": 20,
        "unchanged": 19,
        "quarantined": 1,
    }
    mill.mill.put("dealer", dealers(*range(15)))
    outcome = mill.run("mill", "customers")
    assert guards(outcome) == ["fall_share"]
    assert outcome.stops[0]["measured"] == str(Decimal("0.250000000")), "15 of 20"


def test_a_mapping_may_override_a_guard(mill: World) -> None:
    """Defaults on the feed, the mapping may say differently."""
    mill.map("mill", {"customers": csv_feed("customers", [], guards={"fall_share": "0.9"})})
    mill.mill.put("dealer", dealers(*range(5)))
    assert mill.run("mill", "customers").state == "done"


def test_prices_that_moved_too_much_hold_the_batch(forge: World) -> None:
    """More than 30 % of prices changed by more than 25 %."""
    forge.forge.put("price", prices(*["12.60"] * 12, *["10.00"] * 28))
    assert forge.run("forge", "prices").state == "done", "12 of 40 are 30 %"
    forge.forge.put("price", prices(*["16.00"] * 13, *["10.00"] * 27))
    assert guards(forge.run("forge", "prices")) == ["changed_share"]


def test_new_prices_do_not_hide_that_old_ones_moved(forge: World) -> None:
    """Compared are prices that were there before and after."""
    new = [price(f"N{n}", unit_price="1.00") for n in range(60)]
    forge.forge.put("price", [*prices(*["13.00"] * 20, *["10.00"] * 20), *new])
    assert guards(forge.run("forge", "prices")) == ["changed_share"]


def test_separator_suspects_hold_the_batch_when_they_are_many(forge: World) -> None:
    """At least 20, and more than 0.5 % of the changed rows, are exactly × 10 or × 100."""
    forge.map("forge", {"prices": page_feed("prices", guards={"changed_share": "1"})})
    forge.forge.put("price", prices(*["1000.00"] * 20, *["10.00"] * 20))
    assert guards(forge.run("forge", "prices")) == ["suspect_share"]
    assert set(forge.rows("price", "unit_price::text", "header_key").values()) == {"10.000000"}


def test_few_suspects_are_quarantined_singly(forge: World) -> None:
    """Fewer are quarantined one by one; the rest of the delta is applied."""
    forge.forge.put("price", prices("100.00", "0.10", "10.50", *["10.00"] * 37))
    outcome = forge.run("forge", "prices")
    assert counted(outcome) == {"read": 40, "updated": 1, "unchanged": 37, "quarantined": 2}
    found = forge.rows("price", "unit_price::text", "header_key")
    assert (found["H0"], found["H1"], found["H2"]) == ("10.000000", "10.000000", "10.500000")
    assert {i["code"] for i in forge.items().values()} == {"unit_price_jump"}
    stale = forge.sql(
        "SELECT header_key FROM portal.price WHERE stale_since IS NOT NULL ORDER BY 1"
    )
    assert stale == [("H0",), ("H1",)]


def test_a_first_load_knows_no_fall_and_no_change(world: World) -> None:
    """Fall and change guards need a previous applied batch."""
    world.map("forge", {"prices": page_feed("prices")})
    world.forge.put("price", prices("1.00", "2.00"))
    assert world.run("forge", "prices").state == "done"


def test_an_empty_first_load_is_held(world: World) -> None:
    """Nothing is not a price list."""
    world.map("forge", {"prices": page_feed("prices")})
    world.forge.put("price", [])
    outcome = world.run("forge", "prices")
    assert guards(outcome) == ["empty"]
    assert counted(outcome) == {}


def test_held_means_the_portal_keeps_what_it_had(mill: World) -> None:
    """A stopped batch is held: the load succeeds, what follows is skipped."""
    before = mill.portal(), mill.versions("dealer")
    cursor = mill.sql("SELECT * FROM sync.cursor")
    mill.mill.put("dealer", [dealer("D0", name="new")])
    outcome = sync_feed(mill.ctx, "mill", "customers")
    assert outcome is not None
    assert outcome.state == "held"
    assert (mill.portal(), mill.versions("dealer")) == before
    assert mill.sql("SELECT * FROM sync.cursor") == cursor
    assert mill.staging_tables() == []
    assert mill.sql("SELECT * FROM sync.change") == []
    count = "SELECT count(*) FROM sync.reconciliation WHERE run_id = %s"
    assert mill.one(count, outcome.run_id) == 0, "nothing follows a held load"
    again = mill.load(outcome.batch_id)
    assert (again.state, again.run_id) == ("held", outcome.run_id), "a retried task sees the same"


def test_a_newer_batch_stopped_by_the_same_guard_joins_the_incident(mill: World) -> None:
    """One incident, however many nights; a batch that passes closes it."""
    for n in (3, 4):
        mill.mill.put("dealer", dealers(*range(n)))
        mill.run("mill", "customers")
    incidents = mill.sql(
        "SELECT guard, times, last_batch - first_batch, closed_at FROM sync.incident"
    )
    assert incidents == [("fall_share", 2, 1, None)]
    states = mill.sql("SELECT state FROM sync.batch ORDER BY id DESC LIMIT 2")
    assert states == [("held",), ("superseded",)]
    mill.mill.put("dealer", dealers(*range(20)))
    mill.run("mill", "customers")
    assert mill.one("SELECT closed_at IS NOT NULL FROM sync.incident")
    assert mill.one("SELECT count(*) FROM sync.batch WHERE state = 'held'") == 0


def held(world: World) -> Any:
    """A night that falls from 20 to 3 and changes a name."""
    world.mill.put("dealer", [dealer("D0", name="new"), *dealers(1, 2)])
    outcome = world.run("mill", "customers")
    assert outcome.state == "held"
    return outcome


def test_release_applies_exactly_what_was_shown(mill: World) -> None:
    """A new run that names the overridden guards; the held run's counts are history."""
    shown = held(mill)
    outcome = release(mill.ctx, shown.run_id, reason="asked the ERP", actor="ops")
    assert outcome.state == "done"
    assert outcome.run_id != shown.run_id
    assert counted(outcome) == counted(shown) == {
        "read": 3, "updated": 1, "unchanged": 2, "deleted": 17,
    }  # fmt: skip
    assert mill.rows("dealer", "name") == {"D0": "new", "D1": "Dealer D1", "D2": "Dealer D2"}
    assert mill.batch_state(shown.batch_id) == "applied"
    run = mill.sql(
        "SELECT kind, overrides, reason, actor FROM sync.run WHERE id = %s", outcome.run_id
    )
    assert run == [("release", ["fall_share"], "asked the ERP", "ops")]
    assert mill.one("SELECT state FROM sync.run WHERE id = %s", shown.run_id) == "held"
    assert mill.one("SELECT batch_id FROM sync.cursor") == shown.batch_id
    assert mill.sql("SELECT actor, action FROM sync.audit") == [("ops", "release")]
    assert mill.one("SELECT count(*) FROM sync.incident WHERE closed_at IS NULL") == 0


def test_release_is_refused_when_the_delta_is_not_the_one_shown(mill: World) -> None:
    """The portal moved underneath: what would change is not what was shown."""
    shown = held(mill)
    mill.sql("UPDATE portal.dealer SET name = 'moved' WHERE key = 'D1'")
    before = mill.portal()
    with pytest.raises(Misconfigured) as raised:
        release(mill.ctx, shown.run_id, reason="so", actor="ops")
    assert raised.value.code == "delta_changed"
    assert mill.portal() == before
    assert mill.batch_state(shown.batch_id) == "held"


def test_the_digest_sees_every_value_not_only_keys(mill: World) -> None:
    """Another mapping of the same records changes other things: refused too."""
    shown = held(mill)
    feed = csv_feed("customers", [])
    feed["fields"]["name"] = {"from": "name", "through": ["upper"]}
    mill.map("mill", {"customers": feed})
    with pytest.raises(Misconfigured) as raised:
        release(mill.ctx, shown.run_id, reason="so", actor="ops")
    assert raised.value.code == "delta_changed"


def test_a_superseded_or_refused_batch_cannot_be_released(mill: World) -> None:
    """Nor one that was released already."""
    shown = held(mill)
    newer = held(mill)
    with pytest.raises(Misconfigured, match="superseded"):
        release(mill.ctx, shown.run_id, reason="so", actor="ops")
    refuse(mill.ctx, newer.run_id, reason="half an extract", actor="ops")
    assert mill.batch_state(newer.batch_id) == "refused"
    with pytest.raises(Misconfigured, match="refused"):
        release(mill.ctx, newer.run_id, reason="so", actor="ops")
    third = held(mill)
    release(mill.ctx, third.run_id, reason="so", actor="ops")
    with pytest.raises(Misconfigured, match="applied"):
        release(mill.ctx, third.run_id, reason="so", actor="ops")
    assert mill.batch_state(third.batch_id) == "applied"


def test_refusing_keeps_the_batch_out_for_good(mill: World) -> None:
    """The next pull is judged afresh."""
    shown = held(mill)
    refuse(mill.ctx, shown.run_id, reason="half an extract", actor="ops")
    assert len(mill.keys("dealer")) == 20
    with pytest.raises(Misconfigured):
        mill.load(shown.batch_id)
    mill.mill.put("dealer", dealers(*range(19)))
    assert mill.run("mill", "customers").state == "done"
    assert mill.sql("SELECT action FROM sync.audit") == [("refuse",)]


def test_a_release_needs_a_reason_and_a_held_run(mill: World) -> None:
    """And only a held run can be released."""
    shown = held(mill)
    done = mill.one("SELECT min(id) FROM sync.run")
    with pytest.raises(Misconfigured):
        release(mill.ctx, shown.run_id, reason="", actor="ops")
    for number in (done, 4711):
        with pytest.raises(Misconfigured):
            release(mill.ctx, number, reason="so", actor="ops")


def test_a_broken_transfer_cannot_be_released(mill: World) -> None:
    """There is nothing that could be applied."""
    mill.mill.put("dealer", dealers(*range(20)), count=3)
    shown = mill.run("mill", "customers")
    with pytest.raises(Misconfigured) as raised:
        release(mill.ctx, shown.run_id, reason="so", actor="ops")
    assert raised.value.code == "not_releasable"
    assert mill.batch_state(shown.batch_id) == "held"


def test_releasing_rejections_quarantines_them(mill: World) -> None:
    """A release lets in the good ones; the bad ones are items like any others."""
    mill.mill.put(
        "dealer", [*dealers(*range(21)), *(dealer(f"X{n}", status="?") for n in range(10))]
    )
    shown = mill.run("mill", "customers")
    outcome = release(mill.ctx, shown.run_id, reason="so", actor="ops")
    assert counted(outcome) == {"read": 31, "inserted": 1, "unchanged": 20, "quarantined": 10}
    assert len(mill.items()) == 10
