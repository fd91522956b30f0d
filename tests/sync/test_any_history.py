"""Every sequence of pulls, holds, releases, replays and crashes ends as a simple model says (12).

One database serves all examples: each is an ERP of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal_db.counts import Counts
from sync.load import Outcome
from sync.quarantine import discard
from sync.release import refuse, release
from sync.replay import replay
from tests.sync import far_side
from tests.sync.far_side import dealer, page_feed
from tests.sync.world import World

Record = tuple[str, str, str]
"""(key, name, status); status `odd` is rejected."""

KEYS = [f"D{n}" for n in range(6)]
records = st.builds(
    lambda k, n, s: (k, n, s),
    st.sampled_from(KEYS),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["active", "active", "active", "odd"]),
)
extracts = st.lists(records, min_size=0, max_size=9)

SLOW = (
    HealthCheck.function_scoped_fixture,
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
)
"""A database is slower than what these look for; examples share one on purpose."""

GUARDS = {"rejected_share": "0.3", "rejected_least": "2", "fall_share": "0.4"}


def new_erp(world: World, number: int, **feed: Any) -> str:
    """A fresh ERP that forge's server speaks for."""
    erp = f"forge{number}"
    world.connect(erp, world.forge.connection())
    for old in world.settings.mappings[0].glob("*.yaml"):
        old.unlink()
    made = page_feed("customers", guards=GUARDS, **feed)
    far_side.write_mapping(world.settings.mappings[0], far_side.mapping(erp, {"customers": made}))
    world.forget()
    return erp


def export(world: World, extract: list[Record]) -> None:
    """What the ERP sends from now on."""
    rows = [dealer(k, name=n, status=s, account_key=None) for k, n, s in extract]
    world.forge.put("dealer", [{**row, "account_key": row["key"]} for row in rows])


@dataclass
class Model:
    """What must be in the portal and in quarantine, as plain dicts."""

    live: dict[str, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    items: dict[str, int] = field(default_factory=dict)
    discarded: set[tuple[str, Record]] = field(default_factory=set)
    loaded: bool = False

    @staticmethod
    def split(extract: list[Record]) -> tuple[dict[str, Record], dict[str, list[Record]], int]:
        """(accepted by key, rejected by key, identical copies)."""
        by_key: dict[str, list[Record]] = {}
        for record in extract:
            by_key.setdefault(record[0], []).append(record)
        good: dict[str, Record] = {}
        bad: dict[str, list[Record]] = {}
        copies = 0
        for key, found in by_key.items():
            if any(status == "odd" for _, _, status in found) or len(set(found)) > 1:
                bad[key] = found
            else:
                good[key] = found[0]
                copies += len(found) - 1
        return good, bad, copies

    def counts(self, extract: list[Record]) -> Counts:
        """The ledger of loading this extract now."""
        good, bad, copies = self.split(extract)
        inserted = sum(key not in self.live for key in good)
        updated = sum(self.live.get(key, r[1]) != r[1] for key, r in good.items())
        gone = self.live.keys() - good.keys() - bad.keys()
        return Counts(
            read=len(extract),
            inserted=inserted,
            updated=updated,
            unchanged=len(good) - inserted - updated,
            superseded=copies,
            quarantined=sum(len(found) for found in bad.values()),
            deleted=len(gone),
        )

    def stops(self, extract: list[Record]) -> bool:
        """Does a guard stop it?"""
        counts = self.counts(extract)
        before, after = len(self.live), len(self.live) + counts.inserted - counts.deleted
        rejected = counts.quarantined >= 2 and counts.quarantined * 10 > counts.read * 3
        fallen = self.loaded and bool(extract) and (before - after) * 10 > before * 4
        return not extract or rejected or fallen

    def apply(self, extract: list[Record]) -> None:
        """Load it."""
        good, bad, _ = self.split(extract)
        came = good.keys() | bad.keys()
        self.live = {
            **{key: name for key, name in self.live.items() if key in came},
            **{key: record[1] for key, record in good.items()},
        }
        self.stale = {k for k in (self.stale | bad.keys()) if k in self.live and k not in good}
        self.items = {key: n for key, n in self.items.items() if key in bad}
        for key, found in bad.items():
            if (key, found[-1]) not in self.discarded or key in self.items:
                self.items[key] = self.items.get(key, 0) + 1
        self.loaded = True


class Crash(Exception):
    """A power cut, as far as one process can show it."""


def crash_at(step: str) -> Any:
    """A progress that raises at a step."""

    def progress(now: str, done: int, total: int | None) -> None:
        del done, total
        if now == step:
            raise Crash

    return progress


class History(RuleBasedStateMachine):
    """Nights of one snapshot feed."""

    world: World
    number = 0

    def __init__(self) -> None:
        super().__init__()
        History.number += 1
        self.erp = new_erp(self.world, History.number)
        self.model = Model()
        self.held: tuple[Outcome, list[Record]] | None = None
        self.last: tuple[Outcome, list[Record]] | None = None

    def _ended(self, outcome: Outcome, extract: list[Record]) -> None:
        assert outcome.counts == self.model.counts(extract)
        if self.model.stops(extract):
            assert outcome.state == "held", outcome
            self.held = outcome, extract
        else:
            assert outcome.state == "done", outcome.stops
            self.held = None
            self.last = outcome, extract
            self.model.apply(extract)

    @rule(extract=extracts, crash=st.sampled_from([None, None, "read", "compare", "apply"]))
    def night(self, extract: list[Record], crash: str | None) -> None:
        """Pull and load, perhaps with a crash on the way and another try."""
        export(self.world, extract)
        batch_id = self.world.pull(self.erp, "customers")
        if crash is not None:
            try:
                self.world.load(batch_id, progress=crash_at(crash))
            except Crash:
                self.agrees()
        self._ended(self.world.load(batch_id), extract)

    @precondition(lambda self: self.last is not None)
    @rule()
    def the_same_bytes_again(self) -> None:
        """What was applied last comes again."""
        assert self.last is not None
        extract = self.last[1]
        export(self.world, extract)
        self._ended(self.world.run(self.erp, "customers"), extract)

    @precondition(lambda self: self.held is not None)
    @rule()
    def let_in(self) -> None:
        """Release what is held."""
        assert self.held is not None
        shown, extract = self.held
        outcome = release(self.world.ctx, shown.run_id, reason="so", actor="ops")
        assert outcome.counts == shown.counts
        self.model.apply(extract)
        self.last, self.held = (outcome, extract), None

    @precondition(lambda self: self.held is not None)
    @rule()
    def keep_out(self) -> None:
        """Refuse what is held."""
        assert self.held is not None
        refuse(self.world.ctx, self.held[0].run_id, reason="so", actor="ops")
        self.held = None

    @precondition(lambda self: self.last is not None)
    @rule()
    def once_more(self) -> None:
        """Load and replay the last applied batch: nothing but attempts can change."""
        assert self.last is not None
        outcome, extract = self.last
        assert self.world.load(outcome.batch_id).batch_id == outcome.batch_id
        self.agrees()
        replayed = replay(self.world.ctx, outcome.batch_id, actor="ops")
        assert replayed.counts == self.model.counts(extract)
        assert (replayed.state == "held") == self.model.stops(extract)
        if replayed.state == "done":
            self.model.apply(extract)

    @precondition(lambda self: self.model.items and self.last is not None)
    @rule(data=st.data())
    def discard_one(self, data: st.DataObject) -> None:
        """A person says: keep it out."""
        key = data.draw(st.sampled_from(sorted(self.model.items)))
        assert self.last is not None
        found = Model.split(self.last[1])[1].get(key)
        number = self.world.one(
            "SELECT id FROM sync.quarantine WHERE erp = %s AND key = %s AND state = 'open'",
            self.erp,
            key,
        )
        discard(self.world.ctx, number, reason="so", actor="ops")
        del self.model.items[key]
        if found is not None:
            self.model.discarded.add((key, found[-1]))

    @invariant()
    def agrees(self) -> None:
        """The portal is what the model says."""
        world, erp = self.world, self.erp
        rows = world.sql(
            "SELECT key, name, stale_since IS NOT NULL FROM portal.dealer WHERE erp = %s "
            "AND deleted_at IS NULL",
            erp,
        )
        assert {key: name for key, name, _ in rows} == self.model.live
        assert {key for key, _, stale in rows if stale} == self.model.stale
        items = world.sql(
            "SELECT key, attempts FROM sync.quarantine WHERE erp = %s AND state = 'open'", erp
        )
        assert dict(items) == self.model.items
        world.check_law()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_any_history_of_a_snapshot_ends_as_the_model_says(world: World) -> None:
    """Pulls with changes, bad rows, repeats, falls; crashes; releases, refusals, replays."""
    machine = type("History", (History,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            suppress_health_check=SLOW,
        ),
    )


changes = st.lists(
    st.tuples(st.sampled_from(KEYS[:4]), st.sampled_from(["a", "b", "odd", "gone"])), max_size=6
)


@pytest.mark.slow
@pytest.mark.timeout(400)
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(nights=st.lists(changes, min_size=1, max_size=3))
def test_any_sequence_of_deltas_ends_as_the_model_says(
    world: World, nights: list[list[tuple[str, str]]]
) -> None:
    """The last record of a key counts; each delta loaded twice is the same as once."""
    History.number += 1
    feed = {"mode": "delta", "deleted": "gone", "source": {"deleted": "true"}}
    erp = new_erp(world, History.number, **feed)
    relaxed = {"guards": {"rejected_share": "1"}, **feed}
    made = page_feed("customers", **relaxed)
    far_side.write_mapping(world.settings.mappings[0], far_side.mapping(erp, {"customers": made}))
    world.forget()
    live: dict[str, str] = {}
    open_keys: set[str] = set()
    for night in nights:
        world.forge.put(
            "dealer",
            [
                {"key": key, "gone": "X", "account_key": key}
                if what == "gone"
                else dealer(key, name=what, status="odd" if what == "odd" else "active")
                for key, what in night
            ],
        )
        batch_id = world.pull(erp, "customers")
        outcome = world.load(batch_id)
        assert world.load(batch_id).run_id == outcome.run_id
        assert outcome.state == "done"
        last = dict(night)
        counts = outcome.counts
        assert counts.read == len(night)
        assert counts.superseded == len(night) - len(last)
        kinds = Counter(
            "quarantined" if what == "odd"
            else "deleted" if what == "gone" and key in live
            else "inserted" if what not in {"odd", "gone"} and key not in live
            else "other"
            for key, what in last.items()
        )  # fmt: skip
        found = (counts.quarantined, counts.deleted, counts.inserted)
        assert found == (kinds["quarantined"], kinds["deleted"], kinds["inserted"])
        for key, what in last.items():
            if what == "odd":
                open_keys.add(key)
                continue
            open_keys.discard(key)
            if what == "gone":
                live.pop(key, None)
            else:
                live[key] = what
        rows = world.sql(
            "SELECT key, name FROM portal.dealer WHERE erp = %s AND deleted_at IS NULL", erp
        )
        assert dict(rows) == live
        items = world.sql("SELECT key FROM sync.quarantine WHERE erp = %s AND state = 'open'", erp)
        assert {key for (key,) in items} == open_keys
    world.check_law()


@pytest.mark.slow
@pytest.mark.timeout(400)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(first=extracts, second=extracts)
def test_accepted_and_rejected_are_what_was_read_and_twice_is_once(
    world: World, first: list[Record], second: list[Record]
) -> None:
    """accepted + rejected = read; loading twice = once."""
    History.number += 1
    erp = new_erp(world, History.number)
    for extract in (first, second):
        export(world, extract)
        batch_id = world.pull(erp, "customers")
        outcome = world.load(batch_id)
        counts = outcome.counts
        good, bad, _ = Model.split(extract)
        assert counts.read == len(extract)
        assert counts.read == counts.accounted
        assert counts.quarantined == sum(len(found) for found in bad.values())
        assert counts.inserted + counts.updated + counts.unchanged == len(good)
        before = world.versions("dealer")
        again = world.load(batch_id)
        assert (again.run_id, again.parts) == (outcome.run_id, outcome.parts)
        assert world.versions("dealer") == before
