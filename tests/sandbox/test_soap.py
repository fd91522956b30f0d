"""The practice SOAP ERP by itself: door, dialect, misbehaviour. Uses nothing of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import SHAPE
from sandbox.faults import SCENARIOS
from sandbox.soap import SoapErp
from sandbox.soap.dialect import OPERATIONS
from sandbox.soap.security import WSSE, WSU

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
PASSWORD = "Anvil-Probe"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("tiny").of("anvil")


@pytest.fixture
def erp(data: Dataset) -> Iterator[SoapErp]:
    server = SoapErp(data, user="waybill", password=PASSWORD, page_size=20)
    server.start()
    yield server
    server.stop()


def request(
    operation: str, inside: str = "", *, nonce: bytes = b"", at: datetime | None = None
) -> bytes:
    nonce = nonce or datetime.now(UTC).isoformat().encode()
    created = (at or datetime.now(UTC)).isoformat()
    raw = hashlib.sha1(nonce + created.encode() + PASSWORD.encode()).digest()  # noqa: S324  WS-Security's
    return f"""<s:Envelope xmlns:s="{ENVELOPE}"><s:Header><w:Security xmlns:w="{WSSE}">
    <w:UsernameToken><w:Username>waybill</w:Username>
    <w:Password Type="x#PasswordDigest">{base64.b64encode(raw).decode()}</w:Password>
    <w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>
    <u:Created xmlns:u="{WSU}">{created}</u:Created></w:UsernameToken></w:Security></s:Header>
    <s:Body><{operation} xmlns="urn:practice:erp:portal">{inside}</{operation}></s:Body>
    </s:Envelope>""".encode()


def send(erp: SoapErp, operation: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    call = urllib.request.Request(  # noqa: S310  loopback
        f"{erp.address}/soap", body, {"SOAPAction": f'"x/{operation}"', **headers}
    )
    try:
        with urllib.request.urlopen(call) as reply:  # noqa: S310  loopback
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_request_is_admitted_once(erp: SoapErp) -> None:
    body = request("Ping")
    assert send(erp, "Ping", body)[0] == 200
    status, fault = send(erp, "Ping", body)
    assert status == 500
    assert b"nonce was used before" in fault


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_is_off_is_refused(erp: SoapErp, minutes: int) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert b"wsse:MessageExpired" in send(erp, "Ping", request("Ping", at=at))[1]


def test_no_token_and_a_wrong_digest_are_refused(erp: SoapErp) -> None:
    bare = f'<s:Envelope xmlns:s="{ENVELOPE}"><s:Body><Ping/></s:Body></s:Envelope>'.encode()
    assert b"wsse:InvalidSecurity" in send(erp, "Ping", bare)[1]
    wrong = request("Ping").replace(b"<u:Created", b"<u:Created ").replace(b"waybill", b"wrong")
    assert b"wsse:FailedAuthentication" in send(erp, "Ping", wrong)[1]


def test_every_column_of_every_table_served_has_its_element() -> None:
    told: dict[str, set[str]] = {}
    for _, record in OPERATIONS.values():
        parts = [(record.table, "", record.elements)]
        parts += [(table, parent, lines) for table, parent, lines in record.inside.values()]
        for table, parent, lines in parts:
            columns = {line.partition("=")[2].partition(":")[0] for line in lines.split()}
            told[table] = columns | {parent}
    for table, words in SHAPE.items():
        if table in ("deleted", "document"):  # a document's bytes say its size and hash
            continue
        columns = {word.partition(":")[0] for word in words.split()}
        assert columns <= told[table], (table, columns - told[table])


def test_every_operation_answers_well_formed_and_by_its_wsdl(erp: SoapErp) -> None:
    with urllib.request.urlopen(f"{erp.address}/soap?wsdl") as reply:  # noqa: S310  loopback
        schema = etree.XMLSchema(
            etree.fromstring(reply.read()).find(".//{http://www.w3.org/2001/XMLSchema}schema")
        )
    for operation in OPERATIONS:
        status, body = send(erp, operation, request(operation))
        assert status == 200
        answer = etree.fromstring(body).find(f"{{{ENVELOPE}}}Body/*")
        assert answer is not None
        schema.assertValid(answer)


def test_pages_and_their_tokens(erp: SoapErp) -> None:
    token, found = "", 0
    for _ in range(6):
        inside = f"<MAXROWS>50</MAXROWS><NEXT>{token}</NEXT>"
        _, body = send(erp, "GetConditionList", request("GetConditionList", inside))
        found += body.count(b"<item>")
        assert b"<TOTALCOUNT>120</TOTALCOUNT>" in body
        token = (etree.fromstring(body).findtext(".//{*}NEXT")) or ""
    assert (found, token) == (120, "")
    assert (
        b"SearchExpired"
        in send(erp, "GetConditionList", request("GetConditionList", "<NEXT>none:20</NEXT>"))[1]
    )


def test_faults_come_by_header_and_by_request(erp: SoapErp) -> None:
    status, _ = send(erp, "Ping", request("Ping"), **{"X-Sandbox-Fault": "maintenance"})
    assert status == 503
    order = urllib.request.Request(  # noqa: S310  loopback
        f"{erp.address}/_sandbox/faults", json.dumps({"name": "rate_limit", "seconds": 7}).encode()
    )
    with urllib.request.urlopen(order) as reply:  # noqa: S310  loopback
        assert reply.status == 200
    assert send(erp, "Ping", request("Ping"))[0] == 429
    assert send(erp, "Ping", request("Ping"))[0] == 200


@pytest.mark.parametrize("how", ["bad_rows", "schema_changed"])
def test_spoilt_rows_are_still_well_formed(erp: SoapErp, how: str) -> None:
    assert how in SCENARIOS
    good = send(erp, "GetConditionList", request("GetConditionList"))[1]
    erp.faults.arm(how)
    bad = send(erp, "GetConditionList", request("GetConditionList"))[1]
    etree.fromstring(bad)
    assert bad.count(b"<item>") == good.count(b"<item>")
    if how == "bad_rows":
        assert b"<KBETR>12x50</KBETR>" in bad
        assert b"<DATAB>20260231</DATAB>" in bad
        assert b"<KNUMH></KNUMH>" in bad
    else:
        assert b"<MATNR>" not in bad
        assert b"<MATERIAL>" in bad


def test_it_stops_while_a_request_hangs(erp: SoapErp) -> None:
    erp.faults.arm("hang")
    call = urllib.request.Request(f"{erp.address}/soap", request("Ping"))  # noqa: S310  loopback
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(call, timeout=0.2)  # noqa: S310  loopback
    erp.stop()
