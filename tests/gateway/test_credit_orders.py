"""Orders on credit from end to end: asked live, judged with the account locked, placed together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mappings.errors import Refused
from sandbox.dataset import Dataset
from sync.ask import Asker
from sync.ordering import LineWish, approve, place
from tests.gateway.till import ERP, PATIENT, Till
from tests.orders.shop import put

SHORT = timedelta(seconds=0.3)


def test_case_13_of_two_orders_at_once_the_second_sees_the_first(till: Till) -> None:
    with till.asker() as asker, ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: till.order(asker, "5000"), range(2)))
    accepted, refused = sorted(both, key=lambda one: one.reference is None)
    assert (accepted.outcome, accepted.state) == ("notice", "approved")
    assert (refused.outcome, refused.reference) == ("hard_block", None)
    assert refused.shortage == 2000  # 52,000 against 50,000
    assert till.one("SELECT count(*) FROM sync.outbox") == 1
    logged = till.db.execute(
        "SELECT outcome, live, reference IS NULL, figures ->> 'inflight' "
        "FROM sync.credit_decision ORDER BY id"
    ).fetchall()
    assert logged == [("notice", True, False, "0"), ("hard_block", True, True, "5000.0000")]


def test_case_14_an_order_in_the_erps_pending_counts_once(till: Till) -> None:
    with till.asker() as asker:
        first = till.order(asker, "4000")
        assert first.reference is not None
        till.credit(pending=Decimal(14000), pending_refs=[first.reference])
        second = till.order(asker, "4000")
        assert (second.outcome, second.credit["inflight"]) == ("notice", "0")
        till.credit(pending=Decimal(10000))  # the ERP has forgotten the reference again
        third = till.order(asker, "0.01")
        assert third.outcome == "hard_block"
        assert third.credit["inflight"] == "8000.0000"


def test_an_erp_that_tells_no_references_is_matched_by_acknowledgement(
    database: str, tmp_path: Path, tiny_dataset: Dataset
) -> None:
    one = Till(tiny_dataset, database, tmp_path / "home")
    path = one.settings.mappings[0] / f"{ERP}.yaml"
    text = path.read_text(encoding="utf-8")
    told = 'pending_refs:     {from: "PendingRefs[]"}'
    assert told in text
    path.write_text(text.replace(told, "pending_refs:     absent"), encoding="utf-8")
    one.start()
    try:
        with one.asker() as asker:
            first = one.order(asker, "4000")
            assert first.reference is not None
            one.credit(pending=Decimal(14000))
            one.db.execute(
                "UPDATE portal.order_request SET state = 'acknowledged', "
                "acknowledged_at = now() - interval '10 minutes'"
            )
            assert one.order(asker, "1").credit["inflight"] == "0"
            one.db.execute("UPDATE portal.order_request SET acknowledged_at = now()")
            assert one.order(asker, "1").credit["inflight"] == "4001.0000"  # not yet, by our clock
    finally:
        one.stop()


def test_an_order_that_the_erp_refused_or_invoiced_is_not_in_flight(till: Till) -> None:
    with till.asker() as asker:
        first = till.order(asker, "4000")
        assert till.order(asker, "1").credit["inflight"] == "4000.0000"
        for status, open_gross in (("rejected", 4000), ("cancelled", 4000), ("delivered", 0)):
            till.db.execute("DELETE FROM portal.sales_order")
            put(
                till.db, "sales_order", erp=ERP, key="1", number="1", portal_ref=first.reference,
                dealer_key="D1", account_key="D1", status=status, currency="EUR",
                open_gross=open_gross,
            )  # fmt: skip
            found = till.order(asker, "50000").credit["inflight"]
            assert found == "1.0000", status


def test_the_same_key_places_one_order_even_at_once(till: Till) -> None:
    wish = till.wish("100")
    with till.asker() as asker:
        with ThreadPoolExecutor(4) as pool:
            placed = list(
                pool.map(lambda _: place(till.ctx, asker, wish, within=PATIENT), range(4))
            )
        assert len({one.reference for one in placed}) == 1
        assert sorted(one.again for one in placed) == [False, True, True, True]
        other = till.wish("101", idempotency_key=wish.idempotency_key)
        with pytest.raises(Refused) as caught:
            place(till.ctx, asker, other, within=PATIENT)
    assert caught.value.code == "idempotency"
    assert till.one("SELECT count(*) FROM portal.order_request") == 1


def test_ORD_10_an_erp_that_hangs_costs_the_margin_and_never_approves_blindly(till: Till) -> None:
    with till.asker() as asker:
        assert till.order(asker, "1").outcome == "ok"
        till.erp.faults.arm("hang", times=None)
        unknown = place(till.ctx, asker, till.wish("10"), within=SHORT)
        assert (unknown.outcome, unknown.reason, unknown.state) == (
            "route", "NO_LIMIT_RECORD", "submitted",
        )  # fmt: skip
        put(
            till.db, "credit", erp=ERP, account_key="D1", currency="EUR", limit_amount=50000,
            open_balance=32000, pending=10000, dealer_erp=ERP,
        )  # fmt: skip
        till.db.execute(
            "INSERT INTO sync.cursor (erp, feed, confirmed_at) "
            "VALUES (%s, 'credit', now() - interval '7 minutes')",
            (ERP,),
        )
        accepted = place(till.ctx, asker, till.wish("3999"), within=SHORT)
        assert (accepted.outcome, accepted.state) == ("notice", "approved")
        stale = place(till.ctx, asker, till.wish("3000"), within=SHORT)
        assert (stale.reason, stale.state) == ("CREDIT_STALE", "submitted")
        till.db.execute("UPDATE sync.cursor SET confirmed_at = now() - interval '40 minutes'")
        old = place(till.ctx, asker, till.wish("10"), within=SHORT)
        assert (old.reason, old.state) == ("CREDIT_UNKNOWN", "submitted")
    rows = till.db.execute(
        "SELECT live, not_live_because IN ('timeout', 'circuit') FROM sync.credit_decision "
        "WHERE not live"
    ).fetchall()
    assert rows == [(False, True)] * 4
    assert till.one("SELECT count(*) FROM portal.credit") == 1  # ours above: live is not written


def test_the_check_is_repeated_when_an_order_is_approved(till: Till) -> None:
    """Waiting orders count for nothing; what was fine when it was placed may not be now."""
    till.credit(limit=None)
    with till.asker() as asker:
        waiting = till.order(asker, "8000")
        assert (waiting.outcome, waiting.state) == ("route", "submitted")
        assert waiting.reference is not None
        till.credit()
        assert till.order(asker, "1").credit["inflight"] == "0"
        now = approve(till.ctx, asker, waiting.reference, actor="rep", within=PATIENT)
        assert (now.outcome, now.state) == ("hard_block", "submitted")  # 50,001 by now
        till.credit(open_balance=Decimal(30000))
        done = approve(till.ctx, asker, waiting.reference, actor="rep", within=PATIENT)
        assert (done.outcome, done.state) == ("notice", "approved")
    assert till.one("SELECT count(*) FROM sync.outbox") == 2
    assert till.one("SELECT count(*) FROM sync.credit_decision WHERE occasion = 'approval'") == 2


@pytest.mark.parametrize("action", ["warn", "route", "partial", "payment_required"])
def test_what_is_above_the_limit_ends_in_the_configured_action(
    database: str, tmp_path: Path, tiny_dataset: Dataset, action: str
) -> None:
    one = Till(tiny_dataset, database, tmp_path / "home", action=action)
    one.start()
    try:
        with one.asker() as asker:
            _acts(one, asker, action)
    finally:
        one.stop()


def _acts(till: Till, asker: Asker, action: str) -> None:
    lines = (LineWish("P1", Decimal(10), "PCE", Decimal(300)),
             LineWish("P1", Decimal(20), "PCE", Decimal(300)))  # fmt: skip
    placed = till.order(asker, "0", lines=lines)  # 9,000 against 8,000
    assert (placed.outcome, placed.shortage) == (action, 1000)
    if action == "warn":
        assert (placed.needs, placed.reference) == ("acknowledged", None)
        again = till.order(asker, "0", lines=lines, acknowledged=True)
        assert again.state == "submitted"
    elif action == "partial":
        assert (placed.needs, placed.accepted) == ("accept_split", {1: 10, 2: 16})
        again = till.order(asker, "0", lines=lines, accept_split=True)
        states = till.db.execute(
            "SELECT r.state, r.gross, array_agg(l.qty::int ORDER BY l.line_no) "
            "FROM portal.order_request r JOIN portal.order_request_line l USING (reference) "
            "GROUP BY 1, 2 ORDER BY 1"
        ).fetchall()
        assert states == [("approved", 7800, [10, 16]), ("submitted", 1200, [4])]
        assert again.rest is not None
    else:
        assert placed.state == "submitted"
        assert placed.pay_now == (1000 if action == "payment_required" else 0)
        assert till.one("SELECT count(*) FROM sync.outbox") == 0
        assert placed.reference is not None
        allowed = approve(
            till.ctx, asker, placed.reference, actor="finance", finance=True, within=PATIENT
        )
        assert allowed.state == "approved"


def test_a_blocked_account_and_another_currency_never_pass(till: Till) -> None:
    with till.asker() as asker:
        till.credit(on_hold=True)
        assert till.order(asker, "1").reason == "ERP_BLOCK"
        till.credit(currency="USD")
        assert till.order(asker, "1").reason == "CREDIT_UNKNOWN"


def test_the_decision_cannot_be_rewritten(till: Till) -> None:
    with till.asker() as asker:
        till.order(asker, "1")
    with pytest.raises(Exception, match="append-only"):
        till.db.execute("UPDATE sync.credit_decision SET outcome = 'ok'")
