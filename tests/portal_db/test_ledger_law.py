"""The ledger's law and the states, as the database itself enforces them (section 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import CheckViolation

from portal_db.counts import Counts
from portal_db.ledger import RunEnd, begin_batch, begin_run, end_run, read_batch, run_counts

NAMES = ("inserted", "updated", "unchanged", "superseded", "quarantined", "deferred")


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection: not even one may break the law."""
    with psycopg.connect(database, autocommit=True) as one:
        yield one


def begun(connection: psycopg.Connection[Any]) -> int:
    """A running run."""
    batch_id = begin_batch(
        connection, erp="mill", feed="customers", mode="snapshot", scope_key="", scope=None,
        cursor_from=None, mapping_sha256="0",
    )  # fmt: skip
    batch = read_batch(connection, batch_id)
    assert batch is not None
    return begin_run(connection, batch, kind="load", mapping_sha256="0", fingerprint="0")


@pytest.mark.parametrize("state", ["done", "held"])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_lost_a_record_is_refused(
    connection: psycopg.Connection[Any], state: str, name: str
) -> None:
    """read = the sum of the six, on done and held runs."""
    run_id = begun(connection)
    connection.execute(f"UPDATE sync.run SET state = '{state}', read = 3, {name} = 3")  # type: ignore[arg-type]
    for wrong in (f"{name} = 2", "read = 4", "read = 2", "deleted = 1, read = 4"):
        with pytest.raises(CheckViolation):
            connection.execute(f"UPDATE sync.run SET {wrong} WHERE id = {run_id}")  # type: ignore[arg-type]
    connection.execute(f"UPDATE sync.run SET deleted = 5 WHERE id = {run_id}")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_the_law_holds_for_every_part(connection: psycopg.Connection[Any], name: str) -> None:
    """Per part and so per run."""
    run_id = begun(connection)
    insert = f"INSERT INTO sync.run_part (run_id, part, read, {name}) VALUES (%s, %s, 3, %s)"
    with pytest.raises(CheckViolation):
        connection.execute(insert, (run_id, "dealer", 2))  # type: ignore[arg-type]
    connection.execute(insert, (run_id, "dealer", 3))  # type: ignore[arg-type]


def test_a_running_or_failed_run_may_be_unfinished(connection: psycopg.Connection[Any]) -> None:
    """The law speaks of runs that ended properly."""
    begun(connection)
    for state in ("running", "failed"):
        connection.execute("UPDATE sync.run SET state = %s, read = 3", (state,))


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE sync.batch SET state = 'lost'",
        "UPDATE sync.batch SET mode = 'stream'",
        "UPDATE sync.run SET state = 'landed'",
        "UPDATE sync.run SET kind = 'guess'",
    ],
)
def test_unknown_states_are_refused(connection: psycopg.Connection[Any], wrong: str) -> None:
    """States are enforced by database checks."""
    begun(connection)
    with pytest.raises(CheckViolation):
        connection.execute(wrong)  # type: ignore[arg-type]


def test_one_open_item_a_key(connection: psycopg.Connection[Any]) -> None:
    """Closed ones may be many."""
    insert = (
        "INSERT INTO sync.quarantine (erp, feed, part, key, state, batch_id, run_id, record_no, "
        "reasons, code, raw, raw_hash, fingerprint, shape) VALUES "
        "('mill', 'customers', 'dealer', 'D1', %s, 1, 1, 1, '[]', 'x', '', 0, '', '')"
    )
    for state in ("superseded", "superseded", "discarded", "open"):
        connection.execute(insert, (state,))
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(insert, ("open",))


counts = st.builds(Counts, **{name: st.integers(0, 9) for name in ("read", "deleted", *NAMES)})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.dictionaries(st.sampled_from(["dealer", "dealer_group"]), counts, max_size=2))
def test_python_and_the_database_hold_the_same_law(
    connection: psycopg.Connection[Any], parts: dict[str, Counts]
) -> None:
    """What `Counts.adds_up` says of each part is what the database says of the run."""
    run_id = begun(connection)
    lawful = all(one.adds_up() for one in parts.values())
    try:
        with connection.transaction():
            end_run(connection, run_id, RunEnd("done", parts))
        accepted = True
    except CheckViolation:
        accepted = False
    assert accepted == lawful
    if accepted:
        assert run_counts(connection, run_id) == parts
