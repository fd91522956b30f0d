"""Queue and replay of messages out (DLQ), their files (SFTP-17), what is kept of them (REST-26)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mappings.settings import Settings
from portal_db import outbox
from sandbox.dataset import Dataset, load
from sandbox.sftp.intake import ARCHIVE, INBOX
from sync.dead_letters import retry_message, settle_message
from tests.orders import shop
from tests.orders.killed_worker import Workers
from tests.orders.practice import PROTOCOLS, Practice, practising


@pytest.fixture(scope="session")
def all_of_tiny() -> Dataset:
    return load("tiny")


@pytest.fixture(params=list(PROTOCOLS))
def practice(
    request: pytest.FixtureRequest, settings: Settings, all_of_tiny: Dataset, tmp_path: Path
) -> Iterator[Practice]:
    with practising(settings, request.param, all_of_tiny, tmp_path) as one:
        yield one


@pytest.fixture
def anvil_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    with practising(settings, "anvil", all_of_tiny, tmp_path) as one:
        yield one


@pytest.fixture
def cedar_shop(settings: Settings, all_of_tiny: Dataset, tmp_path: Path) -> Iterator[Practice]:
    with practising(settings, "cedar", all_of_tiny, tmp_path) as one:
        yield one


@pytest.mark.slow
def test_DLQ_1_a_worker_killed_at_any_instant_gives_its_message_back(
    anvil_shop: Practice, settings: Settings
) -> None:
    """SIGKILL before and after every statement of a delivery; a lease later it goes on.

    Each worker finds its own message alone: what earlier ones died over lies aside, as they left
    it, until the end.
    """
    aside = (
        "UPDATE sync.outbox SET next_at = now() + interval '1 hour', "
        "lease_until = lease_until + interval '1 hour' WHERE next_at < now() + interval '1 min'"
    )
    known = len(anvil_shop.dealers)
    more = [(f"D{n}", 101 + n) for n in range(known, 200)]
    shop.stock_up(anvil_shop.admin, "anvil", dealers=more, products=(), kinds=())
    anvil_shop.dealers += [key for key, _ in more]
    placed = []
    with Workers(settings) as workers:
        placed.append(anvil_shop.place("whole"))
        statements = workers.deliver("anvil")["statements"]
        assert anvil_shop.state(placed[0]) == "delivered"
        assert statements > 5
        for at in range(1, statements + 1):
            for after in (False, True):
                placed.append(anvil_shop.place(f"k{at}{after}", dealer=len(placed)))
                assert workers.deliver("anvil", at=at, after=after)["status"] == -9, at
                anvil_shop.sql(aside)
                anvil_shop.sql("DELETE FROM sync.budget_slot")  # their leases end, too
        assert anvil_shop.one("SELECT count(*) FROM sync.outbox WHERE state = 'sending'") > 2
        anvil_shop.sql(  # as if the seconds of every lease had passed
            "UPDATE sync.outbox SET next_at = now(), lease_until = CASE WHEN state = 'sending' "
            "THEN now() - interval '1 s' END WHERE state <> 'delivered'"
        )
        anvil_shop.settle(60)
    assert {anvil_shop.in_erp(one) for one in placed} == {1}
    assert {anvil_shop.state(one) for one in placed} == {"delivered"}
    lost = anvil_shop.one("SELECT count(*) FROM sync.delivery_attempt WHERE outcome = 'lost'")
    assert lost > 2


def test_DLQ_1_an_expired_lease_is_uncertain_never_pending(anvil_shop: Practice) -> None:
    placed = anvil_shop.place("k1")
    with anvil_shop.ctx.connection() as connection:
        held = outbox.claim(connection, "anvil", worker="gone", lease=0.0, mapping_sha256="x")
    assert held is not None
    anvil_shop.map(settle_seconds="5")
    anvil_shop.deliver()
    assert anvil_shop.state(placed) == "uncertain"
    with (
        pytest.raises(psycopg.DatabaseError, match="cannot become"),
        anvil_shop.admin.transaction(),
    ):
        anvil_shop.sql("UPDATE sync.outbox SET state = 'pending'")


def test_DLQ_2_a_stuck_message_never_blocks_its_lane(practice: Practice) -> None:
    practice.map(settle_seconds="30")
    where = {"anvil": "CreateOrder", "birch": "POST", "cedar": ".done"}[practice.erp]
    stuck = practice.place("stuck")
    practice.server.faults.arm("lost_answer", where=where)
    practice.deliver()
    assert practice.state(stuck) == "uncertain"
    behind = [practice.place(f"k{n}") for n in range(3)]  # of the same dealer
    practice.deliver()
    assert {practice.state(one) for one in behind} == {"delivered"}
    assert practice.state(stuck) == "uncertain"


def test_DLQ_2_a_message_that_cannot_be_written_stands_aside(anvil_shop: Practice) -> None:
    poisoned = anvil_shop.place("bad")
    anvil_shop.sql("ALTER TABLE sync.outbox_payload DISABLE TRIGGER append_only")
    anvil_shop.sql("UPDATE sync.outbox_payload SET payload = jsonb_set(payload, "
                   "'{lines,0,uom}', '\"NONE\"')")  # fmt: skip
    anvil_shop.sql("ALTER TABLE sync.outbox_payload ENABLE TRIGGER append_only")
    good = anvil_shop.place("good")
    anvil_shop.deliver()
    assert anvil_shop.state(good) == "delivered"
    assert anvil_shop.sql("SELECT state, code, tries FROM sync.outbox ORDER BY id LIMIT 1") == [
        ("dead", "unwritable", 1)
    ]
    assert "'NONE' has no code in the lookup unit" in anvil_shop.one(
        "SELECT says FROM sync.outbox WHERE state = 'dead'"
    )
    assert anvil_shop.in_erp(poisoned) == 0


def test_DLQ_2_a_hanging_erp_is_let_go_after_its_own_time(anvil_shop: Practice) -> None:
    anvil_shop.map(target={"timeout_seconds": "0.5"}, settle_seconds="30")
    anvil_shop.server.faults.arm("hang", where="CreateOrder")
    placed = anvil_shop.place("k1")
    began = time.monotonic()
    anvil_shop.deliver()
    assert time.monotonic() - began < 5
    assert anvil_shop.state(placed) == "uncertain"


def test_DLQ_3_a_replay_keeps_attempts_and_versions(anvil_shop: Practice) -> None:
    anvil_shop.server.book._products = {"other": "active"}
    placed = anvil_shop.place("k1")
    anvil_shop.settle()
    before = anvil_shop.sql("SELECT * FROM sync.delivery_attempt ORDER BY id")
    anvil_shop.server.book._products = {}
    message = placed.message_id
    assert message is not None
    payload = anvil_shop.one("SELECT payload FROM sync.outbox_payload")
    payload["note"] = "corrected"
    retry_message(anvil_shop.ctx, message, actor="ayse", reason="item is back", payload=payload)
    anvil_shop.settle()
    assert anvil_shop.in_erp(placed) == 1
    assert anvil_shop.server.book.found(placed.reference)[0].note == "corrected"
    after = anvil_shop.sql("SELECT * FROM sync.delivery_attempt ORDER BY id")
    assert after[: len(before)] == before
    assert [one[1] for one in anvil_shop.attempts(placed)] == ["refused", "retry", "delivered"]
    versions = anvil_shop.sql("SELECT version, made_by, reason FROM sync.outbox_payload ORDER BY 1")
    assert versions[1:] == [(2, "ayse", "item is back")]
    assert anvil_shop.one("SELECT count(*) FROM sync.audit WHERE action = 'retry message'") == 1
    for statement in (
        "UPDATE sync.delivery_attempt SET outcome = 'found'", "DELETE FROM sync.delivery_attempt",
        "TRUNCATE sync.delivery_attempt", "DELETE FROM sync.outbox", "TRUNCATE sync.outbox_payload",
        "UPDATE sync.outbox_payload SET made_by = 'x'",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            anvil_shop.sql(statement)


def test_DLQ_3_what_may_be_in_the_erp_is_not_sent_again_on_a_mere_word(
    anvil_shop: Practice,
) -> None:
    anvil_shop.map(target={"find": "cannot"})
    anvil_shop.server.faults.arm("lost_answer", where="CreateOrder")
    placed = anvil_shop.place("k1")
    anvil_shop.settle()
    message = placed.message_id
    assert message is not None
    retry_message(anvil_shop.ctx, message, actor="ayse", reason="try again")
    anvil_shop.settle()
    assert anvil_shop.sql("SELECT state, tries FROM sync.outbox") == [("dead", 1)]
    settle_message(anvil_shop.ctx, message, there=True, number="SO-1", actor="ayse", reason="seen")
    assert anvil_shop.state(placed) == "delivered"
    assert anvil_shop.says(placed) == "confirmed as SO-1"
    assert anvil_shop.in_erp(placed) == 1


def test_SFTP_17_a_file_is_named_when_whole_and_marked_last(cedar_shop: Practice) -> None:
    intake = cedar_shop.server.intake
    intake.asleep.set()
    seen: list[str] = []
    faults = cedar_shop.server.faults
    take = faults.take
    faults.take = lambda request, only=None: (seen.append(request), take(request, only))[1]
    placed = cedar_shop.place("k1")
    cedar_shop.deliver()
    name = f"{placed.reference}.csv"
    writes = [one for one in seen if one.startswith(("write", "rename"))]
    assert writes == [
        f"write {INBOX}/.{name}.part", f"rename {INBOX}/{name}", f"write {INBOX}/{name}.done",
    ]  # fmt: skip
    assert cedar_shop.order_state(placed) == "sent"
    assert cedar_shop.says(placed).endswith(", handed over, not yet confirmed")
    intake.asleep.clear()
    cedar_shop.settle()
    assert (cedar_shop.server.folder / ARCHIVE / name).exists()
    assert cedar_shop.in_erp(placed) == 1


@pytest.mark.parametrize(
    ("fault", "where", "first"),
    [
        ("drop", ".part", "not_sent"),
        ("reset", "rename", "uncertain"),
        ("lost_answer", "rename", "uncertain"),
        ("reset", ".done", "uncertain"),
        ("lost_answer", ".done", "uncertain"),
    ],
)
def test_SFTP_17_no_double_upload_whatever_breaks(
    cedar_shop: Practice, fault: str, where: str, first: str
) -> None:
    cedar_shop.server.faults.arm(fault, where=where)
    placed = cedar_shop.place("k1")
    cedar_shop.settle()
    assert cedar_shop.attempts(placed)[0] == ("send", first)
    assert cedar_shop.in_erp(placed) == 1
    assert cedar_shop.order_state(placed) == "acknowledged"


def test_SFTP_17_a_file_the_erp_cannot_read_is_a_refusal(cedar_shop: Practice) -> None:
    intake = cedar_shop.server.intake
    intake.asleep.set()
    placed = cedar_shop.place("k1")
    cedar_shop.deliver()
    file = cedar_shop.server.folder / INBOX / f"{placed.reference}.csv"
    file.write_bytes(b"SIPARIS_REF\r\n")
    intake.asleep.clear()
    cedar_shop.settle()
    assert cedar_shop.order_state(placed) == "rejected"
    assert cedar_shop.says(placed) == "refused: the ERP could not read the file"


def test_REST_26_no_secret_is_kept_with_an_attempt(practice: Practice) -> None:
    where = {"anvil": "CreateOrder", "birch": "POST", "cedar": ".done"}[practice.erp]
    practice.server.faults.arm("lost_answer", where=where)
    practice.place("k1")
    practice.settle()
    practice.server.book._products = {"other": "active"}
    practice.place("k2")
    practice.settle()
    kept = "\n".join(
        str(row) for row in practice.sql(
            "SELECT a::text FROM sync.delivery_attempt a UNION ALL SELECT o::text FROM sync.outbox "
            "o UNION ALL SELECT c::text FROM sync.circuit c UNION ALL SELECT i::text FROM "
            "sync.incident i"
        )
    )  # fmt: skip
    assert "WB-" in kept
    secrets = ["practice", "Bearer", "Nonce"]
    if practice.erp == "birch":
        secrets += list(practice.server._tokens)
    assert [one for one in secrets if one in kept.replace("urn:practice:erp", "")] == []
