"""Killing any process at any instant and running it again gives the same end state (section 2)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.settings import REPOSITORY, child_environment
from tests.sync.far_side import csv_feed, dealer, invoice, line, page_feed, price
from tests.sync.world import World

TIMES = 5
"""A verb is killed so often, each time elsewhere, before it may end."""


@pytest.fixture(scope="module")
def forking() -> Iterator[subprocess.Popen[str]]:
    """The process that forks children which kill themselves, one for the module."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.sync.killed_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


class Killed:
    """Asks the forking process for verbs in the settings of one test."""

    def __init__(self, world: World, process: subprocess.Popen[str]) -> None:
        self._world = world
        self._process = process

    def wish(self, **wish: Any) -> dict[str, int]:
        """Have one verb done; how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wish["environment"] = child_environment(self._world.settings)
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the process ended with {self._process.poll()}"
        ended: dict[str, int] = json.loads(answer)
        if ended["status"] == -signal.SIGKILL:
            self._turn_ends()
        return ended

    def _turn_ends(self) -> None:
        """The server notices the death when it is done with the last statement, not before."""
        held = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        for _ in range(600):
            if self._world.one(held) == 0:
                return
            time.sleep(0.05)
        pytest.fail("the killed process's turn did not end with its connection")


@pytest.fixture
def killed(world: World, forking: subprocess.Popen[str]) -> Killed:
    """What the test asks to have things done and killed."""
    return Killed(world, forking)


def same_as_never_killed(world: World, batch_id: int) -> None:
    """Nothing of the killed run is left but its record."""
    states = world.sql("SELECT state FROM sync.run WHERE batch_id = %s ORDER BY id", batch_id)
    assert states[-1] == ("done",), states
    assert [s for s in states if s == ("done",)] == [("done",)], states
    assert set(states) <= {("done",), ("failed",)}
    assert world.staging_tables() == []
    assert world.batch_state(batch_id) == "applied"
    assert world.one("SELECT batch_id FROM sync.cursor WHERE feed = 'invoices'") == batch_id
    world.check_law()


class Nights:
    """Invoices that change every night: one new, one changed, one gone, one bad, lines too."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.night = 0

    def export(self) -> tuple[dict[str, str], dict[str, int]]:
        """One more night; (live invoice → number, open item → attempts) that must follow."""
        n = self.night = self.night + 1
        heads = [
            invoice(f"I{k}", number=f"I{k}", invoice_line=[line(1), line(2), line(3)])
            for k in range(12)
        ]
        heads += [invoice(f"N{n}", invoice_line=[line(1), line(2), line(3)])]
        heads[0]["number"] = f"changed {n}"
        heads[1]["invoice_line"] = [line(1, net="30.00"), line(2 + n, net="0.00")]
        heads += [invoice("BAD", kind="odd", invoice_line=[line(1)])]
        self.world.forge.put("invoice", heads)
        live = {str(h["key"]): str(h["number"]) for h in heads if h["key"] != "BAD"}
        return live, {"BAD": n}

    def check(self, live: dict[str, str], items: dict[str, int], batch_id: int) -> None:
        """The portal holds exactly that night."""
        world, n = self.world, self.night
        assert world.rows("invoice", "number") == live
        lines = world.sql(
            "SELECT line_no FROM portal.invoice_line WHERE invoice_key = 'I1' "
            "AND deleted_at IS NULL ORDER BY line_no"
        )
        assert lines == sorted([("1",), (str(2 + n),)])
        assert {key: item["attempts"] for key, item in world.items().items()} == items
        changed = world.sql(
            "SELECT part, key, op FROM sync.change WHERE batch_id = %s ORDER BY 1, 2, 3", batch_id
        )
        expected = [
            ("invoice", "I0", "update"),
            ("invoice", f"N{n - 1}", "delete"),
            ("invoice", f"N{n}", "insert"),
            ("invoice_line", f"I1|{1 + n}", "delete"),
            ("invoice_line", f"I1|{2 + n}", "insert"),
            *(("invoice_line", f"N{n - 1}|{k}", "delete") for k in (1, 2, 3)),
            *(("invoice_line", f"N{n}|{k}", "insert") for k in (1, 2, 3)),
        ]
        assert changed == sorted(expected), "the change log holds each change once"
        same_as_never_killed(world, batch_id)


@pytest.fixture
def nights(world: World) -> Nights:
    """Two nights loaded, none of them killed."""
    invoices = page_feed("invoices", ["invoice_line"])
    world.map("forge", {"customers": page_feed("customers"), "invoices": invoices})
    world.forge.put("dealer", [dealer("D1")])
    world.run("forge", "customers")
    made = Nights(world)
    made.export()
    world.run("forge", "invoices")
    return made


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_load_killed_at_any_statement_and_run_again_ends_the_same(
    nights: Nights, killed: Killed
) -> None:
    """kill -9 between statements of a load: every second gap of its transaction, a sample before.

    Before a statement and after the one before it are the same instant to the database. A batch
    is killed several times over before a load of it may end, and shows nothing till then.
    """
    world = nights.world
    nights.export()
    killed.wish(verb="warm", batch=world.pull("forge", "invoices"))
    expected = nights.export()
    batch_id = world.pull("forge", "invoices")
    answer = killed.wish(verb="load", batch=batch_id)
    assert answer["status"] == 0
    nights.check(*expected, batch_id)
    total = answer["statements"]
    assert total > 60, "the count does not see the statements"
    # The transaction is the end of the load; before it a sample will do.
    points = [*range(3, total - 44, 15), *range(total, total - 45, -2)]
    unfinished = 0
    while points:
        before, expected = expected, nights.export()
        batch_id = world.pull("forge", "invoices")
        for _ in range(min(TIMES, len(points))):
            at = points.pop(0)
            assert killed.wish(verb="load", batch=batch_id, at=at, after=True)["status"] == -9, at
            if world.batch_state(batch_id) == "applied":
                break
            unfinished += 1
            assert world.rows("invoice", "number") == before[0], at
            shown = world.one("SELECT count(*) FROM sync.change WHERE batch_id = %s", batch_id)
            assert shown == 0, at
        outcome = world.load(batch_id)
        assert outcome.state == "done"
        nights.check(*expected, batch_id)
    assert unfinished > TIMES, "no batch was killed inside its transaction"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_pull_killed_at_any_statement_and_run_again_ends_the_same(
    nights: Nights, killed: Killed
) -> None:
    """Unsealed pulls are abandoned, leave no evidence, and never stand in the way."""
    world = nights.world
    nights.export()
    killed.wish(verb="warm", batch=world.pull("forge", "invoices"))
    nights.export()
    answer = killed.wish(verb="pull", erp="forge", feed="invoices")
    assert answer["status"] == 0
    world.run("forge", "invoices")
    # The last gap is after the seal: what is killed there is pulled all the same.
    points = [
        (at, after) for at in range(1, answer["statements"] + 1, 2) for after in (False, True)
    ]
    while points:
        expected = nights.export()
        for _ in range(min(TIMES, len(points))):
            at, after = points.pop(0)
            wish = {"verb": "pull", "erp": "forge", "feed": "invoices", "at": at, "after": after}
            assert killed.wish(**wish)["status"] == -9, at
        batch_id = world.pull("forge", "invoices")
        world.load(batch_id)
        nights.check(*expected, batch_id)
    open_ones = "SELECT state FROM sync.batch WHERE state IN ('pulling', 'landed', 'held')"
    assert world.sql(open_ones) == []
    abandoned = world.sql("SELECT id FROM sync.batch WHERE state = 'abandoned'")
    assert abandoned
    folder = world.settings.home / "landing" / "forge" / "invoices"
    kept = {int(p.name) for p in folder.iterdir()}
    assert kept.isdisjoint({n for (n,) in abandoned})


def test_a_pull_killed_in_mid_page_is_abandoned_and_pulled_again(
    nights: Nights, killed: Killed, tmp_path: Path
) -> None:
    """Between two pages: the turn ends with the connection, the first page is not evidence."""
    world = nights.world
    announced = tmp_path / "pid"
    expected = nights.export()
    pages = world.forge.pages["invoice"][0]
    world.forge.put("invoice", pages[:5], pages[5:])

    def kill(entity: str, page: int) -> None:
        if entity == "invoice" and page == 2 and announced.exists():
            os.kill(int(announced.read_text(encoding="ascii")), signal.SIGKILL)
            announced.unlink()

    world.forge.before = kill
    wish = {"verb": "pull", "erp": "forge", "feed": "invoices", "announce": str(announced)}
    assert killed.wish(**wish)["status"] == -9
    assert world.one("SELECT state FROM sync.batch ORDER BY id DESC LIMIT 1") == "pulling"
    batch_id = world.pull("forge", "invoices")
    world.load(batch_id)
    nights.check(*expected, batch_id)
    before = "SELECT state, state_reason FROM sync.batch WHERE id = %s"
    assert world.sql(before, batch_id - 1) == [("abandoned", "the pull was interrupted")]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_retry_killed_at_any_statement_and_run_again_ends_the_same(
    world: World, killed: Killed
) -> None:
    """Waiting records come in once, whatever happens on the way."""
    prices = csv_feed("prices", [])
    world.map("mill", {"customers": csv_feed("customers", []), "prices": prices})
    world.mill.put("dealer", [dealer("D0")])
    world.run("mill", "customers")

    def waiting(n: int) -> dict[str, object]:
        scope = {"level": "customer", "dealer_scope": "dealer"}
        return price(f"H{n}", dealer_key=f"D{n}", **scope)

    everyone = range(1, 20)
    world.mill.put("price", [price("H0"), *(waiting(n) for n in everyone)])
    world.run("mill", "prices")
    world.mill.put("dealer", [dealer("D0", name="another")])
    killed.wish(verb="warm", batch=world.pull("mill", "customers"))
    wish = {"verb": "retry", "erp": "mill", "feed": "customers"}
    points: list[int] = []
    n = 0
    for n in everyone:
        world.mill.put("dealer", [dealer(f"D{k}") for k in range(n + 1)])
        world.run("mill", "customers")
        for at in [points.pop(0) for _ in range(min(TIMES, len(points)))]:
            assert killed.wish(**wish, at=at, after=bool(at % 2))["status"] == -9, at
            live = world.keys("price", "header_key")
            assert live - {f"H{n}"} == {f"H{k}" for k in range(n)}, at
        answer = killed.wish(**wish)
        assert answer["status"] == 0
        if n == 1:
            points = list(range(4, answer["statements"], 13))
        live = world.keys("price", "header_key")
        assert live == {f"H{k}" for k in range(n + 1)}
        done = world.one("SELECT count(*) FROM sync.run WHERE kind = 'retry' AND state = 'done'")
        assert done == n
        if not points:
            break
    assert not points, "not every point was reached"
    assert n > 2
    assert len(world.items("released")) == n
