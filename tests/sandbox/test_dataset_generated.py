"""Generated data sets: the same each time, whole, and as varied as the feeds allow."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import laws
from sandbox.dataset import Dataset, load
from sandbox.dataset_shape import SCHEMAS, SHAPE, TIME_ZONES, empty_schema
from sandbox.generator import PRESETS, Size, generate

# What no source states: computed from bytes, or left to other rooms.
ALWAYS_NULL = {
    ("document", "sha256"), ("document", "bytes"),
    ("product_document", "sha256"), ("product_document", "bytes"),
}  # fmt: skip


@pytest.fixture(scope="module", params=["tiny", "default"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return load(request.param)


@pytest.fixture(scope="module")
def full() -> Dataset:
    return load()


def test_same_seed_same_tables() -> None:
    one, two, other = generate(PRESETS["tiny"]), generate(PRESETS["tiny"]), load("tiny", seed=2)
    assert all(one[name].equals(two[name]) for name in SHAPE)
    assert not one["price"].equals(other["price"])


def test_more_prices_change_nothing_else() -> None:
    one = generate(PRESETS["tiny"])
    two = generate(PRESETS["tiny"].with_prices(cedar=1234))
    assert two.of("cedar")["price"].num_rows == 1234
    assert all(one[name].equals(two[name]) for name in SHAPE if name != "price")


def test_size_of_the_case(full: Dataset) -> None:
    rows = {name: table.num_rows for name, table in full.tables.items()}
    assert rows["dealer"] == 340
    assert rows["product"] == 3000
    assert rows["price"] == 250_000
    assert rows["invoice"] == 4000
    assert full.of("cedar")["invoice"].num_rows == 800
    assert len(set(full["warehouse"]["name"].to_pylist())) == 3
    tiers = full["dealer_group"].filter(pc.equal(full["dealer_group"]["kind"], "tier"))
    assert len(tiers["group_key"].unique()) == 4


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3000), st.sampled_from(["anvil", "birch", "cedar"]))
def test_exactly_so_many_prices(rows: int, erp: str) -> None:
    made = generate(PRESETS["tiny"].with_prices(**{erp: rows}))
    assert made.of(erp)["price"].num_rows == rows
    assert laws.repeated_keys(made) == []


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31), st.dates(date(2021, 1, 1), date(2030, 12, 31)))
def test_laws_hold_for_any_seed_and_day(seed: int, as_of: date) -> None:
    made = generate(PRESETS["tiny"], seed=seed, as_of=as_of)
    assert laws.dangling(made) == []
    assert laws.wrong_sums(made) == []
    assert laws.wrong_balances(made) == []
    assert laws.wrong_open_amounts(made) == []


def test_whole(dataset: Dataset) -> None:
    assert laws.repeated_keys(dataset) == []
    assert laws.dangling(dataset) == []
    assert laws.wrong_sums(dataset) == []
    assert laws.wrong_balances(dataset) == []
    assert laws.wrong_open_amounts(dataset) == []


def test_every_row_names_its_erp_and_change(dataset: Dataset) -> None:
    midnight = (
        pa.scalar(dataset.as_of, pa.date32())
        .cast(pa.timestamp("us"))
        .cast(pa.timestamp("us", tz="UTC"))
    )
    for name, table in dataset.tables.items():
        assert table["erp"].null_count == table["modified_at"].null_count == 0, name
        if name != "credit":
            assert not pc.any(pc.greater_equal(table["modified_at"], midnight)).as_py(), name


def test_every_field_is_filled_somewhere_and_optional_ones_are_null_somewhere(
    full: Dataset,
) -> None:
    empty = {
        (name, column)
        for name, table in full.tables.items()
        if name != "deleted"
        for column in table.column_names
        if table[column].null_count == table.num_rows
    }
    assert empty == ALWAYS_NULL


def test_code_lists_are_used(full: Dataset) -> None:
    def used(table: str, column: str) -> set[str]:
        return set(full[table][column].drop_null().to_pylist())

    assert used("price", "level") == {
        "quote", "customer", "contract", "promo", "scale", "group", "list"
    }  # fmt: skip
    assert used("price", "product_scope") == {"product", "category", "all", "cart"}
    assert used("price", "dealer_scope") == {"all", "group", "account", "dealer"}
    assert used("sales_order", "status") == {
        "pending", "approved", "processing", "shipped", "delivered", "rejected", "held",
        "cancelled",
    }  # fmt: skip
    assert used("sales_order", "channel") == {
        "portal", "edi", "phone", "mail", "fax", "rep", "counter", "other"
    }  # fmt: skip
    assert used("invoice", "kind") == {
        "invoice", "credit_note", "debit_note", "adjustment", "carried_forward"
    }  # fmt: skip
    assert used("payment", "kind") == {"payment", "refund", "write_off", "adjustment"}
    assert used("dealer", "status") == {"active", "blocked", "closed"}
    assert used("product", "status") == {"active", "phase_out", "discontinued", "blocked"}


def test_prices_obey_their_checks(dataset: Dataset) -> None:
    rows = laws.frame(dataset["price"], *dataset["price"].column_names)
    values = rows[["unit_price", "pct_off_list", "amount_off_list"]].notna().sum(axis=1)
    assert (values <= 1).all()
    amount = rows["unit_price"]
    allowed = rows["allow_zero"].fillna(value=False)
    assert (amount.isna() | (amount > 0) | ((amount == 0) & allowed)).all()
    assert (rows["pct_off_list"].isna() | rows["pct_off_list"].between(0.000001, 100)).all()
    assert (rows["amount_off_list"].isna() | (rows["amount_off_list"] > 0)).all()
    assert (rows["min_qty"] > 0).all()
    assert (rows["per"] > 0).all()
    assert (rows["uom"].notna() | amount.isna()).all()
    dated = rows["valid_from"].notna() & rows["valid_to"].notna()
    assert (rows["valid_from"] < rows["valid_to"])[dated].all()
    scopes = rows.groupby("level")["dealer_scope"].unique().map(set).to_dict()
    assert scopes["customer"] <= {"dealer", "account"}
    assert scopes.get("contract", set()) <= {"group", "account", "dealer"}
    base = rows[rows["level"].isin(["list", "scale"])]
    assert set(base["dealer_group_kind"].dropna()) <= {"price_list"}
    assert set(base["dealer_scope"]) <= {"all", "group"}


def test_breaks_never_rise(full: Dataset) -> None:
    rows = laws.frame(full["price"], "erp", "header_key", "min_qty", "unit_price")
    rows = rows.dropna().sort_values(["erp", "header_key", "min_qty"])
    same = (rows["header_key"] == rows["header_key"].shift()) & (rows["erp"] == rows["erp"].shift())
    assert same.sum() > 1000
    assert (rows["unit_price"] <= rows["unit_price"].shift())[same].all()


def test_headers_of_one_level_do_not_overlap(full: Dataset) -> None:
    columns = (
        "erp", "level", "dealer_scope", "dealer_key", "product_key", "currency", "valid_from",
        "valid_to", "header_key",
    )  # fmt: skip
    rows = laws.frame(full["price"], *columns)
    rows = rows[rows["level"].isin(["list", "customer"])].drop_duplicates()
    who = ["erp", "level", "dealer_key", "product_key", "currency"]
    rows = rows.sort_values([*who, "valid_from"])
    same = (rows[who].astype(object) == rows[who].astype(object).shift()).drop(
        columns="dealer_key"
    ).all(axis=1) & (rows["dealer_key"].fillna("") == rows["dealer_key"].fillna("").shift())
    earlier_end = rows["valid_to"].shift()
    overlap = same & (earlier_end.isna() | (earlier_end > rows["valid_from"]))
    assert not overlap.fillna(value=True)[same].any()


def test_payments_are_their_allocations(dataset: Dataset) -> None:
    keys = ["erp", "payment_key"]
    parts = dataset["payment_allocation"].group_by(keys).aggregate([("amount", "sum")])
    sums = {(row["erp"], row["payment_key"]): row["amount_sum"] for row in parts.to_pylist()}
    for row in dataset["payment"].to_pylist():
        met = sums.get((row["erp"], row["key"]), 0)
        assert row["amount"] == met + (row["unapplied"] or 0), row["key"]


def test_credit_says_unknown_prepay_and_unlimited_differently(full: Dataset) -> None:
    rows = full["credit"].to_pylist()
    assert any(r["limit_amount"] is None and not r["unlimited"] for r in rows)
    assert any(r["limit_amount"] == 0 and not r["unlimited"] for r in rows)
    assert any(r["unlimited"] for r in rows)
    assert all(r["limit_amount"] is None for r in rows if r["unlimited"])


def test_some_invoices_are_overdue_some_partly_paid(full: Dataset) -> None:
    rows = [r for r in full["invoice"].to_pylist() if r["kind"] == "invoice"]
    assert all(r["due_on"] for r in rows)
    assert sum(r["due_on"] < full.as_of and r["open_amount"] > 0 for r in rows) > 50
    assert sum(0 < r["open_amount"] < r["gross"] for r in rows) > 50


def test_cedar_exists_in_cp1254(dataset: Dataset) -> None:
    assert_cp1254(dataset.of("cedar"))
    names = "".join(dataset.of("cedar")["product"]["name"].to_pylist())
    assert {'"', ";", "'", "ç"} <= set(names) or len(names) < 1000


def assert_cp1254(dataset: Dataset) -> None:
    for table in dataset.tables.values():
        for field in table.schema:
            column = table[field.name]
            if pa.types.is_list(field.type):
                column = pc.list_flatten(column)
            if pa.types.is_string(column.type):
                "".join(column.drop_null().unique().to_pylist()).encode("cp1254")


def test_instants_are_the_same_after_local_time(dataset: Dataset) -> None:
    for table in dataset.tables.values():
        for field in table.schema:
            if not pa.types.is_timestamp(field.type):
                continue
            for erp in dataset.erps:
                own = table.filter(pc.equal(table["erp"], erp))[field.name].drop_null().unique()
                zone = TIME_ZONES[erp]
                there = pc.local_timestamp(own.cast(pa.timestamp("us", tz=zone)))
                back = pc.assume_timezone(there, zone, ambiguous="raise", nonexistent="raise")
                assert back.cast(own.type).equals(own), (erp, field.name)


def test_days_without_time_are_local_midnights(full: Dataset) -> None:
    rows = full["sales_order"].filter(pc.invert(full["sales_order"]["ordered_at_exact"]))
    assert rows.num_rows > 50
    for row in rows.to_pylist():
        local = row["ordered_at"].astimezone(ZoneInfo(TIME_ZONES[row["erp"]]))
        assert (local.hour, local.minute) == (0, 0)


def test_folder_round_trip(tmp_path: Path, dataset: Dataset) -> None:
    dataset.write(tmp_path)
    again = load(tmp_path)
    assert again.as_of == dataset.as_of
    assert all(again[name].equals(dataset[name]) for name in SHAPE)


def test_refuses_other_folders_and_shapes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no data set"):
        load(tmp_path)
    with pytest.raises(ValueError, match="no such table"):
        Dataset({"prices": pa.table({})}, date(2026, 1, 1))
    with pytest.raises(ValueError, match="documented shape"):
        Dataset({"price": pa.table({"erp": ["a"]})}, date(2026, 1, 1))


def test_slices_add_up(dataset: Dataset) -> None:
    assert dataset.erps == ["anvil", "birch", "cedar"]
    for name, table in dataset.tables.items():
        assert sum(dataset.of(erp)[name].num_rows for erp in dataset.erps) == table.num_rows
        assert SCHEMAS[name] == empty_schema(name)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="more dealers or products"):
        generate(PRESETS["tiny"].with_prices(cedar=100_000))
    with pytest.raises(ValueError, match="at least 5"):
        Size(dealers={"birch": 3})


def test_size_can_be_given() -> None:
    size = Size(dealers={"birch": 9}, products={"cedar": 25}, prices={"cedar": 400},
                invoices={}, open_orders={})  # fmt: skip
    made = load(size)
    assert made["price"].num_rows == 400
    assert made.erps == ["birch", "cedar"]
