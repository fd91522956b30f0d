"""A whole JSON-RPC ERP, from its mapping to the portal's rows, without a line of Python for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from mappings.errors import Misconfigured, SourceChanged
from mappings.settings import REPOSITORY
from sandbox.rest import RestErp
from sandbox.rest.doors import PASSWORD, USER
from sync.budget import look
from sync.check import check
from tests.conformance.practice_rest import RPC
from tests.sync.world import World, counted


def partner(number: int, hour: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "ref": f"P{number:03}", "name": f"Partner {number}", "state": "active",
        "currency": "EUR", "country": "TR", "region": None, "vat": "", "payment_days": 30,
        "user": {"email": "rep@dune.example"}, "write_date": f"2026-01-10T{hour:02}:00:00Z",
        "addresses": [{"id": number * 10, "name": "Depot", "street": "Quay 1", "zip": "01000",
                       "city": "Adana", "country": "TR"}], **more,
    }  # fmt: skip


def price(number: int, amount: float, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "kind": "pricelist", "applies_to": "everybody", "partner": None,
        "currency": "EUR", "uom": "PCE", "min_quantity": 1, "fixed_price": amount,
        "date_start": "2026-01-01", "date_end": None, **more,
    }  # fmt: skip


@pytest.fixture
def dune(world: World) -> Iterator[RestErp]:
    records = {
        "res.partner": [partner(n, 9) for n in range(1, 46)],
        "product.pricelist.item": [price(n, 0.25 * n) for n in range(1, 31)],
    }
    shutil.copy(REPOSITORY / "mappings" / "rest" / "dune.yaml", world.settings.mappings[0])
    with RestErp(records) as erp:
        erp.doors.way = "rpc"
        sign_in = {**RPC, "logout_url": "/Logout"}
        given = {**erp.connection(**sign_in), "login": USER, "password": PASSWORD}
        world.connect("dune", given)
        world.forget()
        yield erp


def test_a_json_rpc_erp_is_loaded_kept_up_to_date_and_left_as_it_was(
    world: World, dune: RestErp
) -> None:
    dune.faults.arm("session_expired", where="/rpc", after=1)  # and in mid-paging it forgets us
    first = world.run("dune", "customers")
    assert counted(first, "dealer") == {"read": 45, "inserted": 45}
    assert counted(first, "dealer_address") == {"read": 45, "inserted": 45}
    assert world.rows("dealer", "name")["P007"] == "Partner 7"
    prices = world.run("dune", "prices")
    assert counted(prices) == {"read": 30, "inserted": 30}
    assert world.rows("price", "unit_price", "header_key")["3"] == Decimal("0.75")

    dune.records["res.partner"][4] |= {"name": "New name", "write_date": "2026-01-11T08:00:00Z"}
    dune.records["res.partner"][5] |= {"gone": "1", "write_date": "2026-01-11T08:00:01Z"}
    del dune.records["product.pricelist.item"][-1]
    dune.received.clear()
    second = world.run("dune", "customers")
    assert {k: v for k, v in counted(second, "dealer").items() if k != "unchanged"} == {
        "read": 45, "updated": 2, "deleted": 1,
    }  # fmt: skip
    asked = [one.json["params"]["kwargs"]["domain"] for one in dune.received if one.path == "/rpc"]
    ((name, operator, since),) = asked[0]
    assert (name, operator) == ("write_date", ">=")
    assert "2026-01-10T08:40:00Z" < since <= "2026-01-10T08:50:00Z"  # the overlap, and a little
    assert world.rows("dealer", "name")["P005"] == "New name"
    assert "P006" not in world.keys("dealer")
    assert counted(world.run("dune", "prices"))["deleted"] == 1

    assert dune.doors.sessions == set()  # every session was logged out
    assert world.one("SELECT count(*) FROM sync.budget_slot") == 0


def test_what_it_refuses_is_said_and_nothing_is_loaded(world: World, dune: RestErp) -> None:
    del dune.records["res.partner"]
    with pytest.raises(SourceChanged, match=r"KeyError: no model res\.partner") as caught:
        world.pull("dune", "customers")
    assert caught.value.code == "bad_request"
    assert check(world.ctx, "dune")["state"] == "error"
    assert look(world.ctx, "dune")["state"] == "open"


def test_a_wrong_password_is_one_log_in_each_time(world: World, dune: RestErp) -> None:
    given = {**dune.connection(**RPC), "login": USER, "password": "f0rgotten"}
    world.connect("dune", given)
    world.forget()
    with pytest.raises(Misconfigured, match=r"sign-in refused.*Update the secret") as caught:
        world.pull("dune", "customers")
    assert dune.doors.logins == 1
    assert "f0rgotten" not in str(caught.value)
