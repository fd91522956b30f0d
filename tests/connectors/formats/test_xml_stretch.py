"""Lists of records written alike, read by a pattern: the same rows as by the parser, always."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats import read_page
from connectors.formats.raw import RawChunk, ReadPlan
from connectors.formats.xml_feed import RecordFeed
from connectors.formats.xml_paths import Segment
from connectors.formats.xml_stretch import SKIP, Stretch
from mappings.errors import BatchRefused
from mappings.sources import SftpSource
from mappings.sources.sftp import XmlFormat

ALIKE = "".join(f"<I><a>{i}</a><b>x</b></I>" for i in range(30))
LIST = (Segment(None, "L"), Segment(None, "I"))


def plan(*paths: str, **uris: str) -> ReadPlan:
    form = XmlFormat(kind="xml", records="I", namespaces=uris)
    return ReadPlan("thing", SftpSource(protocol="sftp", files="x.xml", format=form), paths)


def rows(text: str | bytes, *paths: str, **uris: str) -> list[tuple[str | None, ...]]:
    content = text.encode() if isinstance(text, str) else text
    found = read_page(io.BytesIO(content), plan(*paths, **uris), 1, {})
    return [
        tuple(row.values())
        for chunk in found
        if isinstance(chunk, RawChunk)
        for row in chunk.columns.to_pylist()
    ]


def refusal(text: str | bytes, *paths: str) -> BatchRefused:
    with pytest.raises(BatchRefused) as caught:
        rows(text, *paths)
    return caught.value


def kinds(text: str) -> tuple[int, int]:
    """How many records came (in stretches, one by one)."""
    feed = RecordFeed(LIST, wanted=lambda tag: {"a": 0, "b": 1}.get(tag, SKIP))
    stretches = single = 0
    for found in (*feed.feed(text.encode()), *feed.rest(), *feed.close()):
        if isinstance(found, Stretch):
            stretches += len(found.rows)
        else:
            single += feed.is_record(found)
    return stretches, single


def test_records_written_alike_come_in_a_stretch() -> None:
    assert kinds(f"<L>{ALIKE}</L>") == (29, 1)
    assert rows(f"<L>{ALIKE}</L>", "a", "b") == [(str(i), "x") for i in range(30)]


def test_what_is_written_otherwise_is_learnt_and_keeps_its_place() -> None:
    other = "<I><a>n</a><c>1</c><b/></I><I><b>&lt;&amp;amp;</b></I><I/><I><a>1</a><!-- x --></I>"
    text = f"<L>{ALIKE}{other}{ALIKE}{other}</L>"
    wanted = [(str(i), "x") for i in range(30)]
    middle = [("n", ""), (None, "<&amp;"), (None, None), ("1", None)]
    assert rows(text, "a", "b") == wanted + middle + wanted + middle
    stretches, single = kinds(text)
    assert stretches + single == 68
    assert stretches > 55


@pytest.mark.parametrize(
    "inside",
    [
        "<!-- <I><a>no</a><b>x</b></I> -->",
        "<![CDATA[<I><a>no</a><b>x</b></I>]]>",
        "<?p <I><a>no</a><b>x</b></I> ?>",
        "<O><I><a>no</a><b>x</b></I></O>",
        '<O x="&lt;I>&lt;a>no"/>',
    ],
)
def test_what_only_looks_like_a_record_is_none(inside: str) -> None:
    text = f"<L>{inside}{ALIKE}{inside}{ALIKE}{inside}</L>"
    assert [a for a, _ in rows(text, "a", "b")] == [*map(str, range(30))] * 2


def test_the_same_letters_under_another_namespace_are_another_element() -> None:
    one = "<I><p:a>1</p:a><a>2</a></I>" * 5
    text = f'<L xmlns:p="urn:one">{one}</L>'
    assert rows(text, "q:a", q="urn:one") == [("1",)] * 5
    text = f'<L xmlns:p="urn:two">{one}</L>'
    assert rows(text, "q:a", q="urn:one") == [(None,)] * 5


def test_a_shape_of_an_ill_formed_page_is_not_believed_in_the_next() -> None:
    nil = '<I><a>1</a><b xsi:nil="true"/></I>'
    bad = f"<L>{ALIKE}{nil}{nil}</L>"
    for _ in range(2):
        assert refusal(bad, "a", "b").code == "malformed"
    # here the parser meets no such record but in what an earlier page would have taught
    assert refusal(f"<L>{ALIKE}{nil}</L>", "a", "b").code == "malformed"


def test_XML_6_an_entity_that_nobody_declared_is_refused_and_cuts_no_text() -> None:
    assert refusal("<L><I><a>12&nbsp;345</a></I></L>", "a").code == "malformed"
    assert refusal(f"<L>{ALIKE}<I><a>12&nbsp;345</a><b>x</b></I>{ALIKE}</L>", "a").code


def test_XML_6_a_fault_behind_a_stretch_has_its_line_and_column() -> None:
    lines = "".join(f"<I>\n  <a>{i}</a>\n</I>\n" for i in range(50))
    text = f"<L>\n{lines}<I><a>A & B</a></I></L>"
    assert "line 152, column 10" in str(refusal(text, "a"))
    flat = f"<L>{ALIKE}<I><a>1</a><b>A & B</b></I></L>"
    column = flat.index("A & B") + 4
    assert f"line 1, column {column}" in str(refusal(flat, "a"))


def test_XML_1_an_encoding_that_nobody_knows_is_refused() -> None:
    text = f'<?xml version="1.0" encoding="UTTF-8"?><L>{ALIKE}</L>'
    assert refusal(text, "a").code == "encoding"


def test_XML_1_other_bytes_inside_a_stretch_are_refused() -> None:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><L>{ALIKE}<I><a>1</a><b>\u011f</b></I>{ALIKE}</L>'
    )
    assert refusal(text.encode("cp1254"), "a").code == "encoding"
    for bad in (b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xc3", b"\x1f"):
        page = f"<L>{ALIKE}<I><a>1</a><b>?</b></I>{ALIKE}</L>".encode().replace(b"?", bad)
        assert refusal(page, "a").code in ("encoding", "malformed")


def test_one_byte_encodings_are_read_as_declared() -> None:
    text = f'<?xml version="1.0" encoding="ISO-8859-9"?><L>{ALIKE}<I><a>ğ</a></I></L>'
    assert rows(text.encode("iso-8859-9"), "a")[-1] == ("ğ",)


_TEXT = st.text(st.sampled_from("aü1 \n\r\t]\U0001f600"), max_size=6)
_CELL = st.one_of(
    st.none(),
    st.just("<{0}/>"),
    st.just('<{0} xsi:nil="true"/>'),
    st.just("<{0}>&#65;</{0}>"),
    st.just("<{0}><![CDATA[<I>]]></{0}>"),
    st.just("<{0}>&amp;lt;</{0}>"),
    st.just('<{0} xsi:type="t">5</{0}>'),
    st.just("<{0}><I><a>in</a></I></{0}>"),
    _TEXT.map(lambda text: f"<{{0}}>{text}</{{0}}>"),
)
_RECORD = st.tuples(_CELL, _CELL, _CELL, st.booleans()).map(
    lambda cells: (
        "<I>"
        + ("\n " if cells[3] else "").join(
            cell.format(name) for name, cell in zip("abc", cells[:3], strict=True) if cell
        )
        + "</I>"
    )
)


@given(st.lists(_RECORD, max_size=12), st.integers(1, 40))
def test_any_list_gives_the_same_rows_by_pattern_and_by_parser(
    records: list[str], times: int
) -> None:
    text = (
        '<L xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"{''.join(record * times for record in records)}</L>"
    )
    found = rows(text, "a", "b")
    RecordFeed.patterns = False
    try:
        assert rows(text, "a", "b") == found
    finally:
        RecordFeed.patterns = True
