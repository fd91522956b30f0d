"""An order and its lines as one transaction of an OData $batch, in both of its forms (REST-17)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.odata_batch import Operation
from connectors.odata_multipart import request_body, results
from mappings.errors import Uncertain
from mappings.settings import Settings
from portal_db.orders import NewLine, NewOrder
from sandbox.dataset import load
from tests.orders.practice import Practice, practising

FORMS = ["batch", "batch_multipart"]


@pytest.fixture(params=FORMS)
def shop(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Practice]:
    target = {"lines_by": request.param}
    with practising(settings, "birch", load("tiny"), tmp_path, target=target) as one:
        yield one


def sends(shop: Practice) -> list[str]:
    return [one for one in shop.server.requests if one.startswith("POST") and "token" not in one]


def test_REST_17_an_order_and_its_lines_arrive_as_one(shop: Practice) -> None:
    book = shop.server.book
    first, second = (one["key"] for one in shop.products[:2])
    book._stock = {first: Decimal(1), second: Decimal(100)}
    placed = shop.place("k1", lines=2)
    shop.settle()
    (order,) = book.found(placed.reference)
    assert [line.product_key for line in order.lines] == [first, second]
    assert order.native_key == placed.reference
    assert shop.order_state(placed) == "acknowledged"
    assert shop.sql("SELECT outcome, reason FROM portal.order_request_line ORDER BY line_no") == [
        ("changed", "only 1 available"),
        ("accepted", None),
    ]
    assert sends(shop) == ["POST $batch"]


def test_REST_17_a_refused_group_is_a_refused_order_with_its_reason(shop: Practice) -> None:
    shop.server.book._products = {"other": "active"}
    placed = shop.place("k1")
    shop.settle()
    assert shop.order_state(placed) == "rejected"
    assert shop.says(placed) == f"refused: item {shop.products[0]['key']} is not known"
    assert shop.in_erp(placed) == 0


@pytest.mark.parametrize("fault", ["lost_answer", "truncated"])
def test_ORD_1_a_lost_answer_to_a_batch_is_one_order(shop: Practice, fault: str) -> None:
    shop.server.faults.arm(fault, where="POST $batch")
    placed = shop.place("k1", lines=2)
    shop.deliver()
    assert shop.state(placed) == "uncertain"
    shop.settle()
    assert shop.in_erp(placed) == 1
    assert shop.order_state(placed) == "acknowledged"


def test_REST_17_more_lines_than_a_batch_takes_wait_for_a_person(shop: Practice) -> None:
    product = shop.products[0]
    lines = tuple(
        NewLine(product["key"], Decimal(1), product["base_uom"], unit_price=Decimal("9.5"))
        for _ in range(100)
    )
    placed = shop.place("k1", order=NewOrder("birch", shop.dealers[0], "k1", "EUR", lines))
    shop.deliver()
    assert shop.in_erp(placed) == 0
    assert sends(shop) == []
    (ended,) = shop.sql("SELECT code, says FROM sync.outbox")
    assert ended[0] == "batch_size"
    assert "not 101" in ended[1]


# the form


def made(number: int, group: str | None = "g", **more: Any) -> Operation:
    return Operation(str(number), "POST", "orders", {"no": number}, group, **more)


def answered(*parts: str) -> bytes:
    return ("".join(f"--a\r\n{part}\r\n" for part in parts) + "--a--\r\n").encode()


def part(status: int, body: str = "", name: str = "") -> str:
    named = f"Content-ID: {name}\r\n" if name else ""
    return (
        f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{named}\r\n"
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n\r\n{body}"
    )


def change_set(*parts: str) -> str:
    inside = "".join(f"--s\r\n{one}\r\n" for one in parts)
    return f"Content-Type: multipart/mixed; boundary=s\r\n\r\n{inside}--s--\r\n"


A = "multipart/mixed; boundary=a"


def test_REST_17_each_part_finds_its_operation_by_name_or_by_place() -> None:
    asked = [Operation("g", "GET", "things"), made(1), made(2), made(3, None)]
    by_place = answered(
        part(200, '{"d": {"results": []}}'),
        change_set(part(201, '{"d": {"no": 1.10}}'), part(204)),
        change_set(part(400, '{"error": {"code": "X"}}')),
    )
    found = results(asked, A, by_place, "$batch")
    assert [(one.id, one.status, one.body, one.is_done) for one in found] == [
        ("g", 200, {"results": []}, True),
        ("1", 201, {"no": "1.10"}, True),
        ("2", 204, None, True),
        ("3", 400, {"error": {"code": "X"}}, False),
    ]
    by_name = answered(change_set(part(201, '{"no": 2}', "2"), part(201, '{"no": 1}', "1")))
    assert [one.body for one in results([made(1), made(2)], A, by_name, "x")] == [
        {"no": 1}, {"no": 2},
    ]  # fmt: skip


def test_REST_17_a_change_set_that_failed_is_one_answer_for_all() -> None:
    content = answered(part(422, '{"error": {"code": "NO"}}'), change_set(part(201, "{}")))
    found = results([made(1), made(2), made(3, "h")], A, content, "$batch")
    assert [one.is_done for one in found] == [False, False, True]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not multipart",
        answered(),
        answered(change_set(part(201, "{}"))),
        answered(part(201, "{}")),
        answered(change_set(part(201, "{}"), part(201, "{"))),
        answered(change_set(part(201, "{}"), "Content-Type: text/plain\r\n\r\nhello")),
        answered(change_set(part(201, "{}"), part(201, "{}")), change_set(part(201, "{}"))),
        answered(change_set(part(201, "{}"), part(201, "{}")))[:-12],
        answered(change_set(part(201, "[]"), part(201, "{}"))),
    ],
)
def test_REST_17_what_does_not_tell_of_each_is_uncertain(content: bytes) -> None:
    with pytest.raises(Uncertain):
        results([made(1), made(2)], A, content, "$batch")


def test_REST_17_a_change_set_holds_no_get_and_a_batch_a_hundred() -> None:
    with pytest.raises(ValueError, match="no GET"):
        request_body([Operation("1", "GET", "things", group="g")])
    with pytest.raises(ValueError, match="1 to 100"):
        request_body([made(n) for n in range(101)])
