"""Records put right by people: one or a group, judged like new data, and never lost on the way."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from mappings.errors import Misconfigured
from mappings.settings import REPOSITORY, child_environment
from sync.explain import explain
from sync.fix_jobs import fix_group, fix_item, steer
from sync.fix_preview import preview
from sync.fix_rules import Rule
from sync.fix_work import carry_on
from sync.quarantine import discard
from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World

RIGHT = Rule.of({"kind": "replace", "path": "status", "old": "odd", "new": "active"})


def night(world: World, bad: int, *, status: str = "odd", good: int = 20) -> None:
    """A night of good dealers and `bad` ones of one cause."""
    odd = [dealer(f"B{n}", status=status) for n in range(bad)]
    world.mill.put("dealer", [*dealers(*range(good)), *odd])
    world.run("mill", "customers")


@pytest.fixture
def mill(world: World) -> World:
    guards = {"rejected_least": 1000}
    world.map("mill", {"customers": csv_feed("customers", [], guards=guards)})
    return world


def group(world: World) -> tuple[str, int]:
    """The one group with open items: fingerprint and version."""
    ((shape, version),) = world.sql(
        "SELECT shape, version FROM sync.quarantine_group WHERE open_items > 0"
    )
    return shape, version


def ask(world: World, *, rule: Rule | None = RIGHT, kind: str = "correct", **more: object) -> int:
    shape, version = group(world)
    words = {"seen": version, "reason": "typing error", "actor": "olga", **more}
    return fix_group(world.ctx, shape, kind=kind, rule=rule, **words)  # type: ignore[arg-type]


def job(world: World, job_id: int) -> tuple[str, int, int, int]:
    ((found),) = world.sql(
        "SELECT state, succeeded, failed, skipped FROM sync.fix_job WHERE id = %s", job_id
    )
    return found


def test_DLQ_4_a_group_is_put_right_on_the_server_and_both_lists_remain(mill: World) -> None:
    night(mill, 7)
    mill.mill.put(
        "dealer", [*dealers(*range(20)), *[dealer(f"B{n}", status="odd") for n in (0, 1)]]
    )
    one = ask(mill)
    mill.sql("UPDATE sync.quarantine SET raw = replace(raw, 'odd', 'other') WHERE key = 'B3'")
    assert carry_on(mill.ctx, worker="w", piece=3) == 3
    assert job(mill, one) == ("done", 6, 0, 1)
    assert {f"B{n}" for n in (0, 1, 2, 4, 5, 6)} <= mill.keys("dealer")
    says = mill.one("SELECT says FROM sync.fix_item WHERE state = 'skipped'")
    assert says == "the correction changes nothing in it"
    raw = mill.one("SELECT raw FROM sync.quarantine WHERE key = 'B1'")
    assert '"odd"' in raw, "the ERP's record stays what it was"
    assert mill.sql("SELECT open_items, state FROM sync.quarantine_group") == [(1, "acknowledged")]


def test_DLQ_4_a_canary_that_comes_back_stops_the_rest(mill: World) -> None:
    night(mill, 6)
    wrong = Rule.of({"kind": "replace", "path": "status", "old": "odd", "new": "bad"})
    one = ask(mill, rule=wrong, canary=2)
    carry_on(mill.ctx, worker="w")
    assert job(mill, one) == ("stopped", 0, 2, 0)
    assert mill.one("SELECT says FROM sync.fix_job").startswith("2 of the first 2 came back")
    assert len(mill.items()) == 6, "nothing left quarantine"
    steer(mill.ctx, one, "cancelled", actor="olga")
    assert carry_on(mill.ctx, worker="w") == 0
    ask(mill, canary=2)
    carry_on(mill.ctx, worker="w")
    assert mill.items() == {}


def test_DLQ_4_a_job_is_paused_goes_on_and_is_cancelled(mill: World) -> None:
    night(mill, 6)
    one = ask(mill)
    asked = []

    def pause() -> bool:
        asked.append(1)
        if len(asked) == 3:  # one piece is done
            steer(mill.ctx, one, "paused", actor="olga")
        return False

    carry_on(mill.ctx, worker="w", piece=2, stop=pause)
    done = job(mill, one)
    assert done[0] == "paused"
    assert 2 <= done[1] <= 4
    steer(mill.ctx, one, "waiting", actor="olga")
    carry_on(mill.ctx, worker="x", piece=1, stop=lambda: mill.one(
        "SELECT succeeded >= 5 FROM sync.fix_job"))  # fmt: skip
    steer(mill.ctx, one, "cancelled", actor="olga")
    assert carry_on(mill.ctx, worker="w") == 0
    assert len(mill.items()) == 1, "what was not reached is untouched"
    with pytest.raises(Misconfigured, match="is cancelled"):
        steer(mill.ctx, one, "waiting", actor="olga")


@pytest.mark.slow
def test_DLQ_4_a_killed_worker_loses_nothing_and_the_next_goes_on(mill: World) -> None:
    night(mill, 6)
    one = ask(mill)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.review.killed_fix", "2"],
        cwd=REPOSITORY,
        env=child_environment(mill.settings),
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "one piece is done\n"
        worker.kill()
    assert job(mill, one)[0] == "running"
    mill.sql("UPDATE sync.fix_job SET lease_until = now() - interval '1 second'")
    carry_on(mill.ctx, worker="next", piece=2)
    assert job(mill, one) == ("done", 6, 0, 0)
    assert mill.one("SELECT count(*) FROM sync.correction") == 6, "none was written twice"


def test_DLQ_5_a_retry_is_judged_by_the_mapping_of_then_or_of_now(mill: World) -> None:
    night(mill, 2)
    feed = csv_feed("customers", [], guards={"rejected_least": 1000})
    feed["fields"]["status"] = {"const": "active"}
    mill.map("mill", {"customers": feed})
    then = ask(mill, rule=None, kind="retry", mapping="then")
    carry_on(mill.ctx, worker="w")
    assert job(mill, then) == ("done", 0, 2, 0)
    now = ask(mill, rule=None, kind="retry", mapping="now")
    carry_on(mill.ctx, worker="w")
    assert job(mill, now) == ("done", 2, 0, 0)
    used = [sha for (sha,) in mill.sql("SELECT mapping_sha256 FROM sync.run ORDER BY id")]
    assert used[0] == used[1] != used[2], "each run says under which mapping it judged"


def test_DLQ_6_a_discard_is_on_record_and_every_count_agrees(mill: World) -> None:
    night(mill, 3)
    with pytest.raises(Misconfigured, match="a reason is needed"):
        ask(mill, rule=None, kind="discard", reason=" ")
    ask(mill, rule=None, kind="discard", reason="test dealers")
    carry_on(mill.ctx, worker="w")
    assert mill.items() == {}
    items = mill.items("discarded")
    assert {i["resolved_reason"] for i in items.values()} == {"test dealers"}
    assert mill.sql("SELECT open_items, state FROM sync.quarantine_group") == [(0, "resolved")]
    assert mill.one("SELECT count(*) FROM sync.audit WHERE action = 'discard'") == 3
    night(mill, 3)
    assert mill.items() == {}, "the same bytes stay out"


def test_DLQ_7_a_key_that_fails_again_is_one_item_and_a_later_good_record_ends_it(
    mill: World,
) -> None:
    night(mill, 1)
    first = mill.items()["B0"]
    night(mill, 1, status="stranger")
    again = mill.items()["B0"]
    assert (again["id"], first["attempts"], again["attempts"]) == (first["id"], 1, 2)
    tries = "SELECT outcome FROM sync.attempt WHERE quarantine_id = %s ORDER BY id"
    assert mill.sql(tries, first["id"]) == [("rejected",), ("rejected",)]
    night(mill, 1, status="active")
    assert mill.items() == {}
    ended = mill.items("superseded")["B0"]
    assert ended["id"] == first["id"]
    assert ended["resolved_run"] == mill.one("SELECT max(id) FROM sync.run")
    assert mill.one("SELECT state FROM sync.quarantine_group WHERE shape = %s", again["shape"]) == (
        "resolved"
    )


def test_DLQ_8_of_two_people_on_one_item_the_second_sees_the_first(mill: World) -> None:
    night(mill, 1)
    item = mill.items()["B0"]
    words = {"seen": item["version"], "reason": "typing error"}
    fix_item(mill.ctx, item["id"], kind="correct", rule=RIGHT, actor="olga", **words)
    other = Rule.of({"kind": "edit", "values": {"status": "blocked"}})
    with pytest.raises(Misconfigured, match=r"has changed .* olga asked for: correct"):
        fix_item(mill.ctx, item["id"], kind="correct", rule=other, actor="igor", **words)
    carry_on(mill.ctx, worker="w")
    assert mill.rows("dealer", "status")["B0"] == "active"
    with pytest.raises(Misconfigured, match="released meanwhile"):
        discard(mill.ctx, item["id"], reason="no", actor="igor", seen=item["version"])


def test_DLQ_8_a_group_that_somebody_changed_is_not_overwritten(mill: World) -> None:
    night(mill, 1)
    shape, version = group(mill)
    ask(mill)
    with pytest.raises(Misconfigured, match="olga has changed this group"):
        fix_group(mill.ctx, shape, kind="discard", seen=version, reason="no", actor="igor")


def test_DLQ_8_an_edit_while_the_record_comes_again_is_refused(mill: World) -> None:
    night(mill, 1)
    item = mill.items()["B0"]
    night(mill, 1, status="strange")
    with pytest.raises(Misconfigured, match="came again"):
        fix_item(
            mill.ctx, item["id"], kind="correct", rule=RIGHT, seen=item["version"],
            reason="r", actor="olga",
        )  # fmt: skip


def test_DLQ_9_an_edited_record_passes_the_same_checks_and_its_change_is_on_record(
    mill: World,
) -> None:
    night(mill, 2)
    item = mill.items()["B0"]
    (before,) = preview(mill.ctx, "mill", "customers", [item], RIGHT)
    assert before.changes == {"status": ("odd", "active")}
    assert before.passes
    assert ("status", "odd", "active") in before.fields
    worse = Rule.of({"kind": "edit", "values": {"status": "worse"}})
    (bad,) = preview(mill.ctx, "mill", "customers", [item], worse)
    assert [r["code"] for r in bad.after.reasons] == [item["code"]]
    fix_item(
        mill.ctx, item["id"], kind="correct", rule=worse, seen=item["version"],
        reason="try", actor="olga",
    )  # fmt: skip
    carry_on(mill.ctx, worker="w")
    again = mill.items()["B0"]
    assert again["attempts"] == 2
    assert again["reasons"][0]["raw"] == "worse"
    assert '"odd"' in again["raw"]
    fix_item(
        mill.ctx, item["id"], kind="correct", rule=RIGHT_EDIT, seen=again["version"],
        reason="now", actor="olga",
    )  # fmt: skip
    carry_on(mill.ctx, worker="w")
    assert mill.rows("dealer", "status")["B0"] == "active"
    assert mill.sql("SELECT changes, was, actor FROM sync.correction ORDER BY id") == [
        ({"status": "worse"}, {"status": "odd"}, "olga"),
        ({"status": "active"}, {"status": "odd"}, "olga"),
    ]
    item = mill.items("released")["B0"]
    assert item["resolved_run"] == mill.one("SELECT max(id) FROM sync.run")


RIGHT_EDIT = Rule.of({"kind": "edit", "values": {"status": "active"}})


def test_a_released_correction_sticks_to_the_same_bytes_and_to_no_others(mill: World) -> None:
    night(mill, 2)
    ask(mill)
    carry_on(mill.ctx, worker="w")
    night(mill, 2, good=21)
    assert mill.items() == {}, "the same record, the same correction"
    assert mill.rows("dealer", "status")["B1"] == "active"
    why = explain(mill.ctx, "dealer", ["mill", "B1"])
    assert [(c["was"], c["changes"]) for c in why["corrections"]] == [
        ({"status": "odd"}, {"status": "active"})
    ]
    assert ";odd;" in why["evidence"]["text"], "the bytes are the ERP's"
    mill.mill.put("dealer", [*dealers(*range(20)), dealer("B0", status="odd", name="Other")])
    mill.run("mill", "customers")
    assert set(mill.items()) == {"B0"}, "other bytes are judged as they are"


def test_a_later_good_record_ends_the_item_and_the_job_says_so(mill: World) -> None:
    night(mill, 1)
    one = ask(mill)
    night(mill, 1, status="active")
    carry_on(mill.ctx, worker="w")
    assert job(mill, one) == ("done", 1, 0, 0)
    assert mill.one("SELECT says FROM sync.fix_item") == "superseded"


def test_two_workers_share_no_job(mill: World) -> None:
    night(mill, 4)
    one = ask(mill)
    both = [
        threading.Thread(target=carry_on, args=(mill.ctx,), kwargs={"worker": name, "piece": 1})
        for name in ("a", "b")
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert job(mill, one) == ("done", 4, 0, 0)
    assert mill.one("SELECT count(*) FROM sync.run WHERE kind = 'retry'") == 4


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        ({"kind": "trim", "path": "a"}, " x ", "x"),
        ({"kind": "default", "path": "a", "new": "n"}, "", "n"),
        ({"kind": "default", "path": "a", "new": "n"}, None, "n"),
        ({"kind": "map", "path": "a", "values": {"1": "one"}}, "1", "one"),
        ({"kind": "regex", "path": "a", "old": r"(\d+)O", "new": r"\g"}, "1", None),
        ({"kind": "regex", "path": "a", "old": r"(\d+)O", "new": r"\10"}, "1O", "10"),
        ({"kind": "replace", "path": "a", "old": "x", "new": "y"}, "xx", None),
    ],
)
def test_each_correction_does_what_it_says(
    given: dict[str, object], before: str | None, after: str | None
) -> None:
    if given["new" if "new" in given else "kind"] == r"\g":
        with pytest.raises(Misconfigured, match="pattern"):
            Rule.of(given).changes({"a": before})
        return
    assert Rule.of(given).changes({"a": before}) == ({} if after is None else {"a": after})
