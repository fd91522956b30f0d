"""Tables are copied in the background: all of them, in order, and what fails is raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg.errors import CheckViolation

from portal_db.copying import Copying

INTO = "COPY copied (n) FROM STDIN WITH (FORMAT BINARY)"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A session with an empty table of numbers below a hundred."""
    with psycopg.connect(database, autocommit=True) as opened:
        opened.execute("CREATE TEMP TABLE copied (id serial, n bigint CHECK (n < 100))")
        yield opened


def numbers(*those: int) -> pa.Table:
    return pa.table({"n": pa.array(those, pa.int64())})


def test_all_tables_are_there_in_order_when_the_block_ends(
    connection: psycopg.Connection[Any],
) -> None:
    """Also those that waited while an earlier one was written; outside the block, at once."""
    copying = Copying(connection)
    with copying.ahead():
        for n in range(9):
            copying.put(INTO, numbers(n, n + 10))
    copying.put(INTO, numbers(99))
    found = [n for (n,) in connection.execute("SELECT n FROM copied ORDER BY id")]
    assert found == [*(m for n in range(9) for m in (n, n + 10)), 99]


def test_what_fails_in_the_background_is_raised_and_nobody_waits(
    connection: psycopg.Connection[Any],
) -> None:
    """However many tables come after the bad one."""

    def handing_over() -> None:
        with copying.ahead():
            for n in (1, 100, 2, 3, 4, 5):
                copying.put(INTO, numbers(n))

    copying = Copying(connection)
    with pytest.raises(CheckViolation):
        handing_over()
    assert connection.execute("SELECT count(*) FROM copied WHERE n > 99").fetchone() == (0,)


def test_it_ends_with_the_callers_own_failure(connection: psycopg.Connection[Any]) -> None:
    """What was handed over before is written, and the session is free again."""

    def handing_over() -> None:
        with copying.ahead():
            copying.put(INTO, numbers(7))
            raise ZeroDivisionError

    copying = Copying(connection)
    with pytest.raises(ZeroDivisionError):
        handing_over()
    assert connection.execute("SELECT n FROM copied").fetchall() == [(7,)]
