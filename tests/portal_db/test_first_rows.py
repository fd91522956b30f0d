"""The sample that the second judge sees of a first list: spread over all of it, none twice."""

from __future__ import annotations

import psycopg
import pyarrow as pa

from mappings.feeds import FEEDS, PARTS
from portal_db.pairs import delta_rows
from portal_db.staging import Staging
from tests.quality.tables import table

PRICE = PARTS["price"]
ROWS = 500


def test_a_sample_of_a_first_list_is_spread_over_it(database: str) -> None:
    """As many rows as asked for, from the first page to the last; all where there are few."""
    rows = table(
        PRICE,
        [
            {"header_key": f"H{n:04}", "level": "list", "dealer_scope": "all", "per": 1,
             "product_scope": "all", "currency": "EUR", "min_qty": 1}
            for n in range(ROWS)
        ],
    )  # fmt: skip
    rows = rows.append_column("version", pa.nulls(ROWS, pa.timestamp("us", "UTC")))
    rows = rows.append_column("deleted", pa.repeat(pa.scalar(value=False), ROWS))
    days = pa.array(["2026-01-01"] * ROWS).cast(pa.date32())
    rows = rows.set_column(rows.schema.get_field_index("valid_from"), "valid_from", days)
    with psycopg.connect(database, autocommit=True) as connection:
        staging = Staging(connection, 1, "mill", FEEDS["prices"], {}, first=True)
        with staging.filling():
            staging.copy(PRICE, rows)
        some, total = delta_rows(staging, PRICE, 50)
        every, _ = delta_rows(staging, PRICE, ROWS)
        staging.drop()
    keys = sorted(some["header_key"].to_pylist())
    assert total == ROWS == len(every)
    assert 40 < len(keys) == len(set(keys)) <= 50
    assert keys[0] < "H0020"
    assert keys[-1] > "H0450"
