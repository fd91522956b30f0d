"""Lines are records exactly where the CSV reader says so; else the page is read the long way."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import read_page
from connectors.formats.csv_lines import Frame, NotLineByLine, form_of, record_lines
from connectors.formats.raw import Broken, RawChunk, ReadPlan
from connectors.formats.stretches import Stretches
from mappings.errors import WaybillError
from mappings.sources.sftp import CsvFormat, SftpSource, Trailer

TRAILER = Trailer(starts_with="TRL", count=2)
PIECES = st.lists(
    st.sampled_from(
        ["a;b", "1;2", '"x";y', '"x', "\n", "\n", "\r\n", "\r", "TRL;1", "é;ü", ";", "\x1a"]
    ),
    max_size=12,
).map("".join)


def plan(**form: Any) -> ReadPlan:
    source = SftpSource(protocol="files", files="x", format=CsvFormat(kind="csv", **form))
    return ReadPlan("price", source, ("a", "b"))


def whole(text: bytes, one: ReadPlan) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    for item in read_page(io.BytesIO(text), one, 1, {"price": 1}):
        if isinstance(item, RawChunk):
            rows = item.columns.to_pylist()
            found += list(zip(item.record_no.to_pylist(), rows, strict=True))
        elif isinstance(item, Broken):
            found.append((item.record_no, item.code))
    return sorted(found, key=lambda one: one[0])


@settings(deadline=None)
@given(body=PIECES, trailer=st.booleans(), newlines=st.booleans(), block=st.integers(1, 40))
def test_chosen_records_are_those_of_the_whole_page(
    body: str, *, trailer: bool, newlines: bool, block: int
) -> None:
    """Every odd record alone reads as it does among the others."""
    one = plan(trailer=TRAILER if trailer else None, quoted_newlines=newlines)
    form = form_of(one)
    assert form is not None
    text = ("a;b\n" + body + ("\nTRL;9\n" if trailer else "")).encode()
    frame = Frame()
    try:
        blocks = list(record_lines(io.BytesIO(text), form, frame, block))
    except NotLineByLine:
        return
    try:
        expected = whole(text, one)
    except WaybillError:
        return  # a load that meets this reads the page the long way, which says what it is
    starts = np.array([n + found.at for found in blocks for n in found.starts], np.int64)
    ends = np.array([n + found.at for found in blocks for n in found.ends], np.int64)
    lines = [line for found in blocks for line in found.each()]
    assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == lines
    assert len(lines) == len(expected)
    odd = np.arange(1, len(lines), 2)
    if not len(odd):
        return
    behind = np.append(starts[1:], ends[-1] + 1)
    stretches = Stretches(
        io.BytesIO(text),
        np.concatenate([[0], starts[odd], behind[-1:]]),
        np.concatenate([starts[:1], behind[odd], [2**62]]),
        block,
    )
    chosen = whole(io.BufferedReader(stretches).read(), one)  # type: ignore[arg-type]
    assert [value for _, value in chosen] == [expected[i][1] for i in odd]


@pytest.mark.parametrize(
    "form",
    [
        {"encoding": "utf-16"},
        {"trailer": Trailer(starts_with="TRL", total=2, total_of="b")},
    ],
)
def test_what_is_never_read_by_lines(form: dict[str, Any]) -> None:
    """Other bytes for a line end, and totals that every record adds to."""
    assert form_of(plan(**form)) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b'a;b\n"1\n2";3\n', {"quoted_newlines": True}),
        (b"a;b\r1;2\r", {}),
        (b"a;b\n1;\x002\n", {}),
        (b"a;b\n1;2\nTRL;1\n3;4\n", {"trailer": TRAILER}),
        (b"a;b\n1;2\n", {"trailer": TRAILER}),
    ],
)
def test_what_lines_cannot_tell_is_left_to_the_reader(text: bytes, form: dict[str, Any]) -> None:
    found = form_of(plan(**form))
    assert found is not None
    with pytest.raises(NotLineByLine):
        list(record_lines(io.BytesIO(text), found, Frame()))
