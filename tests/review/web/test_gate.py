"""Nobody gets past the gate: every route, both roles, forms, our own sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from mappings.private_files import make_home
from mappings.settings import Settings
from review.web import own_gate
from review.web.accounts import accounts_file, remove_account, set_account
from review.web.app import make_app
from review.web.own_gate import Limit, OwnGate
from review.web.pages import PAGES
from tests.review.web.browser import Browser, StandInGate

PASSWORD = "correct horse battery"
OPEN = {"/static/{name}", "/health"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Starlette]:
    make_home(settings)
    made = make_app(settings, StandInGate())
    yield made
    made.state.desk.close()


@pytest.fixture
def clock() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def alone(settings: Settings, clock: list[float]) -> Iterator[Starlette]:
    make_home(settings)
    set_account(settings, "olga", "operator", PASSWORD)
    made = make_app(settings, OwnGate(settings, lambda: clock[0]), more=own_gate.ROUTES)
    yield made
    made.state.desk.close()


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path)


def sign_in(browser: Browser, name: str = "olga", password: str = PASSWORD) -> int:
    browser.get("/sign-in")
    return browser.post("/sign-in", {"name": name, "password": password}).status_code


def test_every_route_sends_nobody_to_the_sign_in(app: Starlette) -> None:
    open_ones = {one.path for one in app.state.desk.pages if one.public}
    assert open_ones == OPEN
    browser = Browser(app)
    for one in app.state.desk.pages:
        if one.path in OPEN:
            continue
        for method in one.methods:
            answer = browser.client.request(method, concrete(one.path))
            assert answer.status_code == 303, (method, one.path)
            assert answer.headers["location"].startswith("/elsewhere?next=")
    assert {route.path for route in app.routes} == {one.path for one in app.state.desk.pages}  # pyright: ignore[reportAttributeAccessIssue]


def test_who_may_only_read_changes_nothing(app: Starlette) -> None:
    auditor = Browser(app, "aud:auditor")
    auditor.get("/")
    for one in PAGES:
        if "POST" in one.methods and not one.needs("POST") & {"auditor"}:
            answer = auditor.post(concrete(one.path))
            assert answer.status_code == 403, one.path
            assert "needs the role operator" in answer.text


def test_who_has_no_role_is_told_which_is_missing(app: Starlette) -> None:
    answer = Browser(app, "guest:").get("/")
    assert answer.status_code == 403
    assert "needs the role auditor or operator; guest has none" in answer.text


def test_a_form_counts_only_from_our_page_in_the_same_browser(alone: Starlette) -> None:
    browser = Browser(alone)
    assert sign_in(browser) == 303
    browser.get("/")
    good = browser.token
    tries: list[tuple[str, dict[str, str]]] = [
        ("", {}),
        ("0" * 64, {}),
        (good, {"origin": "https://evil.test"}),
        (good, {"sec-fetch-site": "cross-site"}),
    ]
    for token, headers in tries:
        browser.token = token
        assert browser.post("/sign-out", None, **headers).status_code == 403, headers
    browser.token = good
    assert browser.post("/sign-out", None, origin="http://desk.test").status_code == 303
    assert browser.get("/").status_code == 303


def test_signing_in_leads_back_to_the_page_and_never_elsewhere(alone: Starlette) -> None:
    browser = Browser(alone)
    to = browser.get("/?kind=x").headers["location"]
    browser.get(to)
    answer = browser.post(to, {"name": "olga", "password": PASSWORD})
    assert answer.headers["location"] == "/?kind=x"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "olga" in browser.see("/?kind=x")
    other = Browser(alone)
    other.get("/sign-in")
    for back in ("https://evil.test/", "//evil.test", "/\\evil.test"):
        answer = other.client.post(
            "/sign-in",
            params={"back": back},
            data={"token": other.token, "name": "olga", "password": PASSWORD},
        )
        assert answer.headers["location"] == "/"
        other = Browser(alone)
        other.get("/sign-in")


def test_a_session_ends_with_the_account_its_password_and_its_time(
    alone: Starlette, settings: Settings, clock: list[float]
) -> None:
    browser = Browser(alone)
    sign_in(browser)
    browser.see("/")
    set_account(settings, "olga", "operator", "another long password")
    assert browser.get("/").status_code == 303
    assert sign_in(browser, password="another long password") == 303
    browser.see("/")
    clock[0] += 1790
    browser.see("/")
    clock[0] += 1790
    browser.see("/")
    clock[0] += 1810
    assert browser.get("/").status_code == 303
    sign_in(browser, password="another long password")
    last = 0
    for _ in range(30):
        clock[0] += 1500
        last = browser.get("/").status_code
    assert last == 303, "12 hours at the most, however busy"
    sign_in(browser, password="another long password")
    remove_account(settings, "olga")
    assert browser.get("/").status_code == 303


def test_a_wrong_name_and_a_wrong_password_read_the_same_and_are_limited(
    alone: Starlette,
) -> None:
    browser = Browser(alone)
    browser.get("/sign-in")
    texts = set()
    for name in ("olga", "nobody"):
        answer = browser.post("/sign-in", {"name": name, "password": "wrong wrong wrong"})
        assert answer.status_code == 403
        texts.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(texts) == 1
    for _ in range(4):
        browser.post("/sign-in", {"name": "olga", "password": "wrong wrong wrong"})
    answer = browser.post("/sign-in", {"name": "olga", "password": PASSWORD})
    assert answer.status_code == 429


def test_the_limit_is_a_window_and_locks_nobody_else_out() -> None:
    now = [0.0]
    limit = Limit(clock=lambda: now[0])
    for _ in range(5):
        limit.failed("olga", "10.0.0.1")
    assert limit.reached("olga", "10.0.0.1")
    assert not limit.reached("olga", "10.0.0.2")
    now[0] = 301.0
    assert not limit.reached("olga", "10.0.0.1")


def test_passwords_are_hashed_and_the_file_is_private(settings: Settings, alone: Starlette) -> None:
    del alone
    path = accounts_file(settings)
    assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in path.read_text()


def test_pages_may_load_nothing_from_elsewhere(app: Starlette) -> None:
    answer = Browser(app, "olga:operator").get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert answer.headers["cache-control"] == "no-store"
    assert "style=" not in answer.text
    assert "<script>" not in answer.text


def test_links_stay_under_the_place_it_is_mounted_at(settings: Settings) -> None:
    make_home(settings)
    outer = Starlette()
    inner = make_app(settings, StandInGate(), prefix="/waybill")
    outer.mount("/waybill", inner)
    text = Browser(outer, "olga:operator").see("/waybill/")
    assert 'href="/waybill/static/desk.css"' in text
    assert not re.search(r'href="/(?!waybill/)', text)
    inner.state.desk.close()
