"""Alerts: people hear of a beginning, a tenfold growth and an end, by mail and webhook, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from mappings.private_files import change_connections, make_home
from mappings.settings import Settings
from portal_db.alerts import Alert
from sync import alerts
from sync.context import Context
from sync.mail import MAIL
from tests.sync.mailbox import Mailbox

ALERT = Alert(
    "task_failed/acme/prices", "task", "sign-in refused (401)", "acme", "prices",
    remedy='Update the password of connection "acme", then retry.',
)  # fmt: skip


class Hook:
    """A webhook on loopback."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                hook.tokens.append(self.headers.get("Authorization"))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    one = Mailbox()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def hook() -> Iterator[Hook]:
    one = Hook()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    make_home(settings)
    with Context.open(settings) as one:
        yield one


def connect(settings: Settings, mailbox: Mailbox | None = None, hook: Hook | None = None) -> None:
    if mailbox is not None:
        extra = {"to": "ops@example.org, boss@example.org", "from": "w@example.org", "tls": "none"}
        change_connections(
            settings,
            {
                MAIL: {
                    "conn_type": "smtp", "host": "127.0.0.1", "port": mailbox.port, "extra": extra,
                }
            },
        )  # fmt: skip
    if hook is not None:
        url = f"http://127.0.0.1:{hook.server.server_address[1]}/x"
        change_connections(
            settings,
            {alerts.WEBHOOK: {"conn_type": "http", "password": "t0ken", "extra": {"url": url}}},
        )


def test_a_beginning_a_tenfold_growth_and_an_end_are_told_and_nothing_else(
    ctx: Context, settings: Settings, mailbox: Mailbox, hook: Hook
) -> None:
    connect(settings, mailbox, hook)
    told = []
    for number in range(1, 121):
        alerts.raised(ctx, ALERT)
        told += [(number, news.what) for news in alerts.tell(ctx)]
    assert told == [(1, "began"), (10, "grew"), (100, "grew")]
    alerts.recovered(ctx, ALERT.fingerprint)
    assert [news.what for news in alerts.tell(ctx)] == ["ended"]
    assert alerts.tell(ctx) == []
    assert [mail["Subject"].strip() for mail in mailbox.mails] == [
        "[waybill] Alert: acme/prices: sign-in refused (401)",
        "[waybill] Still failing (10 times): acme/prices: sign-in refused (401)",
        "[waybill] Still failing (100 times): acme/prices: sign-in refused (401)",
        "[waybill] Recovered: acme/prices: sign-in refused (401)",
    ]
    assert mailbox.mails[0]["To"] == "ops@example.org, boss@example.org"
    assert 'Update the password of connection "acme"' in mailbox.mails[0].get_content()
    assert [(one["what"], one["times"]) for one in hook.got] == [
        ("began", 1), ("grew", 10), ("grew", 100), ("ended", 120),
    ]  # fmt: skip
    assert set(hook.tokens) == {"Bearer t0ken"}


def test_what_comes_back_after_its_end_begins_anew(
    ctx: Context, settings: Settings, hook: Hook
) -> None:
    connect(settings, hook=hook)
    for _ in range(2):
        alerts.raised(ctx, ALERT)
        alerts.tell(ctx)
        alerts.recovered(ctx, ALERT.fingerprint)
        alerts.tell(ctx)
    assert [(one["what"], one["times"]) for one in hook.got] == [
        ("began", 1), ("ended", 1), ("began", 1), ("ended", 1),
    ]  # fmt: skip


def test_what_began_and_ended_unheard_is_not_told(
    ctx: Context, settings: Settings, hook: Hook
) -> None:
    connect(settings, hook=hook)
    alerts.raised(ctx, ALERT)
    alerts.recovered(ctx, ALERT.fingerprint)
    assert alerts.tell(ctx) == []
    assert hook.got == []


def test_a_channel_that_fails_is_tried_again(
    ctx: Context, settings: Settings, mailbox: Mailbox, database: str
) -> None:
    connect(settings, mailbox)
    mailbox.refuse = True
    alerts.raised(ctx, ALERT)
    assert alerts.tell(ctx) == []
    assert alerts.tell(ctx) == []  # claimed: nobody hammers a mail server
    mailbox.refuse = False
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("UPDATE sync.alert SET claimed_until = now()")
    assert [news.what for news in alerts.tell(ctx)] == ["began"]
    assert len(mailbox.mails) == 1


def test_without_a_channel_an_alert_is_a_row_and_a_line(
    ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    alerts.raised(ctx, ALERT)
    assert [news.what for news in alerts.tell(ctx)] == ["began"]
    assert "sign-in refused (401)" in caplog.text


def test_two_processes_tell_it_once(ctx: Context, settings: Settings, hook: Hook) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    connect(settings, hook=hook)
    alerts.raised(ctx, ALERT)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: alerts.tell(ctx), range(4)))
    assert len(hook.got) == 1


def test_a_webhook_goes_by_https_or_not_at_all(
    ctx: Context, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    change_connections(
        settings, {alerts.WEBHOOK: {"conn_type": "http", "extra": {"url": "http://far.example/"}}}
    )
    alerts.raised(ctx, ALERT)
    assert alerts.tell(ctx) == []
    assert "not told" in caplog.text
