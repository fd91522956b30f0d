"""The main stories in a real browser, on a desk and on a phone, each page checked by axe.

Needs Chromium on the machine (`apt-get install chromium`); nothing is downloaded.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, sync_playwright

from review.web import own_gate
from review.web.accounts import set_account
from review.web.app import make_app
from review.web.own_gate import OwnGate
from review.web.worker import Worker
from tests.review.web.office import Office
from tests.review.web.test_rule_pages import file_of
from tests.sync.far_side import dealers
from waybill.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
PASSWORD = "correct horse battery"
SERIOUS = ("serious", "critical")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="THE BROWSER TESTS DID NOT RUN: no chromium here; `apt-get install chromium`",
    ),
]


@pytest.fixture(scope="module")
def address(office: Office) -> Iterator[str]:
    """The desk as `waybill desk` runs it, with its worker, and two operators."""
    settings = office.world.settings
    for name in ("olga", "igor"):
        set_account(settings, name, "operator", PASSWORD)
    app = make_app(settings, OwnGate(settings), more=own_gate.ROUTES)
    port = free_port(18291)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none")
    )
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    worker = Worker(app.state.desk.context, each=0.1)
    worker.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    worker.stop()
    server.should_exit = True
    serving.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody at a browser of a width; every page that is opened is looked at by axe."""

    def __init__(self, chromium: Chromium, address: str, name: str, width: str) -> None:
        size = WIDTHS[width]
        self.context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, base_url=address
        )
        self.context.set_default_timeout(90_000)  # a busy machine is slow, not wrong
        self.page: Page = self.context.new_page()
        self.page.goto("/sign-in")
        self.look()
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{address}/")

    def look(self) -> None:
        """Nothing serious for axe, and nothing that makes the page wider than its screen."""
        found: Any = Axe().run(self.page).response
        bad = [
            (one["id"], [node["target"] for node in one["nodes"]][:3])
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]
        assert bad == [], self.page.url
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{self.page.url} is {wide} pixels too wide"

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name).first.click()
        self.page.wait_for_load_state()

    def sees(self, text: str) -> None:
        """Wait until the page says so; a page of something under way looks again by itself."""
        self.page.get_by_text(text).first.wait_for()


@pytest.mark.parametrize("width", WIDTHS)
def test_find_preview_put_right_and_see_it_resolved(
    office: Office, address: str, chromium: Chromium, width: str
) -> None:
    office.night(3, name=f"On a {width}")
    olga = Person(chromium, address, "olga", width)
    olga.look()
    olga.follow("mill/customers")
    olga.sees("Put it right")
    olga.look()
    olga.page.get_by_label("New text").fill("active")
    olga.press("Preview")
    olga.sees("3 would then pass")
    olga.look()
    olga.page.get_by_label("Reason, for the record").fill("typing error")
    olga.press("Do it for all 3")
    olga.sees("3 worked, 0 failed again")
    olga.look()
    olga.follow("The group")
    olga.sees("resolved")
    office.night(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_one_item_is_read_edited_and_two_people_do_not_collide(
    office: Office, address: str, chromium: Chromium, width: str
) -> None:
    office.night(1, name=f"Item on a {width}")
    item = office.world.items()["B0"]
    olga, igor = (Person(chromium, address, name, width) for name in ("olga", "igor"))
    for one in (olga, igor):
        one.page.goto(f"/items/{item['id']}")
    olga.look()
    assert olga.page.locator("mark").inner_text() == "odd"
    olga.page.get_by_label("status refused").fill("active")
    olga.press("Preview")
    olga.sees("passes")
    olga.look()
    olga.page.get_by_label("Reason, for the record").fill("asked the dealer")
    olga.press("Correct it and load it")
    olga.sees("1 worked, 0 failed again")
    igor.page.get_by_label("Reason", exact=True).fill("no")
    igor.press("Discard")
    igor.sees("Nothing was changed by you")
    igor.look()
    igor.page.goto(f"/items/{item['id']}")
    igor.sees("asked the dealer")
    igor.look()
    assert office.world.rows("dealer", "status")["B0"] == "active"
    office.night(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_held_batch_is_released(
    office: Office, address: str, chromium: Chromium, width: str
) -> None:
    office.night(0)
    office.world.mill.put("dealer", dealers(*range(5), sales_rep_email=""))
    assert office.world.run("mill", "customers").state == "held"
    olga = Person(chromium, address, "olga", width)
    olga.page.goto("/?kind=batches")
    olga.look()
    olga.follow("mill/customers")
    olga.sees("Decide")
    olga.look()
    olga.page.get_by_label("Reason", exact=True).fill("they closed")
    olga.press("Release")
    olga.sees("Released by run")
    for path in ("/feeds", "/messages", "/jobs"):
        olga.page.goto(path)
        olga.look()
    office.night(0)


def test_everything_works_by_keyboard_and_without_javascript(
    office: Office, address: str, chromium: Chromium, tmp_path: Path
) -> None:
    del tmp_path
    office.night(1, name="By keyboard")
    context = chromium.new_context(java_script_enabled=False, base_url=address)
    page = context.new_page()
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    page.get_by_label("Name").focus()
    page.keyboard.type("olga")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    page.get_by_role("link", name="mill/customers").first.focus()
    page.keyboard.press("Enter")
    page.get_by_label("New text").fill("active")
    page.get_by_role("button", name="Preview").focus()
    page.keyboard.press("Enter")
    page.get_by_text("1 would then pass").wait_for()
    context.close()
    office.night(0)


def test_a_correction_becomes_a_rule_by_two_people(
    office: Office, address: str, chromium: Chromium
) -> None:
    file_of(office)
    office.night(2, name="A rule")
    olga = Person(chromium, address, "olga", "desk")
    olga.follow("mill/customers")
    olga.page.get_by_label("New text").fill("active")
    olga.press("Preview")
    olga.page.get_by_label("Reason, for the record").fill("typing error")
    olga.press("Do it for all 2")
    olga.sees("2 worked, 0 failed again")
    olga.page.get_by_text("Make it a rule").click()
    olga.look()
    olga.page.get_by_label("Reason", exact=True).fill("every night the same")
    olga.press("Propose the rule")
    olga.sees("somebody else approves it")
    olga.look()
    igor = Person(chromium, address, "igor", "phone")
    igor.page.goto("/?kind=rules")
    igor.look()
    igor.follow("mill/customers")
    igor.sees("Tried on")
    igor.look()
    igor.page.get_by_label("Reason", exact=True).fill("looked at the diff")
    igor.press("Approve")
    igor.sees("to be committed")
    igor.look()
    igor.page.goto("/rules")
    igor.look()
    office.night(0)
