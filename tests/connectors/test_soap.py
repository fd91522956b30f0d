"""The SOAP connector against the practice ERP and against an ERP that follows a script."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from connectors.protocol import End, Page
from connectors.soap import SoapConnector
from connectors.soap_faults import retry_after
from mappings.connection import Connection
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
)
from mappings.sources import SoapSource
from mappings.sources.soap import SoapPaging
from sandbox.dataset import Dataset, load
from sandbox.pdf import invoice_pdf
from sandbox.soap import SoapErp
from sandbox.soap.wsdl import INTERNAL, wsdl

PASSWORD = "s3cret-Wort"
PAGING = SoapPaging(request="NEXT", response="NEXT", size_request="MAXROWS", size=50)


def source_of(operation: str, element: str, **more: object) -> SoapSource:
    return SoapSource.model_validate(
        {
            "protocol": "soap",
            "operation": operation,
            "records": f"{element}/item",
            "page": PAGING,
            "count": "TOTALCOUNT",
            "error": "RETURN/TYPE",
            "error_text": "RETURN/MESSAGE",
            "error_ok": ("S",),
            **more,
        }
    )


PRICES = source_of("GetConditionList", "CONDITIONS")
ORDERS = source_of("GetOrderList", "ORDERS", since="AENDERUNGEN_SEIT", cursor="AEDTM")


def connection_of(erp: SoapErp, **extra: str) -> Connection:
    told = erp.connection()
    return Connection(
        "anvil_account",
        "soap",
        told["host"],
        told["port"],
        told["login"],
        told["password"],
        extra={**told["extra"], **extra},
    )


def read(
    connector: SoapConnector, source: SoapSource = PRICES, since: str | None = None
) -> tuple[list[Page], list[bytes], End]:
    pages: list[Page] = []
    contents: list[bytes] = []
    walk = connector.read(source, since)
    while True:
        try:
            page = next(walk)
        except StopIteration as stop:
            return pages, contents, stop.value
        pages.append(page)
        contents.append(b"".join(page.content))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("tiny").of("anvil")


@pytest.fixture
def erp(data: Dataset) -> Iterator[SoapErp]:
    server = SoapErp(data, user="waybill", password=PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connector(erp: SoapErp, tmp_path: Path) -> Iterator[SoapConnector]:
    with SoapConnector(connection_of(erp), "anvil", timeout=5, cache=tmp_path) as one:
        yield one


def keys(contents: list[bytes], element: bytes = b"KNUMH") -> list[bytes]:
    return re.findall(b"<item><%b>([^<]*)<" % element, b"".join(contents))


# --- the good way ---------------------------------------------------------------------------------


def test_pages_follow_the_token_to_its_end(erp: SoapErp, connector: SoapConnector) -> None:
    pages, contents, end = read(connector)
    assert [page.records for page in pages] == [50, 50, 20]
    assert {page.declared for page in pages} == {120}
    assert len({page.name for page in pages}) == 3
    assert keys(contents) == [k.encode() for k in erp.dataset["price"]["header_key"].to_pylist()]
    assert (end.complete, end.declared) == (True, 120)
    assert end.server_at is not None
    assert abs(datetime.now(UTC) - end.server_at) < timedelta(minutes=1)


def test_check_signs_in(connector: SoapConnector) -> None:
    assert "signed in" in connector.check()


def test_delta_starts_at_the_cursor_and_brings_deletions(
    erp: SoapErp, connector: SoapConnector
) -> None:
    _, everything, end = read(connector, ORDERS)
    stamps = sorted(re.findall(rb"<AEDTM>(\d+)</AEDTM>", b"".join(everything)))
    assert end.cursor == stamps[-1].decode()
    _, changes, _ = read(connector, ORDERS, end.cursor)
    assert set(re.findall(rb"<AEDTM>(\d+)</AEDTM>", b"".join(changes))) == {stamps[-1]}
    night = erp.dataset
    gone = night["deleted"].schema.empty_table().to_pylist()
    gone.append(
        {
            "erp": "anvil",
            "table": "sales_order",
            "key": "0004500001",
            "modified_at": datetime(2026, 12, 1, tzinfo=UTC),
        }
    )
    table = type(night["deleted"]).from_pylist(gone, schema=night["deleted"].schema)
    erp.dataset = night.replace(deleted=table)
    pages, changes, later_end = read(connector, ORDERS, "20261115000000")
    assert pages[0].records == 1
    assert b"<item><VBELN>0004500001</VBELN><LOEVM>X</LOEVM>" in changes[0]
    assert later_end.cursor == "20261201000000"


def test_a_search_goes_on_over_the_rows_it_began_with(
    erp: SoapErp, connector: SoapConnector
) -> None:
    walk = connector.read(PRICES, None)
    next(walk)
    erp.dataset = erp.dataset.replace(price=erp.dataset["price"].slice(0, 5))
    assert sum(page.records or 0 for page in walk) == 70


def test_documents_come_as_their_bytes(erp: SoapErp, connector: SoapConnector) -> None:
    document = erp.dataset["document"].to_pylist()[0]
    sent = invoice_pdf(erp.dataset, document["subject_key"])
    assert b"".join(connector.fetch(document["location"])) == sent
    with pytest.raises(Refused) as caught:
        list(connector.fetch("invoices/none.pdf"))
    assert caught.value.code == "not_found"


def test_documents_need_their_operation(erp: SoapErp) -> None:
    with (
        SoapConnector(connection_of(erp, documents=""), "anvil") as one,
        pytest.raises(Misconfigured, match="`documents`"),
    ):
        list(one.fetch("invoices/1.pdf"))


# --- the WSDL -------------------------------------------------------------------------------------


def test_SOAP_2_the_wsdl_is_pinned(erp: SoapErp, tmp_path: Path) -> None:
    for _ in range(2):
        with SoapConnector(connection_of(erp), "anvil", cache=tmp_path) as one:
            assert one.check()
        erp.faults.arm("maintenance", times=None, where="wsdl")
    assert erp.requests.count("wsdl") == 1


def test_SOAP_2_a_wsdl_that_cannot_be_read_is_transient(erp: SoapErp) -> None:
    erp.faults.arm("maintenance", where="wsdl")
    with SoapConnector(connection_of(erp), "anvil") as one, pytest.raises(Transient) as caught:
        one.check()
    assert caught.value.code == "wsdl"


def test_what_is_no_wsdl_is_said(erp: SoapErp, tmp_path: Path) -> None:
    page = tmp_path / "login.html"
    page.write_text("<html><br></html>")
    with (
        SoapConnector(connection_of(erp, wsdl=str(page)), "anvil") as one,
        pytest.raises(Misconfigured, match="no WSDL") as caught,
    ):
        one.check()
    assert caught.value.code == "wsdl"


def test_SOAP_9_the_connection_names_the_endpoint(connector: SoapConnector) -> None:
    assert INTERNAL.encode() in wsdl()
    assert read(connector)[2].complete


def test_unknown_operation_and_unknown_element_are_the_mappings(connector: SoapConnector) -> None:
    with pytest.raises(SourceChanged, match="no operation GetNothing"):
        read(connector, source_of("GetNothing", "X"))
    with pytest.raises(Misconfigured, match="does not take"):
        read(connector, source_of("GetConditionList", "CONDITIONS", request={"BUKRS": "1000"}))


# --- signing in -----------------------------------------------------------------------------------


def test_REST_8_wrong_password_is_one_try_and_names_no_secret(erp: SoapErp) -> None:
    told = connection_of(erp)
    wrong = Connection(
        told.id, told.type, told.host, told.port, told.login, "wr0ng-Wort", extra=told.extra
    )
    with (
        SoapConnector(wrong, "anvil") as one,
        pytest.raises(Misconfigured, match='connection "anvil_account"') as caught,
    ):
        read(one)
    assert caught.value.code == "auth"
    assert "wr0ng" not in str(caught.value)
    assert "wr0ng" not in repr(wrong)
    assert erp.requests.count("GetConditionList") == 1


def test_password_as_text_works_too(erp: SoapErp) -> None:
    with SoapConnector(connection_of(erp, wsse="text"), "anvil") as one:
        assert "signed in" in one.check()


def test_a_session_that_expires_midway_is_renewed_once(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("session_expired", where="GetConditionList", after=1)
    _, contents, end = read(connector)
    assert end.complete
    assert keys(contents) == [k.encode() for k in erp.dataset["price"]["header_key"].to_pylist()]
    assert erp.requests.count("GetConditionList") == 4


def test_REST_6_a_session_that_keeps_expiring_is_a_sign_in_problem(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("session_expired", times=None, where="GetConditionList", after=1)
    with pytest.raises(Misconfigured) as caught:
        read(connector)
    assert caught.value.code == "auth"
    assert erp.requests.count("GetConditionList") == 3


# --- misbehaviour ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["maintenance", "html_200", "truncated", "drop"])
def test_SOAP_4_what_passes_is_tried_again(
    erp: SoapErp, connector: SoapConnector, fault: str
) -> None:
    erp.faults.arm(fault, where="GetConditionList", after=1)
    _, contents, end = read(connector)
    assert end.complete
    assert len(keys(contents)) == 120
    assert erp.faults.taken == [fault]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("maintenance", "unavailable"),
        ("html_200", "unavailable"),
        ("truncated", "truncated"),
        ("drop", "transfer"),
    ],
)
def test_SOAP_4_what_stays_is_transient_and_no_page(erp: SoapErp, fault: str, code: str) -> None:
    with SoapConnector(connection_of(erp), "anvil", tries=2) as one:
        erp.faults.arm(fault, times=None, where="GetConditionList")
        with pytest.raises(Transient) as caught:
            next(one.read(PRICES, None))
    assert caught.value.code == code
    assert erp.requests.count("GetConditionList") == 2


def test_SOAP_1_a_hung_server_ends_at_the_timeout(erp: SoapErp) -> None:
    with SoapConnector(connection_of(erp), "anvil", timeout=0.3, tries=1) as one:
        erp.faults.arm("hang", where="GetConditionList")
        with pytest.raises(Transient, match=r"0\.3 s") as caught:
            read(one)
    assert caught.value.code == "timeout"


def test_REST_1_a_short_retry_after_is_waited_a_long_one_is_told(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("rate_limit", where="GetConditionList", seconds=0)
    assert read(connector)[2].complete
    erp.faults.arm("rate_limit", where="GetConditionList", seconds=120)
    with pytest.raises(RateLimited) as caught:
        read(connector)
    assert caught.value.retry_after == 120


def test_REST_1_retry_after_in_seconds_and_as_a_date() -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert retry_after("90", now) == 90
    assert retry_after(format_datetime(now + timedelta(seconds=45), usegmt=True), now) == 45
    assert retry_after(format_datetime(now - timedelta(seconds=45), usegmt=True), now) == 0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None


def test_a_business_error_in_200_is_told_in_the_erps_words(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("business_error", where="GetConditionList")
    with pytest.raises(Misconfigured, match="E Buchungskreis gesperrt") as caught:
        read(connector)
    assert caught.value.code == "business_error"


def test_a_declared_count_that_is_not_met_is_no_complete_read(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("count_mismatch", times=None, where="GetConditionList")
    end = read(connector)[2]
    assert (end.complete, end.declared) == (False, 127)
    assert "declared 127" in end.reason


def test_a_declared_count_that_moves_is_no_complete_read(
    erp: SoapErp, connector: SoapConnector
) -> None:
    erp.faults.arm("count_mismatch", where="GetConditionList", after=1)
    end = read(connector)[2]
    assert not end.complete
    assert "moved" in end.reason


def test_paging_without_a_declared_count_proves_nothing(connector: SoapConnector) -> None:
    end = read(connector, source_of("GetConditionList", "CONDITIONS", count=None))[2]
    assert not end.complete


def test_an_empty_answer_is_an_empty_page(erp: SoapErp, connector: SoapConnector) -> None:
    erp.faults.arm("empty", where="GetConditionList")
    pages, _, end = read(connector)
    assert ([page.records for page in pages], end.complete, end.cursor) == ([0], True, None)


def test_REST_9_a_repeated_token_is_told(erp: SoapErp, connector: SoapConnector) -> None:
    erp.faults.arm("repeated_link", times=None, where="GetConditionList", after=1)
    with pytest.raises(SourceChanged, match="circle") as caught:
        read(connector)
    assert caught.value.code == "repeated_token"


def test_SOAP_3_an_answer_over_the_cap_is_refused(erp: SoapErp) -> None:
    with (
        SoapConnector(connection_of(erp), "anvil", page_bytes=10_000) as one,
        pytest.raises(BatchRefused) as caught,
    ):
        read(one)
    assert caught.value.code == "too_large"


def test_nobody_listening_is_transient(erp: SoapErp) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/soap"
        with (
            SoapConnector(connection_of(erp, endpoint=closed), "anvil", tries=1) as one,
            pytest.raises(Transient) as caught,
        ):
            read(one)
    assert caught.value.code == "transfer"


# --- an ERP that follows a script -----------------------------------------------------------------

Script = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., SoapConnector]]:
    (tmp_path / "erp.wsdl").write_bytes(wsdl())
    servers: list[ThreadingHTTPServer] = []
    connectors: list[SoapConnector] = []

    def build(script: Script, timeout: float = 60.0) -> SoapConnector:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                script(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        there = Connection(
            "other",
            "soap",
            "127.0.0.1",
            server.server_address[1],
            "waybill",
            PASSWORD,
            schema="http",
            extra={"wsdl": str(tmp_path / "erp.wsdl")},
        )
        connectors.append(SoapConnector(there, "other", tries=1, timeout=timeout))
        return connectors[-1]

    yield build
    for connector in connectors:
        connector.__exit__()
    for server in servers:
        server.shutdown()
        server.server_close()


def replies(status: int, body: str, media_type: str = "text/xml", **headers: str) -> Script:
    def script(request: BaseHTTPRequestHandler) -> None:
        request.send_response_only(status)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(body.encode())))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body.encode())

    return script


def envelope(inside: str, uri: str = "http://schemas.xmlsoap.org/soap/envelope/") -> str:
    return f'<e:Envelope xmlns:e="{uri}"><e:Body>{inside}</e:Body></e:Envelope>'


def fault(code: str, says: str = "no") -> str:
    return envelope(
        f"<e:Fault><faultcode>{code}</faultcode><faultstring>{says}</faultstring></e:Fault>"
    )


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    ("sent", "kind", "named"),
    [
        (("e:Client", "unknown field BUKRS"), Misconfigured, "fault"),
        (("e:Client", "unknown operation"), SourceChanged, "operation"),
        (("e:Server", "dump"), Transient, "fault"),
        (("wsse:FailedAuthentication", "no"), Misconfigured, "auth"),
        (("wsse:InvalidSecurityToken", "no"), Misconfigured, "auth"),
        (("e:Client.SearchExpired", "no"), Transient, "search_expired"),
        (("e:ExceededConcurrentRequestLimitFault", "no"), RateLimited, "rate_limited"),
        (("e:MustUnderstand", "no"), Misconfigured, "fault"),
    ],
)
def test_SOAP_5_a_fault_has_its_class_whatever_the_status(
    scripted: Callable[..., SoapConnector],
    status: int,
    sent: tuple[str, str],
    kind: type[Exception],
    named: str,
) -> None:
    with pytest.raises(kind) as caught:
        read(scripted(replies(status, fault(*sent))))
    assert type(caught.value) is kind
    assert caught.value.code == named  # pyright: ignore[reportAttributeAccessIssue]  all are WaybillErrors
    assert sent[1] in str(caught.value)


def test_SOAP_5_a_soap_12_fault_too(scripted: Callable[..., SoapConnector]) -> None:
    inside = (
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code>"
        "<e:Reason><e:Text>unknown field</e:Text></e:Reason></e:Fault>"
    )
    body = envelope(inside, "http://www.w3.org/2003/05/soap-envelope")
    with pytest.raises(Misconfigured, match="unknown field"):
        read(scripted(replies(500, body, "application/soap+xml")))


def test_SOAP_7_a_wrong_clock_is_named_with_its_skew(
    scripted: Callable[..., SoapConnector],
) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=12), usegmt=True)
    with pytest.raises(Misconfigured, match=r"differ by 7(19|2\d) s") as caught:
        read(scripted(replies(500, fault("wsse:MessageExpired"), Date=date)))
    assert caught.value.code == "auth_clock"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_at_the_door(scripted: Callable[..., SoapConnector], status: int) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(scripted(replies(status, "<html>", "text/html")))
    assert caught.value.code == "auth"


@pytest.mark.parametrize(
    ("status", "media_type", "kind"),
    [
        (404, "text/html", Misconfigured),
        (302, "text/html", Transient),
        (502, "text/xml", Transient),
        (500, "text/html", Transient),
        (200, "application/xhtml+xml; html", Transient),
        (200, "", Transient),
        (200, "multipart/related; type=text/xml", Misconfigured),
    ],
)
def test_REST_20_status_and_media_type_come_before_any_xml(
    scripted: Callable[..., SoapConnector], status: int, media_type: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        read(scripted(replies(status, envelope("<R/>"), media_type)))


def test_SOAP_10_a_doctype_is_refused(scripted: Callable[..., SoapConnector]) -> None:
    bad = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + envelope("<R>&a;</R>")
    with pytest.raises(BatchRefused) as caught:
        read(scripted(replies(200, bad)))
    assert caught.value.code == "doctype"


def test_secrets_that_the_erp_echoes_are_not_said(scripted: Callable[..., SoapConnector]) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(scripted(replies(500, fault("e:Client", f"bad password {PASSWORD}!"))))
    assert PASSWORD not in str(caught.value)
    assert "***" in str(caught.value)


def test_SOAP_1_bytes_that_trickle_end_at_the_timeout_too(
    scripted: Callable[..., SoapConnector],
) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response_only(200)
        request.send_header("Content-Type", "text/xml")
        request.send_header("Content-Length", "100000")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b" " * 10)
                time.sleep(0.05)
        except OSError:
            pass

    with pytest.raises(Transient) as caught:
        read(scripted(trickle, timeout=0.4))
    assert caught.value.code == "timeout"


def test_SOAP_6_an_element_that_nobody_knows_does_no_harm(
    scripted: Callable[..., SoapConnector],
) -> None:
    inside = (
        '<R><TOTALCOUNT>1</TOTALCOUNT><CONDITIONS><item><NEU a="1"/><KNUMH>1</KNUMH></item>'
        "</CONDITIONS><EXTRA/></R>"
    )
    pages, _, end = read(scripted(replies(200, envelope(inside))))
    assert (pages[0].records, end.complete) == (1, True)


def test_a_declared_count_that_is_no_number_is_told(scripted: Callable[..., SoapConnector]) -> None:
    with pytest.raises(SourceChanged, match="'many'"):
        read(scripted(replies(200, envelope("<R><TOTALCOUNT>many</TOTALCOUNT></R>"))))
