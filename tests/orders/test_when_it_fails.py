"""Each class of failure by what happens next: retried, held, paused, closed; and its own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from mappings.reading import read_mappings
from mappings.settings import REPOSITORY, Settings
from sandbox.dataset import Dataset
from sync import order_book, sending
from sync.dead_letters import resume
from tests.orders import shop
from tests.orders.practice import Practice, practising
from waybill.cli import cli


@pytest.fixture
def birch_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    with practising(settings, "birch", all_of_tiny, tmp_path) as one:
        yield one


def test_a_503_is_safe_only_where_the_mapping_says_so(birch_shop: Practice) -> None:
    birch_shop.map(settle_seconds="30")
    birch_shop.server.faults.arm("maintenance", where="POST SalesOrders", times=1)
    first = birch_shop.place("k1")
    birch_shop.deliver(limit=1)
    assert birch_shop.attempts(first) == [("send", "uncertain")]
    birch_shop.map(settle_seconds="30", target={"safe_503": ["Please wait"]})
    birch_shop.server.faults.arm("maintenance", where="POST SalesOrders", times=1)
    second = birch_shop.place("k2", dealer=1)
    birch_shop.deliver(limit=1)
    assert birch_shop.attempts(second) == [("send", "not_sent")]
    assert birch_shop.state(second) == "retryable"


class NoDatabase:
    """A budget whose database goes away between the claim and the request."""

    def request(self, endpoint: str) -> AbstractContextManager[None]:
        raise psycopg.OperationalError(f"the database system is shutting down ({endpoint})")

    def refused(self, endpoint: str, status: int) -> None: ...

    def pause(self, seconds: float) -> None: ...


def test_our_own_database_going_away_is_no_outage_of_the_erp(birch_shop: Practice) -> None:
    placed = birch_shop.place("k1")
    birch_shop.deliver(limit=1, budgets=lambda _erp: NoDatabase())
    assert birch_shop.sql("SELECT state, code FROM sync.outbox") == [("uncertain", "database")]
    assert birch_shop.sql("SELECT * FROM sync.circuit WHERE failures > 0") == []
    birch_shop.settle()
    assert birch_shop.in_erp(placed) == 1


def test_too_many_requests_hold_everybody_for_as_long_as_was_asked(birch_shop: Practice) -> None:
    birch_shop.server.faults.arm("rate_limit", where="POST SalesOrders", seconds=30)
    placed = [birch_shop.place(f"k{n}", dealer=n) for n in range(3)]
    report = birch_shop.deliver()
    assert report.outcomes == {"not_sent": 1}
    assert [birch_shop.state(one) for one in placed] == ["retryable", "pending", "pending"]
    wait = birch_shop.one("SELECT next_at - now() FROM sync.circuit")
    assert timedelta(seconds=25) < wait <= timedelta(seconds=30)
    assert birch_shop.one("SELECT count(*) FROM sync.incident") == 0


def test_a_wrong_password_pauses_the_lane_and_counts_against_no_message(
    birch_shop: Practice,
) -> None:
    birch_shop.server.faults.arm("wrong_password", times=None)
    placed = [birch_shop.place(f"k{n}", dealer=n) for n in range(3)]
    birch_shop.deliver()
    (lane,) = order_book.lanes(birch_shop.ctx)
    assert (lane["circuit"], lane["waiting"]) == ("paused", 3)
    assert 'Update the secret of connection "birch"' in lane["says"]
    assert birch_shop.one("SELECT max(strikes) FROM sync.outbox") == 0
    assert birch_shop.server.sign_ins == 1
    birch_shop.server.faults.disarm()
    assert birch_shop.deliver().attempts == 0  # it waits for a person, or for long
    assert resume(birch_shop.ctx, "birch", actor="ayse")
    birch_shop.settle()
    assert {birch_shop.order_state(one) for one in placed} == {"acknowledged"}


def test_closed_hours_are_no_try(birch_shop: Practice) -> None:
    now = datetime.now(UTC)
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    birch_shop.map(windows=[window])
    placed = birch_shop.place("k1")
    report = birch_shop.deliver()
    assert report.attempts == 0
    assert report.left_alone["birch"].startswith("closed until")
    assert birch_shop.one("SELECT tries FROM sync.outbox") == 0
    assert ", ERP closed until " in birch_shop.says(placed)
    birch_shop.map()
    birch_shop.settle()
    assert birch_shop.in_erp(placed) == 1


def test_tries_end_and_free_the_stock(birch_shop: Practice) -> None:
    birch_shop.map(
        target={"safe_503": ["*"]},
        retry={"tries": "2", "hours": "0.0001", "probe_seconds": "0.05"},
    )
    birch_shop.server.faults.arm("maintenance", where="POST SalesOrders", times=None)
    birch_shop.place("k1")
    birch_shop.settle()
    assert birch_shop.sql("SELECT state, code, strikes FROM sync.outbox") == [
        ("dead", "gave_up", 2)
    ]
    assert birch_shop.one("SELECT ended_because FROM portal.stock_hold") == "dead"


def test_the_command_places_shows_and_delivers(birch_shop: Practice) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(cli, arguments, obj=None, env=birch_shop.settings.environment())
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    product = birch_shop.products[0]
    line = ("-l", product["key"], "2", product["base_uom"])
    told = said("order", "place", "birch", birch_shop.dealers[0], *line, "--key", "c1")
    reference = told.split()[0]
    assert "was placed before" in said(
        "order", "place", "birch", birch_shop.dealers[0], *line, "--key", "c1"
    )
    assert "pending" in said("outbox")
    assert "delivered 1" in said("outbox", "deliver", "birch")
    shown = said("order", "show", reference)
    assert "confirmed as SO-900001" in shown
    assert "accepted" in shown
    assert reference in said("order", "list", "--json")
    assert "closed" in said("outbox", "lanes")


def test_the_command_closes_a_message_that_was_refused_and_no_other(birch_shop: Practice) -> None:
    def close(message: int) -> int:
        command = ("outbox", "close", str(message), "--reason", "asked the dealer")
        return CliRunner().invoke(cli, command, env=birch_shop.settings.environment()).exit_code

    birch_shop.server.book._products = {"other": "active"}
    refused = birch_shop.place("k1")
    birch_shop.settle()
    assert birch_shop.state(refused) == "dead"
    assert close(refused.message_id or 0) == 0
    assert birch_shop.state(refused) == "cancelled"
    assert close(refused.message_id or 0) != 0, "it is over already"


def test_the_command_holds_a_price_that_was_shown_to_the_portals_own(birch_shop: Practice) -> None:
    def place(*arguments: str) -> tuple[int, str]:
        command = ("order", "place", "birch", birch_shop.dealers[0], *arguments)
        done = CliRunner().invoke(cli, command, env=birch_shop.settings.environment())
        return done.exit_code, f"{done.output}{done.exception}"

    product, unit = birch_shop.products[0]["key"], birch_shop.products[0]["base_uom"]
    priced = ("-p", product, "2", unit)
    code, told = place(*priced, "10", "--key", "c1")
    assert (code != 0, "no price is known" in told) == (True, True)
    birch_shop.sql("SELECT portal.ensure_price_partition('birch')")
    shop.put(
        birch_shop.admin, "price", erp="birch", header_key="L1", level="list", dealer_scope="all",
        product_scope="product", product_key=product, currency="EUR", uom=unit, per=1, min_qty=1,
        unit_price="10", valid_from="0001-01-01", dealer_erp="birch", product_erp="birch",
    )  # fmt: skip
    code, told = place(*priced, "9.99", "--key", "c2")
    assert (code != 0, "19.98 was shown, it is 20.00 EUR" in told) == (True, True)
    assert birch_shop.one("SELECT count(*) FROM portal.order_request") == 0
    assert place(*priced, "10", "--key", "c3")[0] == 0
    file = birch_shop.settings.home / "order.json"
    for spoiled, says in (
        ("{", "is not JSON"), ("[]", "holds no order"), ('{"lines": [{"sku": 1}]}', "'sku'"),
        ('{"colour": 1, "lines": [{"product_key": "x", "qty": 1, "uom": "y"}]}', "'colour'"),
    ):  # fmt: skip
        file.write_text(spoiled)
        code, told = place("--file", str(file), "--key", "c4")
        assert (code, says in told) == (2, True), told


def test_by_default_about_twelve_tries_fill_a_day_each_wait_drawn_from_nothing_to_its_limit() -> (
    None
):
    how = read_mappings((REPOSITORY / "mappings" / "erps",)).mappings["anvil"].outbound("order")
    assert how is not None
    assert (how.retry.tries, how.retry.hours) == (12, 24)
    limits = [how.first_wait * 2**n for n in range(how.retry.tries - 1)]
    assert sum(limits) / 2 == pytest.approx(24 * 3600, rel=0.01)  # half of each, on the average
    for attempt, limit in ((1, limits[0]), (6, limits[5])):
        waits = [sending.jittered(how.first_wait, attempt, 24 * 3600) for _ in range(400)]
        assert 0 <= min(waits) < limit / 10
        assert limit * 0.9 < max(waits) <= limit
