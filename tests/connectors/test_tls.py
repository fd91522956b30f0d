"""Client certificates: who is trusted, what is shown, how long it lives, what a refusal says."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors import tls
from mappings.connection import Connection
from mappings.errors import Misconfigured
from tests.connectors.tls_authority import Authority

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def connection(**extra: str) -> Connection:
    return Connection("acme", "soap", "erp.example", extra=extra)


def until(authority: Authority, end: datetime, begin: datetime | None = None) -> Connection:
    return connection(**authority.client("waybill", end, begin))


def test_without_extras_it_is_the_systems_trust_and_no_certificate() -> None:
    context = tls.client_context(connection())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert tls.expiry_warning(connection()) is None


def test_a_certificate_that_ends_soon_is_told_of(authority: Authority) -> None:
    soon = until(authority, NOW + timedelta(days=29, hours=1))
    assert tls.client_context(soon, now=NOW)
    said = tls.expiry_warning(soon, now=NOW)
    assert said is not None
    assert '"acme" ends on 2026-11-30 (29 days left)' in said
    assert tls.expiry_warning(until(authority, NOW + timedelta(days=31)), now=NOW) is None


@pytest.mark.parametrize(
    ("end", "begin", "said"),
    [
        (timedelta(), None, "ended on 2026-11-01"),
        (timedelta(days=90), timedelta(days=2), "begins only on 2026-11-03"),
    ],
)
def test_a_certificate_out_of_its_time_is_not_shown(
    authority: Authority, end: timedelta, begin: timedelta | None, said: str
) -> None:
    one = until(authority, NOW + end, NOW + begin if begin else None)
    with pytest.raises(Misconfigured, match=said) as caught:
        tls.client_context(one, now=NOW)
    assert caught.value.code == "auth_cert"


def test_what_is_no_certificate_or_not_of_its_key_is_said(
    authority: Authority, tmp_path: Path
) -> None:
    good = authority.client("waybill", NOW + timedelta(days=90))
    other = authority.client("other", NOW + timedelta(days=90))
    (tmp_path / "empty.pem").write_text("nothing")
    wrong = [
        {"client_cert_file": str(tmp_path / "none.pem")},
        {"client_cert_file": str(tmp_path / "empty.pem")},
        {**good, "client_key_file": other["client_key_file"]},
    ]
    for extra in wrong:
        with pytest.raises(Misconfigured) as caught:
            tls.client_context(connection(**extra), now=NOW)
        assert caught.value.code == "auth_cert"
    with pytest.raises(Misconfigured) as caught:
        tls.client_context(connection(ca_file=str(tmp_path / "empty.pem")))
    assert caught.value.code == "tls"


def test_a_key_under_a_password_needs_it(authority: Authority) -> None:
    good = authority.client("waybill", NOW + timedelta(days=90), password="Wort")
    assert tls.client_context(connection(**good, client_key_password="Wort"), now=NOW)
    for password in ({"client_key_password": "falsch"}, {}):
        with pytest.raises(Misconfigured) as caught:
            tls.client_context(connection(**good, **password), now=NOW)
        assert caught.value.code == "auth_cert"


def test_what_is_not_about_certificates_is_no_refusal() -> None:
    assert tls.refusal(connection(), OSError("reset")) is None
