"""The desk over HTTP: find a group, preview, put right, see it resolved; and the other stories."""

from __future__ import annotations

import re

import pytest

from tests.review.web.office import Office
from tests.sync.far_side import dealers

pytestmark = pytest.mark.timeout(300)


def group_of(text: str) -> str:
    """The first group that a page links to."""
    found = re.search(r"/groups/([0-9a-f]{32})", text)
    assert found, text
    return found.group(1)


def seen_of(text: str) -> str:
    """The version that a page's forms carry."""
    found = re.search(r'name="seen" value="(\d+)"', text)
    assert found, text
    return found.group(1)


def test_a_quiet_desk_says_so_and_every_page_answers(office: Office) -> None:
    office.night(0)
    assert "Nothing needs a person now" in office.olga.see("/")
    for one in office.app.state.desk.pages:
        if one.nav:
            for person in (office.olga, office.anna):
                assert "Waybill" in person.see(one.path)
    assert office.olga.get("/items/999").status_code == 404
    assert office.olga.get("/groups/nothing").status_code == 404
    assert office.olga.get("/runs/x").status_code == 404


def test_find_a_group_preview_put_right_and_see_it_resolved(office: Office) -> None:
    office.night(3)
    home = office.olga.see("/", q="odd")
    assert "No group is like that" in home, "a value is not what is wrong"
    home = office.olga.see("/", erp="mill", sort="items")
    shape = group_of(home)
    page = office.olga.see(f"/groups/{shape}")
    assert "<b>3</b>" in page
    assert 'value="status" selected' in page, "the mapping says which column it is"
    rule = {"kind": "replace", "path": "status", "old": "odd", "new": "active"}
    preview = office.olga.see(f"/groups/{shape}/fix", **rule)
    assert "3 of 3 records would change, and 3 would then pass" in preview
    assert "<del>odd</del> → <ins>active</ins>" in preview
    job = office.olga.do(
        f"/groups/{shape}/do",
        {**rule, "do": "correct", "seen": seen_of(preview), "reason": "typo", "canary": "1"},
    )
    assert "It goes on by itself" in job
    office.work()
    number = office.world.one("SELECT max(id) FROM sync.fix_job")
    job = office.olga.see(f"/jobs/{number}")
    assert "3 worked, 0 failed again" in job
    assert "Nothing needs a person now" in office.olga.see("/")
    assert "resolved" in office.olga.see(f"/groups/{shape}")
    assert office.world.rows("dealer", "status")["B2"] == "active"
    item = office.world.items("released")["B1"]
    page = office.olga.see(f"/items/{item['id']}")
    assert f"/runs/{item['resolved_run']}" in page, "which run let it in"
    assert "<del>odd</del> → <ins>active</ins>" in page


def test_one_item_shows_its_bytes_with_the_place_marked_and_is_edited(office: Office) -> None:
    office.night(1, name="Marked")
    item = office.world.items()["B0"]
    page = office.olga.see(f"/items/{item['id']}")
    assert "B0;Marked;<mark>odd</mark>;" in page
    assert "as it landed" in page
    assert "What to do next" in page
    seen = seen_of(page)
    texts = dict(re.findall(r'name="(text\.[^"]+)" value="([^"]*)"', page))
    assert texts["text.status"] == "odd"
    preview = office.olga.post(
        f"/items/{item['id']}/preview", {**texts, "text.status": "worse", "seen": seen}
    )
    assert "still fails" in preview.text
    preview = office.olga.post(
        f"/items/{item['id']}/preview", {**texts, "text.status": "active", "seen": seen}
    )
    assert "passes" in preview.text
    office.olga.do(
        f"/items/{item['id']}/do",
        {"text.status": "active", "do": "correct", "seen": seen, "reason": "asked the dealer"},
    )
    office.work()
    assert office.world.rows("dealer", "status")["B0"] == "active"


def test_DLQ_8_two_people_on_one_item_at_the_desk(office: Office) -> None:
    office.night(1, name="Twice")
    item = office.world.items()["B0"]
    first, second = (
        seen_of(person.see(f"/items/{item['id']}")) for person in (office.olga, office.igor)
    )
    edit = {"text.status": "active", "do": "correct", "reason": "mine"}
    office.olga.do(f"/items/{item['id']}/do", {**edit, "seen": first})
    answer = office.igor.post(
        f"/items/{item['id']}/do", {"do": "discard", "reason": "no", "seen": second}
    )
    assert answer.status_code == 409
    assert "olga asked for: correct (mine)" in answer.text
    office.work()
    assert office.world.items() == {}


def test_DLQ_6_a_discard_needs_a_reason_and_the_counts_of_all_pages_agree(office: Office) -> None:
    office.night(2, name="Gone")
    shape = group_of(office.olga.see("/"))
    seen = seen_of(office.olga.see(f"/groups/{shape}"))
    refused = office.olga.post(f"/groups/{shape}/do", {"do": "discard", "seen": seen})
    assert refused.status_code == 409
    assert "a reason is needed" in refused.text
    assert "<b>2</b>quarantined records" in office.olga.see("/")
    assert ">2</a>" in office.olga.see("/feeds")
    office.olga.do(f"/groups/{shape}/do", {"do": "discard", "seen": seen, "reason": "a test"})
    office.work()
    assert "<b>0</b>quarantined records" in office.olga.see("/")
    assert ">0</td>" in office.olga.see("/feeds")
    kept = office.olga.see(f"/groups/{shape}", state="discarded")
    assert "olga: a test" in kept


def test_a_group_is_acknowledged_ignored_and_comes_back(office: Office) -> None:
    office.night(2, name="Known")
    shape = group_of(office.olga.see("/"))

    def change(**fields: str) -> None:
        seen = seen_of(office.olga.see(f"/groups/{shape}"))
        office.olga.do(f"/groups/{shape}/state", {"seen": seen, **fields})

    change(to="acknowledged")
    assert shape in office.olga.see("/", state="acknowledged")
    seen = seen_of(office.olga.see(f"/groups/{shape}"))
    nothing = office.olga.post(
        f"/groups/{shape}/state", {"to": "ignored", "reason": "r", "seen": seen}
    )
    assert "for ever is nobody" in nothing.text
    change(to="ignored", items="3", reason="the ERP is being cleaned up")
    assert shape not in office.olga.see("/")
    assert "<b>0</b>quarantined records" in office.olga.see("/")
    office.night(3, name="Known")
    assert shape in office.olga.see("/"), "as many are open as was said"
    change(to="ignored", until="2020-01-01", reason="until then")
    assert shape in office.olga.see("/"), "the day has come"
    seen = seen_of(office.olga.see(f"/groups/{shape}"))
    office.olga.do(
        f"/groups/{shape}/assign", {"seen": seen, "assignee": "igor", "tags": "Status, master"}
    )
    assert shape in office.igor.see("/", assignee="igor", tag="status")
    office.olga.do(f"/groups/{shape}/note", {"says": "<b>asked</b> the ERP's side"})
    assert "&lt;b&gt;asked&lt;/b&gt;" in office.olga.see(f"/groups/{shape}")
    office.night(0)


def test_DLQ_11_an_auditor_sees_personal_values_masked(office: Office) -> None:
    office.night(1, name="Private")
    item = office.world.items()["B0"]
    for page in (f"/items/{item['id']}", f"/groups/{item['shape']}"):
        assert "p0@b.test" not in office.anna.see(page), page
    assert "p0@b.test" in office.olga.see(f"/items/{item['id']}")
    assert "personal values are hidden" in office.anna.see(f"/items/{item['id']}")
    assert "<mark>odd</mark>" in office.anna.see(f"/items/{item['id']}"), "what is wrong is not"
    office.night(0)


def test_a_held_batch_shows_its_biggest_movement_first_and_is_released(office: Office) -> None:
    office.night(0)
    office.world.mill.put("dealer", dealers(*range(5), sales_rep_email=""))
    outcome = office.world.run("mill", "customers")
    assert outcome.state == "held"
    home = office.olga.see("/", kind="batches")
    assert f"/held/{outcome.run_id}" in home
    assert "Release" in office.olga.see(f"/held/{outcome.run_id}")
    assert "Release</button>" not in office.anna.see(f"/held/{outcome.run_id}")
    refused = office.olga.post(f"/held/{outcome.run_id}/decide", {"to": "release"})
    assert "a reason is needed" in refused.text
    after = office.olga.do(
        f"/held/{outcome.run_id}/decide", {"to": "release", "reason": "they closed"}
    )
    assert "Released by run" in after
    assert len(office.world.keys("dealer")) == 5
    office.igor.see(f"/held/{outcome.run_id}")
    again = office.igor.post(f"/held/{outcome.run_id}/decide", {"to": "refuse", "reason": "no"})
    assert again.status_code == 409
