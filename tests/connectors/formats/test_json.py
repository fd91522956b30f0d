"""JSON pages to columns of text: literals, nulls, children, places, pages that cannot be read."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats import json as json_format
from connectors.formats import json_walk
from connectors.formats.raw import Broken, ChildPlan, RawChunk, ReadPlan
from mappings.errors import BatchRefused, SourceChanged
from mappings.sources import ODataSource

SOURCE = ODataSource(protocol="odata", entity="Things")


def plan(*paths: str, children: tuple[ChildPlan, ...] = (), records: str = "value") -> ReadPlan:
    source = SOURCE.model_copy(update={"records": records})
    return ReadPlan("thing", source, paths, children)


def read(page: bytes | str, plan: ReadPlan, first: dict[str, int] | None = None) -> list[Any]:
    content = page.encode() if isinstance(page, str) else page
    return list(json_format.read(io.BytesIO(content), plan, 1, {} if first is None else first))


def column(page: str, path: str) -> list[str | None]:
    (chunk,) = read(page, plan(path))
    return chunk.columns[path].to_pylist()


@pytest.mark.parametrize(
    "literal",
    [
        "61676.98440000000000000001",
        "1.10",
        "0",
        "-0",
        "-0.0",
        "1e5",
        "1E-400",
        "-12",
        "9" * 40,
        "9" * 5000,
    ],
)
def test_numbers_keep_their_literal_text(literal: str) -> None:
    assert column(f'{{"value":[{{"a": {literal} }}]}}', "a") == [literal]
    assert column(f'{{"value":[{{"a":{{"b":[{literal}]}}}}]}}', "a") == [f'{{"b":[{literal}]}}']


def test_null_missing_and_empty_are_told_apart() -> None:
    assert column('{"value":[{"a":null},{},{"a":""},{"a":" "}]}', "a") == [None, None, "", " "]


def test_booleans_objects_and_mixed_columns_become_text() -> None:
    page = (
        '{"value":[{"a":true},{"a":false},{"a":{"x": 1.50, "y":[null, "é\\""]}},{"a":7},{"a":"t"}]}'
    )
    assert column(page, "a") == ["true", "false", '{"x":1.50,"y":[null,"é\\""]}', "7", "t"]


def test_nested_paths_and_lists() -> None:
    page = json.dumps(
        {
            "value": [
                {"a": {"b": {"c": "deep"}}, "tags": ["x", None, "y"]},
                {"a": {"b": None}, "tags": []},
                {"a": None, "tags": None},
                {},
            ]
        }
    )
    (chunk,) = read(page, plan("a/b/c", "tags[]", "a"))
    assert chunk.columns["a/b/c"].to_pylist() == ["deep", None, None, None]
    assert chunk.columns["tags[]"].to_pylist() == ["x\x1fy", "", None, None]
    assert chunk.columns["a"].to_pylist() == ['{"b":{"c":"deep"}}', '{"b":null}', None, None]


def test_a_path_through_an_array_gives_the_first_match_or_all() -> None:
    page = '{"value":[{"l":[{"n":1},{"n":2}]},{"l":[]}]}'
    (chunk,) = read(page, plan("l/n", "l/n[]"))
    assert chunk.columns["l/n"].to_pylist() == ["1", None]
    assert chunk.columns["l/n[]"].to_pylist() == ["1\x1f2", None]


def test_deletion_markers_are_a_path() -> None:
    page = '{"value":[{"@removed":{"reason":"deleted"},"No":"1"},{"No":"2"}]}'
    (chunk,) = read(page, plan("@removed", "@removed/reason", "No"))
    assert chunk.columns["@removed"].to_pylist() == ['{"reason":"deleted"}', None]
    assert chunk.columns["@removed/reason"].to_pylist() == ["deleted", None]
    (chunk,) = read(page, plan("@removed/reason", "No"))
    assert chunk.columns["@removed/reason"].to_pylist() == ["deleted", None]


def test_children_carry_their_roots_number_and_numbering_goes_on_over_pages() -> None:
    lines = ChildPlan("line", "Lines", ("No", "Qty"))
    wanted = plan("No", children=(lines,))
    first = {"thing": 5, "line": 3}
    page = (
        '{"value":[{"No":"A","Lines":[{"No":1,"Qty":"1.5"},{"No":2}]},{"No":"B","Lines":[]},'
        '{"No":"C"},{"No":"D","Lines":[{"No":1}]}]}'
    )
    root, child = read(page, wanted, first)
    assert root.record_no.to_pylist() == [5, 6, 7, 8]
    assert child.part == "line"
    assert child.record_no.to_pylist() == [3, 4, 5]
    assert child.root_no.to_pylist() == [5, 5, 8]
    assert child.columns.to_pydict() == {"No": ["1", "2", "1"], "Qty": ["1.5", None, None]}
    assert first == {"thing": 9, "line": 6}
    assert read('{"value":[]}', wanted, first) == []


def test_an_unreadable_record_is_broken_and_keeps_its_number() -> None:
    lines = ChildPlan("line", "Lines", ("No",))
    page = '{"value":[{"No":"A"},17.50,{"No":"\\ud800"},{"No":"B","Lines":["x"]},{"No":"C"}]}'
    *broken, chunk = read(page, plan("No", children=(lines,)))
    assert [(one.record_no, one.code, one.raw) for one in broken] == [
        (2, "not_an_object", "17.50"),
        (3, "encoding", '{"No":"\\ud800"}'),
        (4, "not_an_object", '{"No":"B","Lines":["x"]}'),
    ]
    assert all(isinstance(one, Broken) for one in broken)
    assert chunk.record_no.to_pylist() == [1, 5]
    assert chunk.columns["No"].to_pylist() == ["A", "C"]


@pytest.mark.parametrize("cut", [1, 12, 20, 30, -1])
def test_a_page_cut_short_is_refused(cut: int) -> None:
    page = b'{"value":[{"No":"A","Qty":1.25},{"No":"B","Qty":2}]}'
    with pytest.raises(BatchRefused) as caught:
        read(page[:cut], plan("No"))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    "page", ["", "<html></html>", "NaN", '{"value":[{"No":NaN}]}', "[" * 100_000]
)
def test_what_is_not_json_is_refused(page: str) -> None:
    with pytest.raises(BatchRefused) as caught:
        read(page, plan("No"))
    assert caught.value.code == "truncated"


def test_another_encoding_is_refused() -> None:
    with pytest.raises(BatchRefused) as caught:
        read('{"value":[{"No":"ğ"}]}'.encode("cp1254"), plan("No"))
    assert caught.value.code == "encoding"


@pytest.mark.parametrize(
    "page", ['{"error":{"code":"x"}}', '{"value":{"No":1}}', '{"value":null}', "[]"]
)
def test_a_page_without_its_records_says_that_the_source_changed(page: str) -> None:
    with pytest.raises(SourceChanged) as caught:
        read(page, plan("No"))
    assert caught.value.code == "missing_records"


def test_a_byte_order_mark_and_another_path_to_the_records() -> None:
    page = b"\xef\xbb\xbf" + b'{"d":{"results":[{"No":"1"},{"No":"2"}]}}'
    wanted = plan("No", records="d/results")
    (chunk,) = read(page, wanted)
    assert chunk.columns["No"].to_pylist() == ["1", "2"]
    start, end = json_format.locate(io.BytesIO(page), wanted, "thing", 2)
    assert page[start:end] == b'{"No":"2"}'


def test_locate_finds_records_and_children_by_their_bytes() -> None:
    lines = ChildPlan("line", "Lines", ("No",))
    wanted = plan("No", children=(lines,))
    page = (
        '{"@x":[{"No":"B"}], "value" : [ {"No":"ü]}\\"","Lines":[{"No":1}]},\n'
        '{"No":"B","Lines":[ {"No":2} , {"No":3}]} ]}'
    ).encode()
    start, end = json_format.locate(io.BytesIO(page), wanted, "thing", 2)
    assert json.loads(page[start:end]) == {"No": "B", "Lines": [{"No": 2}, {"No": 3}]}
    start, end = json_format.locate(io.BytesIO(page), wanted, "line", 3)
    assert page[start:end] == b'{"No":3}'
    with pytest.raises(IndexError):
        json_format.locate(io.BytesIO(page), wanted, "line", 4)
    with pytest.raises(KeyError):
        json_format.locate(io.BytesIO(page), wanted, "other", 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('aé€😀"\\]}{[,:-0 \n\x00', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), max_size=5)


@given(RECORDS)
def test_structs_and_walk_find_the_same(records: list[dict[str, Any]]) -> None:
    lines = ChildPlan("line", "d", ("a", "b[]"))
    wanted = plan("a", "b/c", "c[]", children=(lines,))
    page = json.dumps({"value": records})
    usual = read(page, wanted)
    # A lone -0 elsewhere on the page makes it a page to walk, with the same records.
    walked = read(page[:-1] + ',"z":-0}', wanted)
    assert [_plain(one) for one in usual] == [_plain(one) for one in walked]
    numbers = [one.record_no for one in usual if isinstance(one, Broken)]
    for one in usual:
        if isinstance(one, RawChunk) and one.part == "thing":
            numbers += one.record_no.to_pylist()
    assert sorted(numbers) == list(range(1, len(records) + 1))
    for number, record in enumerate(records, start=1):
        start, end = json_format.locate(io.BytesIO(page.encode()), wanted, "thing", number)
        assert json.loads(page.encode()[start:end]) == record


@given(VALUES)
def test_compact_text_means_the_same(value: object) -> None:
    literal = json.loads(json.dumps(value), parse_int=json_walk.Literal)
    assert json.loads(json_walk.compact(literal)) == value


def _plain(one: RawChunk | Broken) -> object:
    if isinstance(one, Broken):
        return one
    root = None if one.root_no is None else one.root_no.to_pylist()
    return one.part, one.columns.to_pydict(), one.record_no.to_pylist(), root
