"""Messages at the desk, with a practice ERP behind them: again, corrected, found, closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mappings.settings import Settings
from portal_db.orders import PlacedOrder
from review.web.app import make_app
from sandbox.dataset import Dataset, load
from tests.conftest import fresh_database
from tests.orders.practice import Practice, practising
from tests.review.web.browser import Browser, StandInGate

pytestmark = pytest.mark.timeout(300)


class Counter:
    """The desk of a shop whose ERP takes orders, and two people at it."""

    def __init__(self, shop: Practice) -> None:
        self.shop = shop
        self.app = make_app(shop.settings, StandInGate())
        self.olga = Browser(self.app, "olga:operator+auditor")
        self.igor = Browser(self.app, "igor:operator+auditor")
        self.anna = Browser(self.app, "anna:auditor")

    def refused(self, *keys: str) -> list[PlacedOrder]:
        """Orders that the ERP refuses now, and would take later."""
        known = self.shop.server.book._products
        self.shop.server.book._products = {"other": "active"}
        placed = [self.shop.place(key) for key in keys]
        self.shop.settle()
        self.shop.server.book._products = known
        assert {self.shop.state(one) for one in placed} == {"dead"}
        return placed


@pytest.fixture(scope="module")
def tiny() -> Dataset:
    return load("tiny")


@pytest.fixture(scope="module")
def counter(
    postgres: str, template_database: str, tiny: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("counter")
    (folder / "home").mkdir()
    (folder / "erps").mkdir()
    with fresh_database(postgres, template_database) as url:
        settings = Settings.read(
            {}, home=folder / "home", database_url=url, mappings=(folder / "erps",)
        )
        with practising(settings, "anvil", tiny, folder) as shop:
            one = Counter(shop)
            yield one
            one.app.state.desk.close()


def test_DLQ_9_a_refused_order_is_corrected_and_goes_again_once(counter: Counter) -> None:
    (placed,) = counter.refused("again")
    path = f"/messages/{placed.message_id}"
    assert path in counter.olga.see("/messages")
    page = counter.olga.see(path)
    assert "What to do next" in page
    payload = counter.shop.one(
        "SELECT payload FROM sync.outbox_payload WHERE message_id = %s", placed.message_id
    )
    counter.igor.see(path)
    words = {"seen": "1", "payload": json.dumps({**payload, "note": "by truck"}), "to": "edit"}
    assert "a reason is needed" in counter.olga.post(f"{path}/do", words).text
    said = counter.olga.do(f"{path}/do", {**words, "reason": "item is open again"})
    assert "The message is retryable now" in said
    late = counter.igor.post(f"{path}/do", {**words, "reason": "mine"})
    assert late.status_code == 409
    assert "corrected by somebody else" in late.text
    counter.shop.settle()
    assert counter.shop.in_erp(placed) == 1
    assert counter.shop.server.book.found(placed.reference)[0].note == "by truck"
    page = counter.olga.see(path)
    assert "Version 2 by olga: item is open again" in page
    assert "delivered" in page
    assert placed.reference not in counter.olga.see("/messages"), "it needs nobody any more"


def test_every_dead_message_of_one_cause_goes_again(counter: Counter) -> None:
    placed = counter.refused("many 1", "many 2", "many 3")
    (code,) = {c for (c,) in counter.shop.sql("SELECT code FROM sync.outbox WHERE state = 'dead'")}
    home = counter.olga.see("/", kind="messages")
    assert "<b>3</b>dead or uncertain messages" in home
    counter.olga.see("/messages", erp="anvil", state="dead", code=code)
    said = counter.olga.do(
        "/messages/retry", {"erp": "anvil", "code": code, "reason": "the company code is open"}
    )
    assert "3 messages go again" in said
    counter.shop.settle()
    assert [counter.shop.in_erp(one) for one in placed] == [1, 1, 1]
    assert "<b>0</b>dead or uncertain messages" in counter.olga.see("/")


def test_what_may_be_there_waits_for_who_looks_in_the_erp(counter: Counter) -> None:
    counter.shop.map(target={"find": "cannot"})
    placed = []
    for key in ("found", "lost"):
        counter.shop.server.faults.arm("lost_answer" if key == "found" else "reset",
                                       where="CreateOrder")  # fmt: skip
        placed.append(counter.shop.place(key))
        counter.shop.settle()
    found, lost = (f"/messages/{one.message_id}" for one in placed)
    counter.olga.see(found)
    closing = counter.olga.post(f"{found}/do", {"to": "close", "reason": "away with it"})
    assert "may be in the ERP" in closing.text
    counter.olga.do(f"{found}/do", {"to": "there", "number": "SO-77", "reason": "olga saw it"})
    assert counter.shop.says(placed[0]) == "confirmed as SO-77"
    counter.olga.see(lost)
    counter.olga.do(f"{lost}/do", {"to": "not_there", "reason": "asked accounts"})
    counter.shop.settle()
    assert [counter.shop.in_erp(one) for one in placed] == [1, 1], "each once, whatever was unsure"
    assert "olga saw it" in counter.olga.see(found)
    counter.shop.map()


def test_DLQ_6_a_dead_message_is_closed_with_a_reason_and_counts_no_more(counter: Counter) -> None:
    (placed,) = counter.refused("closed")
    path = f"/messages/{placed.message_id}"
    counter.olga.see(path)
    assert "a reason is needed" in counter.olga.post(f"{path}/do", {"to": "close"}).text
    counter.olga.do(f"{path}/do", {"to": "close", "reason": "the dealer ordered anew"})
    assert counter.shop.state(placed) == "cancelled"
    assert counter.shop.order_state(placed) == "rejected", "as the ERP said"
    assert "<b>0</b>dead or uncertain messages" in counter.olga.see("/")
    assert "the dealer ordered anew" in counter.olga.see(path)
    counter.shop.settle()
    assert counter.shop.in_erp(placed) == 0
    audited = "SELECT count(*) FROM sync.audit WHERE action = 'close message'"
    assert counter.shop.one(audited) == 1


def test_a_message_that_could_not_be_written_ends_with_its_order(counter: Counter) -> None:
    shop = counter.shop
    placed = shop.place("unwritable")
    shop.sql("ALTER TABLE sync.outbox_payload DISABLE TRIGGER append_only")
    shop.sql("UPDATE sync.outbox_payload SET payload = jsonb_set(payload, '{lines,0,uom}', "
             "'\"NONE\"') WHERE message_id = %s", placed.message_id)  # fmt: skip
    shop.sql("ALTER TABLE sync.outbox_payload ENABLE TRIGGER append_only")
    shop.deliver()
    path = f"/messages/{placed.message_id}"
    counter.olga.see(path)
    counter.olga.do(f"{path}/do", {"to": "close", "reason": "asked the dealer"})
    assert (shop.state(placed), shop.order_state(placed)) == ("cancelled", "cancelled")
    holds = "SELECT count(*) FROM portal.stock_hold WHERE reference = %s AND ended_at IS NULL"
    assert shop.one(holds, placed.reference) == 0


def test_an_auditor_reads_messages_without_people_or_the_wire(counter: Counter) -> None:
    (placed,) = counter.refused("read only")
    path = f"/messages/{placed.message_id}"
    counter.shop.sql("ALTER TABLE sync.outbox_payload DISABLE TRIGGER append_only")
    counter.shop.sql("UPDATE sync.outbox_payload SET payload = payload || "
                     "'{\"ship_to\": {\"name\": \"Ayse Yilmaz\"}}' WHERE message_id = %s",
                     placed.message_id)  # fmt: skip
    counter.shop.sql("ALTER TABLE sync.outbox_payload ENABLE TRIGGER append_only")
    seen, masked = counter.olga.see(path), counter.anna.see(path)
    assert "Ayse Yilmaz" in seen
    assert "Ayse" not in masked
    assert "<summary>sent</summary>" in seen
    assert "<summary>sent</summary>" not in masked
    assert "Let it go again" not in masked
    assert counter.anna.post(f"{path}/do", {"to": "close", "reason": "r"}).status_code == 403
    counter.olga.do(f"{path}/note", {"says": "the dealer calls back"})
    assert "the dealer calls back" in counter.anna.see(path)


def test_an_outage_is_tried_now_by_a_person(counter: Counter) -> None:
    shop = counter.shop
    shop.map(retry={"tries": "12", "hours": "1", "probe_seconds": "3600"})
    shop.server.faults.arm("maintenance", times=None)
    for n in range(6):
        shop.place(f"outage {n}", dealer=n % 4)
        shop.deliver()
    assert "takes no messages" in counter.olga.see("/messages")
    assert "<b>1</b>paused lanes" in counter.olga.see("/")
    shop.server.faults.disarm()
    assert "tried now" in counter.olga.do("/messages/resume", {"erp": "anvil"})
    shop.map()
    shop.settle()
    assert "takes no messages" not in counter.olga.see("/messages")
