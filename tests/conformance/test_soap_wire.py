"""SOAP-3, 6, 8, 9, 11, 13 and the shapes of SOAP answers, against practice ERPs that write them."""

from __future__ import annotations

import io
import logging
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors import PROTOCOLS
from connectors.formats import locate, read_page
from connectors.formats.raw import RawChunk, ReadPlan
from connectors.protocol import Page
from connectors.soap_answer import Scan
from connectors.soap_walk import Walk
from mappings.errors import Misconfigured, SourceChanged, Transient
from mappings.feeds import FEEDS
from mappings.plans import plans
from mappings.reading import read_mapping
from mappings.settings import REPOSITORY
from mappings.sources import SoapSource
from sandbox.dataset import Dataset, load
from sandbox.soap.wsdl import INTERNAL
from tests.conformance.soap_erp import connector_of, prices, read, serving
from transforms.mapping import mappers

SEARCH = {
    "page": {
        "request": "SEARCHID",
        "response": "SEARCHID",
        "operation": "SearchMore",
        "index_request": "PAGE",
        "pages": "PAGES",
    }
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("tiny").of("anvil")


def keys(content: bytes) -> list[bytes]:
    return re.findall(rb"KNUMH>([^<&]+)(?:<|&lt;)/", content)


def sent(data: Dataset) -> list[bytes]:
    return [key.encode() for key in data["price"]["header_key"].to_pylist()]


def rows(content: bytes, source: SoapSource, *paths: str) -> list[dict[str, str | None]]:
    """Records of one page as the reader gives them."""
    found = read_page(io.BytesIO(content), ReadPlan("price", source, paths), 1, {})
    chunks = [c for c in found if isinstance(c, RawChunk)]
    return pa.concat_tables([c.columns for c in chunks]).to_pylist() if chunks else []


def bodies(pages: list[Page]) -> list[bytes]:
    return [b"".join(page.content) for page in pages]


# --- drift, numbers, addresses --------------------------------------------------------------------


def test_SOAP_6_an_element_that_nobody_declared_is_read_over_and_said(
    data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(data) as erp, connector_of(erp) as connector:
        erp.faults.arm("new_element", where="GetConditionList", after=1)
        with caplog.at_level(logging.WARNING):
            _, content, end = read(connector, prices())
        assert keys(content) == sent(data)
        assert end.complete
        (note,) = end.notes
        assert note == "drift: CONDITIONS/item holds ZZNEU, which the WSDL does not declare"
        assert note in caplog.text
        assert read(connector, prices())[2].notes == ()


def test_SOAP_8_a_decimal_is_exact_from_the_wire_to_the_column(data: Dataset) -> None:
    exact = "61676.98440000000000000001"
    mapping = read_mapping(REPOSITORY / "mappings" / "erps" / "anvil.yaml")
    plan = plans(FEEDS["prices"], mapping.feeds["prices"])[0]
    with serving(data) as erp, connector_of(erp) as connector:
        pages, _, _ = read(connector, plan.source)
        (page, *_) = bodies([next(connector.read(plan.source, None))])
    assert pages
    seen = iter((b"1.10", b"0.30", exact.encode(), b"123456789012.123456-"))
    page = re.sub(rb"(?<=<KBETR>)[^<]*", lambda old: next(seen, old[0]), page)
    reading = ReadPlan(plan.part, plan.source, plan.paths)
    (chunk,) = read_page(io.BytesIO(page), reading, 1, {})
    assert isinstance(chunk, RawChunk)
    assert chunk.columns["KBETR"].to_pylist()[:3] == ["1.10", "0.30", exact]
    mapped = mappers(mapping, "prices")["price"].map(chunk)
    column = mapped.table["unit_price"]
    assert pa.types.is_decimal(column.type)
    assert column.to_pylist()[:2] == [Decimal("1.10"), Decimal("0.30")]
    # more digits than the column holds are a rejection, never a nearer number
    assert column.to_pylist()[2] is None
    assert exact in [raw for p in mapped.problems for raw in p.raw.filter(p.mask).to_pylist()]


def test_SOAP_8_nil_missing_and_empty_are_three_values() -> None:
    source = prices(namespaces={"xsi": "http://www.w3.org/2001/XMLSchema-instance"}, page=None)
    cells = ('<A xsi:nil="true"/>', "", "<A/>", "<A>0</A>", "<A></A>")
    body = "".join(f"<item><K>{i}</K>{cell}</item>" for i, cell in enumerate(cells)) * 20
    answer = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body><R><CONDITIONS>'
        f"{body}</CONDITIONS></R></e:Body></e:Envelope>"
    )
    wanted = [(None, "true"), (None, None), ("", None), ("0", None), ("", None)] * 20
    found = rows(answer.encode(), source, "A", "A/@xsi:nil")
    assert [(row["A"], row["A/@xsi:nil"]) for row in found] == wanted
    # the same by the pattern for records written alike, where nobody asks for the attribute
    plain = rows(answer.encode(), source, "K", "A")
    assert [row["A"] for row in plain] == [text for text, _ in wanted]


def test_SOAP_9_calls_go_to_the_endpoint_of_the_connection_not_of_the_wsdl(data: Dataset) -> None:
    with serving(data) as erp, connector_of(erp) as connector:
        assert INTERNAL.startswith("http://erp-internal.invalid")
        assert read(connector, prices())[2].complete
        assert erp.requests.count("GetConditionList") == 3


def test_SOAP_13_netsuites_end_is_said_and_there_is_another_way(
    data: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "urn:platform_2025_2.webservices.netsuite.com"
    with serving(data, namespace=uri) as erp, connector_of(erp) as connector:
        with caplog.at_level(logging.WARNING):
            assert "2028.2" in connector.check()
        assert any("2028.2" in note for note in read(connector, prices())[2].notes)
    assert "2028.2" in caplog.text
    assert {"rest", "odata"} & set(PROTOCOLS)
    with serving(data) as erp, connector_of(erp) as connector:
        assert "2028.2" not in connector.check()


# --- paging ---------------------------------------------------------------------------------------


def test_pages_by_a_search_id_that_stays(data: Dataset) -> None:
    with serving(data, paging="search") as erp, connector_of(erp) as connector:
        pages, content, end = read(connector, prices(**SEARCH))
        assert [page.records for page in pages] == [50, 50, 20]
        assert erp.requests[-3:] == ["GetConditionList", "SearchMore", "SearchMore"]
    assert keys(content) == sent(data)
    assert (end.complete, end.declared) == (True, 120)


@pytest.mark.parametrize("paging", ["token", "search"])
def test_SOAP_11_a_forgotten_search_begins_anew_and_brings_each_record_once(
    data: Dataset, paging: Any
) -> None:
    more = SEARCH if paging == "search" else {}
    where = "SearchMore" if paging == "search" else "GetConditionList"
    with serving(data, paging=paging) as erp, connector_of(erp) as connector:
        erp.faults.arm("search_expired", where=where, after=1 if paging == "search" else 2)
        pages, content, end = read(connector, prices(**more))
    assert erp.faults.taken == ["search_expired"]
    assert [page.restart for page in pages] == [True, False, False]
    assert keys(content) == sent(data)
    assert (end.complete, end.declared) == (True, 120)
    assert any("begun anew" in note for note in end.notes)


def test_SOAP_11_a_search_that_is_always_forgotten_ends(data: Dataset) -> None:
    with serving(data) as erp, connector_of(erp) as connector:
        erp.faults.arm("search_expired", times=None, where="GetConditionList")
        with pytest.raises(Transient) as caught:
            read(connector, prices())
    assert caught.value.code == "search_expired"
    assert erp.requests.count("GetConditionList") == 6


# --- shapes ---------------------------------------------------------------------------------------


def test_soap_1_2_is_spoken(data: Dataset) -> None:
    with serving(data, version="1.2") as erp, connector_of(erp) as connector:
        _, content, end = read(connector, prices())
        erp.faults.arm("session_expired", times=None, where="GetConditionList")
        with pytest.raises(Misconfigured):
            read(connector, prices())
    assert end.complete
    assert keys(content) == sent(data)


def test_rpc_encoded_is_spoken(data: Dataset) -> None:
    source = prices(
        request={"MAXROWS": "50", "NEXT": ""},
        page={"request": "NEXT", "response": "RESULT/NEXT"},
        records="RESULT/CONDITIONS/item",
        count="RESULT/TOTALCOUNT",
        error="RESULT/RETURN/TYPE",
    )
    with serving(data, style="rpc") as erp, connector_of(erp) as connector:
        pages, content, end = read(connector, source)
    assert [page.records for page in pages] == [50, 50, 20]
    assert end.complete
    assert keys(content) == sent(data)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_records_behind_references_are_read_as_if_they_stood_there(
    data: Dataset, version: str
) -> None:
    """Axis 1: every record is empty and points behind the answer."""
    source = prices(
        request={"MAXROWS": "50", "NEXT": ""},
        page={"request": "NEXT", "response": "RESULT/NEXT"},
        records="RESULT/CONDITIONS/item",
        count="RESULT/TOTALCOUNT",
        error="RESULT/RETURN/TYPE",
        references=True,
    )
    habits: dict[str, Any] = {"style": "rpc", "references": True, "version": version}
    with serving(data, **habits) as erp, connector_of(erp) as connector:
        pages, _, end = read(connector, source)
    assert [page.records for page in pages] == [50, 50, 20]
    assert end.complete
    assert b"multiRef" in bodies(pages)[0], "the bytes are landed as they came"
    found = [row["KNUMH"] for body in bodies(pages) for row in rows(body, source, "KNUMH")]
    assert [key.encode() for key in found if key] == sent(data)
    place = slice(
        *locate(io.BytesIO(bodies(pages)[1]), ReadPlan("price", source, ("KNUMH",)), "price", 3)
    )
    evidence = bodies(pages)[1][place]
    assert evidence.startswith(b"<multiRef")
    assert evidence.endswith(b"</multiRef>")
    assert keys(evidence) == sent(data)[52:53]


def test_records_that_are_references_are_refused_by_name() -> None:
    """The mapping does not say so: no page of empty records."""
    items = "".join(f'<item href="#id{n}"/>' for n in range(3))
    refs = "".join(f'<multiRef id="id{n}"><KNUMH>{n}</KNUMH></multiRef>' for n in range(3))
    answer = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><R><CONDITIONS>'
        f"{items}</CONDITIONS><TOTALCOUNT>3</TOTALCOUNT></R>{refs}</e:Body></e:Envelope>"
    )
    scan = Scan(prices())
    scan.feed(answer.encode())
    with pytest.raises(SourceChanged, match="references: true") as told:
        Walk(prices(), "anvil", None).add(scan.close())
    assert told.value.code == "multiref"


def test_drift_is_of_the_listing_that_has_it_where_several_share_a_session(data: Dataset) -> None:
    mapping = read_mapping(REPOSITORY / "mappings" / "erps" / "anvil.yaml")
    sources = [plan.source for plan in plans(FEEDS["products"], mapping.feeds["products"])]
    with serving(data) as erp, connector_of(erp) as connector:
        erp.faults.arm("new_element", where="GetConditionList", times=1)
        noted = [read(connector, source)[2].notes for source in (*sources, prices(), *sources)]
    assert ["ZZNEU" in "".join(notes) for notes in noted] == (
        [False] * len(sources) + [True] + [False] * len(sources)
    )
    assert sum(map(len, noted)) == 1


def test_requests_by_xsd_any(data: Dataset) -> None:
    with serving(data, any_request=True) as erp, connector_of(erp) as connector:
        pages, content, _ = read(connector, prices())
    assert [page.records for page in pages] == [50, 50, 20]
    assert keys(content) == sent(data)


def test_answers_in_header_and_body(data: Dataset) -> None:
    source = prices(
        page={"request": "NEXT", "response": "/Header/Paging/NEXT"},
        count="/Header/Paging/TOTALCOUNT",
    )
    with serving(data, header=True) as erp, connector_of(erp) as connector:
        _, content, end = read(connector, source)
    assert (end.complete, end.declared) == (True, 120)
    assert keys(content) == sent(data)


@pytest.mark.parametrize("answer", ["cdata", "escaped"])
def test_records_that_are_a_text_inside_the_answer(data: Dataset, answer: Any) -> None:
    payload = {"kind": "xml", "records": "item"}
    source = prices(records="CONDITIONS", payload=payload)
    found: list[dict[str, str | None]] = []
    with serving(data, answer=answer) as erp, connector_of(erp) as connector:
        for page in connector.read(source, None):
            assert page.records is None
            (content,) = bodies([page])
            found += rows(content, source, "KNUMH", "KBETR")
            start, end = locate(
                io.BytesIO(content), ReadPlan("price", source, ("KNUMH",)), "price", 3
            )
            assert content[start:end].startswith(b"<CONDITIONS>")
    assert [row["KNUMH"] for row in found] == [key.decode() for key in sent(data)]


def test_csv_that_is_a_text_inside_the_answer() -> None:
    source = prices(records="CONDITIONS", payload={"kind": "csv", "encoding": "cp1254"})
    answer = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><R><CONDITIONS>'
        "<![CDATA[K;T\r\n1;Çağ & Söhne\r\n]]>2;x &lt; y\n</CONDITIONS></R></e:Body></e:Envelope>"
    )
    assert rows(answer.encode(), source, "K", "T") == [
        {"K": "1", "T": "Çağ & Söhne"},
        {"K": "2", "T": "x < y"},
    ]


def test_answers_in_parts_are_landed_whole_and_read(data: Dataset, tmp_path: Path) -> None:
    with serving(data, answer="mtom") as erp, connector_of(erp, cache=tmp_path) as connector:
        pages, content, end = read(connector, prices())
        document = erp.dataset["document"].to_pylist()[0]
        pdf = b"".join(connector.fetch(document["location"]))
    assert end.complete
    assert [page.records for page in pages] == [50, 50, 20]
    assert content.startswith(b"--uuid-practice")
    assert pdf.startswith(b"%PDF")
    with serving(data, answer="mtom") as erp, connector_of(erp) as connector:
        (first, *_) = bodies([next(connector.read(prices(), None))])
    found = rows(first, prices(), "KNUMH")
    assert [row["KNUMH"] for row in found] == [key.decode() for key in sent(data)[:50]]
    start, end_of = locate(io.BytesIO(first), ReadPlan("price", prices(), ("KNUMH",)), "price", 2)
    assert first[start:end_of].startswith(b"<item><KNUMH>" + sent(data)[1])
