"""Make it a rule: a correction that worked becomes a change of the mapping, by two people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from mappings.errors import Misconfigured
from mappings.feeds import PARTS
from mappings.reading import read_mappings
from portal_db import rules as kept
from sync import rules
from sync.fix_jobs import fix_group
from sync.fix_rules import Rule
from sync.fix_work import carry_on
from sync.rule_text import diff_of, with_correction
from tests.sync.far_side import csv_feed, dealer, dealers
from tests.sync.world import World

RIGHT = Rule.of({"kind": "replace", "path": "status", "old": "odd", "new": "active"})
TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=30)


def night(world: World, bad: int, **more: str) -> None:
    odd = [dealer(f"B{n}", status="odd", **more) for n in range(bad)]
    world.mill.put("dealer", [*dealers(*range(20)), *odd])
    world.run("mill", "customers")


def corrected_once(world: World) -> int:
    """A group of two put right by one job; its id."""
    guards = {"rejected_least": 1000}
    world.map("mill", {"customers": csv_feed("customers", [], guards=guards)})
    file = world.settings.mappings[0] / "mill.yaml"
    file.write_text(yaml.safe_dump(json.loads(file.read_text()), sort_keys=False))
    night(world, 2)
    ((shape, version),) = world.sql("SELECT shape, version FROM sync.quarantine_group")
    words = {"seen": version, "reason": "typing error", "actor": "olga"}
    job = fix_group(world.ctx, shape, kind="correct", rule=RIGHT, **words)
    carry_on(world.ctx, worker="w")
    assert world.items() == {}
    return job


def row(world: World, number: int) -> rules.Row:
    with world.ctx.connection() as connection:
        found = kept.rule(connection, number)
    assert found is not None
    return found


def test_a_rule_is_proposed_approved_by_another_committed_and_ends_with_its_day(
    world: World,
) -> None:
    job = corrected_once(world)
    number = rules.propose(world.ctx, job, until=SOON, reason="every night", actor="olga")
    proposed = row(world, number)
    counts = (proposed["records"], proposed["passed_before"], proposed["passed_with"])
    assert counts == (2, 0, 2), "tried on the job's own records"
    change = rules.change_of(world.ctx, proposed)
    told = {"approve": True, "seen": change.seen, "reason": "right"}
    with pytest.raises(Misconfigured, match="who proposed a rule cannot approve it"):
        rules.decide(world.ctx, number, **told, actor="olga")
    with pytest.raises(Misconfigured, match="has changed since you opened"):
        rules.decide(world.ctx, number, **{**told, "seen": "x"}, actor="igor")
    with pytest.raises(Misconfigured, match="proposed already"):
        rules.propose(world.ctx, job, until=SOON, reason="again", actor="igor")
    with pytest.raises(Misconfigured, match="is proposed"):
        rules.to_apply(world.ctx, number)
    rules.decide(world.ctx, number, **told, actor="igor")
    assert rules.status(row(world, number), world.ctx.mappings) == "to be committed"
    assert row(world, number)["diff"] == change.diff
    night(world, 3, name="Other bytes")
    assert len(world.items()) == 3, "approved is not committed: nothing counts yet"

    ready = rules.to_apply(world.ctx, number)
    before = ready.path.read_text()
    ready.path.write_text(ready.text)
    world.ctx.mappings = read_mappings(world.settings.mappings)
    assert rules.status(row(world, number), world.ctx.mappings) == "in force"
    night(world, 3, name="And others")
    assert world.items() == {}, "corrected every time, and open items are resolved by it"
    assert world.rows("dealer", "status")["B2"] == "active"

    after = SOON + timedelta(days=1)
    assert rules.status(row(world, number), world.ctx.mappings, after) == "overdue"
    assert [one["rule"] for one in rules.overdue(world.ctx.mappings, after)] == [number]
    assert rules.overdue(world.ctx.mappings) == []
    night(world, 3, name="Past its day")
    assert world.items() == {}, "no judgement reads the clock"
    ready.path.write_text(before)
    world.ctx.mappings = read_mappings(world.settings.mappings)
    assert rules.status(row(world, number), world.ctx.mappings) == "removed"
    audited = [a for (a,) in world.sql("SELECT action FROM sync.audit WHERE action LIKE 'rule%%'")]
    assert audited == ["rule proposed", "rule approved"]


def test_what_cannot_be_a_rule_is_refused_and_who_proposed_may_take_it_back(world: World) -> None:
    job = corrected_once(world)
    for until in (TODAY, TODAY + timedelta(days=400)):
        with pytest.raises(Misconfigured, match="until a day after today"):
            rules.propose(world.ctx, job, until=until, reason="r", actor="olga")
    with pytest.raises(Misconfigured, match="a reason is needed"):
        rules.propose(world.ctx, job, until=SOON, reason=" ", actor="olga")
    with pytest.raises(Misconfigured, match="there is no job"):
        rules.propose(world.ctx, 99, until=SOON, reason="r", actor="olga")
    number = rules.propose(world.ctx, job, until=SOON, reason="r", actor="olga")
    assert rules.status(row(world, number), world.ctx.mappings, SOON + timedelta(1)) == "lapsed"
    rules.decide(world.ctx, number, approve=False, seen="", reason="no", actor="olga")
    with pytest.raises(Misconfigured, match="is refused already"):
        rules.decide(world.ctx, number, approve=False, seen="", reason="no", actor="igor")
    with pytest.raises(Exception, match="mapping_rule_two_people"):
        world.admin.execute(
            "UPDATE sync.mapping_rule SET state = 'approved', diff = 'x' WHERE id = %s", (number,)
        )


BEFORE = """# Who wrote this
erp: mill
connection: mill
time_zone: UTC
catalogue: open
feeds:
  stock:   # hourly
    # the newest file
    mode: snapshot
    source: {protocol: sftp, files: "out/s_*.csv", format: {kind: csv}}
    fields: {product_key: {from: A}, warehouse_key: {from: B}, on_hand: {from: C}%s}
    parts: {warehouse: absent, stock_expected: absent}
"""


def test_a_correction_is_added_to_the_text_and_nothing_else_changes() -> None:
    mapped = ("product_key", "warehouse_key", "on_hand")
    others = [one.name for one in PARTS["stock"].mapped_fields if one.name not in mapped]
    text = BEFORE % "".join(f", {name}: absent" for name in others)
    rule = Rule.of({"kind": "map", "path": "C", "values": {"n/a": "0", 'a"b': ""}})
    where = {"until": SOON, "number": 7}
    made = with_correction(text, "mill.yaml", "stock", None, rule, **where)
    trim = Rule.of({"kind": "trim", "path": "A"})
    twice = with_correction(made, "mill.yaml", "stock", None, trim, **{**where, "number": 8})
    added = [line[1:] for line in diff_of(text, twice, "m").splitlines()[2:] if line[0] == "+"]
    assert added == [
        "    corrections:",
        '      - column: "A"', "        kind: trim",
        f"        until: {SOON}", "        rule: 8",
        '      - column: "C"', "        kind: map",
        '        values: {"n/a": "0", "a\\"b": ""}', f"        until: {SOON}", "        rule: 7",
    ]  # fmt: skip
    assert not [line for line in diff_of(text, twice, "m").splitlines()[2:] if line[0] == "-"]
    with pytest.raises(Misconfigured, match="no field of stock is made of"):
        with_correction(text, "mill.yaml", "stock", None, Rule.of(
            {"kind": "trim", "path": "Z"}), **where)  # fmt: skip
