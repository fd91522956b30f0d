"""What a group's page says, with known figures; how it is set aside; held batches; feeds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from portal_db import desk_matters
from portal_db.alerts import Alert
from sync import alerts
from sync.wake import wake_waiting
from tests.review.web.office import Office
from tests.review.web.test_stories import group_of, seen_of
from tests.sync.far_side import csv_feed, dealers, invoice, page_feed

pytestmark = pytest.mark.timeout(300)
TODAY = datetime.now(UTC).date()


@pytest.fixture
def clear(office: Office) -> Iterator[Office]:
    """The office, with nothing open afterwards."""
    yield office
    office.night(0)


def test_a_group_tells_its_dealers_its_money_and_its_days(office: Office) -> None:
    world = office.world
    invoices = page_feed("invoices", guards={"rejected_least": 1000})
    world.map("forge", {"customers": page_feed("customers"), "invoices": invoices})
    world.forge.put("dealer", dealers(1, 2))
    world.run("forge", "customers")
    figures = [("D1", "100.00"), ("D1", "50.50"), ("D2", "-30.25")]
    world.forge.put("invoice", [
        invoice("good"),
        *[invoice(f"I{n}", who, kind="odd", gross=gross, net=gross, open_amount=gross)
          for n, (who, gross) in enumerate(figures)],
    ])  # fmt: skip
    world.run("forge", "invoices")
    ((shape,),) = world.sql(
        "SELECT shape FROM sync.quarantine_group WHERE erp = 'forge' AND open_items > 0"
    )
    world.sql("INSERT INTO sync.quarantine_day VALUES (%s, %s, 7)", shape, TODAY - timedelta(3))
    home, page = office.olga.see("/", erp="forge"), office.olga.see(f"/groups/{shape}")
    for text in (home, page):
        assert "120.25 EUR" in text, "100.00 + 50.50 - 30.25"
        assert f"<title>{TODAY - timedelta(3)}: 7</title>" in text, "the day's bar says its count"
        assert f"<title>{TODAY}: 3</title>" in text
    assert "Seen a day, 14 days: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 3" in home
    assert re.search(r"<dt>Dealers</dt><dd>2<", page)
    assert 'D1: 2 records, <span class="number">150.50 EUR' in page
    assert page.index("D1: 2 records") < page.index("D2: 1 record,"), "most money first"
    world.forge.put("invoice", [invoice("good")])
    world.run("forge", "invoices")
    assert "<b>0</b>quarantined records" in office.olga.see("/")


@pytest.mark.parametrize(
    ("until", "still", "back"),
    [
        ({"until": (TODAY + timedelta(5)).isoformat()}, 4, 0),
        ({"items": "5"}, 4, 5),
        ({"growth": "100"}, 3, 4),
    ],
    ids=["a day", "a count", "a growth"],
)
def test_an_ignored_group_comes_back_when_it_was_said_to(
    clear: Office, until: dict[str, str], still: int, back: int
) -> None:
    name = "-".join(until)
    clear.night(2, name=name)
    shape = group_of(clear.olga.see("/", erp="mill"))
    seen = seen_of(clear.olga.see(f"/groups/{shape}"))
    words = {"to": "ignored", "reason": "is being cleaned up", "seen": seen}
    clear.olga.do(f"/groups/{shape}/state", {**words, **until})
    clear.night(still, name=name)
    assert shape not in clear.olga.see("/", erp="mill"), "not yet"
    assert shape in clear.olga.see("/", erp="mill", state="ignored")
    assert "<b>0</b>quarantined records" in clear.olga.see("/")
    if back:
        clear.night(back, name=name)
    else:  # the day comes
        clear.world.sql("UPDATE sync.quarantine_group SET ignored_until = now() - interval '1 s' "
                        "WHERE shape = %s", shape)  # fmt: skip
    assert shape in clear.olga.see("/", erp="mill")
    assert f"<b>{back or still}</b>quarantined records" in clear.olga.see("/")


def test_whose_a_group_is_its_tags_and_notes_stay_with_it(clear: Office) -> None:
    clear.night(1)
    shape = group_of(clear.olga.see("/", erp="mill"))
    path = f"/groups/{shape}"
    seen = seen_of(clear.olga.see(path))
    clear.olga.do(f"{path}/assign", {"seen": seen, "assignee": "igor", "tags": "Status, master "})
    clear.igor.see(path)
    late = clear.igor.post(f"{path}/assign", {"seen": seen, "assignee": "anna"})
    assert late.status_code == 409
    assert "olga has changed this group" in late.text
    clear.igor.do(f"{path}/note", {"says": "the ERP's side knows"})
    page = clear.olga.see(path)
    for word in ("igor", "master", "status", "the ERP&#39;s side knows"):
        assert word in page, word
    for chosen in ({"assignee": "igor"}, {"tag": "master"}, {"assignee": "igor", "tag": "status"}):
        assert shape in clear.olga.see("/", **chosen)
    assert shape not in clear.olga.see("/", tag="other")
    assert clear.anna.post(f"{path}/note", {"says": "no"}).status_code == 403
    actions = {a for (a,) in clear.world.sql("SELECT action FROM sync.audit WHERE subject = %s",
                                             f"group {shape}")}  # fmt: skip
    assert {"group assigned", "note"} <= actions


def test_the_totals_of_a_preview_go_over_the_whole_group(clear: Office) -> None:
    clear.night(60, name="Many")
    clear.world.sql("UPDATE sync.quarantine SET raw = replace(raw, 'odd', 'other') "
                    "WHERE key IN ('B0', 'B1')")  # fmt: skip
    shape = group_of(clear.olga.see("/", erp="mill"))
    rule = {"kind": "replace", "path": "status", "old": "odd", "new": "active"}
    page = clear.olga.see(f"/groups/{shape}/fix", **rule)
    assert "58 of 60 records would change, and 58 would then pass" in page
    assert "50 records on this page" in page
    following = re.search(r'href="(/groups/[^"]+after=\d+)" rel="next"', page)
    assert following
    page = clear.olga.see(following.group(1).replace("&amp;", "&"))
    assert "58 of 60 records would change, and 58 would then pass" in page
    assert "10 records on this page" in page
    worse = clear.olga.see(f"/groups/{shape}/fix", **{**rule, "new": "worse"})
    assert "58 of 60 records would change, and 0 would then pass" in worse


def test_a_held_batch_is_refused_and_the_portal_keeps_what_it_has(clear: Office) -> None:
    clear.night(0)
    before = clear.world.keys("dealer")
    clear.world.mill.put("dealer", dealers(*range(5), sales_rep_email=""))
    outcome = clear.world.run("mill", "customers")
    assert outcome.state == "held"
    path = f"/held/{outcome.run_id}"
    page = clear.olga.see(path)
    assert page.count(">goes</b>") == 15, "what would be deleted, by name"
    assert '<td class="number" data-head="Before">Dealer D19<' in page.replace("D9", "D19")
    assert "a reason is needed" in clear.olga.post(f"{path}/decide", {"to": "refuse"}).text
    assert "Dealer D" not in clear.anna.see(path), "a dealer may be a person"
    said = clear.olga.do(f"{path}/decide", {"to": "refuse", "reason": "the export broke off"})
    assert "Refused. The portal keeps what it has." in said
    assert "/feeds?erp=mill&amp;feed=customers" in said
    assert clear.world.keys("dealer") == before
    assert "<b>0</b>held batches" in clear.olga.see("/")
    state = "SELECT state, state_reason FROM sync.batch ORDER BY id DESC LIMIT 1"
    assert clear.world.sql(state) == [("refused", "refused by olga: the export broke off")]
    clear.igor.see(path)
    late = clear.igor.post(f"{path}/decide", {"to": "release", "reason": "no"})
    assert late.status_code == 409
    assert clear.world.one("SELECT count(*) FROM sync.audit WHERE action = 'refuse'") == 1


def test_feeds_that_never_came_or_fail_count_the_same_everywhere(office: Office) -> None:
    world = office.world
    world.map("slate", {"stock": csv_feed("stock", [])})
    pairs = world.ctx.mappings.pairs()
    with world.ctx.connection() as connection:
        missing = desk_matters.overdue_feeds(connection, pairs)
    assert [(one["erp"], one["feed"]) for one in missing] == [("slate", "stock")]
    home = office.olga.see("/", kind="feeds")
    assert "<b>1</b>late, missing or failing feeds" in home
    assert "it has never come" in home
    assert "1 late, missing or failing" in office.olga.see("/feeds")
    says = "pull failed: mill: does not answer"
    where = {"erp": "mill", "feed": "customers"}
    alert = Alert("task_failed/mill__customers", "task_failed", says, remedy="Ask them.", **where)
    alerts.raised(world.ctx, alert)
    world.sql("UPDATE sync.cursor SET confirmed_at = confirmed_at - interval '3 days' "
              "WHERE erp = 'mill'")  # fmt: skip
    for person in (office.olga, office.anna):
        home = person.see("/")
        assert "<b>2</b>late, missing or failing feeds" in home, "late and failing is one feed"
        assert says in home
        page = person.see("/feeds")
        assert "2 late, missing or failing" in page
        assert "Ask them." in page
    assert "Pull mill/customers now" in office.olga.see("/feeds", erp="mill", feed="customers")
    assert "Pull mill" not in office.anna.see("/feeds", erp="mill", feed="customers")
    said = office.olga.do("/feeds/pull", {"erp": "mill", "feed": "customers"})
    assert "is pulled as soon as the gateway" in said
    assert office.olga.post("/feeds/pull", {"erp": "mill", "feed": "none"}).status_code == 409
    woken: list[tuple[str, str]] = []
    wake_waiting(world.ctx, lambda erp, feed: woken.append((erp, feed)) or "woken")
    assert woken == [("mill", "customers")]
    wake_waiting(world.ctx, lambda erp, feed: woken.append((erp, feed)) or "woken")
    assert len(woken) == 1, "asked for once, pulled once"
    alerts.recovered(world.ctx, "task_failed/mill__customers")
    world.sql("UPDATE sync.cursor SET confirmed_at = now() WHERE erp = 'mill'")
    (world.settings.mappings[0] / "slate.yaml").unlink()
    world.forget()
    assert "<b>0</b>late, missing or failing feeds" in office.olga.see("/")
