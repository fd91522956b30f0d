"""Pages over HTTP: every row once, the way on is the server's word, the end is proved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from connectors.odata_page import largest, literal
from connectors.rest_page import next_link
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources import ODataSource
from sandbox.rest import RestErp
from tests.conformance.practice_rest import (
    connection,
    drain,
    entity,
    items,
    keys,
    odata,
    question,
    rest,
)

ALL = [f"A{n:05}" for n in range(1, 46)]
OFFSET = {"page": {"by": "offset", "offset": "offset"}, "count": "meta/total"}


@pytest.fixture(scope="module")
def server() -> Iterator[RestErp]:
    with RestErp() as one:
        yield one


@pytest.fixture
def erp(server: RestErp) -> RestErp:
    server.reset({"prices": items(45)})
    return server


STYLES: list[tuple[str, dict[str, Any]]] = [
    ("offset", OFFSET),
    ("offset", {"page": {"by": "offset", "offset": "offset", "limit": "limit", "size": 10},
                "count": "meta/total"}),
    ("page", {"page": {"by": "page", "page": "page"}, "count": "total"}),
    ("page", {"page": {"by": "page", "page": "page", "pages": "pages"}, "count": "total"}),
    ("cursor", {"page": {"by": "cursor", "cursor": "after", "next": "next"}, "count": "total"}),
    ("link", {"page": {"by": "link", "limit": "limit", "size": 7}, "records": ".",
              "count_header": "X-Total-Count"}),
    ("whole", {}),
]  # fmt: skip


@pytest.mark.parametrize(("style", "words"), STYLES, ids=lambda v: v if isinstance(v, str) else "")
def test_every_kind_of_paging_brings_every_row_once_and_proves_it(
    erp: RestErp, style: str, words: dict[str, Any]
) -> None:
    source = question(f"{style}/prices", **words)
    with rest(erp) as connector:
        pages, end = drain(connector.read(source, None))
    assert keys(pages, source.records) == ALL
    assert end.complete, end.reason
    assert [page.name for page in pages] == [f"{n:06}.json" for n in range(1, len(pages) + 1)]


def test_REST_9_links_to_a_foreign_host_are_followed_on_our_own(erp: RestErp) -> None:
    """The practice ERP names its inner host in Link headers, as ERPs behind proxies do."""
    source = question("link/prices", page={"by": "link"}, records=".")
    with rest(erp) as connector:
        pages, _ = drain(connector.read(source, None))
    assert keys(pages, ".") == ALL
    assert {one.headers["host"] for one in erp.received} == {erp.address.removeprefix("http://")}


@pytest.mark.parametrize(
    ("header", "link"),
    [
        ('<https://x/y?a=1&b=2>; rel="next"', "https://x/y?a=1&b=2"),
        ('</first>; rel="first", </n>; title="a, b"; rel="next"', "/n"),
        ("</n>; rel=next", "/n"),
        ('</n>; rel="last next"', "/n"),
        ('</n>; rel="nextish"', None),
        ('</p>; rel="prev"', None),
        ("", None),
    ],
)
def test_REST_9_the_next_of_a_link_header_is_found(header: str, link: str | None) -> None:
    assert next_link(header) == link


def test_REST_9_a_repeated_token_is_refused(erp: RestErp) -> None:
    erp.faults.arm("repeated_link", times=None)
    paging = {"by": "cursor", "cursor": "after", "next": "next"}
    with rest(erp) as connector, pytest.raises(BatchRefused) as caught:
        drain(connector.read(question("cursor/prices", page=paging), None))
    assert caught.value.code == "repeated_page"


def test_REST_9_a_repeated_link_is_refused(erp: RestErp) -> None:
    erp.faults.arm("repeated_link", times=None)
    where = connection(erp, service_root=f"{erp.address}/b1s/v2")
    with odata(where) as connector, pytest.raises(BatchRefused) as caught:
        drain(connector.read(entity("prices"), None))
    assert caught.value.code == "repeated_link"


def test_REST_9_an_erp_that_ignores_our_offset_is_noticed_at_the_second_page(
    erp: RestErp,
) -> None:
    with rest(erp) as connector, pytest.raises(BatchRefused) as caught:
        drain(connector.read(question("deaf/prices", page=OFFSET["page"]), None))
    assert caught.value.code == "repeated_page"
    assert len(erp.requests) == 2


@pytest.mark.parametrize("size", [None, 7, 1000])
def test_REST_10_whatever_page_size_the_server_has_all_rows_come(
    erp: RestErp, size: int | None
) -> None:
    """Business One: 20 a page unless its own header asks; $top and Prefer mean nothing to it."""
    headers = {"B1S-PageSize": str(size)} if size else {}
    source = entity("prices", page_size=500, headers=headers)
    with odata(connection(erp, service_root=f"{erp.address}/b1s/v2")) as connector:
        pages, end = drain(connector.read(source, None))
    assert keys(pages, "value") == ALL
    assert end.complete
    assert len(pages) == -(-45 // (size or 20))
    asked = [one for one in erp.received if "$count" not in one.path]
    assert {one.headers.get("b1s-pagesize") for one in asked} == {str(size) if size else None}
    assert all(one.headers["prefer"] == "odata.maxpagesize=500" for one in asked)


def test_REST_10_the_header_survives_a_new_sign_in(erp: RestErp) -> None:
    erp.faults.arm("maintenance", where="$skip", after=1)
    source = entity("prices", headers={"B1S-PageSize": "9"})
    with odata(connection(erp, service_root=f"{erp.address}/b1s/v2")) as connector:
        drain(connector.read(source, None))
    assert {one.headers.get("b1s-pagesize") for one in erp.received} == {"9"}


@pytest.mark.parametrize("paging", ["seek", "skip"])
def test_REST_11_paging_of_our_own_brings_every_row(erp: RestErp, paging: str) -> None:
    words = {"seek": {"key": "no"}, "skip": {"order": "no"}}[paging]
    source = entity("prices", paging=paging, page_size=10, **words)
    with odata(connection(erp, service_root=f"{erp.address}/b1s/v2")) as connector:
        pages, end = drain(connector.read(source, None))
    assert keys(pages, "value") == ALL
    assert end.complete, end.reason


def test_REST_11_seek_neither_loses_nor_doubles_while_rows_come_and_go(erp: RestErp) -> None:
    source = entity("prices", paging="seek", key="no", page_size=10)
    asked = 0

    def meanwhile(_: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:  # behind us one goes, and one comes; before us one comes
            rows = erp.records["prices"]
            erp.records["prices"] = [
                {"no": "A00000", "price": 1},
                *(one for one in rows if one["no"] != "A00003"),
                {"no": "A00099", "price": 1},
            ]

    erp.before = meanwhile
    with odata(connection(erp, service_root=f"{erp.address}/b1s/v2")) as connector:
        pages, end = drain(connector.read(source, None))
    assert keys(pages, "value") == [*ALL, "A00099"]
    assert not end.complete  # and so nothing is deleted by it


def test_REST_11_skip_that_shifts_is_no_proof_of_anything(erp: RestErp) -> None:
    source = question("offset/prices", **OFFSET)

    def meanwhile(_: str) -> None:
        erp.records["prices"].pop(0)

    erp.before = meanwhile
    with rest(erp) as connector:
        _, end = drain(connector.read(source, None))
    assert not end.complete
    assert "moved" in end.reason


def test_REST_11_words_that_do_not_belong_together_are_refused() -> None:
    for words in ({"paging": "seek", "page_size": 10}, {"paging": "skip", "order": "no"},
                  {"delta": "link", "cursor": "changed"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"paging|delta"):
            entity("prices", **words)


def test_REST_12_a_count_that_the_rows_do_not_meet_is_not_complete(erp: RestErp) -> None:
    erp.faults.arm("count_mismatch", times=None)
    with rest(erp) as connector:
        _, end = drain(connector.read(question("offset/prices", **OFFSET), None))
    assert (end.complete, end.declared) == (False, 46)
    assert "declared 46 records and sent 45" in end.reason


def test_REST_12_pages_without_a_count_are_no_proof(erp: RestErp) -> None:
    source = question("offset/prices", page=OFFSET["page"])
    with rest(erp) as connector:
        _, end = drain(connector.read(source, None))
    assert not end.complete


# --- values and filters of version 2 ------------------------------------------------------------


@pytest.mark.parametrize(
    ("cursor", "version", "expected"),
    [
        ("/Date(1769853600000)/", "2", "datetime'2026-01-31T10:00:00'"),
        ("/Date(1769853600999)/", "2", "datetime'2026-01-31T10:00:00'"),
        ("/Date(-1)/", "2", "datetime'1969-12-31T23:59:59'"),
        ("/Date(1769853600000+0060)/", "2", "datetimeoffset'2026-01-31T10:00:00Z'"),
        ("2026-01-31T10:00:00.1234567", "2", "datetime'2026-01-31T10:00:00'"),
        ("2026-01-31T10:00:00+01:00", "2", "datetimeoffset'2026-01-31T10:00:00+01:00'"),
        ("2026-01-31T10:00:00.1234567Z", "4", "2026-01-31T10:00:00.1234567Z"),
        ("12.50", "2", "12.50"),  # no m, no quotes
        ("O'Neil", "2", "'O''Neil'"),
    ],
)
def test_REST_14_a_cursor_stands_in_a_filter_as_its_version_wants_it(
    cursor: str, version: str, expected: str
) -> None:
    """Version 2 has whole seconds: what is cut off is read twice, never missed."""
    assert literal(cursor, version) == expected


def test_REST_13_ticks_and_instants_of_one_kind_are_compared_as_what_they_are() -> None:
    assert largest(["/Date(999)/", "/Date(1000)/"]) == "/Date(1000)/"
    assert largest(["/Date(1000+0060)/", "/Date(1001-0480)/"]) == "/Date(1001-0480)/"


def test_REST_14_conditions_stand_in_brackets_of_their_own(erp: RestErp) -> None:
    erp.records["Orders"] = []
    source = ODataSource.model_validate(
        {"protocol": "odata", "entity": "Orders", "version": "2", "cursor": "ChangedAt",
         "filter": "Plant eq '1' or Plant eq '2'", "order": "OrderNo"}
    )  # fmt: skip
    with odata(connection(erp)) as connector, pytest.raises(SourceChanged):
        drain(connector.read(source, "/Date(1769853600000)/"))
    condition = (
        "(Plant%20eq%20'1'%20or%20Plant%20eq%20'2')%20and%20"
        "(ChangedAt%20ge%20datetime'2026-01-31T10:00:00')"
    )
    assert erp.requests == [
        f"GET /Orders?$filter={condition}&$orderby=OrderNo&$inlinecount=allpages"
    ]
    assert erp.received[0].headers["accept"] == "application/json"


# --- deltas and periods -------------------------------------------------------------------------


def test_a_cursor_goes_into_its_parameter_as_the_text_that_it_is(erp: RestErp) -> None:
    source = question("offset/prices", since="changed_from", cursor="changed", **OFFSET)
    with rest(erp) as connector:
        _, first = drain(connector.read(source, None))
        assert first.cursor == "2026-01-01T23:00:00Z"
        pages, end = drain(connector.read(source, "2026-01-01T22:00:00+00:00"))
    assert "changed_from=2026-01-01T22:00:00%2B00:00" in erp.requests[-1]
    assert set(keys(pages)) == {"A00022", "A00023"}
    assert end.complete
    with rest(erp) as connector, pytest.raises(Misconfigured) as caught:
        drain(connector.read(question("offset/prices"), "2026-01-01"))
    assert caught.value.code == "cursor"


def test_REST_25_a_new_period_is_read_and_the_old_ones_open_items_stay(erp: RestErp) -> None:
    erp.records["open_items"] = [
        *items(3, period="12"), *({**one, "no": f"B{one['no']}"} for one in items(2, period="13")),
    ]  # fmt: skip
    source = question(
        "offset/open_items",
        each={
            "parameter": "period",
            "values": [
                {"value": "12", "ends": "2027-03-31"},
                {"value": "13", "starts": "2027-01-01"},
            ],
        },
        **OFFSET,
    )
    for today, found in (
        (date(2026, 12, 31), 3),
        (date(2027, 1, 1), 5),  # both: nothing of the old year is lost over night
        (date(2027, 3, 31), 5),
        (date(2027, 4, 1), 2),
    ):
        with rest(erp, today=lambda day=today: day) as connector:
            pages, end = drain(connector.read(source, None))
        assert len(keys(pages)) == found == end.declared
        assert end.complete
    assert source.each is not None
    first = source.each.model_copy(update={"values": source.each.values[:1]})
    only = source.model_copy(update={"each": first})
    with (
        rest(erp, today=lambda: date(2028, 1, 1)) as connector,
        pytest.raises(Misconfigured, match="no value of `each`"),
    ):
        drain(connector.read(only, None))


def test_REST_24_dates_are_sent_as_they_came_whatever_the_machines_culture(
    erp: RestErp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LANG"):
        monkeypatch.setenv(name, "tr_TR.UTF-8")
    monkeypatch.setenv("TZ", "Europe/Istanbul")
    source = question("offset/prices", since="changed_from", cursor="changed", **OFFSET)
    stamp = datetime(2026, 1, 1, 9, 5, tzinfo=UTC).isoformat()
    with rest(erp) as connector:
        drain(connector.read(source, stamp))
    assert erp.requests[0] == (
        "GET /offset/prices?changed_from=2026-01-01T09:05:00%2B00:00&offset=0"
    )


def test_REST_27_codes_are_found_in_either_case_where_the_mapping_says_so(erp: RestErp) -> None:
    """Business One on HANA tells c1 from C1 unless the header asks it not to."""
    erp.records["BusinessPartners"] = [{"no": "C1"}, {"no": "C2"}]
    where = connection(erp, service_root=f"{erp.address}/b1s/v2")
    found = {}
    for rule in ("false", "true"):
        for code in ("c1", "C1"):
            headers = {"B1S-CaseInsensitive": rule}
            source = entity("BusinessPartners", filter=f"no eq '{code}'", headers=headers)
            with odata(where) as connector:
                found[rule, code] = keys(drain(connector.read(source, None))[0], "value")
    assert found == {
        ("false", "c1"): [],
        ("false", "C1"): ["C1"],
        ("true", "c1"): ["C1"],
        ("true", "C1"): ["C1"],
    }
