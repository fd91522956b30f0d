"""What has been kept for its time goes and leaves its hashes; what is needed stays."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mappings.errors import Misconfigured
from mappings.retention import keep_days
from portal_db.audit import lines
from sync.explain import explain
from sync.feed import sync_feed
from sync.retention import due, expire
from tests.sync.far_side import dealer, dealers, page_feed
from tests.sync.world import World

LATER = datetime.now(UTC) + timedelta(days=401)


@pytest.fixture
def nights(world: World) -> tuple[World, list[int]]:
    """Four batches: an item still open of the second, resolved ones, and the last complete."""
    world.map("forge", {"customers": page_feed("customers")})
    batches = []
    nightly = (
        [*dealers(*range(4)), dealer("BAD", status="s3cret")],
        [*dealers(*range(5)), dealer("BAD"), dealer("OPEN", status="odd")],
        dealers(*range(6)),
        dealers(*range(7)),
    )
    for number, rows in enumerate(nightly):
        world.forge.put("dealer", rows)
        batches.append(world.run("forge", "customers").batch_id)
        if number == 1:  # a complete extract without it would close it
            world.admin.execute("UPDATE sync.quarantine SET part = 'dealer_x' WHERE key = 'OPEN'")
    world.admin.execute("UPDATE sync.quarantine SET part = 'dealer' WHERE key = 'OPEN'")
    return world, batches


def folders(world: World, batches: list[int]) -> list[bool]:
    root = Path(world.settings.landing) / "forge" / "customers"
    return [(root / str(one) / "manifest.json").exists() for one in batches]


def test_DLQ_11_what_is_over_goes_with_proof_and_what_is_needed_stays(
    nights: tuple[World, list[int]],
) -> None:
    world, batches = nights
    raw = world.one("SELECT raw || reasons::text FROM sync.quarantine WHERE key = 'BAD'")
    assert expire(world.ctx) == [], "nothing is due yet"
    gone = {one.kept_as: one for one in expire(world.ctx, now=LATER, actor="olga")}
    assert folders(world, batches) == [False, True, False, True], "open item, last complete"
    assert (gone["evidence"].taken, gone["evidence"].subject) == (2, "forge/customers")
    digest = hashlib.sha256(hashlib.sha256(raw.encode()).digest()).hexdigest()
    assert (gone["quarantine"].taken, gone["quarantine"].sha256) == (1, digest)
    kept = str(world.sql("SELECT to_jsonb(q) FROM sync.quarantine q WHERE key = 'BAD'"))
    assert "s3cret" not in kept + str(world.sql("SELECT detail FROM sync.attempt"))
    assert "s3cret" not in str(world.sql("SELECT * FROM sync.check_failure"))
    assert "odd" in world.one("SELECT raw FROM sync.quarantine WHERE key = 'OPEN'")
    with world.ctx.connection() as connection:
        told = {one["detail"]["class"]: one for one in lines(connection)}
    assert told["evidence"]["actor"] == "olga"
    assert told["evidence"]["detail"]["batches"] == [batches[0], batches[2]]
    assert told["quarantine"]["detail"]["sha256"] == digest
    assert expire(world.ctx, now=LATER) == [], "once"


def test_a_row_whose_bytes_are_gone_says_so_and_shows_their_hashes(
    nights: tuple[World, list[int]],
) -> None:
    world, batches = nights
    world.admin.execute("UPDATE sync.quarantine SET state = 'discarded', resolved_at = now() "
                        "WHERE state = 'open'")  # fmt: skip
    world.admin.execute("UPDATE sync.cursor SET batch_id = batch_id")
    expire(world.ctx, now=LATER)
    found = explain(world.ctx, "dealer", ["forge", "D0"])
    assert found["batch"]["id"] == batches[0]
    assert found["evidence"]["state"] == "gone"
    assert "time as evidence was over" in found["evidence"]["says"]
    assert found["evidence"]["hashes"][0]["sha256"]


def test_a_mapping_says_how_long_its_own_bytes_are_kept(world: World) -> None:
    world.map("forge", {"customers": page_feed("customers", keep=500)})
    for count in (2, 3):
        world.forge.put("dealer", dealers(*range(count)))
        sync_feed(world.ctx, "forge", "customers")
    assert [one["keep_days"] for one in due(world.ctx, now=LATER)] == [500]
    assert [one.kept_as for one in expire(world.ctx, now=LATER)] == []
    (one,) = due(world.ctx, now=LATER + timedelta(days=100))
    assert one["batches"] == 1


def test_people_whom_the_erp_deleted_are_deleted(world: World) -> None:
    stamp = "1, 1, 1, now(), now() - interval '91 days'"
    world.admin.execute(
        "INSERT INTO portal.dealer_contact (erp, dealer_key, key, name, batch_id, record_no, "
        f"row_hash, as_of, deleted_at) VALUES ('forge', 'D1', 'C1', 'Ayse', {stamp}), "
        "('forge', 'D1', 'C2', 'Bora', 1, 1, 1, now(), NULL)"
    )
    (one,) = expire(world.ctx)
    assert (one.kept_as, one.subject, one.taken) == ("people", "portal dealer_contact", 1)
    assert world.sql("SELECT name FROM portal.dealer_contact") == [("Bora",)]


def test_what_may_only_grow_gives_way_to_retention_alone(world: World) -> None:
    with world.ctx.connection() as connection:
        for statement in (
            "DELETE FROM sync.credit_decision",
            "DELETE FROM sync.change",
            "DELETE FROM sync.quarantine",
            "DELETE FROM sync.check_result",
        ):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement)


def test_days_that_are_none_are_refused() -> None:
    assert keep_days({"people": "30"})["people"] == 30
    for wrong in ({"poeple": "30"}, {"people": "0"}, {"people": "a"}, {"people": ""}):
        with pytest.raises(Misconfigured):
            keep_days(wrong)
