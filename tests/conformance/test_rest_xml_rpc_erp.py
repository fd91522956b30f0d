"""An ERP that speaks XML-RPC alone (Odoo's older interface), without a line of Python for it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import xml_rpc
from connectors.formats import locate, read_page, xmlrpc
from connectors.formats.raw import ChildPlan, RawChunk, ReadPlan
from mappings.errors import BatchRefused, Misconfigured, SourceChanged, Transient, WaybillError
from mappings.settings import REPOSITORY
from mappings.sources import RestSource
from sandbox.rest import RestErp
from sandbox.rest.doors import PASSWORD, USER
from sync.feed import sweep_feed
from tests.conformance.practice_rest import connection, drain, rest
from tests.sync.world import World, counted

SIGN_IN: dict[str, Any] = {
    "sign_in": "xml_rpc",
    "login_url": "/xmlrpc/2/common",
    "scheme": "http",
    "database": "practice",
}


def partner(number: int, hour: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "ref": f"P{number:03}", "name": f"Partner <{number}> & Söhne",
        "active": True, "currency": "EUR", "country_code": "TR", "region": None, "vat": None,
        "payment_days": 30, "write_date": f"2026-01-10 {hour:02}:00:00", **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def erp() -> Iterator[RestErp]:
    with RestErp() as made:
        yield made


@pytest.fixture
def elm(erp: RestErp) -> RestErp:
    erp.reset({"res.partner": [partner(n, 9) for n in range(1, 26)]})
    return erp


def asked(model: str = "res.partner", **words: Any) -> RestSource:
    body = {"method": "execute_kw", "params": [model, "search_read", [[]], {"limit": 7}]}
    given = {"protocol": "rest", "speaks": "xml_rpc", "path": "xmlrpc/2/object", "method": "POST"}
    return RestSource.model_validate(
        {**given, "body": json.dumps(body), "records": "result", **words}
    )


def test_REST_23_odoo_by_xml_rpc_is_loaded_and_kept_up_to_date(world: World, elm: RestErp) -> None:
    shutil.copy(REPOSITORY / "mappings" / "rest" / "elm.yaml", world.settings.mappings[0])
    where = {**elm.connection(**SIGN_IN), "login": USER, "password": PASSWORD}
    world.connect("elm", where)
    world.forget()
    assert counted(world.run("elm", "customers"), "dealer") == {"read": 25, "inserted": 25}
    assert world.rows("dealer", "name")["P007"] == "Partner <7> & Söhne"
    assert world.rows("dealer", "tax_no")["P007"] is None

    partners = elm.records["res.partner"]
    assert isinstance(partners, list)
    partners[4] |= {"name": "New name", "vat": "TR1", "write_date": "2026-01-11 08:00:00"}
    found = counted(world.run("elm", "customers"), "dealer")
    assert {k: v for k, v in found.items() if k != "unchanged"} == {"read": 25, "updated": 1}
    assert world.rows("dealer", "tax_no")["P005"] == "TR1"
    assert b"<string>2026-01-10 08:" in elm.received[-1].body  # the cursor, and its overlap

    del partners[-1]
    outcome = sweep_feed(world.ctx, "elm", "customers")
    assert outcome is not None
    assert counted(outcome, "dealer")["deleted"] == 1
    assert elm.doors.logins == 4  # a delta goes before the sweep


def test_REST_23_pages_of_xml_rpc_end_at_the_first_without_records(elm: RestErp) -> None:
    paging = {"by": "offset", "offset": "params/3/offset", "limit": "params/3/limit", "size": 10}
    with rest(connection(elm, login=True, **SIGN_IN)) as connector:
        pages, end = drain(connector.read(asked(page=paging, cursor="write_date"), None))
    assert [page.records for page in pages] == [10, 10, 5, 0]
    assert (end.complete, end.cursor) == (False, "2026-01-10 09:00:00")
    assert elm.doors.logins == 1


@pytest.mark.parametrize(
    ("model", "words", "error", "code"),
    [
        ("res.groups", {"errors": {"denied": ["4"]}}, Misconfigured, "forbidden"),
        ("no.such", {}, SourceChanged, "bad_request"),
        ("res.partner", {"records": "fault"}, SourceChanged, "missing_records"),
    ],
)
def test_REST_23_a_fault_inside_a_200_is_told_by_its_code(
    elm: RestErp, model: str, words: dict[str, Any], error: type[WaybillError], code: str
) -> None:
    with (
        rest(connection(elm, login=True, **SIGN_IN)) as connector,
        pytest.raises(error) as told,
    ):
        drain(connector.read(asked(model, **words), None))
    assert told.value.code == code
    assert len(elm.received) == 2  # a log-in and one question: it stays wrong
    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    ("fault", "code"), [("truncated", "truncated"), ("html_200", "html"), ("drop", "dropped")]
)
def test_REST_23_half_an_answer_is_asked_again(elm: RestErp, fault: str, code: str) -> None:
    elm.faults.arm(fault, where="/xmlrpc/2/object", times=2)
    with rest(connection(elm, login=True, **SIGN_IN)) as connector:
        assert drain(connector.read(asked(), None))[0][0].records == 7
    elm.faults.arm(fault, where="/xmlrpc/2/object", times=9)
    with (
        rest(connection(elm, login=True, **SIGN_IN), tries=1) as connector,
        pytest.raises(Transient) as told,
    ):
        drain(connector.read(asked(), None))
    assert told.value.code == code


def test_REST_8_a_wrong_password_over_xml_rpc_is_one_log_in_and_shown_nowhere(
    elm: RestErp,
) -> None:
    where = connection(elm, **SIGN_IN)
    wrong = type(where)(**{**_fields(where), "login": USER, "password": "f0rgotten"})
    with rest(wrong) as connector, pytest.raises(Misconfigured, match="sign-in refused") as told:
        drain(connector.read(asked(), None))
    assert (told.value.code, elm.doors.logins) == ("auth", 1)
    assert "f0rgotten" not in str(told.value)


def _fields(where: object) -> dict[str, Any]:
    return {name: getattr(where, name) for name in where.__dataclass_fields__}  # type: ignore[attr-defined]


# --- the reader -----------------------------------------------------------------------------------

PLAN = ReadPlan(
    "dealer", asked(), ("a", "b/c", "d[]", "l"), (ChildPlan("dealer_address", "l", ("x",)),)
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=6)
LEAF = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT
ROW = st.fixed_dictionaries(
    {},
    optional={
        "a": LEAF,
        "b": st.none() | st.fixed_dictionaries({}, optional={"c": LEAF}),
        "d": st.lists(LEAF, max_size=3),
        "l": st.lists(st.fixed_dictionaries({}, optional={"x": LEAF}), max_size=3),
    },
)


def answered(value: object) -> bytes:
    called = xml_rpc.call({"method": "m", "params": [value]})
    inner = called[called.index(b"<params>") : called.index(b"</methodCall>")]
    return b"<?xml version='1.0'?>\n<methodResponse>" + inner + b"</methodResponse>"


def came(data: bytes, plan: ReadPlan) -> list[object]:
    return [
        (one.part, one.columns.to_pylist(), one.record_no.to_pylist(), one.root_no)
        if isinstance(one, RawChunk)
        else one
        for one in read_page(io.BytesIO(data), plan, 1, {})
    ]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROW, max_size=4))
def test_xml_rpc_gives_what_the_same_records_in_json_give(rows: list[dict[str, Any]]) -> None:
    source = RestSource.model_validate({"protocol": "rest", "path": "x", "records": "result"})
    twin = ReadPlan(PLAN.part, source, PLAN.paths, PLAN.children)
    data = answered(rows)
    assert came(data, PLAN) == came(json.dumps({"result": rows}).encode(), twin)
    for number, row in enumerate(rows, start=1):
        start, end = locate(io.BytesIO(data), PLAN, "dealer", number)
        record = b"<methodResponse><params><param>%b</param></params></methodResponse>"
        found = xmlrpc.parsed(record % data[start:end])
        assert isinstance(found, dict)
        assert found["result"] == json.loads(json.dumps(row), parse_int=str)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<!DOCTYPE m [<!ENTITY a 'b'>]><methodResponse/>", "doctype"),
        (b"<methodResponse><params>", "truncated"),
        (b"<methodResponse/>", "malformed"),
        (b"<a>" * 2000 + b"</a>" * 2000, "malformed"),
        ("<methodResponse/>".encode("utf-16"), "encoding"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(body: bytes, code: str) -> None:
    with pytest.raises(BatchRefused) as told:
        came(body, PLAN)
    assert told.value.code == code


def test_an_untyped_value_is_a_text_and_an_unreal_number_stays_one() -> None:
    data = answered([{"a": "x"}]).replace(b"<string>x</string>", b" 007 ")
    assert came(data, PLAN)[0][1][0]["a"] == " 007 "  # type: ignore[index]
    data = answered([{"a": 1}]).replace(b"<int>1</int>", b"<double>nan</double>")
    assert came(data, PLAN)[0][1][0]["a"] == "nan"  # type: ignore[index]
