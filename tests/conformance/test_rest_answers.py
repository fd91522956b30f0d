"""What an answer means, whatever its status says: limits, errors in disguise, answers cut short."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from mappings.errors import Misconfigured, RateLimited, SourceChanged, Transient
from sandbox.rest import RestErp
from sandbox.rest.doors import BEARER
from tests.conformance.practice_rest import connection, drain, items, keys, question, rest

PRICES = question("offset/prices", page={"by": "offset", "offset": "offset"}, count="meta/total")
RPC = question(
    "rpc",
    method="POST",
    body='{"jsonrpc":"2.0","params":{"model":"prices","kwargs":{"offset":0,"limit":20}}}',
    records="result/records",
    count="result/length",
    page={"by": "offset", "offset": "params/kwargs/offset"},
    errors={
        "path": "error",
        "code": "error/data/name",
        "text": "error/data/message",
        "passing": ["OperationalError"],
        "denied": ["AccessError"],
        "throttled": ["TooMany"],
    },
)


@pytest.fixture(scope="module")
def server() -> Iterator[RestErp]:
    with RestErp() as one:
        yield one


@pytest.fixture
def erp(server: RestErp) -> RestErp:
    server.reset({"prices": items(45)})
    return server


class Kept:
    """A budget that remembers what it was told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refusals: list[tuple[str, int]] = []
        self.pauses: list[float] = []

    def request(self, endpoint: str) -> AbstractContextManager[None]:
        self.asked.append(endpoint)
        return nullcontext()

    def inside(self, endpoint: str) -> None:
        self.asked.append(endpoint)

    def refused(self, endpoint: str, status: int) -> None:
        self.refusals.append((endpoint, status))

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.mark.parametrize("as_date", [False, True])
def test_REST_1_a_short_retry_after_is_waited_out_and_told_to_everybody(
    erp: RestErp, as_date: Any
) -> None:
    erp.retry_date = as_date
    erp.faults.arm("rate_limit", seconds=1, where="offset=20")
    budget = Kept()
    began = time.monotonic()
    with rest(erp, budget=budget) as connector:
        pages, end = drain(connector.read(PRICES, None))
    assert time.monotonic() - began >= (0.0 if as_date else 1.0)  # a date has whole seconds
    assert (len(keys(pages)), end.complete) == (45, True)
    assert as_date or budget.pauses == [1.0]
    assert budget.refusals == []  # too many is no mistake


@pytest.mark.parametrize("as_date", [False, True])
def test_REST_1_a_long_one_is_the_callers_business_and_never_shorter(
    erp: RestErp, as_date: Any
) -> None:
    erp.retry_date = as_date
    erp.faults.arm("rate_limit", seconds=300, times=None)
    with rest(erp) as connector, pytest.raises(RateLimited) as caught:
        drain(connector.read(PRICES, None))
    assert caught.value.retry_after == pytest.approx(300, abs=2)
    assert len(erp.requests) == 1


def test_REST_2_a_400_with_the_vendors_own_code_is_too_many_requests(erp: RestErp) -> None:
    erp.faults.arm("throttled_400", times=2)
    budget = Kept()
    with rest(erp, budget=budget) as connector:
        pages, _ = drain(connector.read(PRICES, None))
    assert len(keys(pages)) == 45
    erp.faults.arm("throttled_400", times=None)
    with rest(erp) as connector, pytest.raises(RateLimited):
        drain(connector.read(PRICES, None))


def test_REST_4_what_the_erp_calls_a_mistake_is_told_to_the_budget(erp: RestErp) -> None:
    budget = Kept()
    with rest(erp, budget=budget) as connector, pytest.raises(SourceChanged):
        drain(connector.read(question("offset/nothing"), None))
    assert budget.refusals == [("offset", 404)]
    assert budget.asked == ["offset"]


@pytest.mark.parametrize(("fault", "code"), [("html_200", "html"), ("maintenance", "maintenance")])
def test_REST_20_a_page_for_people_is_passing_and_never_data(
    erp: RestErp, fault: str, code: str
) -> None:
    erp.faults.arm(fault, where="offset=20")
    with rest(erp) as connector:
        pages, _ = drain(connector.read(PRICES, None))
        assert len(keys(pages)) == 45
        erp.faults.arm(fault, times=None, where="offset=20")
        walk = connector.read(PRICES, None)
        assert next(walk).records == 20
        with pytest.raises(Transient) as caught:
            next(walk)
    assert caught.value.code == code


@pytest.mark.parametrize(("fault", "code"), [("truncated", "truncated"), ("drop", "dropped")])
def test_REST_21_an_answer_cut_short_is_never_a_shorter_list(
    erp: RestErp, fault: str, code: str
) -> None:
    erp.faults.arm(fault, where="offset=20")
    with rest(erp) as connector:
        pages, end = drain(connector.read(PRICES, None))
        assert (len(keys(pages)), end.complete) == (45, True)
        erp.faults.arm(fault, times=None, where="offset=20")
        with pytest.raises(Transient) as caught:
            drain(connector.read(PRICES, None))
    assert caught.value.code == code


def test_json_rpc_an_error_in_a_200_is_what_it_says(erp: RestErp) -> None:
    with rest(erp) as connector:
        erp.faults.arm("business_error", after=1)
        pages, end = drain(connector.read(RPC, None))
        assert (len(keys(pages, "result/records")), end.complete) == (45, True)
        erp.faults.arm("business_error", times=None)
        with pytest.raises(Transient) as passing:
            drain(connector.read(RPC, None))
        erp.faults.disarm()
        unknown = RPC.model_copy(update={"body": (RPC.body or "").replace("prices", "prises")})
        with pytest.raises(SourceChanged, match="KeyError: no model prises"):
            drain(connector.read(unknown, None))
        # without `errors` in the mapping it is still no empty list
        silent = unknown.model_copy(update={"errors": None})
        with pytest.raises(SourceChanged, match="no array of records"):
            drain(connector.read(silent, None))
    assert passing.value.code == "error_in_body"


def test_json_rpc_every_word_of_errors_has_its_class(erp: RestErp) -> None:
    assert RPC.errors is not None
    for word, kind, code in (
        ("throttled", RateLimited, "rate_limit"),
        ("denied", Misconfigured, "forbidden"),
        ("passing", Transient, "error_in_body"),
        ("expired", Misconfigured, "auth"),
    ):
        errors = RPC.errors.model_copy(
            update={"passing": (), "denied": (), "throttled": (), word: ("KeyError",)}
        )
        body = (RPC.body or "").replace("prices", "nothing")
        source = RPC.model_copy(update={"errors": errors, "body": body})
        with rest(erp, tries=1) as connector, pytest.raises(kind) as caught:
            drain(connector.read(source, None))
        assert caught.value.code == code
    accepted = RPC.errors.model_copy(update={"ok": ("KeyError",)})
    source = RPC.model_copy(update={"errors": accepted, "body": body})
    with rest(erp, tries=1) as connector, pytest.raises(SourceChanged, match="no array"):
        drain(connector.read(source, None))


def odoo(model: str, body: str = "{}") -> Any:
    return question(
        f"json/2/{model}/search_read",
        method="POST",
        body=body,
        records=".",
        page={"by": "offset", "offset": "offset", "limit": "limit", "size": 20},
    )


def test_REST_23_odoo_json_2_pages_by_its_body_under_a_bearer_key(erp: RestErp) -> None:
    erp.doors.way = "bearer"
    where = connection(erp, sign_in="bearer", bearer_token=BEARER)
    with rest(where) as connector:
        pages, _ = drain(connector.read(odoo("prices", '{"domain": []}'), None))
        assert len(keys(pages, ".")) == 45
        assert [one.json["offset"] for one in erp.received] == [0, 20, 40, 45]
        with pytest.raises(SourceChanged) as wrong:
            drain(connector.read(odoo("prices", '{"domain": "x"}'), None))
        before = len(erp.requests)
        erp.api_in_plan = False
        with pytest.raises(Misconfigured) as plan:
            drain(connector.read(odoo("prices"), None))
    assert (wrong.value.code, before) == ("unprocessable", 5)  # asked once: it stays wrong
    assert plan.value.code == "plan"
    assert "plan with API access" in str(plan.value)
