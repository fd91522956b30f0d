"""Make it a rule, on the pages: proposed by one, approved by another, listed until it is ended."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.review.web.office import Office
from tests.review.web.test_stories import group_of, seen_of
from waybill.cli import run

pytestmark = pytest.mark.timeout(300)
TODAY = datetime.now(UTC).date()
RULE = {"kind": "replace", "path": "status", "old": "odd", "new": "active"}


def file_of(office: Office) -> Path:
    """The mapping as people write it."""
    path = office.world.settings.mappings[0] / "mill.yaml"
    if path.read_text().startswith("{"):
        path.write_text(yaml.safe_dump(json.loads(path.read_text()), sort_keys=False))
        office.world.forget()
    return path


def fixed(office: Office, name: str) -> int:
    """A group of two put right at the desk; its job."""
    office.night(2, name=name)
    shape = group_of(office.olga.see("/", erp="mill"))
    seen = seen_of(office.olga.see(f"/groups/{shape}"))
    office.olga.do(f"/groups/{shape}/do", {**RULE, "do": "correct", "seen": seen, "reason": "typo"})
    office.work()
    return int(office.world.one("SELECT max(id) FROM sync.fix_job"))


def test_a_rule_goes_its_way_on_the_pages_and_by_command(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(office)
    job = fixed(office, "Once")
    page = office.olga.see(f"/jobs/{job}")
    assert "Make it a rule" in page
    assert "Make it a rule" not in office.anna.see(f"/jobs/{job}")
    until = (TODAY + timedelta(30)).isoformat()
    said = office.olga.do(f"/jobs/{job}/rule", {"until": until, "reason": "every night"})
    number = office.world.one("SELECT max(id) FROM sync.mapping_rule")
    path = f"/rules/{number}"
    assert "You proposed it: somebody else approves it" in said
    assert "<b>1</b>rules to decide, commit or end" in office.olga.see("/")
    seen = seen_hash(said)
    own = office.olga.post(f"{path}/decide", {"to": "approve", "seen": seen, "reason": "mine"})
    assert "who proposed a rule cannot approve it" in own.text
    page = office.igor.see(path)
    assert "<dt>Tried on</dt><dd>2 records" in page
    assert "\n<ins>+        old: &#34;odd&#34;</ins>\n" in page, "a line of the diff is a line"
    assert office.anna.post(f"{path}/decide", {"to": "approve"}).status_code == 403
    said = office.igor.do(f"{path}/decide", {"to": "approve", "seen": seen, "reason": "right"})
    assert "Approved. It counts once its diff is committed." in said
    assert "to be committed" in office.olga.see("/", kind="rules")
    diff = office.igor.see(f"{path}/diff")
    assert diff.startswith("--- a/mill.yaml")

    home = ["--home", str(office.world.settings.home)]
    where = [*home, "--mappings", str(office.world.settings.mappings[0]), "rule"]
    monkeypatch.setenv("WAYBILL_DATABASE_URL", office.world.settings.database_url or "")
    assert run([*where, "show", str(number)]) == 0
    assert capsys.readouterr().out == diff
    before = file.read_text()
    assert run([*where, "apply", str(number)]) == 0
    assert "commit it" in capsys.readouterr().out
    assert run([*where, "apply", str(number)]) == 3, "it is there already"
    capsys.readouterr()
    assert run([*where, "list"]) == 0
    assert "in force" in capsys.readouterr().out
    assert "<b>0</b>rules to decide" in office.olga.see("/")
    assert "in force" in office.olga.see("/rules")
    office.world.forget()
    office.night(3, name="By rule")
    assert "<b>0</b>quarantined records" in office.olga.see("/")
    assert office.world.rows("dealer", "status")["B2"] == "active"

    file.write_text(file.read_text().replace(until, "2026-01-01"))
    office.world.sql("UPDATE sync.mapping_rule SET until = '2026-01-01'")
    for path_ in ("/", "/rules", path):
        assert "overdue" in office.olga.see(path_), path_
    assert "<b>1</b>rules to decide" in office.olga.see("/")
    file.write_text(before)
    assert "removed" in office.olga.see(path)
    assert "<b>0</b>rules to decide" in office.olga.see("/")
    office.world.forget()
    office.night(0)


def test_who_proposed_takes_it_back(office: Office) -> None:
    file_of(office)
    job = fixed(office, "Twice")
    office.olga.see(f"/jobs/{job}")
    late = {"until": TODAY.isoformat(), "reason": "r"}
    assert office.olga.post(f"/jobs/{job}/rule", late).status_code == 409
    office.olga.do(f"/jobs/{job}/rule", {**late, "until": (TODAY + timedelta(9)).isoformat()})
    number = office.world.one("SELECT max(id) FROM sync.mapping_rule")
    said = office.olga.do(f"/rules/{number}/decide", {"to": "refuse", "reason": "not needed"})
    assert "refused by olga" in said
    assert office.olga.get(f"/rules/{number}/diff").status_code == 404
    office.night(0)


def seen_hash(text: str) -> str:
    """What the page's form says that its reader saw."""
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', text)
    assert found, text
    return found.group(1)
