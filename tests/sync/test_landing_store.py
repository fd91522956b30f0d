"""The landing store: evidence, full disks, broken databases (sections 2, 6 and 10)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mappings.errors import Misconfigured, Transient
from mappings.settings import REPOSITORY, Settings, child_environment
from portal_db import server
from portal_db.migrate import migrate
from sync.load import load
from tests.sync.far_side import csv_feed, dealers
from tests.sync.world import World, counted

PULL = """
import resource, sys
from mappings.errors import WaybillError
from mappings.settings import Settings
from sync.context import Context
from sync.pull import pull
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
with Context.open(Settings.read()) as ctx:
    try:
        pull(ctx, "mill", "customers")
    except WaybillError as error:
        print(type(error).__name__, error.code, error)
"""


def test_landed_bytes_are_what_the_erp_sent(world: World) -> None:
    """Unchanged, compressed, with a manifest: SHA-256 and count per page, the ERP's totals."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    sent = world.mill.put("dealer", dealers(1, 2, 3)).read_bytes()
    batch_id = world.pull("mill", "customers")
    folder = world.ctx.landing.folder("mill", "customers", batch_id)
    manifest = world.ctx.landing.read_manifest(folder)
    (page,) = manifest["pages"]
    with world.ctx.landing.open_page(folder, page["file"]) as content:
        assert content.read() == sent
    assert page["sha256"] == hashlib.sha256(sent).hexdigest()
    assert page["bytes"] == len(sent)
    assert world.ctx.landing.verify(folder, page["file"], page["sha256"])
    stored = Path(world.ctx.landing.location(folder, "manifest.json")).read_bytes()
    sha256 = world.one("SELECT manifest_sha256 FROM sync.batch WHERE id = %s", batch_id)
    assert hashlib.sha256(stored).hexdigest() == sha256
    content = hashlib.sha256(f"dealer\n{page['sha256']}\n".encode()).hexdigest()
    assert world.one("SELECT content_sha256 FROM sync.batch WHERE id = %s", batch_id) == content


def test_every_mapping_that_was_used_is_kept(world: World) -> None:
    """sync.mapping keeps every mapping's text by SHA-256."""
    feed = csv_feed("customers", [])
    world.map("mill", {"customers": feed})
    world.mill.put("dealer", dealers(1))
    world.run("mill", "customers")
    feed["fields"]["region"] = {"const": "north"}
    world.map("mill", {"customers": feed})
    world.run("mill", "customers")
    kept = world.sql("SELECT sha256, text FROM sync.mapping")
    assert len(kept) == 2
    assert all(hashlib.sha256(text.encode()).hexdigest() == sha256 for sha256, text in kept)
    used = world.sql("SELECT DISTINCT mapping_sha256 FROM sync.run")
    assert {s for (s,) in used} == {s for s, _ in kept}


def test_no_secret_lands(world: World) -> None:
    """Secrets are in no landing file and in no row of the engine's own tables."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    text = world.settings.connections_file.read_text(encoding="utf-8")
    connections = json.loads(text)
    connections["mill"]["password"] = "n0t-the-password"
    world.settings.connections_file.write_text(json.dumps(connections), encoding="utf-8")
    with pytest.raises(Misconfigured) as raised:
        world.pull("mill", "customers")
    assert "n0t-the-password" not in str(raised.value)
    assert "n0t-the-password" not in world.one("SELECT state_reason FROM sync.batch")
    assert raised.value.erp == "mill"


def test_a_full_landing_store_is_said_clearly_and_loads_nothing(world: World) -> None:
    """Clear error, nothing loaded, nothing left, and the next pull is fine."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    rows = [{**row, "name": hashlib.sha256(str(i).encode()).hexdigest() * 4}
            for i, row in enumerate(dealers(*range(3000)))]  # fmt: skip
    world.mill.put("dealer", rows)
    done = subprocess.run(
        [sys.executable, "-c", PULL, "65536"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=child_environment(world.settings, PYTHONPATH=str(REPOSITORY)),
    )
    assert done.stdout.startswith("Misconfigured disk_full mill/customers: "), done.stdout
    assert "is full" in done.stdout
    assert world.sql("SELECT state FROM sync.batch") == [("abandoned",)]
    assert not list((world.settings.home / "landing").rglob("*.zst"))
    assert counted(world.run("mill", "customers")) == {"read": 3000, "inserted": 3000}


def test_a_landing_store_that_cannot_be_written_says_so(world: World) -> None:
    """A file stands where its folder should be."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1))
    (world.settings.home / "landing").write_text("in the way", encoding="ascii")
    with pytest.raises(Misconfigured) as raised:
        world.pull("mill", "customers")
    assert raised.value.code == "landing"
    (world.settings.home / "landing").unlink()
    assert world.run("mill", "customers").state == "done"


def test_evidence_that_was_changed_is_found(world: World) -> None:
    """A page that is not what landed is not loaded."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(1))
    batch_id = world.pull("mill", "customers")
    folder = world.ctx.landing.folder("mill", "customers", batch_id)
    (page,) = world.ctx.landing.read_manifest(folder)["pages"]
    path = Path(world.ctx.landing.location(folder, page["file"]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Misconfigured) as raised:
        world.load(batch_id)
    assert raised.value.code == "evidence"
    assert world.keys("dealer") == set()
    path.write_bytes(whole)
    assert world.load(batch_id).state == "done"


class Emptying:
    """A progress that empties every staging table at a step, as a crash of PostgreSQL would."""

    def __init__(self, world: World, moment: str) -> None:
        self.world, self.moment = world, moment

    def __call__(self, step: str, done: int, total: int | None) -> None:
        del done, total
        if step == self.moment:
            for name in self.world.staging_tables():
                if not name.endswith("_delta"):
                    self.world.sql(f"TRUNCATE staging.{name}")


def test_staging_that_was_emptied_deletes_nothing(world: World) -> None:
    """PostgreSQL empties unlogged tables after a crash; then every row would look vanished."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(20)))
    world.run("mill", "customers")
    before = world.portal()
    for moment, more in (("read", {"payment_days": 9}), ("compare", {})):
        world.mill.put("dealer", dealers(*range(19), **more))
        batch_id = world.pull("mill", "customers")
        with pytest.raises(Transient) as raised:
            load(world.ctx, batch_id, progress=Emptying(world, moment))
        assert raised.value.code == "staging_lost"
        assert world.portal() == before
        assert world.staging_tables() == []
    outcome = world.load(batch_id)
    assert counted(outcome) == {"read": 19, "unchanged": 19, "deleted": 1}


@pytest.fixture
def crashing(server_home: Path, tmp_path: Path) -> Iterator[World]:
    """A world on an embedded server of its own, that the test may kill; its commits are durable."""
    url = server.start(server_home)
    migrate(url)
    mappings = tmp_path / "erps"
    mappings.mkdir()
    world = World(
        Settings.read({}, home=server_home, database_url=url, mappings=(mappings,)), tmp_path
    )
    world.start()
    yield world
    world.stop()


def crash(world: World) -> None:
    """kill -9 of the server, as a power cut; started again at once."""
    running = server.running(world.settings.home)
    assert running is not None
    backends = [n for (n,) in world.sql("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL")]
    for pid in (running.pid, *backends):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    world.admin.close()
    server.start(world.settings.home)


@pytest.mark.parametrize("moment", ["read", "compare", "apply"])
def test_a_database_that_crashes_in_the_middle_is_transient(crashing: World, moment: str) -> None:
    """Dropped session: Transient; run again: the same end, and nothing looked vanished."""
    world = crashing
    world.map("mill", {"customers": csv_feed("customers", [])})
    world.mill.put("dealer", dealers(*range(20)))
    world.run("mill", "customers")
    world.mill.put("dealer", dealers(*range(18), 30))
    batch_id = world.pull("mill", "customers")
    crashed = []

    def progress(step: str, done: int, total: int | None) -> None:
        del done, total
        if step == moment and not crashed:
            crashed.append(True)
            crash(world)

    with pytest.raises(Transient) as raised:
        load(world.ctx, batch_id, progress=progress)
    assert raised.value.code == "database"
    assert str(raised.value).startswith("mill/customers: the database failed")
    assert len(world.keys("dealer")) == 20
    outcome = world.load(batch_id)
    assert counted(outcome) == {"read": 19, "inserted": 1, "unchanged": 18, "deleted": 2}
    assert world.staging_tables() == []
    states = world.sql("SELECT state FROM sync.run WHERE batch_id = %s ORDER BY id", batch_id)
    assert states == [("failed",), ("done",)]


def test_no_database_is_transient_or_misconfigured_never_a_bug(world: World) -> None:
    """The server does not answer at all."""
    world.map("mill", {"customers": csv_feed("customers", [])})
    assert world.ctx is not None
    assert isinstance(world.admin, psycopg.Connection)
    name = world.one("SELECT current_database()")
    url = world.settings.database_url or ""
    with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as other:
        world.forget()
        world.ctx.engine.dispose()
        world.admin.close()
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
        try:
            with pytest.raises(Transient) as raised:
                world.pull("mill", "customers")
            assert raised.value.code == "database"
        finally:
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")  # type: ignore[arg-type]
