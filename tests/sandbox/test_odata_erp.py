"""The practice OData ERP speaks OData v4: metadata, options, errors, paging over other nights."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from lxml import etree

from sandbox.dataset import Dataset, load
from sandbox.odata import ODataErp
from sandbox.odata.entities import BY_SET, ENTITIES

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


@pytest.fixture(scope="module")
def birch() -> Dataset:
    return load("tiny").of("birch")


@pytest.fixture(scope="module")
def server(birch: Dataset) -> Iterator[ODataErp]:
    with ODataErp(birch, client_id="waybill", client_secret="s3cr3t") as one:
        yield one


@pytest.fixture
def erp(server: ODataErp, birch: Dataset) -> ODataErp:
    server.reset(birch)
    return server


@pytest.fixture
def client(erp: ODataErp) -> Iterator[httpx.Client]:
    with signed_in(erp) as one:
        yield one


def signed_in(erp: ODataErp) -> httpx.Client:
    extra = erp.connection()["extra"]
    form = {"grant_type": "client_credentials"}
    form |= {name: extra[name] for name in ("client_id", "client_secret")}
    grant = httpx.post(extra["token_url"], data=form, trust_env=False).json()
    headers = {"Authorization": f"Bearer {grant['access_token']}"}
    return httpx.Client(base_url=erp.address, headers=headers, trust_env=False)


def value(client: httpx.Client, path: str, **headers: str) -> list[dict[str, Any]]:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


def test_the_metadata_describes_exactly_what_is_served(client: httpx.Client) -> None:
    schema = etree.fromstring(client.get("/$metadata").content)
    sets = {one.get("Name"): one.get("EntityType") for one in schema.iter(f"{EDM}EntitySet")}
    assert set(sets) == set(BY_SET)
    types = {one.get("Name"): one for one in schema.iter(f"{EDM}EntityType")}
    for name, entity in BY_SET.items():
        declared = types[sets[name].rpartition(".")[2]]
        properties = {one.get("Name") for one in declared.iter(f"{EDM}Property")}
        expand = f"?$expand={','.join(entity.navigation)}" if entity.navigation else ""
        for record in value(client, f"/{name}{expand}"):
            assert set(record) - {"@odata.etag"} == properties | set(entity.navigation)
        keys = {one.get("Name") for one in declared.iter(f"{EDM}PropertyRef")}
        assert keys == set(entity.key) <= properties


def test_no_two_properties_of_an_entity_share_a_name() -> None:
    for entity in ENTITIES.values():
        names = [one.name for one in entity.properties]
        assert len(set(names)) == len(names), entity.table


def test_the_service_document_lists_the_entity_sets(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["odata-version"] == "4.0"
    assert {one["name"] for one in answer.json()["value"]} == set(BY_SET)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Nothing", 404),
        ("/SalesPrices/5", 404),
        ("/SalesPrices?$filter=Preis gt 1", 400),
        ("/SalesPrices?$filter=UnitPrice gt", 400),
        ("/SalesPrices?$filter=UnitPrice gt abc", 400),
        ("/SalesPrices?$filter=(UnitPrice gt 1", 400),
        ("/SalesPrices?$filter=StartingDate gt 2026-02-30", 400),
        ("/SalesPrices?$filter=Level eq List", 400),
        ("/SalesPrices?$expand=Nothing", 400),
        ("/SalesPrices?$count=maybe", 400),
        ("/SalesPrices?$skiptoken=!!!", 400),
        ("/SalesPrices?$select=UnitPrice", 501),
        ("/SalesPrices?$top=5", 501),
        ("/SalesPrices?$orderby=UnitPrice", 501),
    ],
)
def test_what_is_not_there_or_not_offered_is_said(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}


def test_filters_select_what_they_say(client: httpx.Client) -> None:
    everything = value(client, "/SalesPrices")
    cases = {
        "Level eq 'List'": lambda row: row["Level"] == "List",
        "UnitPrice ge 50 and (CurrencyCode eq 'EUR' and Level ne 'Quote')": lambda row: (
            row["UnitPrice"] is not None
            and float(row["UnitPrice"]) >= 50
            and row["CurrencyCode"] == "EUR"
            and row["Level"] != "Quote"
        ),
        "EndingDate le 2026-12-31": lambda row: (row["EndingDate"] or "9") <= "2026-12-31",
        "TaxIncluded eq true": lambda row: row["TaxIncluded"],
    }
    for text, holds in cases.items():
        expected = [row["PriceNo"] for row in everything if holds(row)]
        found = [row["PriceNo"] for row in value(client, f"/SalesPrices?$filter={text}")]
        assert found == expected


def test_decimals_are_text_only_where_asked(client: httpx.Client) -> None:
    (plain, *_) = value(client, "/SalesPrices")
    (text, *_) = value(client, "/SalesPrices", Accept="application/json;IEEE754Compatible=true")
    assert isinstance(text["UnitPrice"], str)
    assert isinstance(plain["UnitPrice"], float | int)


def test_nobody_reads_without_a_token(client: httpx.Client, erp: ODataErp) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic eDp5"}):
        bare = httpx.get(f"{erp.address}/Customers", headers=headers, trust_env=False)
        assert bare.status_code == 401
    assert client.get("/Customers").status_code == 200


def test_only_a_form_signs_in(erp: ODataErp) -> None:
    extra = erp.connection()["extra"]
    form = {"grant_type": "client_credentials", "client_id": "waybill", "client_secret": "s3cr3t"}
    assert httpx.post(extra["token_url"], json=form, trust_env=False).status_code == 400
    wrong = httpx.post(extra["token_url"], data=form | {"client_secret": "x"}, trust_env=False)
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


def test_faults_are_armed_over_http_and_per_request(client: httpx.Client, erp: ODataErp) -> None:
    place = f"http://127.0.0.1:{erp.port}/_sandbox/faults"
    assert client.post(place, json={"name": "maintenance", "times": 2}).status_code == 204
    assert [client.get("/Customers").status_code for _ in range(3)] == [503, 503, 200]
    assert client.post(place, json={"name": "earthquake"}).status_code == 400
    assert client.post(place, json={"name": "maintenance", "times": None}).status_code == 204
    assert client.post(place, json={}).status_code == 204
    assert client.get("/Customers").status_code == 200
    once = client.get("/Customers", headers={"X-Sandbox-Fault": "rate_limit"})
    assert (once.status_code, once.headers["retry-after"]) == (429, "1")


def test_an_erp_without_any_row_answers_every_set(birch: Dataset) -> None:
    nothing = Dataset({}, birch.as_of)
    with (
        ODataErp(nothing, client_id="waybill", client_secret="s3cr3t") as erp,
        signed_in(erp) as one,
    ):
        for name, entity in BY_SET.items():
            expand = f"&$expand={','.join(entity.navigation)}" if entity.navigation else ""
            assert one.get(f"/{name}?$count=true{expand}").json()["@odata.count"] == 0


def test_parents_without_children_have_empty_lists(
    client: httpx.Client, erp: ODataErp, birch: Dataset
) -> None:
    erp.dataset = birch.replace(sales_order_line=birch["sales_order_line"].slice(0, 0))
    for row in value(client, "/SalesOrders?$expand=OrderLines"):
        assert row["OrderLines"] == []


def test_the_next_night_is_served_as_a_delta(
    client: httpx.Client, erp: ODataErp, birch: Dataset
) -> None:
    before = {row["OrderNo"]: row for row in value(client, "/SalesOrders")}
    newest = max(row["ModifiedAt"] for row in before.values())
    erp.dataset = load("tiny").changed(3).of("birch")
    assert erp.dataset["sales_order"].num_rows >= birch["sales_order"].num_rows
    delta = value(client, f"/SalesOrders?$filter=ModifiedAt gt {newest}")
    after = {row["OrderNo"]: row for row in value(client, "/SalesOrders")}
    changed = {key for key, row in after.items() if before.get(key) != row}
    assert {row["OrderNo"] for row in delta} == changed
    assert changed
