"""Every order of outbox moves is legal: the database against a simple model of the states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal_db.order_tables import MOVES
from tests.orders.shop import Connection, an_order, place, stock_up

PROOFS = ("none", "found nothing twice", "person")
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(MOVES)), st.sampled_from(PROOFS)), min_size=1, max_size=8
)


@pytest.fixture(scope="module")
def admin(module_database: str) -> Iterator[Connection]:
    with psycopg.connect(module_database, autocommit=True) as one:
        stock_up(one, products=(("P1", 1_000_000),))
        yield one


class Model:
    """What a message may do, in ten lines."""

    def __init__(self) -> None:
        self.state = "pending"
        self.may_be_there = False

    def allows(self, state: str, proof: str) -> bool:
        if state != self.state and state not in MOVES[self.state]:
            return False
        resends = self.state in ("uncertain", "dead") and state == "retryable"
        return not (resends and self.may_be_there and proof == "none")

    def move(self, state: str) -> None:
        if state in ("uncertain", "delivered") and self.state != state:
            self.may_be_there = True
        self.state = state


def moved(admin: Connection, message: int, state: str, proof: str, *, left: bool) -> bool:
    """Try it in the database; whether it was let through."""
    try:
        admin.execute(
            "UPDATE sync.outbox SET state = %(state)s, not_found = %(found)s, "
            "cleared_by = %(by)s, sent_at = CASE WHEN %(left)s THEN coalesce(sent_at, now()) "
            "ELSE sent_at END, delivered_at = CASE WHEN %(state)s = 'delivered' THEN now() END, "
            "code = coalesce(code, 'x'), worker = 'w', lease_until = now() WHERE id = %(id)s",
            {
                "id": message, "state": state, "left": left,
                "found": 2 if proof == "found nothing twice" else 0,
                "by": "ayse" if proof == "person" else None,
            },
        )  # fmt: skip
    except psycopg.DatabaseError as error:
        assert error.sqlstate == "WB020"  # noqa: PT017  the trigger's own refusal and no other
        return False
    return True


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_the_database_lets_through_exactly_what_the_model_does(
    admin: Connection, steps: list[tuple[str, str]]
) -> None:
    number = int(one(admin, "SELECT count(*) FROM sync.outbox"))
    placed = place(admin, 101, an_order(f"k{number}"))
    assert placed.message_id is not None
    model = Model()
    for state, proof in steps:
        left = state in ("uncertain", "delivered")
        allowed = model.allows(state, proof)
        assert moved(admin, placed.message_id, state, proof, left=left) == allowed, (model.state,)
        if allowed:
            model.move(state)
        now = one(admin, "SELECT state FROM sync.outbox WHERE id = %s", placed.message_id)
        assert now == model.state


def test_what_was_tried_cannot_be_untried(admin: Connection) -> None:
    placed = place(admin, 101, an_order("untried"))
    admin.execute("UPDATE sync.outbox SET tries = 2, attempts = 3, sent_at = now() WHERE id = %s",
                  (placed.message_id,))  # fmt: skip
    for change in ("tries = 1", "attempts = 0", "sent_at = NULL", "reference = reference || 'A'",
                   "lane = 'x'", "payload_version = 0", "created_at = now()"):  # fmt: skip
        with pytest.raises(psycopg.DatabaseError):
            admin.execute(f"UPDATE sync.outbox SET {change} WHERE id = {placed.message_id}")  # type: ignore[arg-type]


def one(admin: Connection, query: str, *parameters: object) -> Any:
    row = admin.execute(query, parameters).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]
