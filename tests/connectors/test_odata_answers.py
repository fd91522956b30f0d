"""Answers that the practice ERP does not give: scripted byte by byte on a loopback socket."""

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.odata import ODataConnector
from connectors.odata_page import largest, literal, look
from mappings.connection import Connection
from mappings.errors import Misconfigured, RateLimited, SourceChanged, Transient, WaybillError
from mappings.sources import ODataSource

SOURCE = ODataSource(protocol="odata", entity="Things", cursor="ModifiedAt")
PAGE = b'{"@odata.count":1,"value":[{"No":"1","ModifiedAt":"2026-01-01T00:00:00Z"}]}'


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    kinds = [one for one in headers if one.lower().startswith("content-type")]
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        *headers,
        *([] if kinds else ["Content-Type: application/json"]),
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def scripted(*answers: bytes, **extra: str) -> Iterator[tuple[ODataConnector, list[str]]]:
    """A connector to a server that gives these answers in turn, the last one for ever."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                came = b""
                while b"\r\n\r\n" not in came:
                    piece = peer.recv(65536)
                    if not piece:
                        break
                    came += piece
                if came:
                    asked.append(came.decode("latin-1"))
                    peer.sendall(answers[min(len(asked), len(answers)) - 1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    root = {"service_root": f"http://127.0.0.1:{port}/api"}
    connection = Connection(
        "things", "http", "127.0.0.1", port, "waybill", "pa55word", extra=root | extra
    )
    try:
        with ODataConnector(connection, "erp", tries=2, longest_wait=0.3) as connector:
            yield connector, asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def refused(*answers: bytes) -> tuple[WaybillError, int]:
    with scripted(*answers) as (connector, asked):
        with pytest.raises(WaybillError) as caught:
            list(connector.read(SOURCE, None))
        return caught.value, len(asked)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "asked"),
    [
        ("500 Oops", b"", Transient, "server", 2),
        ("502 Bad Gateway", b"<html>proxy</html>", Transient, "server", 2),
        ("504 Gateway Timeout", b"", Transient, "server", 2),
        ("408 Request Timeout", b"", Transient, "server", 2),
        ("503 Unavailable", b"<html>", Transient, "maintenance", 2),
        ("501 Not Implemented", b"", Misconfigured, "not_implemented", 1),
        ("401 Unauthorized", b"", Misconfigured, "auth", 1),
        ("403 Forbidden", b"", Misconfigured, "forbidden", 1),
        ("404 Not Found", b"", SourceChanged, "missing_entity", 1),
        ("410 Gone", b"", SourceChanged, "gone", 1),
        (
            "400 Bad Request",
            b'{"error":{"code":"X","message":"no"}}',
            SourceChanged,
            "bad_request",
            1,
        ),
        ("406 Not Acceptable", b"", Misconfigured, "refused", 1),
        ("200 OK", b'{"value":[{"No"', Transient, "truncated", 2),
        ("200 OK", b"", Transient, "truncated", 2),
        ("200 OK", b" \n<!DOCTYPE html><html></html>", Transient, "html", 2),
        ("200 OK", b'{"error":{"code":"X","message":"no"}}', Transient, "error_in_body", 2),
        ("200 OK", b'{"rows":[]}', SourceChanged, "missing_records", 1),
    ],
)
def test_every_answer_has_its_class(
    status: str, body: bytes, kind: type[WaybillError], code: str, asked: int
) -> None:
    error, tries = refused(answer(body, status))
    assert (type(error), error.code) == (kind, code)
    assert tries == asked
    assert error.erp == "erp"
    assert "pa55word" not in str(error)


def test_rest_26_a_secret_that_the_erp_repeats_is_not_shown() -> None:
    body = b'{"error":{"code":"X","message":"user waybill, password pa55word: no"}}'
    error, _ = refused(answer(body, "403 Forbidden"))
    assert "user waybill, password ***: no" in str(error)
    assert "pa55word" not in repr(error.__dict__)


@pytest.mark.parametrize(
    "body",
    [
        b'{"o:errorDetails":[{"o:errorCode":"SSS_REQUEST_LIMIT_EXCEEDED"}],"error":{"code":"x"}}',
        b'{"error":{"code":"SSS_REQUEST_LIMIT_EXCEEDED","message":"Concurrent request limit"}}',
        b'{"error":{"code":"Application_TooManyRequests","message":"slow down"}}',
    ],
)
def test_rest_2_a_vendors_400_may_mean_too_many_requests(body: bytes) -> None:
    error, _ = refused(answer(body, "400 Bad Request"))
    assert isinstance(error, RateLimited)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (("Retry-After: 120",), 120),
        (
            ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", "Date: Wed, 21 Oct 2026 07:26:00 GMT"),
            120,
        ),
        (("Retry-After: Wednesday, soon",), None),
        ((), None),
    ],
)
def test_rest_1_retry_after_by_the_servers_own_clock(
    headers: tuple[str, ...], seconds: float | None
) -> None:
    error, _ = refused(answer(b"", "429 Too Many Requests", *headers))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_rest_1_a_date_without_a_clock_is_measured_by_ours() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    error, _ = refused(answer(b"", "503 Unavailable", f"Retry-After: {until}"))
    assert isinstance(error, RateLimited)
    assert error.retry_after is not None
    assert 85 < error.retry_after <= 90


def test_a_date_that_has_passed_means_now() -> None:
    past = "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"
    with scripted(answer(b"", "429 Slow", past), answer(PAGE)) as (connector, asked):
        pages = list(connector.read(SOURCE, None))
    assert (len(pages), len(asked)) == (1, 2)


def test_rest_21_a_compressed_answer_cut_short_is_transient() -> None:
    packed = gzip.compress(b'{"value":[' + b'{"No":"1"},' * 5000 + b'{"No":"2"}]}')
    error, tries = refused(answer(packed[: len(packed) // 2], "200 OK", "Content-Encoding: gzip"))
    assert (type(error), error.code, tries) == (Transient, "truncated", 2)


def test_rest_21_a_body_shorter_than_declared_is_transient() -> None:
    error, tries = refused(answer(PAGE)[:-20])
    assert (type(error), error.code, tries) == (Transient, "dropped", 2)


def test_a_redirect_is_not_followed() -> None:
    error, tries = refused(answer(b"", "302 Found", "Location: https://elsewhere.example/api"))
    assert (type(error), error.code, tries) == (Misconfigured, "redirect", 1)
    assert "elsewhere.example" in str(error)


@pytest.mark.parametrize(
    ("link", "asked_for"),
    [
        ("Things?$skiptoken='a%2Fb'", "/api/Things?$skiptoken='a%2Fb'"),
        ("/other/Things?x=1+2%2B3", "/other/Things?x=1+2%2B3"),
        ("https://inside.example:8443/api/Things?$skip=5", "/api/Things?$skip=5"),
        ("http://user:pw@inside.example/Things(1)?a=b&&c", "/Things(1)?a=b&&c"),
        ("?page=2", "/api/Things?page=2"),
    ],
)
def test_rest_9_a_link_is_followed_verbatim_on_our_own_host(link: str, asked_for: str) -> None:
    first = PAGE[:-1] + b',"@odata.nextLink":"' + link.encode() + b'"}'
    with scripted(answer(first), answer(PAGE)) as (connector, asked):
        pages = list(connector.read(SOURCE, None))
    assert len(pages) == 2
    assert asked[1].split(" ")[1] == asked_for
    assert "Host: 127.0.0.1" in asked[1] or "host: 127.0.0.1" in asked[1]


def test_an_account_with_a_password_signs_in_by_it() -> None:
    with scripted(answer(PAGE)) as (connector, asked):
        assert len(list(connector.read(SOURCE, None))) == 1
    assert "Authorization: Basic" in asked[0]


def test_the_wish_for_the_page_size_goes_with_every_page() -> None:
    first = PAGE[:-1] + b',"@odata.nextLink":"?page=2"}'
    wish = SOURCE.model_copy(update={"page_size": 77, "deleted": True})
    with scripted(answer(first), answer(PAGE)) as (connector, asked):
        list(connector.read(wish, None))
    for one in asked[:2]:
        assert "odata.maxpagesize=77,odata.track-changes" in one


def test_sign_in_without_a_token_in_its_answer_is_transient() -> None:
    silent = scripted(answer(b'{"ok":1}'), token_url="/token", scheme="http")
    with silent as (connector, _), pytest.raises(Transient) as caught:
        connector.check()
    assert caught.value.code == "token"


@pytest.mark.parametrize("extra", [{}, {"service_root": "ftp://x/y"}, {"service_root": "https://"}])
def test_a_connection_without_an_address_says_what_to_set(extra: dict[str, str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        ODataConnector(Connection("things", "http", "", extra=extra), "erp")
    assert caught.value.code == "address"
    assert "service_root" in str(caught.value)


# --- cursors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0000001Z"], "2026-01-01T00:00:00.0000001Z"),
        (["2026-01-01T02:00:00+02:00", "2026-01-01T00:30:00Z"], "2026-01-01T00:30:00Z"),
        (["2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00.1234567Z"], "2026-01-01T00:00:00.9Z"),
        (["2026-01-01", "2025-12-31T23:59:59Z"], "2026-01-01"),
        (["9", "10"], "10"),
        (["9.5", "9.25"], "9.5"),
        (["b", "a"], "b"),
        ([], None),
    ],
)
def test_cur_3_the_largest_cursor_is_a_text_that_came(
    texts: list[str], expected: str | None
) -> None:
    assert largest(texts) == expected
    assert largest(texts[::-1]) == expected


@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(-14 * 60, 14 * 60)), min_size=1))
def test_the_largest_instant_is_found_in_any_zone(moments: list[tuple[int, int]]) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    texts = {}
    for micros, minutes in moments:
        moment = begin + timedelta(microseconds=micros)
        sign = "-" if minutes < 0 else "+"
        zone = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        local = (moment + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        texts[f"{local}7{zone}"] = moment
    found = largest(texts)
    assert found is not None
    assert texts[found] == max(texts.values())


@pytest.mark.parametrize(
    ("cursor", "expected"),
    [
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.1234567Z"),
        ("2026-01-01", "2026-01-01"),
        ("4711", "4711"),
        ("x' or '1' eq '1", "'x'' or ''1'' eq ''1'"),
    ],
)
def test_a_cursor_stands_in_the_filter_as_one_literal(cursor: str, expected: str) -> None:
    assert literal(cursor) == expected


def test_a_page_of_older_odata_is_understood() -> None:
    page = b'{"d":{"results":[{"M":{"At":"5"}},{"M":null},{}],"__next":"x?y","__count":"3"}}'
    seen = look(page, "d/results", "M/At", "Things")
    assert (seen.records, seen.next_link, seen.declared, seen.cursors) == (3, "x?y", 3, ["5"])


def test_records_that_are_no_objects_are_counted_all_the_same() -> None:
    page = b'{"value":[{"M":"5"},7,null],"@odata.nextLink":"?2","@odata.count":3}'
    seen = look(page, "value", "M", "Things")
    assert (seen.records, seen.next_link, seen.declared, seen.cursors) == (3, "?2", 3, ["5"])
