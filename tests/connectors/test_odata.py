"""The OData connector against the practice ERP: paging, sign-in, faults, completeness, deltas."""

import gzip
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.odata import ODataConnector
from connectors.protocol import End, Page
from mappings.connection import Connection
from mappings.errors import (
    BatchRefused,
    Misconfigured,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
)
from mappings.sources import ODataSource
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import SCHEMAS, key_texts
from sandbox.odata import ODataErp

SECRET = "s3cr3t-of-birch"
PRICES = ODataSource(protocol="odata", entity="SalesPrices", page_size=20, cursor="ModifiedAt")


@pytest.fixture(scope="module")
def birch() -> Dataset:
    return load("tiny").of("birch")


@pytest.fixture(scope="module")
def server(birch: Dataset) -> Iterator[ODataErp]:
    with ODataErp(birch, client_id="waybill", client_secret=SECRET) as one:
        yield one


@pytest.fixture
def erp(server: ODataErp, birch: Dataset) -> ODataErp:
    server.reset(birch)
    return server


@pytest.fixture
def connector(erp: ODataErp) -> Iterator[ODataConnector]:
    with connect(erp) as one:
        yield one


def connect(erp: ODataErp, secret: str = SECRET, **limits: Any) -> ODataConnector:
    given = erp.connection()
    extra = {**given["extra"], "client_secret": secret}
    connection = Connection("birch", "http", given["host"], given["port"], extra=extra)
    return ODataConnector(connection, "birch", **{"tries": 2, "request_timeout": 5.0, **limits})


def drain(walk: Generator[Page, None, End]) -> tuple[list[Page], End]:
    pages: list[Page] = []
    while True:
        try:
            pages.append(next(walk))
        except StopIteration as stop:
            return pages, stop.value


def rows(pages: list[Page]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in pages:
        found += msgspec.json.decode(b"".join(page.content))["value"]
    return found


def price_keys(pages: list[Page]) -> list[str]:
    return [f"{row['PriceNo']}|{row['MinimumQuantity']}" for row in rows(pages)]


# --- paging and completeness --------------------------------------------------------------------


@pytest.mark.parametrize("links", ["absolute", "relative"])
def test_rest_9_paging_follows_next_links_to_their_end(
    connector: ODataConnector, erp: ODataErp, birch: Dataset, links: Any
) -> None:
    erp.links = links
    pages, end = drain(connector.read(PRICES, None))
    total = birch["price"].num_rows
    assert [page.records for page in pages] == [20] * (total // 20) + [total % 20]
    assert len({page.name for page in pages}) == len(pages)
    assert len(set(price_keys(pages))) == total
    assert end.complete
    assert end.declared == total == pages[0].declared
    newest = pc.max(birch["price"]["modified_at"]).as_py()
    assert end.cursor == newest.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    assert end.server_at is not None
    assert any(note.startswith("etag=") for note in end.notes)


def test_rest_10_a_server_that_ignores_the_page_size_still_yields_all_rows(
    connector: ODataConnector, birch: Dataset
) -> None:
    wish = PRICES.model_copy(update={"page_size": 1_000_000})
    pages, end = drain(connector.read(wish, None))
    assert len(rows(pages)) == birch["price"].num_rows
    assert end.complete


def test_an_empty_set_is_a_complete_answer(connector: ODataConnector) -> None:
    pages, end = drain(
        connector.read(PRICES.model_copy(update={"entity": "ItemSubstitutes"}), None)
    )
    assert rows(pages) == []
    assert (end.complete, end.cursor, end.declared) == (True, None, 0)


def test_rest_9_a_repeated_link_is_refused(connector: ODataConnector, erp: ODataErp) -> None:
    erp.faults.arm("repeated_link", where="skiptoken", after=1)
    with pytest.raises(BatchRefused) as caught:
        drain(connector.read(PRICES, None))
    assert caught.value.code == "repeated_link"


def test_rest_12_a_count_that_the_pages_do_not_hold_is_not_complete(
    connector: ODataConnector, erp: ODataErp
) -> None:
    erp.faults.arm("count_mismatch")
    _, end = drain(connector.read(PRICES, None))
    assert not end.complete
    assert "declared 91 records and sent 90" in end.reason


def test_rest_11_rows_that_come_between_pages_shift_nothing_and_are_noticed(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    price = birch["price"]
    late = price.slice(0, 1).set_column(1, price.schema.field("header_key"), [["PC-ZZZ"]])
    early = price.slice(0, 1).set_column(1, price.schema.field("header_key"), [["PC-000"]])
    walk = connector.read(PRICES, None)
    first = next(walk)
    erp.dataset = birch.replace(price=pa.concat_tables([price, late, early]))
    pages, end = drain(walk)
    keys = price_keys([first, *pages])
    assert len(keys) == len(set(keys))
    assert {key.split("|")[0] for key in keys} >= set(price["header_key"].to_pylist())
    assert not end.complete


def test_a_moved_count_with_nothing_missing_is_not_complete(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    price = birch["price"]
    early = price.slice(0, 1).set_column(1, price.schema.field("header_key"), [["PC-000"]])
    walk = connector.read(PRICES, None)
    next(walk)
    erp.dataset = birch.replace(price=pa.concat_tables([price, early]))
    _, end = drain(walk)
    assert not end.complete
    assert "moved from 90 to 91" in end.reason


def test_without_a_count_only_a_single_page_is_proof(connector: ODataConnector) -> None:
    silent = PRICES.model_copy(update={"count": False})
    _, end = drain(connector.read(silent, None))
    assert not end.complete
    _, end = drain(connector.read(silent.model_copy(update={"page_size": 500}), None))
    assert end.complete


def test_children_come_with_their_parents(connector: ODataConnector, birch: Dataset) -> None:
    source = ODataSource(protocol="odata", entity="SalesInvoices", expand=("InvoiceLines",))
    pages, _ = drain(connector.read(source, None))
    lines = [line for row in rows(pages) for line in row["InvoiceLines"]]
    assert len(lines) == birch["invoice_line"].num_rows


def test_decimals_come_as_exact_text(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    price = birch["price"].slice(0, 1)
    exact = pa.array(["123456789012.345678"], pa.string()).cast(pa.decimal128(18, 6))
    place = price.schema.get_field_index("unit_price")
    erp.dataset = birch.replace(price=price.set_column(place, price.schema.field(place), exact))
    pages, _ = drain(connector.read(PRICES, None))
    assert rows(pages)[0]["UnitPrice"] == "123456789012.345678"


def test_a_few_pages_are_asked_for_ahead_and_no_more(
    connector: ODataConnector, erp: ODataErp
) -> None:
    walk = connector.read(PRICES.model_copy(update={"page_size": 5}), None)  # 18 pages
    next(walk)
    until = time.monotonic() + 5
    while len(erp.requests) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(erp.requests) == 5  # one in hand, three waiting, one at the door
    walk.close()


# --- deltas -------------------------------------------------------------------------------------


def test_a_delta_asks_from_the_cursor_on_and_includes_it(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    stamps = sorted(set(birch["price"]["modified_at"].to_pylist()))
    middle = stamps[len(stamps) // 2]
    since = middle.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    pages, end = drain(connector.read(PRICES, since))
    expected = birch["price"].filter(pc.greater_equal(birch["price"]["modified_at"], middle))
    assert len(rows(pages)) == expected.num_rows > 0
    assert end.complete
    assert f"$filter=ModifiedAt%20ge%20{since}&" in erp.requests[0]
    offset = middle.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    again, _ = drain(connector.read(PRICES, offset))
    assert rows(again) == rows(pages)


def test_a_fixed_filter_is_combined_with_the_cursor(
    connector: ODataConnector, erp: ODataErp
) -> None:
    source = PRICES.model_copy(update={"filter": "Level eq 'List' and CurrencyCode eq 'EUR'"})
    pages, _ = drain(connector.read(source, "2026-01-01T00:00:00Z"))
    assert {row["Level"] for row in rows(pages)} <= {"List"}
    assert "(Level%20eq%20'List'%20and" in erp.requests[0]


def test_cur_11_deletions_come_as_markers_and_a_key_may_come_back(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    source = ODataSource(
        protocol="odata", entity="Customers", cursor="ModifiedAt", deleted=True, page_size=2
    )
    _, end = drain(connector.read(source, None))
    dealer = birch["dealer"]
    gone_at = max(dealer["modified_at"].to_pylist()) + timedelta(hours=1)
    keys = key_texts("dealer", dealer).to_pylist()[:2]
    marks = pa.table(
        {
            "erp": ["birch"] * 2,
            "table": ["dealer"] * 2,
            "key": keys,
            "modified_at": pa.array([gone_at] * 2, pa.timestamp("us", "UTC")),
        },
        schema=SCHEMAS["deleted"],
    )
    place = dealer.schema.get_field_index("modified_at")
    back_at = pa.array([gone_at + timedelta(hours=1)], pa.timestamp("us", "UTC"))
    back = dealer.slice(0, 1).set_column(place, dealer.schema.field(place), back_at)
    erp.dataset = birch.replace(deleted=marks, dealer=pa.concat_tables([dealer.slice(2), back]))
    pages, later = drain(connector.read(source, end.cursor))
    found = rows(pages)
    markers = [row for row in found if "@removed" in row]
    assert [row["CustomerNo"] for row in markers] == keys
    assert all(row["@removed"] == {"reason": "deleted"} for row in markers)
    returned = [row for row in found if row["CustomerNo"] == keys[0] and "@removed" not in row]
    assert len(returned) == 1
    assert returned[0]["ModifiedAt"] > markers[0]["ModifiedAt"]
    assert later.cursor == returned[0]["ModifiedAt"]
    assert later.complete
    without, _ = drain(connector.read(source.model_copy(update={"deleted": False}), end.cursor))
    assert all("@removed" not in row for row in rows(without))


def test_a_cursor_without_a_property_is_a_fault_of_the_mapping(connector: ODataConnector) -> None:
    with pytest.raises(Misconfigured) as caught:
        drain(connector.read(PRICES.model_copy(update={"cursor": None}), "2026-01-01T00:00:00Z"))
    assert caught.value.code == "cursor"


# --- signing in ---------------------------------------------------------------------------------


def test_check_says_what_is_there(connector: ODataConnector) -> None:
    assert connector.check() == "OData 4.0 at 127.0.0.1, 16 entity sets"


def test_rest_8_a_wrong_secret_is_tried_once_and_shown_nowhere(erp: ODataErp) -> None:
    started = time.monotonic()
    wrong = connect(erp, secret="wr0ng-secret", tries=4)
    with wrong as connector, pytest.raises(Misconfigured) as caught:
        connector.check()
    assert time.monotonic() - started < 10
    assert erp.sign_ins == 1
    assert caught.value.code == "auth"
    assert 'connection "birch"' in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert "wr0ng" not in repr(caught.value.__dict__)


def test_rest_6_a_forgotten_token_is_replaced_once_and_the_same_page_read(
    connector: ODataConnector, erp: ODataErp, birch: Dataset
) -> None:
    erp.faults.arm("session_expired", where="skiptoken", after=1)
    pages, end = drain(connector.read(PRICES, None))
    assert len(set(price_keys(pages))) == birch["price"].num_rows
    assert end.complete
    assert erp.sign_ins == 2


def test_rest_6_a_second_401_ends_it(connector: ODataConnector, erp: ODataErp) -> None:
    erp.faults.arm("session_expired", times=None, where="skiptoken")
    with pytest.raises(Misconfigured) as caught:
        drain(connector.read(PRICES, None))
    assert caught.value.code == "auth"
    assert erp.sign_ins == 2


def test_a_token_is_used_until_shortly_before_its_end(erp: ODataErp) -> None:
    with connect(erp) as connector:
        connector.check()
        connector.check()
        assert erp.sign_ins == 1
    erp.token_seconds = 0.2
    with connect(erp) as connector:
        connector.check()
        time.sleep(0.25)
        connector.check()
        assert erp.sign_ins == 3


def test_rest_5_parallel_workers_sign_in_once(connector: ODataConnector, erp: ODataErp) -> None:
    start = threading.Barrier(8)

    def check() -> str:
        start.wait()
        return connector.check()

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(check) for _ in range(8)]
        assert len({one.result() for one in answers}) == 1
    assert erp.sign_ins == 1


def test_credentials_never_leave_the_connections_host(erp: ODataErp, birch: Dataset) -> None:
    with ODataErp(birch, client_id="other", client_secret="other") as other:
        erp.link_host = f"127.0.0.1:{other.port}"
        with connect(erp) as connector:
            pages, _ = drain(connector.read(PRICES, None))
            with pytest.raises(Refused):
                list(connector.fetch(f"http://127.0.0.1:{other.port}/odata/v4/invoices/none.pdf"))
        assert len(rows(pages)) == birch["price"].num_rows
        assert other.requests == []
        assert other.sign_ins == 0


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["maintenance", "html_200", "truncated", "drop", "business_error", "rate_limit"]
)
def test_a_passing_fault_in_mid_paging_is_overcome(
    connector: ODataConnector, erp: ODataErp, birch: Dataset, fault: str
) -> None:
    erp.faults.arm(fault, where="skiptoken", after=1, seconds=1 if fault == "rate_limit" else 0)
    pages, end = drain(connector.read(PRICES, None))
    assert len(set(price_keys(pages))) == birch["price"].num_rows
    assert end.complete
    assert erp.faults.taken == [fault]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("maintenance", "maintenance"),
        ("html_200", "html"),
        ("truncated", "truncated"),
        ("drop", "dropped"),
        ("business_error", "error_in_body"),
    ],
)
def test_rest_20_21_a_lasting_fault_is_transient_and_never_data(
    connector: ODataConnector, erp: ODataErp, fault: str, code: str
) -> None:
    erp.faults.arm(fault, times=None, where="skiptoken")
    walk = connector.read(PRICES, None)
    assert next(walk).records == 20
    with pytest.raises(Transient) as caught:
        next(walk)
    assert caught.value.code == code
    assert caught.value.erp == "birch"
    assert len(erp.faults.taken) == 2


@pytest.mark.parametrize("as_date", [False, True])
def test_rest_1_a_long_retry_after_is_the_callers_business(
    connector: ODataConnector, erp: ODataErp, *, as_date: bool
) -> None:
    erp.retry_date = as_date
    erp.faults.arm("rate_limit", seconds=120)
    with pytest.raises(RateLimited) as caught:
        drain(connector.read(PRICES, None))
    assert caught.value.retry_after is not None
    assert 118 <= caught.value.retry_after <= 121
    assert erp.faults.taken == ["rate_limit"]


@pytest.mark.parametrize("as_date", [False, True])
def test_rest_1_a_short_retry_after_is_waited_for(
    connector: ODataConnector, erp: ODataErp, *, as_date: bool
) -> None:
    erp.retry_date = as_date
    erp.faults.arm("rate_limit", seconds=1)
    connector.check()
    assert erp.faults.taken == ["rate_limit"]


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_a_server_that_does_not_answer_is_given_up(erp: ODataErp, fault: str) -> None:
    erp.faults.arm(fault, times=None, where="SalesPrices", seconds=30)
    with connect(erp, request_timeout=0.2) as connector, pytest.raises(Transient) as caught:
        drain(connector.read(PRICES, None))
    assert caught.value.code == "timeout"


def test_a_read_has_a_deadline_of_its_own(erp: ODataErp) -> None:
    erp.faults.arm("hang", times=None, where="skiptoken")
    with connect(erp, deadline=0.3) as connector:
        walk = connector.read(PRICES, None)
        next(walk)
        with pytest.raises(Transient) as caught:
            next(walk)
    assert caught.value.code == "timeout"
    assert "not all pages came in 0.3 s" in str(caught.value)


def test_nobody_listening_is_transient(birch: Dataset) -> None:
    with ODataErp(birch, client_id="waybill", client_secret=SECRET) as stopped:
        given = stopped
    with connect(given) as connector, pytest.raises(Transient) as caught:
        connector.check()
    assert caught.value.code == "connect"


def test_an_unknown_entity_or_property_says_that_the_source_changed(
    connector: ODataConnector,
) -> None:
    with pytest.raises(SourceChanged) as caught:
        drain(connector.read(PRICES.model_copy(update={"entity": "PriceLists"}), None))
    assert caught.value.code == "missing_entity"
    with pytest.raises(SourceChanged) as caught:
        drain(connector.read(PRICES.model_copy(update={"filter": "Preis gt 1"}), None))
    assert caught.value.code == "bad_request"
    assert "Preis" in str(caught.value)


def test_an_option_that_the_erp_does_not_offer_is_a_fault_of_the_mapping(
    connector: ODataConnector,
) -> None:
    with pytest.raises(Misconfigured) as caught:
        drain(connector.read(PRICES.model_copy(update={"order": "UnitPrice desc"}), None))
    assert caught.value.code == "not_implemented"


def test_an_empty_answer_is_empty(connector: ODataConnector, erp: ODataErp) -> None:
    erp.faults.arm("empty")
    pages, end = drain(connector.read(PRICES, None))
    assert rows(pages) == []
    assert end.declared == 0


# --- documents ----------------------------------------------------------------------------------


def test_a_document_comes_as_it_is(connector: ODataConnector, birch: Dataset) -> None:
    location = birch["document"]["location"][0].as_py()
    content = b"".join(connector.fetch(location))
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")


def test_a_document_that_is_not_there_is_refused(connector: ODataConnector) -> None:
    with pytest.raises(Refused) as caught:
        list(connector.fetch("invoices/none.pdf"))
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(("fault", "code"), [("html_200", "html"), ("drop", "dropped")])
def test_a_document_that_breaks_off_or_is_a_page_is_transient(
    connector: ODataConnector, erp: ODataErp, birch: Dataset, fault: str, code: str
) -> None:
    erp.faults.arm(fault, times=None)
    with pytest.raises(Transient) as caught:
        list(connector.fetch(birch["document"]["location"][0].as_py()))
    assert caught.value.code == code


def test_an_answer_is_unpacked(connector: ODataConnector) -> None:
    pages, _ = drain(connector.read(PRICES, None))
    for page in pages:
        assert not b"".join(page.content).startswith(gzip.compress(b"")[:2])


def test_server_time_is_close_to_now(connector: ODataConnector) -> None:
    _, end = drain(connector.read(PRICES, None))
    assert end.server_at is not None
    assert abs(end.server_at - datetime.now(UTC)) < timedelta(minutes=5)
