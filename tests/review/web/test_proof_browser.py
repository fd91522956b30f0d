"""A real browser walks the auditor's pages, on a desk and on a phone; axe finds no fault.

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
from playwright.sync_api import Page, sync_playwright

from mappings.private_files import make_home
from portal_db.audit import record
from review.web.accounts import set_account
from review.web.app import make_app
from review.web.own_gate import ROUTES, OwnGate
from sync.anchoring import seal_and_anchor
from tests.sync.conftest import world
from tests.sync.far_side import dealer, dealers, page_feed
from tests.sync.world import World

__all__ = ["world"]
CHROMIUM = shutil.which("chromium")
PASSWORD = "a long enough password"
SIZES = {"desk": (1280, 900), "phone": (390, 844)}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """Where the desk serves: two nights of dealers, a comparison of prices, a year's figures."""
    world.map("forge", {"customers": page_feed("customers")})
    for rows in ([*dealers(*range(9)), dealer("BAD", status="odd")], dealers(*range(10))):
        world.forge.put("dealer", rows)
        world.sync("forge", "customers")
    _kept(world)
    make_home(world.settings)
    with world.ctx.connection() as connection, connection.transaction():
        record(connection, "olga", "release", "run 1", {"reason": "the ERP confirmed it"})
    seal_and_anchor(world.ctx, everything=True)
    set_account(world.settings, "aylin", "auditor", PASSWORD)
    app = make_app(world.settings, OwnGate(world.settings), more=ROUTES)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def _kept(world: World) -> None:
    """What the engine would have kept of a comparison and of figures."""
    world.admin.execute(
        "INSERT INTO sync.parity (id, erp, price_erp, finished_at, lines, explained, unexplained) "
        "VALUES (1, 'forge', 'forge', now(), 1000, 999, 1)"
    )
    world.admin.execute(
        "INSERT INTO sync.parity_item (parity_id, invoice_key, line_no, dealer_erp, dealer_key, "
        "product_erp, product_key, qty, uom, currency, priced_on, invoiced, invoiced_net, "
        "resolved, resolved_net, level, reason, says) VALUES (1, 'INV-1', '1', 'forge', 'D1', "
        "'forge', 'P1', 10, 'PCE', 'EUR', '2026-05-04', 9.75, 97.5, 9.5, 95, 'group', 'dearer', "
        "'the conditions give 9.50')"
    )
    world.admin.execute(
        "INSERT INTO sync.figure (erp, span, starts_on, ends_on, name, value, counted, of, closed) "
        "SELECT 'forge', 'month', d, d + interval '1 month', n, 0.4 + extract(month FROM d) / 40, "
        "40, 100, true FROM generate_series(date '2025-11-01', date '2026-10-01', '1 month') d, "
        "unnest(ARRAY['portal_share', 'error_rate', 'after_hours_share', 'active_dealers']) n"
    )
    world.admin.execute(
        "INSERT INTO sync.figure (erp, span, starts_on, ends_on, name, value, counted, of, closed) "
        "VALUES ('forge', 'baseline', '2025-08-01', '2025-11-01', 'portal_share', 0, 0, 90, true)"
    )


class Walk:
    """One person's way through the pages: every page is looked at by axe, and kept as a picture."""

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page = page
        self.address = address
        self.folder = folder

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def look(self, name: str) -> None:
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        said = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]
        assert said == [], name
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert self.page.evaluate(wide), f"{name} is wider than the screen"


def test_an_auditor_walks_quality_reconciliation_explain_verify_and_export(
    address: str, tmp_path: Path
) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, accept_downloads=True
            )
            folder = tmp_path / name
            folder.mkdir()
            walk = Walk(context.new_page(), address, folder)
            _look_around(walk)
            _prove(walk)
            context.close()
        browser.close()


def _look_around(walk: Walk) -> None:
    page = walk.page
    walk.open("/quality")
    page.get_by_label("Name").fill("aylin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    walk.look("quality")
    page.get_by_role("link", name="forge / customers").click()
    walk.look("quality_feed")
    page.get_by_role("link", name="dealer: status_unknown_code").first.click()
    page.get_by_role("heading", name="status_unknown_code").wait_for()
    walk.look("quality_check")
    page.get_by_role("link", name="Failing rows").first.click()
    page.get_by_text("odd", exact=True).first.wait_for()
    walk.look("failing_rows")

    page.get_by_role("link", name="Reconciliation", exact=True).click()
    walk.look("reconciliation")
    page.get_by_role("rowheader").get_by_role("link").first.click()
    page.get_by_text("agrees").first.wait_for()
    walk.look("reconciliation_run")

    page.get_by_role("link", name="Parity", exact=True).click()
    walk.look("parity")
    page.get_by_role("rowheader").get_by_role("link").first.click()
    walk.look("parity_run")
    page.get_by_role("link", name="INV-1 / 1").click()
    page.get_by_text("the conditions give 9.50").wait_for()
    walk.look("parity_line")


def _prove(walk: Walk) -> None:
    page = walk.page
    page.get_by_role("link", name="Explain", exact=True).click()
    page.get_by_label("Table").select_option("dealer")
    page.get_by_label("ERP and key").fill("forge D1")
    page.get_by_role("button", name="Explain").click()
    page.get_by_text("SHA-256 verified").wait_for()
    walk.look("explain")

    page.get_by_role("link", name="Audit", exact=True).click()
    walk.look("audit")
    page.get_by_role("button", name="Verify now").click()
    page.get_by_role("heading", name="Untouched").wait_for()
    walk.look("verified")
    page.get_by_role("link", name="signed pack").click()
    today = page.evaluate("new Date().toISOString().slice(0, 10)")
    page.get_by_label("First day").fill(today)
    page.get_by_label("Last day").fill(today)
    page.get_by_role("button", name="Make the pack").click()
    for thread in threading.enumerate():
        if thread.name == "audit-pack":
            thread.join(120)
    page.wait_for_load_state()
    page.goto(page.url)
    walk.look("export")
    with page.expect_download() as download:
        page.get_by_role("rowheader").get_by_role("link").first.click()
    assert download.value.suggested_filename.endswith(".zip")

    page.get_by_role("link", name="Figures", exact=True).click()
    walk.look("figures")
