"""What sending needs of HTTP: CSRF tokens, ETags, batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectors.http_change import change
from connectors.odata_batch import LARGEST, Operation, request_body, results
from mappings.errors import Misconfigured, Refused, Transient, Uncertain
from sandbox.rest import RestErp
from tests.conformance.practice_rest import connection, session

HEADERS = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[RestErp]:
    with RestErp() as one:
        yield one


@pytest.fixture
def erp(server: RestErp) -> RestErp:
    server.reset({"orders": [], "things": [{"key": "T1", "name": "old", "note": "theirs"}]})
    return server


def post(one: Any, body: dict[str, Any]) -> httpx.Response:
    return one.send_once(
        "POST", one.url("sap/orders"), HEADERS, json.dumps(body).encode(), "orders"
    )


def test_REST_15_a_csrf_token_is_fetched_with_its_cookie_and_used_again(erp: RestErp) -> None:
    with session(connection(erp, csrf_url="sap/orders")) as one:
        assert [post(one, {"no": n}).status_code for n in (1, 2)] == [201, 201]
        assert erp.doors.csrf_fetches == 1
        assert erp.records["orders"] == [{"no": 1}, {"no": 2}]
        assert one.secrets


def test_REST_15_a_403_that_asks_for_a_token_is_answered_once(erp: RestErp) -> None:
    with session(connection(erp, csrf_url="sap/orders")) as one:
        post(one, {"no": 1})
        erp.doors.csrf = "another"  # the ERP has forgotten ours
        assert post(one, {"no": 2}).status_code == 201
        assert erp.doors.csrf_fetches == 2
        assert erp.records["orders"] == [{"no": 1}, {"no": 2}]
    with session(connection(erp)) as plain:
        assert post(plain, {"no": 3}).status_code == 403


def test_REST_15_a_token_that_never_holds_is_asked_for_twice_at_most(erp: RestErp) -> None:
    erp.faults.arm("slow")
    with session(connection(erp, csrf_url="me")) as one:  # an address that hands out none
        assert post(one, {"no": 1}).status_code == 403
    assert len([r for r in erp.requests if r == "GET /me"]) <= 2
    assert erp.records["orders"] == []


def rename(record: dict[str, Any]) -> dict[str, Any] | None:
    return None if record["name"] == "new" else {"name": "new"}


def test_REST_16_a_change_carries_the_etag_that_was_read(erp: RestErp) -> None:
    with session(connection(erp)) as one:
        tag = change(one, one.url("things/T1"), rename, "things")
        assert tag == 'W/"2"'
        assert change(one, one.url("things/T1"), rename, "things") == 'W/"2"'  # nothing to do
    patches = [r for r in erp.received if r.method == "PATCH"]
    assert [p.headers["if-match"] for p in patches] == ['W/"1"']
    assert patches[0].json == {"name": "new"}


def test_REST_16_after_a_412_the_difference_is_made_anew(erp: RestErp) -> None:
    quicker = iter(["first", "second"])

    def meanwhile(path: str) -> None:
        patching = erp.received[-1].method == "PATCH"
        if path == "/things/T1" and patching and (note := next(quicker, None)):
            erp.etags["T1"] += 1
            erp.records["things"][0]["note"] = note

    seen: list[str] = []

    def difference(record: dict[str, Any]) -> dict[str, Any]:
        seen.append(record["note"])
        return {"name": f"{record['note']}+ours"}

    erp.before = meanwhile
    with session(connection(erp)) as one:
        change(one, one.url("things/T1"), difference, "things")
    assert seen == ["theirs", "first", "second"]
    assert erp.records["things"][0]["name"] == "second+ours"
    assert "*" not in {r.headers.get("if-match") for r in erp.received}


def test_REST_16_who_is_never_quick_enough_gives_up(erp: RestErp) -> None:
    def always(path: str) -> None:
        if erp.received[-1].method == "PATCH":
            erp.etags[path.rpartition("/")[2]] += 1

    erp.before = always
    with session(connection(erp)) as one, pytest.raises(Refused) as caught:
        change(one, one.url("things/T1"), rename, "things", tries=3)
    assert caught.value.code == "conflict"
    assert len([r for r in erp.received if r.method == "PATCH"]) == 3


def test_REST_16_without_an_etag_nothing_is_overwritten(erp: RestErp) -> None:
    with session(connection(erp)) as one, pytest.raises(Misconfigured) as caught:
        change(one, one.url("me"), lambda _: {"user": "x"}, "me")
    assert caught.value.code == "no_etag"
    assert [r.method for r in erp.received] == ["GET"]


@pytest.mark.parametrize("fault", ["drop", "maintenance", "html_200"])
def test_REST_16_a_change_without_an_understood_answer_is_uncertain(
    erp: RestErp, fault: str
) -> None:
    erp.faults.arm(fault, where="PATCH")
    with session(connection(erp)) as one, pytest.raises(Uncertain):
        change(one, one.url("things/T1"), rename, "things")


def test_REST_16_what_never_left_is_not(erp: RestErp) -> None:
    where = connection(erp)
    with session(where) as one, pytest.raises(Transient):
        change(one, "http://127.0.0.1:9/things/T1", rename, "things", tries=1)


# --- $batch -------------------------------------------------------------------------------------


def order(number: int, *, item: str = "A1", group: str | None = None) -> Operation:
    return Operation(str(number), "POST", "orders", {"no": number, "item": item}, group)


def sent(erp: RestErp, operations: list[Operation]) -> list[Any]:
    with session(connection(erp)) as one:
        body = request_body(operations)
        answer = one.send_once("POST", one.url("batch"), HEADERS, body, "$batch")
    assert answer.status_code == 200
    return results(operations, answer.content, "$batch")


def test_REST_17_each_operation_of_a_batch_has_its_own_result(erp: RestErp) -> None:
    found = sent(erp, [order(1), order(2, item=""), order(3)])
    assert [(one.id, one.status, one.is_done) for one in found] == [
        ("1", 201, True), ("2", 400, False), ("3", 201, True),
    ]  # fmt: skip
    assert [one["no"] for one in erp.records["orders"]] == [1, 3]


def test_REST_17_a_group_is_rolled_back_as_a_whole(erp: RestErp) -> None:
    operations = [order(1), order(2, group="g"), order(3, item="", group="g"), order(4, group="h")]
    found = sent(erp, operations)
    assert [one.is_done for one in found] == [True, False, False, True]
    assert [one.rolled_back for one in found] == [False, True, False, False]
    assert [one["no"] for one in erp.records["orders"]] == [1, 4]


def test_REST_17_a_batch_holds_a_hundred_operations_and_no_more(erp: RestErp) -> None:
    assert len(sent(erp, [order(n) for n in range(LARGEST)])) == 100
    with pytest.raises(ValueError, match="1 to 100"):
        request_body([order(n) for n in range(LARGEST + 1)])
    with pytest.raises(ValueError, match="same id"):
        request_body([order(1), order(1)])
    with pytest.raises(ValueError, match="stand together"):
        request_body([order(1, group="a"), order(2, group="b"), order(3, group="a")])


@pytest.mark.parametrize(
    "answer", [b"{", b"{}", b'{"responses": [{"id": "1", "status": 201}]}', b'{"responses": 7}']
)
def test_REST_17_an_answer_that_leaves_one_out_is_uncertain(answer: bytes) -> None:
    with pytest.raises(Uncertain):
        results([order(1), order(2)], answer, "$batch")
