"""What the change checks are shown of a delta: nothing is left out that they would name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.feeds import FEEDS, PARTS
from portal_db.pairs import changed_values, delta_rows
from portal_db.staging import Staging
from quality.change import moved_more_than, suspects

PRICE = PARTS["price"]
[JUMP] = PRICE.changes
D = Decimal
Row = tuple[Decimal | None, Decimal | None, bool]


@pytest.fixture(scope="module")
def staging(module_database: str) -> Iterator[Staging]:
    """A run whose delta of prices is empty."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(
            "CREATE UNLOGGED TABLE staging.run_1_price_delta AS SELECT 'U'::text AS op, "
            "p.*, p.unit_price AS was_unit_price, "
            "p.currency AS was_currency, p.uom AS was_uom, p.per AS was_per "
            "FROM portal.price p WITH NO DATA"
        )
        yield Staging(connection, 1, "forge", FEEDS["prices"], {})


def fill(staging: Staging, rows: Sequence[Row]) -> None:
    """Updated rows (old price, new price, is the currency the same), numbered from 1."""
    staging.changed()
    staging.connection.execute("TRUNCATE staging.run_1_price_delta")
    staging.connection.cursor().executemany(
        "INSERT INTO staging.run_1_price_delta (op, record_no, was_unit_price, unit_price, "
        "was_currency, currency, was_per, per) VALUES ('U', %s, %s, %s, 'EUR', %s, 1, 1)",
        [(n, old, new, "EUR" if same else "USD") for n, (old, new, same) in enumerate(rows, 1)],
    )


PRICES = st.decimals(D("-200"), D("200"), places=2, allow_nan=False)
FACTORS = st.sampled_from([D(0), D("0.01"), D("0.1"), D("0.75"), D(1), D("1.25"), D(10), D(100)])
MOVES = st.tuples(PRICES, FACTORS).map(lambda one: (one[0], one[0] * one[1]))
PAIRS = st.one_of(MOVES, st.tuples(st.none() | PRICES, st.none() | PRICES))


@settings(deadline=None)
@given(
    st.lists(st.tuples(PAIRS, st.booleans()), min_size=1, max_size=12), st.decimals(0, 1, places=2)
)
def test_what_is_shown_judges_as_all_rows_do(
    staging: Staging,
    drawn: list[tuple[tuple[Decimal | None, Decimal | None], bool]],
    share: Decimal,
) -> None:
    """Suspects, rows that moved, and rows that were compared, against all rows in Arrow."""
    rows = [(old, new, same) for (old, new), same in drawn]
    fill(staging, rows)
    found = changed_values(staging, PRICE, JUMP, share)
    kind = pa.decimal128(18, 6)
    texts = pa.array(["EUR"] * len(rows))
    every = pa.table(
        {
            "old_unit_price": pa.array([old for old, _, _ in rows], kind),
            "new_unit_price": pa.array([new for _, new, _ in rows], kind),
            "old_currency": texts,
            "new_currency": pa.array(["EUR" if same else "USD" for *_, same in rows]),
            "old_uom": pa.nulls(len(rows), pa.string()),
            "new_uom": pa.nulls(len(rows), pa.string()),
            "old_per": pa.array([1] * len(rows)),
            "new_per": pa.array([1] * len(rows)),
        }
    )
    moved = moved_more_than(every["old_unit_price"], every["new_unit_price"], share)
    expected = [n for n, hit in enumerate(suspects(JUMP, every).to_pylist(), 1) if hit]
    shown = found.notable
    assert found.rows == len(rows)
    assert found.both == sum(old is not None and new is not None for old, new, _ in rows)
    named = shown.filter(suspects(JUMP, shown))["record_no"].to_pylist()
    assert sorted(named) == expected
    moves = moved_more_than(shown["old_unit_price"], shown["new_unit_price"], share)
    assert moves.true_count == moved.true_count


def test_rows_that_hardly_moved_are_not_brought(staging: Staging) -> None:
    """They are the many."""
    fill(staging, [(D("10.00"), D("10.30"), True)] * 50 + [(D("10.00"), D("100.00"), True)])
    found = changed_values(staging, PRICE, JUMP, D("0.25"))
    assert found.notable["record_no"].to_pylist() == [51]
    assert (found.rows, found.both) == (51, 51)


def test_a_sample_is_spread_and_of_the_size_asked_for(staging: Staging) -> None:
    """All where they are few; else about as many as may be, from the whole delta."""
    fill(staging, [(D(1), D(2), True)] * 2_000)
    few, total = delta_rows(staging, PRICE, 2_000)
    assert (len(few), total) == (2_000, 2_000)
    some, total = delta_rows(staging, PRICE, 500)
    assert total == 2_000
    assert 400 < len(some) <= 500
