"""OData's two versions on the wire: decimals, instants, delta links, tombstones."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from connectors.formats import read_page
from connectors.formats.raw import RawChunk, ReadPlan
from mappings.errors import SourceChanged
from mappings.sources import ODataSource
from tests.conformance.practice_rest import drain, entity
from tests.connectors.test_odata_answers import answer, scripted
from tests.transforms.test_steps import value

OLDER = ODataSource.model_validate(
    {"protocol": "odata", "entity": "Orders", "version": "2", "cursor": "ChangedAt"}
)


def body(records: list[dict[str, Any]], **more: Any) -> bytes:
    return answer(json.dumps({"value": records, **more}).encode())


def column(page: bytes, source: ODataSource, path: str) -> list[Any]:
    plan = ReadPlan("order", source, (path,))
    (chunk,) = read_page(io.BytesIO(page), plan, 1, {})
    assert isinstance(chunk, RawChunk)
    return chunk.columns[path].to_pylist()


def test_REST_13_version_2_decimals_and_instants_arrive_as_the_texts_they_are() -> None:
    rows = [
        {"No": "1", "Net": "12345678901234.123456", "ChangedAt": "/Date(1769853600123)/"},
        {"No": "2", "Net": "-0.10", "ChangedAt": "/Date(1769853600000+0060)/"},
    ]
    page = json.dumps({"d": {"results": rows, "__count": "2"}}).encode()
    with scripted(answer(page)) as (connector, asked):
        pages, end = drain(connector.read(OLDER, None))
    assert (end.complete, end.cursor) == (True, "/Date(1769853600123)/")
    assert "GET /api/Orders?$inlinecount=allpages " in asked[0]
    landed = b"".join(pages[0].content)
    assert column(landed, OLDER, "Net") == ["12345678901234.123456", "-0.10"]
    stamps = column(landed, OLDER, "ChangedAt")
    assert [value("odata_epoch", one) for one in stamps] == [
        "2026-01-31T10:00:00.123000Z",
        "2026-01-31T10:00:00Z",
    ]


def test_REST_13_version_4_numbers_keep_every_digit() -> None:
    page = b'{"value":[{"Net":12345678901234.123456},{"Net":0.1},{"Net":1e2},{"Net":7}]}'
    found = column(page, entity("Orders"), "Net")
    assert found == ["12345678901234.123456", "0.1", "1e2", "7"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T10:00:00.1234567Z", "2026-01-31T10:00:00.123456Z"),
        ("2026-01-31T11:00:00.1234567+01:00", "2026-01-31T10:00:00.123456Z"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
    ],
)
def test_REST_13_seven_digits_and_offsets_parse(text: str, instant: str) -> None:
    cut = value("cut_to_micros", text)
    assert value("iso_instant", cut) == instant


DELTA = entity("Customers", delta="link")
LINK = "https://inside.example/api/Customers?$deltatoken=abc%2F1"


def test_a_delta_link_is_the_cursor_and_is_followed_as_it_came() -> None:
    first = body([{"No": "1"}], **{"@odata.nextLink": "Customers?$skiptoken=2"})
    last = body([{"No": "2"}], **{"@odata.deltaLink": LINK})
    with scripted(first, last) as (connector, asked):
        pages, end = drain(connector.read(DELTA, None))
    assert (len(pages), end.cursor) == (2, LINK)
    assert "prefer: odata.track-changes" in asked[0].lower()
    gone = {"@removed": {"reason": "deleted"}, "No": "1"}
    later = body([gone, {"No": "3"}], **{"@odata.deltaLink": f"{LINK}2"})
    with scripted(later) as (connector, asked):
        pages, end = drain(connector.read(DELTA, LINK))
    assert asked[0].startswith("GET /api/Customers?$deltatoken=abc%2F1 ")
    assert (pages[0].records, end.cursor) == (2, f"{LINK}2")


@pytest.mark.parametrize("status", ["410 Gone", "400 Bad Request", "404 Not Found"])
def test_a_delta_link_that_the_erp_forgot_asks_for_everything_anew(status: str) -> None:
    with scripted(answer(b"{}", status)) as (connector, _), pytest.raises(SourceChanged) as caught:
        drain(connector.read(DELTA, LINK))
    assert caught.value.code == "cursor_expired"


def test_a_link_lost_in_mid_paging_is_no_forgotten_cursor() -> None:
    first = body([{"No": "1"}], **{"@odata.nextLink": "Customers?$skiptoken=2"})
    lost = scripted(first, answer(b"{}", "410 Gone"))
    with lost as (connector, _), pytest.raises(SourceChanged) as caught:
        drain(connector.read(DELTA, LINK))
    assert caught.value.code == "gone"
