"""The auditor's pack: proven by its own program alone, and found out if touched."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.errors import Misconfigured
from portal_db.audit import record
from review.pack import Pack, export
from review.signing import public_key
from review.spreadsheet import cell
from review.verifier import MANIFEST, check_export
from sync.context import Context
from tests.sync.far_side import dealer, dealers, page_feed
from tests.sync.world import World

NOW = datetime.now(UTC)
SINCE, UNTIL = NOW - timedelta(days=1), NOW + timedelta(days=1)


@pytest.fixture
def ctx(world: World) -> Context:
    """Two nights of dealers, one of them bad at first, and what people did."""
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", [*dealers(*range(10)), dealer("=D10", status="s3cret")])
    world.run("forge", "customers")
    world.forge.put("dealer", [*dealers(*range(9)), dealer("D9", name="new"), dealer("=D10")])
    world.run("forge", "customers")
    with world.ctx.connection() as connection:
        for n in range(20):
            record(connection, "op", "release", f"run {n}", {"reason": '=cmd|"x"'})
    return world.ctx


@pytest.fixture
def pack(ctx: Context, tmp_path: Path) -> Pack:
    """A pack of the two days around now."""
    return export(ctx, SINCE, UNTIL, tmp_path / "pack.zip", actor="auditor")


def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The pack's own program with nothing but Python: no site-packages, no environment."""
    return subprocess.run(
        [sys.executable, "-I", "-S", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )


def table(pack: Pack, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(pack.path) as archive:
        text = archive.read(name).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_AUD_1_the_pack_proves_itself_in_an_empty_environment(
    ctx: Context, pack: Pack, tmp_path: Path
) -> None:
    with zipfile.ZipFile(pack.path) as archive:
        archive.extractall(tmp_path / "unpacked")
    anchor = next(Path(ctx.settings.audit_anchors[0]).glob("anchor-*.json"))
    program = tmp_path / "unpacked" / "verify.py"
    key = public_key(ctx.settings)
    for what in (pack.path, tmp_path / "unpacked"):
        done = alone(program, what, "--anchor", anchor, "--key", key)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "proven"
    other = alone(program, pack.path, "--key", "00" * 32)
    assert (other.returncode, "NOT PROVEN" in other.stdout) == (1, True)
    assert alone(program, tmp_path / "nothing.zip").returncode == 2


def test_the_pack_holds_what_happened(pack: Pack) -> None:
    runs = table(pack, "runs.csv")
    assert [(r["read"], r["inserted"], r["updated"], r["quarantined"]) for r in runs] == [
        ("11", "10", "0", "1"),
        ("11", "1", "1", "0"),
    ]
    (bad,) = table(pack, "exceptions.csv")
    assert bad["state"] == "superseded"
    assert "s3cret" not in json.dumps(bad), "no raw value of a record leaves with a pack"
    assert {r["op"] for r in table(pack, "changes.csv")} == {"insert", "update"}
    assert table(pack, "checks.csv")
    with zipfile.ZipFile(pack.path) as archive:
        names = set(archive.namelist())
        report = archive.read("report.html").decode()
    assert any(n.startswith("rules/forge-") for n in names)
    assert "Every run adds up" in report
    assert "<script" not in report


def test_AUD_3_who_exported_what_is_in_the_pack_itself(pack: Pack) -> None:
    (reading,) = [r for r in table(pack, "decisions.csv") if r["action"] == "read"]
    assert (reading["actor"], reading["subject"]) == ("auditor", "audit export")


def test_AUD_3_the_auditors_role_may_read_and_nothing_else(ctx: Context) -> None:
    with ctx.connection() as connection:
        connection.execute("SET ROLE waybill_auditor")
        connection.execute("SELECT count(*) FROM sync.audit")
        connection.execute("SELECT sync.note_reading('me', 'audit', '{}')")
        for statement in (
            "INSERT INTO sync.audit (actor, action, subject) VALUES ('a', 'b', 'c')",
            "UPDATE sync.run SET reason = 'x'",
            "DELETE FROM sync.quarantine",
            "SELECT sync.seal_audit(1, false)",
        ):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement)
        connection.execute("RESET ROLE")


def test_CSV_16_no_cell_of_an_export_begins_a_formula(pack: Pack) -> None:
    with zipfile.ZipFile(pack.path) as archive:
        names = [n for n in archive.namelist() if n.endswith(".csv")]
    for name in names:
        for row in table(pack, name):
            for value in row.values():
                assert not value.startswith(("=", "@", "+", "\t", "|")), (name, value)


@given(st.text())
def test_CSV_16_text_is_kept_behind_at_most_an_apostrophe(text: str) -> None:
    assert cell(text) in {text, f"'{text}"}
    assert not cell(text).lstrip().startswith(("=", "+", "-", "@"))


def _edit(names: list[str], rng: random.Random) -> Callable[[str, bytes], Any]:
    victim, how = rng.choice(names), rng.choice(["flip", "cut", "remove", "add"])

    def change(name: str, content: bytes) -> dict[str, bytes]:
        if name != victim:
            return {name: content}
        if how == "remove":
            return {}
        if how == "add":
            return {name: content, "extra.csv": b"x"}
        if how == "cut" or not content:
            return {name: content[:-1] if content else b"x"}
        at = rng.randrange(len(content))
        return {name: content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]}

    return change


def test_AUD_1_any_change_of_the_archive_is_found(pack: Pack, tmp_path: Path) -> None:
    rng = random.Random(7)  # noqa: S311 - repeatable
    with zipfile.ZipFile(pack.path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for n in range(60):
        change = _edit(sorted(files), rng)
        folder = tmp_path / str(n)
        for name, content in files.items():
            for made, bytes_ in change(name, content).items():
                (folder / made).parent.mkdir(parents=True, exist_ok=True)
                (folder / made).write_bytes(bytes_)
        report = check_export(folder, [])
        assert report.findings or (report.chain and report.chain.findings), n


def test_a_pack_is_never_overwritten_and_a_period_goes_forward(
    ctx: Context, pack: Pack, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match="is there already"):
        export(ctx, SINCE, UNTIL, pack.path, actor="auditor")
    with pytest.raises(Misconfigured, match="empty"):
        export(ctx, UNTIL, SINCE, tmp_path / "other.zip", actor="auditor")
    assert not (tmp_path / "other.zip").exists()


def test_a_period_without_anything_is_a_pack_all_the_same(ctx: Context, tmp_path: Path) -> None:
    old = datetime(2001, 1, 1, tzinfo=UTC)
    made = export(ctx, old, old + timedelta(days=1), tmp_path / "old.zip", actor="auditor")
    assert set(made.rows.values()) == {0}
    report = check_export(made.path, [], public_key(ctx.settings))
    assert report.findings == []
    assert report.chain is not None
    assert report.chain.findings == []
    with zipfile.ZipFile(made.path) as archive:
        assert json.loads(archive.read(MANIFEST))["rows"]["runs"] == 0


def test_a_period_in_which_nothing_failed_is_a_pack_all_the_same(
    world: World, tmp_path: Path
) -> None:
    world.map("forge", {"customers": page_feed("customers")})
    world.forge.put("dealer", dealers(*range(3)))
    world.run("forge", "customers")
    made = export(world.ctx, SINCE, UNTIL, tmp_path / "good.zip", actor="auditor")
    assert {row["failed"] for row in table(made, "pass_rates.csv")} == {"0"}
    with zipfile.ZipFile(made.path) as archive:
        assert b"<rect" in archive.read("report.html")
