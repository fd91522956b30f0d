"""Asking an ERP while somebody waits: live, or what was synced with its age, and never a hang."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mappings.errors import Misconfigured
from sandbox.dataset import Dataset
from sandbox.dataset import load as load_dataset
from sync.ask import Asker, ask
from tests.flows.practice import GENERATED, Practice

SHORT = timedelta(seconds=0.4)
LONG = timedelta(seconds=30)
USUAL = timedelta(seconds=3)


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    return load_dataset("tiny")


@pytest.fixture
def practice(database: str, tmp_path: Path, tiny_dataset: Dataset) -> Iterator[Practice]:
    """The three practice ERPs, nothing synced yet."""
    one = Practice(tiny_dataset, GENERATED, database, tmp_path / "home")
    one.start()
    try:
        yield one
    finally:
        one.stop()


def account(dataset: Dataset, erp: str) -> dict[str, Any]:
    """The first credit account of an ERP, as the ERP has it."""
    return dataset.of(erp)["credit"].slice(0, 1).to_pylist()[0]


def synced_credit(database: str, erp: str, key: str, *, minutes_old: int) -> None:
    """A row as the credit feed left it some minutes ago."""
    with psycopg.connect(database, autocommit=True) as db:
        at = datetime.now(UTC) - timedelta(minutes=minutes_old)
        db.execute(
            "INSERT INTO portal.credit (erp, account_key, currency, limit_amount, unlimited, "
            "open_balance, on_hold, calculated_at, dealer_erp, batch_id, record_no, row_hash, "
            "as_of) VALUES (%s, %s, 'EUR', 100, false, 40, false, %s, %s, 1, 1, 1, %s)",
            (erp, key, at, erp, at),
        )
        db.execute(
            "INSERT INTO sync.cursor (erp, feed, scope_key, confirmed_at) "
            "VALUES (%s, 'credit', '', %s)",
            (erp, at),
        )


@pytest.mark.parametrize("erp", ["anvil", "birch"])
def test_credit_stock_and_price_are_answered_live(practice: Practice, erp: str) -> None:
    rows = practice.servers[erp].dataset
    theirs = account(rows, erp)
    stock = rows["stock"].slice(0, 1).to_pylist()[0]
    dealer = next(d for d in rows["dealer"].to_pylist() if d["status"] == "active")
    listed = next(
        p
        for p in rows["price"].to_pylist()
        if p["dealer_scope"] == "all" and p["currency"] == dealer["currency"] and p["unit_price"]
        and p["product_scope"] == "product" and p["valid_to"] is None
    )  # fmt: skip
    with Asker(practice.ctx) as asker:
        assert erp in asker.warm()
        credit = asker.ask(erp, "credit", {"account_key": theirs["account_key"]}, LONG)
        assert (credit.live, credit.why) == (True, None)
        found = {row["currency"]: row for row in credit.rows}[theirs["currency"]]
        assert found["open_balance"] == theirs["open_balance"]
        assert found["limit_amount"] == theirs["limit_amount"]
        assert isinstance(found["open_balance"], Decimal)
        here = {"product_key": stock["product_key"], "warehouse_key": stock["warehouse_key"]}
        assert [row["on_hand"] for row in asker.ask(erp, "stock", here, LONG).rows] == [
            stock["on_hand"]
        ]
        everywhere = asker.ask(erp, "stock", {"product_key": stock["product_key"]}, LONG).rows
        assert len(everywhere) >= 1
        wish = {"dealer_key": dealer["key"], "product_key": listed["product_key"], "qty": "999"}
        price = asker.ask(erp, "price", wish, LONG)
        assert price.live
        assert price.rows[0]["currency"] == dealer["currency"]
        assert price.rows[0]["unit_price"] > 0


def test_an_account_that_the_erp_does_not_have_is_a_live_answer_without_rows(
    practice: Practice,
) -> None:
    answer = ask(practice.ctx, "birch", "credit", {"account_key": "it's nobody"}, LONG)
    assert (answer.live, answer.rows) == (True, ())


def test_an_erp_that_cannot_be_asked_says_so_and_gives_what_was_synced(
    practice: Practice, database: str
) -> None:
    synced_credit(database, "cedar", "C1", minutes_old=7)
    answer = ask(practice.ctx, "cedar", "credit", {"account_key": "C1"})
    assert (answer.live, answer.why) == (False, "not_offered")
    assert answer.rows[0]["open_balance"] == 40
    age = answer.age(datetime.now(UTC))
    assert age is not None
    assert timedelta(minutes=6) < age < timedelta(minutes=8)


def test_keys_are_asked_for(practice: Practice) -> None:
    with pytest.raises(Misconfigured) as caught:
        ask(practice.ctx, "birch", "price", {"dealer_key": "D1"})
    assert caught.value.code == "keys"


def test_ORD_10_where_no_time_is_left_the_erp_is_not_asked(
    practice: Practice, database: str
) -> None:
    """An order that waited for its turn with us is judged on what was synced, at once."""
    birch: Any = practice.servers["birch"]
    key = account(birch.dataset, "birch")["account_key"]
    synced_credit(database, "birch", key, minutes_old=3)
    answer = ask(practice.ctx, "birch", "credit", {"account_key": key}, timedelta())
    assert (answer.live, answer.why, answer.rows[0]["open_balance"]) == (False, "busy", 40)
    assert birch.requests == []


@pytest.mark.parametrize("erp", ["anvil", "birch"])
def test_ORD_10_a_slow_erp_gives_the_last_known_credit_with_its_age_and_never_hangs(
    practice: Practice, database: str, erp: str
) -> None:
    key = account(practice.servers[erp].dataset, erp)["account_key"]
    synced_credit(database, erp, key, minutes_old=3)
    with Asker(practice.ctx) as asker:
        asker.warm()
        assert asker.ask(erp, "credit", {"account_key": key}, LONG).live
        practice.servers[erp].faults.arm("hang", times=None)
        began = time.monotonic()
        answer = asker.ask(erp, "credit", {"account_key": key}, SHORT)
        assert time.monotonic() - began < 20  # not the hour that it hangs
        assert (answer.live, answer.why) == (False, "timeout")
        assert answer.rows[0]["open_balance"] == 40
        age = answer.age(datetime.now(UTC))
        assert age is not None
        assert age > timedelta(minutes=2)


def test_ORD_10_a_hung_erp_holds_no_thread_and_is_left_alone_until_it_answers(
    practice: Practice, database: str
) -> None:
    key = account(practice.servers["birch"].dataset, "birch")["account_key"]
    synced_credit(database, "birch", key, minutes_old=3)
    birch = practice.servers["birch"]
    with Asker(practice.ctx, concurrent=2, queue=2, failures=3, pause=0.3) as asker:
        assert asker.ask("birch", "credit", {"account_key": key}, USUAL).live
        birch.faults.arm("hang", times=None)
        with ThreadPoolExecutor(20) as pool:
            answers = list(
                pool.map(
                    lambda _: asker.ask("birch", "credit", {"account_key": key}, SHORT), range(20)
                )
            )
        assert all(not one.live and one.rows for one in answers)
        assert {one.why for one in answers} <= {"timeout", "busy", "circuit"}
        assert sum(one.why == "busy" for one in answers) >= 10  # two run, two wait
        until = time.monotonic() + 60
        while asker.states()["birch"] == "closed":
            assert time.monotonic() < until
            asker.ask("birch", "credit", {"account_key": key}, SHORT)
        while any(t.name.startswith("odata-birch") for t in threading.enumerate()):
            assert time.monotonic() < until  # every thread that waited for it has come back
            time.sleep(0.02)
        birch.faults.disarm()
        while not asker.ask("birch", "credit", {"account_key": key}, LONG).live:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert asker.states()["birch"] == "closed"


def test_an_erp_that_is_slow_and_answers_is_asked_on(practice: Practice, database: str) -> None:
    """Too many at once are answered from what was synced; that is no fault of the ERP."""
    key = account(practice.servers["birch"].dataset, "birch")["account_key"]
    synced_credit(database, "birch", key, minutes_old=3)
    within = timedelta(seconds=3)
    with Asker(practice.ctx, concurrent=2, queue=8, failures=2, pause=60) as asker:
        assert asker.ask("birch", "credit", {"account_key": key}, LONG).live
        practice.servers["birch"].faults.arm("slow", times=None, where="Credit", seconds=1.2)
        with ThreadPoolExecutor(12) as pool:
            answers = list(
                pool.map(
                    lambda _: asker.ask("birch", "credit", {"account_key": key}, within), range(12)
                )
            )
        practice.servers["birch"].faults.disarm()
        assert {one.why for one in answers} <= {None, "busy", "timeout"}
        assert any(not one.live for one in answers)
        assert asker.states()["birch"] == "closed"


def test_a_server_that_trickles_its_answer_cannot_hold_a_thread(practice: Practice) -> None:
    """A byte now and then resets every time-out of a read: the session is closed under it."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            while not stop.is_set():
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_trickle, args=(peer, stop), daemon=True).start()

        threading.Thread(target=drip, daemon=True).start()
        extra: Any = {}
        told: Any = practice.servers["birch"].connection()["extra"]
        extra |= told
        extra["service_root"] = f"http://127.0.0.1:{server.getsockname()[1]}/odata"
        practice.connect("birch", extra=extra)
        with Asker(practice.ctx, concurrent=1) as asker:
            answer = asker.ask("birch", "credit", {"account_key": "x"}, SHORT)
            assert answer.why == "timeout"
            until = time.monotonic() + 60
            while any(line.waiting for line in asker._lines.values()):
                assert time.monotonic() < until
                time.sleep(0.02)
        stop.set()


def _trickle(peer: socket.socket, stop: threading.Event) -> None:
    with peer:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.1):
            try:
                peer.sendall(b"X-Slow: yes\r\n")
            except OSError:
                return


def test_a_wrong_password_is_tried_once(practice: Practice) -> None:
    birch: Any = practice.servers["birch"]
    extra = {**birch.connection()["extra"], "client_secret": "wrong"}
    practice.connect("birch", extra=extra)
    with Asker(practice.ctx) as asker:
        whys = [asker.ask("birch", "credit", {"account_key": "x"}, LONG).why for _ in range(4)]
    assert whys == ["auth", "circuit", "circuit", "circuit"]
    assert birch.sign_ins == 1


def test_an_answer_about_somebody_else_is_no_answer(practice: Practice) -> None:
    """A service that ignores the filter must not lend one dealer another's credit."""
    text = (practice.settings.mappings[0] / "birch.yaml").read_text(encoding="utf-8")
    folder = practice.settings.home / "mappings"
    folder.mkdir()
    live = text.index("live:")
    spoiled = text[live:].replace("{BillToCustomerNo: account_key}", "{RiskClass: account_key}", 1)
    (folder / "birch.yaml").write_text(text[:live] + spoiled, encoding="utf-8")
    one = Practice.__new__(Practice)  # the same installation under another mapping
    one.__dict__.update(practice.__dict__)
    from dataclasses import replace  # noqa: PLC0415

    one.settings = replace(practice.settings, mappings=(folder,))
    one._ctx = None
    risk = account(practice.servers["birch"].dataset, "birch")["risk_class"]
    answer = ask(one.ctx, "birch", "credit", {"account_key": risk}, LONG)
    one.forget()
    assert (answer.live, answer.why) == (False, "wrong_answer")
