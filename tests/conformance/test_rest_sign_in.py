"""Ways to sign in over HTTP, and what ERPs count: tokens, sessions, tries."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.http_sign_in_oauth2 import OAuth2
from connectors.replies import cleared
from mappings.errors import Misconfigured, RateLimited, SourceChanged, Transient
from mappings.settings import REPOSITORY
from sandbox.rest import RestErp
from sandbox.rest.doors import API_KEY, BEARER, CLIENT_SECRET, PASSWORD, REFRESH, USER
from tests.conformance.practice_rest import (
    OAUTH1,
    OAUTH2,
    RPC,
    SESSION,
    connection,
    drain,
    items,
    keys,
    question,
    rest,
    session,
)
from tests.connectors.tls_authority import Authority

PRICES = question("offset/prices", page={"by": "offset", "offset": "offset"}, count="meta/total")


@pytest.fixture(scope="module")
def server() -> Iterator[RestErp]:
    with RestErp() as one:
        yield one


@pytest.fixture
def erp(server: RestErp) -> RestErp:
    server.reset({"prices": items(45)})
    return server


def read(erp: RestErp, **how: Any) -> list[str]:
    with rest(connection(erp, **how)) as connector:
        return keys(drain(connector.read(PRICES, None))[0])


@pytest.mark.parametrize(
    ("way", "login", "extra"),
    [
        ("basic", True, {}),
        ("api_key", False, {"sign_in": "api_key", "api_key": API_KEY}),
        ("api_key", False, {"sign_in": "api_key", "api_key": API_KEY, "api_key_query": "key"}),
        ("bearer", False, {"sign_in": "bearer", "bearer_token": BEARER}),
        ("oauth2", False, OAUTH2),
        ("oauth2", False, {**OAUTH2, "client_auth": "basic"}),
        ("oauth2", True, {"token_url": "/token", "scheme": "http", "grant": "password"}),
        ("oauth2", False, {**OAUTH2, "grant": "refresh_token", "refresh_token": REFRESH}),
        ("session", True, SESSION),
        ("session", True, {**SESSION, "login_as": "form"}),
        ("oauth1", False, OAUTH1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_way_to_sign_in_opens_its_door(
    erp: RestErp,
    way: str,
    login: Any,
    extra: dict[str, Any],
) -> None:
    erp.doors.way = way
    assert len(read(erp, login=login, **extra)) == 45
    # the same door stays closed to who has nothing
    with pytest.raises(Misconfigured) as caught:
        read(erp)
    assert caught.value.code == "auth"


def test_a_way_that_does_not_exist_says_which_do(erp: RestErp) -> None:
    with pytest.raises(Misconfigured, match="Use one of none, basic"):
        read(erp, sign_in="kerberos")
    with pytest.raises(Misconfigured, match="has no api_key"):
        read(erp, sign_in="api_key")


@pytest.mark.parametrize("extra", [OAUTH2, SESSION, {}], ids=["oauth2", "session", "basic"])
def test_REST_8_a_wrong_password_is_tried_once_and_fails_quickly(
    erp: RestErp, extra: dict[str, Any]
) -> None:
    erp.doors.way = "session" if extra is SESSION else "oauth2" if extra is OAUTH2 else "basic"
    wrong = {**extra, "client_secret": "wr0ng-one", "login_fields": '{"CompanyDB": "NONE"}'}
    began = time.monotonic()
    with pytest.raises(Misconfigured) as caught:
        read(erp, login=bool(extra) and extra is not OAUTH2, **wrong)
    assert time.monotonic() - began < 10
    assert caught.value.code == "auth"
    assert len(erp.requests) == 1
    assert "wr0ng-one" not in str(caught.value)


# --- tokens -------------------------------------------------------------------------------------


def test_REST_5_twenty_workers_fetch_one_token(erp: RestErp, tmp_path: Path) -> None:
    """Each with a session of its own, as twenty tasks have; the store's lock is the processes'."""
    erp.doors.way, erp.doors.rotates = "oauth2", True
    tokens = tmp_path / "tokens" / "practice.json"
    start = threading.Barrier(20)

    def one(_: int) -> int:
        start.wait()
        return len(read(erp, tokens=tokens, **OAUTH2))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(20))) == [45] * 20
    assert len(erp.doors.token_requests) == 1
    assert tokens.stat().st_mode & 0o777 == 0o600


_READS = """
import json, sys
from pathlib import Path
from dataclasses import replace
from mappings.connection import Connection
from connectors.http_session import Limits, Session
given = json.loads(sys.argv[1])
where = Connection("practice", "http", "127.0.0.1", given["port"], extra=given["extra"],
                   token_file=Path(sys.argv[2]))
session = Session(where, "practice", Limits())
print(session.get(session.url("offset/prices"), {}, "prices").content[:8])
"""


@pytest.mark.slow
def test_REST_5_so_do_processes(erp: RestErp, tmp_path: Path) -> None:
    erp.doors.way = "oauth2"
    extra = json.dumps(erp.connection(**OAUTH2))
    many = [
        subprocess.Popen(
            [sys.executable, "-c", _READS, extra, str(tmp_path / "t" / "practice.json")],
            cwd=REPOSITORY,
        )
        for _ in range(3)
    ]
    assert [one.wait(60) for one in many] == [0, 0, 0]
    assert len(erp.doors.token_requests) == 1


def test_REST_5_tokens_are_no_closer_together_than_the_vendor_wants(
    erp: RestErp, tmp_path: Path
) -> None:
    erp.doors.way = "oauth2"
    tokens = tmp_path / "practice.json"
    how = {**OAUTH2, "token_interval": "570"}
    read(erp, tokens=tokens, **how)
    erp.doors.forget()  # the ERP lost its tokens; another process asks again at once
    with pytest.raises(RateLimited) as caught:
        read(erp, tokens=tokens, **how)
    assert caught.value.code == "token_interval"
    assert caught.value.retry_after == pytest.approx(570, abs=30)
    assert len(erp.doors.token_requests) == 1
    kept = json.loads(tokens.read_text())
    tokens.write_text(json.dumps({**kept, "asked_at": kept["asked_at"] - 571}))
    assert len(read(erp, tokens=tokens, **how)) == 45


def test_REST_5_a_rotated_refresh_token_is_on_disk_before_its_token_is_used(
    erp: RestErp, tmp_path: Path
) -> None:
    erp.doors.way, erp.doors.rotates = "oauth2", True
    tokens = tmp_path / "practice.json"
    how = {**OAUTH2, "grant": "refresh_token", "refresh_token": REFRESH}
    seen: list[str] = []
    erp.before = lambda _: seen.append(json.loads(tokens.read_text())["refresh_token"])
    read(erp, tokens=tokens, **how)
    assert seen[0] == erp.doors.refresh != REFRESH
    # the next process has only the file, and the first refresh token is worth nothing any more
    erp.doors.forget()
    assert len(read(erp, tokens=tokens, **how)) == 45
    assert [form["refresh_token"] for _, form in erp.doors.token_requests] == [REFRESH, seen[0]]


def test_a_token_is_used_as_long_as_it_lives_by_its_own_word(erp: RestErp) -> None:
    """`expires_in` decides; where the ERP does not say, five minutes."""
    now = 1000.0
    with httpx.Client() as client:
        way = OAuth2(connection(erp, **OAUTH2), "practice", client, clock=lambda: now)
        for lives, passes, asked in ((8 * 3600, 7.9 * 3600, 1), (1200, 1180, 3), (1200, 1100, 4)):
            erp.doors.token_seconds = lives
            way.renew(way.sign(httpx.Request("GET", erp.address)))
            now += passes
            way.sign(httpx.Request("GET", erp.address))
            assert len(erp.doors.token_requests) in (asked, asked + 1)
        erp.doors.tells_lifetime = False
        before = len(erp.doors.token_requests)
        way.renew(way.sign(httpx.Request("GET", erp.address)))
        now += 200
        way.sign(httpx.Request("GET", erp.address))
        now += 100
        way.sign(httpx.Request("GET", erp.address))
        assert len(erp.doors.token_requests) == before + 2


def test_other_credentials_do_not_use_old_tokens(erp: RestErp, tmp_path: Path) -> None:
    erp.doors.way = "oauth2"
    tokens = tmp_path / "practice.json"
    read(erp, tokens=tokens, **OAUTH2)
    with pytest.raises(Misconfigured, match="sign-in refused"):
        read(erp, tokens=tokens, **{**OAUTH2, "client_secret": "an0ther"})


def test_REST_24_netsis_takes_its_token_request_as_a_form_with_its_own_fields(
    erp: RestErp,
) -> None:
    erp.doors.way = "oauth2"
    fields = {"branchcode": "0", "dbname": "PRACTICE", "dbuser": "TEMELSET", "dbtype": "0"}
    how = {"token_url": "/token", "scheme": "http", "grant": "password",
           "token_form": json.dumps(fields)}  # fmt: skip
    assert len(read(erp, login=True, **how)) == 45
    ((_, form),) = erp.doors.token_requests
    assert form == {"grant_type": "password", "username": USER, "password": PASSWORD, **fields}
    assert erp.received[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_REST_24_being_alive_is_a_small_question_answered_not_an_open_port(erp: RestErp) -> None:
    with rest(connection(erp, check_path="/me"), tries=1) as connector:
        assert "/me answers" in connector.check()
        erp.faults.arm("html_200")
        with pytest.raises(Transient):
            connector.check()
        erp.doors.way = "basic"  # running, and not answering us
        with pytest.raises(Misconfigured):
            connector.check()


# --- sessions -----------------------------------------------------------------------------------


def test_REST_6_a_session_lost_in_mid_paging_is_renewed_once_and_the_page_read_again(
    erp: RestErp,
) -> None:
    erp.doors.way = "session"
    erp.faults.arm("session_expired", where="offset=20")
    assert read(erp, login=True, **SESSION) == [f"A{n:05}" for n in range(1, 46)]
    assert erp.doors.logins == 2
    assert [r for r in erp.requests if "offset=20" in r] == ["GET /offset/prices?offset=20"] * 2


def test_REST_6_a_second_401_is_a_refused_sign_in_and_no_loop(erp: RestErp) -> None:
    erp.doors.way = "session"
    erp.faults.arm("session_expired", times=None, where="offset=20")
    with pytest.raises(Misconfigured) as caught:
        read(erp, login=True, **SESSION)
    assert caught.value.code == "auth"
    assert erp.doors.logins == 2


def test_REST_7_both_cookies_go_with_every_request_and_the_session_ends_with_us(
    erp: RestErp,
) -> None:
    erp.doors.way = "session"
    read(erp, login=True, **SESSION)
    data = [one for one in erp.received if one.path.startswith("/offset")]
    assert len(data) == 4
    assert all(set(one.cookies) == {"B1SESSION", "ROUTEID"} for one in data)
    assert erp.doors.sessions == set()
    assert erp.requests[-1] == "POST /Logout"


_CRASHES = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from mappings.connection import Connection
from connectors.http_session import Limits, Session
given = json.loads(sys.argv[1])
where = Connection("practice", "http", "127.0.0.1", given["port"], sys.argv[3], sys.argv[4],
                   extra=given["extra"], token_file=Path(sys.argv[2]))
session = Session(where, "practice", Limits())
session.get(session.url("me"), {}, "me")
os._exit(9)
"""


@pytest.mark.slow
def test_REST_7_a_session_that_a_crash_left_open_is_logged_out_by_the_next(
    erp: RestErp, tmp_path: Path
) -> None:
    erp.doors.way = "session"
    tokens = tmp_path / "practice.json"
    arguments = [json.dumps(erp.connection(**SESSION)), str(tokens), USER, PASSWORD]
    done = subprocess.run([sys.executable, "-c", _CRASHES, *arguments], cwd=REPOSITORY, check=False)
    assert done.returncode == 9
    assert len(erp.doors.sessions) == 1
    read(erp, login=True, tokens=tokens, **SESSION)
    assert erp.doors.sessions == set()
    assert erp.doors.most_sessions == 1


def test_threads_share_one_session(erp: RestErp) -> None:
    erp.doors.way = "session"
    with session(connection(erp, login=True, **SESSION)) as one, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: one.get(one.url("me"), {}, "me"), range(6)))
        erp.doors.forget()
        list(pool.map(lambda _: one.get(one.url("me"), {}, "me"), range(6)))
    assert erp.doors.logins == 2


def test_json_rpc_that_says_everything_with_200_signs_in_again_once(erp: RestErp) -> None:
    erp.doors.way = "rpc"
    erp.faults.arm("session_expired", where="/rpc", after=1)
    source = question(
        "rpc",
        method="POST",
        body='{"jsonrpc":"2.0","method":"call","params":{"model":"prices","kwargs":{"limit":20}}}',
        records="result/records",
        count="result/length",
        page={"by": "offset", "offset": "params/kwargs/offset"},
        errors={"path": "error", "code": "error/data/name", "expired": ["SessionExpired"]},
    )
    with rest(connection(erp, login=True, **RPC)) as connector:
        pages, end = drain(connector.read(source, None))
        assert len(keys(pages, "result/records")) == 45
        assert end.complete
        assert erp.doors.logins == 2
        erp.faults.arm("session_expired", where="/rpc", times=None)
        with pytest.raises(Misconfigured) as caught:
            drain(connector.read(source, None))
        assert caught.value.code == "auth"
    wrong = {**RPC, "login_password": "params/other"}
    with (
        rest(connection(erp, login=True, **wrong)) as connector,
        pytest.raises(Misconfigured, match="Access Denied"),
    ):
        drain(connector.read(source, None))


# --- secrets ------------------------------------------------------------------------------------


def test_REST_26_no_secret_token_or_cookie_is_kept_or_shown(
    erp: RestErp, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors that repeat what was sent, addresses with a key in them, logs at their loudest."""
    caplog.set_level(logging.DEBUG)
    ways: list[tuple[str, bool, dict[str, Any]]] = [
        ("basic", True, {}),
        ("session", True, SESSION),
        ("oauth2", False, OAUTH2),
        ("bearer", False, {"sign_in": "bearer", "bearer_token": BEARER}),
        ("api_key", False, {"sign_in": "api_key", "api_key": API_KEY, "api_key_query": "key"}),
    ]
    for way, login, extra in ways:
        erp.doors.way = way
        with session(connection(erp, login=login, **extra)) as one:
            url = one.url("echo")
            with pytest.raises(SourceChanged) as caught:
                one.get(url, {}, "echo")
            sent = erp.received[-1]
            hidden = [PASSWORD, CLIENT_SECRET, API_KEY, BEARER, *one.secrets]
            hidden += [sent.headers.get("authorization") or PASSWORD, *sent.cookies.values()]
            answer = one.send_once("POST", url, {}, b"{}", "echo")
            kept = cleared(answer.content, one.secrets)
        told = f"{caught.value} {caught.value.__dict__} {kept}"
        assert [secret for secret in hidden if secret in told] == []
        assert "***" in told
    spoken = caplog.text
    assert PASSWORD not in spoken
    assert API_KEY not in spoken
    assert CLIENT_SECRET not in spoken


# --- mutual TLS ---------------------------------------------------------------------------------


def test_mutual_tls_goes_by_the_connection(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.client("waybill", datetime.now(UTC) + timedelta(days=90))
    trust = {"ca_file": str(authority.file)}
    with RestErp({"prices": items(3)}, tls=authority.server_context(clients=True)) as erp:
        assert len(read(erp, **trust, **mine)) == 3
        with pytest.raises((Misconfigured, Transient)) as caught:
            read(erp, **trust)
        assert caught.value.code in {"auth_cert", "dropped"}
        with pytest.raises(Misconfigured) as untrusted:
            read(erp, **mine)
        assert untrusted.value.code == "tls"
