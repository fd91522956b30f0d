"""The Mapper: same rows out as in, every bad value named once, nothing guessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.feeds import PARTS
from mappings.literals import misfit
from mappings.plans import Supply
from mappings.spec import Absent, ErpMapping, FieldMapping
from mappings.vocabulary import Field, Part, Type
from transforms.column import Column, column_of, constant
from transforms.hashing import raw_hash
from transforms.mapping import Mapped, Mapper
from transforms.registry import StepContext
from transforms.types import ARROW

ERP = ErpMapping.model_validate(
    {
        "erp": "acme",
        "connection": "acme",
        "time_zone": "Europe/Berlin",
        "catalogue": "open",
        "lookups": {"level": {"L": "list", "": "customer"}, "risk": {"H": "hazardous"}},
        "feeds": {},
    }
)
BERLIN = StepContext("Europe/Berlin")


@dataclass(frozen=True)
class Chunk:
    columns: pa.Table
    record_no: pa.Int64Array
    root_no: pa.Int64Array | None = None


def chunk(root_no: list[int] | None = None, **columns: Any) -> Chunk:
    table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    numbers = pa.array(range(1, table.num_rows + 1), pa.int64())
    return Chunk(table, numbers, None if root_no is None else pa.array(root_no, pa.int64()))


def mapper(part: str, fields: dict[str, Any], **supply: Any) -> Mapper:
    declared = PARTS[part]
    given: dict[str, FieldMapping | Absent] = {
        field.name: FieldMapping.model_validate(fields[field.name])
        if field.name in fields
        else "absent"
        for field in declared.mapped_fields
    }
    return Mapper(declared, Supply(part, given, **supply), ERP)


def bad(mapped: Mapped) -> list[tuple[str, str, list[int]]]:
    return [
        (p.field, p.code, [row for row, is_bad in enumerate(p.mask.to_pylist()) if is_bad])
        for p in mapped.problems
    ]


PRICE = mapper(
    "price",
    {
        "header_key": {"from": ["K", "V"], "through": ["join_key"]},
        "level": {"from": "L", "lookup": "level"},
        "dealer_scope": {"const": "all"},
        "currency": {"const": "EUR"},
        "per": {"const": "100"},
        "unit_price": {"from": "P", "through": ["trailing_minus", "decimal_comma"]},
        "valid_from": {"from": "V", "through": ["dotted_date"]},
    },
)


def test_a_price_is_typed_exactly() -> None:
    mapped = PRICE.map(chunk(K=["1"], L=["L"], P=["1.234,5600"], V=["01.02.2026"]))
    assert mapped.problems == []
    row = mapped.table.to_pylist()[0]
    assert row["unit_price"] == Decimal("1234.56")
    assert row["header_key"] == "1|01.02.2026"
    assert (row["level"], row["per"], row["currency"]) == ("list", 100, "EUR")
    assert row["valid_from"] == date(2026, 2, 1)
    assert row["valid_to"] is None
    assert row["deleted"] is False
    assert row["version"] is None
    types = dict(zip(mapped.table.schema.names, mapped.table.schema.types, strict=True))
    for field in PARTS["price"].fields:
        assert types[field.name] == ARROW[field.type]
    assert types["raw_hash"] == pa.int64()


def test_bad_values_are_null_and_named_with_their_raw_text() -> None:
    mapped = PRICE.map(
        chunk(
            K=["1", "2", "3", "4"],
            L=["L", "X", None, " "],
            P=["13.75", "12345678901234,5", "1,1234567", None],
            V=["31.02.2026", "1.2.2026", "", "00.00.0000"],
        )
    )
    assert bad(mapped) == [
        ("level", "unknown_code", [1, 3]),
        ("unit_price", "not_a_number", [0]),
        ("unit_price", "too_many_digits", [1, 2]),
        ("valid_from", "not_a_date", [0, 1]),
    ]
    assert mapped.table["unit_price"].null_count == 4
    # a bad date is not the absent one
    assert mapped.table["valid_from"].to_pylist() == [None, None, date(1, 1, 1), date(1, 1, 1)]
    prices = next(problem for problem in mapped.problems if problem.code == "not_a_number")
    assert prices.raw[0].as_py() == "13.75"
    assert json.loads(PRICE.raw_json(chunk(K=["1"], P=[None]), 0)) == {"K": "1", "P": None}


def test_blank_is_a_code_only_where_the_lookup_names_it() -> None:
    mapped = PRICE.map(chunk(K=["1"], L=[""], P=["1"], V=[""]))
    assert mapped.table["level"].to_pylist() == ["customer"]


def test_lists_through_a_lookup() -> None:
    product = mapper(
        "product",
        {
            "restrictions": {"from": "R", "through": ["split_list"], "lookup": "risk"},
            "search_terms": {"from": "T[]"},
        },
    )
    columns: dict[str, Any] = {"R": ["H", "H,Z", None], "T[]": ["a\x1fb", " ", None]}
    mapped = product.map(chunk(**columns))
    assert mapped.table["restrictions"].to_pylist() == [["hazardous"], None, None]
    assert bad(mapped) == [("restrictions", "unknown_code", [1])]
    assert mapped.table["search_terms"].to_pylist() == [["a", "b"], None, None]


def test_children_derived_and_later_columns() -> None:
    group = mapper(
        "dealer_group",
        {"kind": {"const": "tier"}, "group_key": {"from": "G"}, "category_key": {"from": "C"}},
    )
    table = group.map(chunk([1, 1], G=["A", "B"], C=[None, "7"])).table
    assert table["category_slot"].to_pylist() == ["", "7"]
    assert table["dealer_key"].to_pylist() == [None, None]
    assert table["root_no"].to_pylist() == [1, 1]
    own = FieldMapping.model_validate({"from": "D", "through": ["strip_leading_zeros"]})
    separate = mapper("dealer_group", {"group_key": {"from": "G"}}, parent=own)
    assert separate.map(chunk(G=["A"], D=["0017"])).table["dealer_key"].to_pylist() == ["17"]


def test_a_tombstone_is_judged_by_its_key_alone() -> None:
    stock = mapper(
        "stock",
        {
            "product_key": {"from": "A", "through": ["plain_code"]},
            "warehouse_key": {"const": "1"},
            "on_hand": {"from": "Q"},
        },
        deleted="D",
        version=FieldMapping.model_validate({"from": "V"}),
    )
    mapped = stock.map(
        chunk(
            A=["1", "8,69E+12", "3", "4"],
            Q=["x", "x", "x", "1"],
            D=["true", "X", "0", "False"],
            V=["2026-01-01T00:00:00Z", None, "yesterday", ""],
        )
    )
    assert mapped.table["deleted"].to_pylist() == [True, True, False, False]
    assert bad(mapped) == [
        ("product_key", "scientific_notation", [1]),
        ("on_hand", "not_a_number", [2]),
        ("version", "not_an_instant", [2]),
    ]
    assert mapped.table["version"][0].as_py() == datetime(2026, 1, 1, tzinfo=UTC)


def test_empty_chunks_and_missing_columns() -> None:
    assert PRICE.map(chunk(K=[], L=[], P=[], V=[])).table.num_rows == 0
    mapped = PRICE.map(chunk(K=["1", "2"]))
    assert mapped.problems == []
    assert mapped.table.num_rows == 2


TEXTS = st.one_of(
    st.none(), st.text(max_size=6), st.sampled_from(["L", "1,5", "1.5", "01.01.2026", "\x1e"])
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=20))
def test_accepted_and_rejected_are_what_was_read(rows: list[tuple[str | None, ...]]) -> None:
    columns = dict(zip("KLPV", map(list, zip(*rows, strict=True)), strict=True))
    mapped = PRICE.map(chunk(**columns))
    assert mapped.table.num_rows == len(rows)
    rejected = {row for _, _, found in bad(mapped) for row in found}
    for name, theirs in (("unit_price", "P"), ("level", "L")):
        refused = {row for field, _, found in bad(mapped) for row in found if field == name}
        for row, text in enumerate(columns[theirs]):
            came = bool(text and text.strip()) or (name == "level" and text == "")
            is_null = mapped.table[name][row].as_py() is None
            assert is_null == (row in refused or not came), "a value that came is typed or refused"
    assert rejected <= set(range(len(rows)))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.one_of(st.none(), st.text("ab\x1b\x1d\x1eABC", max_size=3))] * 3),
        min_size=2,
        max_size=40,
    )
)
def test_raw_hash_tells_rows_apart_and_only_them(rows: list[tuple[str | None, ...]]) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    hashes = raw_hash(columns, len(rows)).to_pylist()
    assert len(set(hashes)) == len(set(rows))
    for row in range(len(rows)):
        assert raw_hash([c.slice(row, 1) for c in columns], 1).to_pylist() == [hashes[row]]


def column(
    type_: Type, texts: list[str | None], *through: str, zone: str = "Europe/Berlin"
) -> Column:
    arrays = [pa.array(texts, pa.string())]
    return column_of(Field("x", type_, "-", "x"), arrays, through, None, StepContext(zone))


def codes(found: Column) -> dict[str, list[int]]:
    return {code: [i for i, b in enumerate(mask.to_pylist()) if b] for code, mask in found.bad}


def test_decimal_comma_law() -> None:
    found = column(
        "price",
        [
            "1.234",
            "1'234,50",
            "1\u00a0234,5",
            "1\u202f234",
            "12.34,5",
            "13.75",
            "1.2345,0",
            "١",
            "1,5e2",
            "-,5",
            "0.125",
            "001234,50",
        ],
        "decimal_comma",
    )
    good = [Decimal(x) for x in ("1234", "1234.5", "1234.5", "1234")]
    assert found.values.to_pylist() == [
        *good,
        *[None] * 5,
        Decimal("-0.5"),
        None,
        Decimal("1234.5"),
    ]
    assert codes(found) == {"not_a_number": [4, 5, 6, 7, 8, 10]}


def test_numbers_without_a_declared_mark() -> None:
    texts: list[str | None] = [
        "1.234",
        "173,900",
        "1.234,50",
        "1'234.50",
        "13,75",
        "1.23",
        "1.2.3",
        "1234",
        "0.125",
    ]
    found = column("price", texts, "either_mark")
    assert codes(found) == {"ambiguous_number": [0, 1], "not_a_number": [6]}
    expected = [None, None, "1234.50", "1234.50", "13.75", "1.23", None, "1234", "0.125"]
    assert found.values.to_pylist() == [None if x is None else Decimal(x) for x in expected]


def test_a_million_decimal_comma_prices_are_exact() -> None:
    cents = pa.array(range(1_000_000), pa.int64())
    number = pc.cast(pc.multiply(cents, 104_729), pa.string())
    padded = pc.utf8_lpad(number, 3, "0")
    texts = pc.binary_join_element_wise(
        pc.utf8_slice_codeunits(padded, 0, -2), pc.utf8_slice_codeunits(padded, -2), ","
    )
    through = ("decimal_comma",)
    found = column_of(Field("x", "price", "R", "x"), [texts], through, None, BERLIN)
    assert not found.bad
    back = pc.cast(
        pc.multiply(found.values, pa.scalar(Decimal(100), pa.decimal128(3, 0))),
        pa.decimal128(38, 6),
    )
    assert pc.all(pc.equal(pc.cast(back, pa.int64()), pc.multiply(cents, 104_729))).as_py()


def test_local_time_that_happens_twice_or_never() -> None:
    texts: list[str | None] = [
        "2026-10-25T02:30:00",
        "2026-03-29T02:30:00",
        "2026-07-01 12:00",
        "2026-03-29T03:00:00",
        "x",
    ]
    found = column("instant", texts, "local_instant")
    assert codes(found) == {"no_such_local_time": [1], "not_an_instant": [4]}
    assert found.values.to_pylist() == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        None,
        datetime(2026, 7, 1, 10, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        None,
    ]


def test_midnight_that_the_clock_jumped_over() -> None:
    found = column(
        "instant", ["2026-04-24", "2026-04-25"], "iso_date", "midnight_of", zone="Africa/Cairo"
    )
    assert found.values.to_pylist() == [
        datetime(2026, 4, 23, 22, tzinfo=UTC),
        datetime(2026, 4, 24, 21, tzinfo=UTC),
    ]


def test_instants_need_an_offset_and_hold_six_digits() -> None:
    found = column(
        "instant",
        [
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00.1234560-0330",
            "2026-01-01T24:00Z",
        ],
    )
    assert codes(found) == {"too_many_digits": [1], "not_an_instant": [0, 3]}
    assert found.values[2].as_py() == datetime(2026, 1, 1, 3, 30, 0, 123456, tzinfo=UTC)


def test_open_ends_stay_open_after_the_added_day() -> None:
    texts: list[str | None] = [
        "20261231",
        "99991231",
        "99999999",
        "00000000",
        " ",
        "20260230",
        "2026013",
    ]
    found = column("date", texts, "yyyymmdd", "date_end_inclusive")
    assert found.values.to_pylist() == [date(2027, 1, 1), *[None] * 6]
    assert codes(found) == {"not_a_date": [5, 6]}


def test_no_nul_reaches_the_database() -> None:
    assert codes(column("text", ["a\x00b"])) == {"forbidden_character": [0]}
    objects = [
        '{"a":1}',
        "[1]",
        '{"a":NaN}',
        '{"a":"\\u0000"}',
        '{"a":"\\ud800"}',
        '{"a":1e99999}',
        "{",
    ]
    assert codes(column("json", [*objects])) == {"not_a_json_object": [1, 2, 3, 4, 5, 6]}


def test_repetitive_columns_give_the_same_as_others() -> None:
    texts = ["1,5", "x", None, "", "0"] * 2_000
    found = column("price", texts, "decimal_comma", "null_is_one")
    few = column("price", texts[:5], "decimal_comma", "null_is_one")
    assert found.values.to_pylist() == few.values.to_pylist() * 2_000
    assert codes(few) == {"not_a_number": [1]}
    assert pc.sum(found.bad[0][1]).as_py() == 2_000


LITERALS = st.one_of(
    st.text(max_size=8),
    st.from_regex(r"[+-]?[0-9]{0,14}(\.[0-9]{0,8})?", fullmatch=True),
    st.dates(max_value=date(9999, 12, 30)).map(str),
    st.sampled_from(
        [
            "true",
            "false",
            "EUR",
            "{}",
            '{"a":1}',
            "[]",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00",
        ]
    ),
)


@settings(max_examples=200, deadline=None)
@given(text=LITERALS, type_=st.sampled_from(sorted(ARROW)))
def test_what_a_mapping_may_write_is_what_a_column_may_hold(text: str, type_: Type) -> None:
    field = Field("x", type_, "-", "x")
    if misfit(field, text) is None:
        assert constant(field, text).is_valid or type_ in ("texts", "codes")


def test_every_part_has_a_type_for_every_field() -> None:
    for part in PARTS.values():
        assert isinstance(part, Part)
        for field in part.fields:
            if field.absent is not None:
                assert constant(field, field.absent).is_valid
