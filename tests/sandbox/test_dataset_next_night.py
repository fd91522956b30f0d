"""A day later: what changed carries its instant, what went is listed, and every law still holds."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import laws
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import KEYS, SHAPE, key_texts

BEFORE = load("tiny")


def rows_by_key(dataset: Dataset, table: str) -> dict[tuple, dict]:
    return {(row["erp"], *(row[k] for k in KEYS[table])): row for row in dataset[table].to_pylist()}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 0.3]))
def test_exactly_the_changed_rows_are_stamped(seed: int, share: float) -> None:
    after = BEFORE.changed(seed, share)
    started = pa.scalar(BEFORE.as_of).cast(pa.timestamp("us")).as_py()
    for table in SHAPE:
        old, new = rows_by_key(BEFORE, table), rows_by_key(after, table)
        for key, row in new.items():
            if key in old and old[key] == row:
                continue
            assert row["modified_at"].replace(tzinfo=None) > started, (table, key)
            if key in old:
                assert row["modified_at"] > old[key]["modified_at"]
        unchanged = [k for k in new if k in old and new[k]["modified_at"] == old[k]["modified_at"]]
        assert all(new[k] == old[k] for k in unchanged)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_laws_hold_night_after_night(seed: int) -> None:
    night = BEFORE
    for _ in range(3):
        night = night.changed(seed, 0.05)
        assert laws.repeated_keys(night) == []
        assert laws.dangling(night) == []
        assert laws.wrong_sums(night) == []
        assert laws.wrong_balances(night) == []
        assert laws.wrong_open_amounts(night) == []
    assert (night.as_of - BEFORE.as_of).days == 3


def test_same_seed_same_night() -> None:
    one, two = BEFORE.changed(5), BEFORE.changed(5)
    assert all(one[name].equals(two[name]) for name in SHAPE)


def test_gone_rows_are_listed() -> None:
    after = BEFORE.changed(7)
    gone = set(key_texts("price", BEFORE["price"]).to_pylist()) - set(
        key_texts("price", after["price"]).to_pylist()
    )
    assert gone
    assert set(after["deleted"]["key"].to_pylist()) == gone
    assert set(after["deleted"]["erp"].to_pylist()) == set(BEFORE.erps)
    for table in SHAPE:
        if table != "price":
            assert rows_by_key(BEFORE, table).keys() <= rows_by_key(after, table).keys(), table


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_about_so_many_prices_change(share: float) -> None:
    before = load(None).of("birch")
    after = before.changed(1, share)
    moved = pc.sum(
        pc.greater(after["price"]["modified_at"], pc.max(before["price"]["modified_at"]))
    )
    assert 0.7 * share < moved.as_py() / before["price"].num_rows < 1.3 * share


def test_every_kind_of_change_happens() -> None:
    before = load(None)
    after = before.changed(1)
    for table in ("invoice", "invoice_line", "payment", "sales_order", "sales_order_line",
                  "order_event", "document"):  # fmt: skip
        assert after[table].num_rows > before[table].num_rows, table
    old, new = rows_by_key(before, "sales_order"), rows_by_key(after, "sales_order")
    assert sum(new[key]["status"] != row["status"] for key, row in old.items()) >= 3
    old, new = rows_by_key(before, "product"), rows_by_key(after, "product")
    gone = [key for key, row in old.items() if new[key]["status"] != row["status"]]
    assert {key[0] for key in gone} == {"anvil", "birch", "cedar"}
    paid = rows_by_key(before, "invoice")
    now = rows_by_key(after, "invoice")
    assert sum(now[k]["open_amount"] != row["open_amount"] for k, row in paid.items()) >= 3
