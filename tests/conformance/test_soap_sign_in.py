"""SOAP-7, SOAP-12, SOAP-14, and each way to sign in, against practice ERPs that check it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mappings.errors import Misconfigured, RateLimited
from sandbox.dataset import Dataset, load
from sandbox.soap.wsdl import wsdl as described
from tests.conformance.soap_erp import (
    Places,
    connection_of,
    connector_of,
    prices,
    read,
    serving,
    together,
)
from tests.connectors.tls_authority import Authority

WAYS = ("wsse", "basic", "bearer", "api_key", "session", "passport", "request")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("tiny").of("anvil")


@pytest.mark.parametrize("way", WAYS)
def test_each_way_signs_in_and_a_wrong_secret_is_one_try(data: Dataset, way: Any) -> None:
    with serving(data, sign_in=way) as erp:
        with connector_of(erp) as connector:
            assert "signed in" in connector.check()
            assert read(connector, prices())[2].complete
        erp.requests.clear()
        with (
            connector_of(erp, password="wr0ng-Wort") as connector,
            pytest.raises(Misconfigured, match='connection "anvil_account"') as caught,
        ):
            read(connector, prices())
        assert "wr0ng" not in str(caught.value)
        assert "wr0ng" not in repr(connection_of(erp, password="wr0ng-Wort"))
        assert len([r for r in erp.requests if r != "wsdl"]) == 1
    assert caught.value.code == "auth"


@pytest.mark.parametrize(
    ("way", "missing"),
    [
        ("bearer", "bearer_token"),
        ("api_key", "api_key"),
        ("session", "session_header"),
        ("passport", "token_secret"),
        ("request", "sign_in_elements"),
        ("magic", "sign_in"),
    ],
)
def test_a_word_that_is_missing_is_named(data: Dataset, way: str, missing: str) -> None:
    words = {"session": "Login USER PASSWORD TOKEN", "account": "a", "consumer_key": "c"}
    words |= {"consumer_secret": "s", "token_id": "t", "passport_element": "{urn:x}p"}
    words |= {missing: "", "sign_in": way}
    with serving(data) as erp, pytest.raises(Misconfigured, match=f"`{missing}`") as caught:
        connector_of(erp, words)
    assert caught.value.code == "sign_in"


def test_a_session_is_renewed_once_and_its_token_is_not_said(data: Dataset) -> None:
    with serving(data, sign_in="session") as erp, connector_of(erp) as connector:
        walk = connector.read(prices(), None)
        next(walk)
        (token,) = erp.door.sessions
        erp.door.sessions.clear()
        assert sum(page.records or 0 for page in walk) == 70
        assert erp.requests.count("Login") == 2
        erp.faults.arm("session_expired", times=None, where="GetConditionList", after=1)
        with pytest.raises(Misconfigured) as caught:
            read(connector, prices())
    assert caught.value.code == "auth"
    assert token not in str(caught.value)


@pytest.mark.parametrize("minutes", [-4, 4])
def test_SOAP_7_digest_with_nonce_and_created_is_taken_within_five_minutes(
    data: Dataset, minutes: int
) -> None:
    with serving(data, clock=timedelta(minutes=minutes)) as erp, connector_of(erp) as connector:
        # the practice ERP refuses a nonce that it has seen, so each call had its own
        assert read(connector, prices())[2].complete


@pytest.mark.parametrize(("minutes", "said"), [(-7, "behind"), (7, "ahead")])
@pytest.mark.parametrize("way", ["wsse", "passport"])
def test_SOAP_7_a_clock_that_is_off_is_auth_clock_with_its_skew(
    data: Dataset, minutes: int, said: str, way: Any
) -> None:
    skew = rf"differ by 4(19|2\d) s \(theirs is {said}\)"
    with (
        serving(data, clock=timedelta(minutes=minutes), sign_in=way) as erp,
        connector_of(erp) as connector,
        pytest.raises(Misconfigured, match=skew) as caught,
    ):
        read(connector, prices())
    assert caught.value.code == "auth_clock"
    assert erp.requests.count("GetConditionList") == 1


def test_SOAP_12_a_client_certificate_opens_the_door_and_is_warned_of(
    data: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    told = authority.client("waybill", datetime.now(UTC) + timedelta(days=20, hours=1))
    context = authority.server_context(clients=True)
    with (
        serving(data, tls=context) as erp,
        caplog.at_level(logging.WARNING),
        connector_of(erp, {"ca_file": authority.file, **told}) as connector,
    ):
        assert "20 days left" in connector.check()
        end = read(connector, prices())[2]
    assert end.complete
    assert any("20 days left" in note for note in end.notes)
    assert "20 days left" in caplog.text


def test_SOAP_12_an_expired_certificate_is_auth_cert_before_anything_is_sent(
    data: Dataset, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    told = authority.client("waybill", datetime.now(UTC) - timedelta(days=1))
    with serving(data, tls=authority.server_context(clients=True)) as erp:
        with pytest.raises(Misconfigured, match="ended on") as caught:
            connector_of(erp, {"ca_file": authority.file, **told})
        assert caught.value.code == "auth_cert"
        assert erp.requests == []


def test_SOAP_12_a_certificate_that_the_server_refuses_is_one_try(
    data: Dataset, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    end = datetime.now(UTC) + timedelta(days=90)
    wsdl = tmp_path / "erp.wsdl"
    with serving(data, tls=authority.server_context(clients=True)) as erp:
        wsdl.write_bytes(described())
        for told in (stranger.client("waybill", end), {}):
            known = {"ca_file": authority.file, "wsdl": str(wsdl), **told}
            with (
                connector_of(erp, known) as connector,
                pytest.raises(Misconfigured) as caught,
            ):
                read(connector, prices())
            assert caught.value.code == "auth_cert"
        assert erp.requests == []


def test_a_server_that_nobody_vouches_for_is_tls_and_no_retry(
    data: Dataset, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with (
        serving(data, tls=authority.server_context(clients=False)) as erp,
        connector_of(erp) as connector,
        pytest.raises(Misconfigured, match="not trusted") as caught,
    ):
        connector.check()
    assert caught.value.code == "tls"


def test_SOAP_14_sessions_are_logged_out_and_never_more_than_allowed(data: Dataset) -> None:
    with serving(data, sign_in="session", sessions=2) as erp:
        places = Places(2)

        def one() -> None:
            with connector_of(erp, budget=places) as connector:
                read(connector, prices())

        assert together(6, one) == []
        assert erp.door.most_sessions <= 2
        assert erp.door.sessions == set()
        assert erp.requests.count("Login") == erp.requests.count("Logout") == 6
        asked = erp.requests.count("GetConditionList")
        assert places.inside_of == ["GetConditionList"] * asked  # each waits for the rate


def test_SOAP_14_a_log_in_within_each_call_stays_within_the_count(data: Dataset) -> None:
    with serving(data, sign_in="request", sessions=2) as erp:
        erp.faults.arm("slow", times=None, where="GetConditionList", seconds=0.02)
        places = Places(2)

        def one() -> None:
            with connector_of(erp, budget=places) as connector:
                read(connector, prices())

        assert together(4, one) == []
        assert erp.door.most_sessions == 2


def test_SOAP_14_one_session_too_many_is_told_as_a_limit(data: Dataset) -> None:
    with serving(data, sign_in="session", sessions=1) as erp, connector_of(erp) as first:
        first.check()
        with connector_of(erp, tries=1) as second, pytest.raises(RateLimited):
            second.check()
    assert erp.door.sessions == set()
