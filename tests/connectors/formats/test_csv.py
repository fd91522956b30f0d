"""The CSV reader: encodings, quoting, trailer, exact record numbers, nothing swallowed."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import csv as reader
from connectors.formats.raw import Broken, Declared, RawChunk, ReadPlan
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources.sftp import CsvFormat, SftpSource, Trailer

TRAILER = Trailer(starts_with="TRL", count=2, total=3, total_of="B", decimal="comma")


def plan(*paths: str, **form: Any) -> ReadPlan:
    source = SftpSource(protocol="sftp", files="x", format=CsvFormat(kind="csv", **form))
    return ReadPlan("price", source, paths)


class Found:
    """Everything a read gave, in plain Python values."""

    def __init__(self, data: bytes, of: ReadPlan, start: int = 1, piece: int = 1 << 20) -> None:
        self.first = {"price": start}
        self.rows: dict[int, tuple[str, ...]] = {}
        self.broken: list[Broken] = []
        self.declared: list[Declared] = []
        self.chunks = 0
        for one in reader.read(io.BytesIO(data), of, 1, self.first, piece_bytes=piece):
            if isinstance(one, RawChunk):
                self.chunks += 1
                assert one.columns.column_names == list(of.paths)
                values = zip(*(c.to_pylist() for c in one.columns.columns), strict=True)
                self.rows |= dict(zip(one.record_no.to_pylist(), values, strict=True))
            elif isinstance(one, Broken):
                self.broken.append(one)
            elif isinstance(one, Declared):
                self.declared.append(one)


def test_columns_by_name_and_text_stays_text() -> None:
    data = b"B;X;A\n13,75;;0001\n;-; 01 \n1E5;NULL;NA\n"
    found = Found(data, plan("A", "B", "X"))
    assert found.rows == {1: ("0001", "13,75", ""), 2: (" 01 ", "", "-"), 3: ("NA", "1E5", "NULL")}
    assert found.first == {"price": 4}


def test_record_numbers_go_on_from_earlier_pages() -> None:
    assert list(Found(b"A;B\n1;2\n3;4\n", plan("A"), start=100).rows) == [100, 101]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "\n", "\r\n\r\n", "\r\n\x1a", "\x1a\x1a"])
def test_line_ends_and_end_mark(ends: str, tail: str) -> None:
    data = ends.join(["A;B", "1;2", "", "3;4", "TRL;2;6"]).encode() + tail.encode()
    found = Found(data, plan("A", "B", trailer=TRAILER))
    assert found.rows == {1: ("1", "2"), 2: ("3", "4")}
    assert not found.broken


def test_mixed_line_ends() -> None:
    found = Found(b"A;B\r\n1;2\n3;4\r5;6\r\n", plan("A", "B"))
    assert found.rows == {1: ("1", "2"), 2: ("3", "4"), 3: ("5", "6")}


# the trailer


def test_trailer_is_declared_with_exact_decimals() -> None:
    found = Found(b"A;B\n1;2\nTRL;1.234;1.234.567,89\n", plan("A", "B", trailer=TRAILER))
    assert found.declared == [Declared("price", 1, 1234, Decimal("1234567.89"), "B")]
    assert list(found.rows) == [1]


def test_trailer_of_as_many_columns_as_a_record_is_no_record() -> None:
    found = Found(b"A;B;C\n1;2;3\nTRL;1;2,00\n", plan("A", trailer=TRAILER))
    assert found.rows == {1: ("1",)}


def test_record_that_only_begins_like_the_trailer_is_a_record() -> None:
    found = Found(b'A;B\nTRL1;2\nTRLX;\n"TRL";2;3\n', plan("A", "B", trailer=TRAILER))
    assert found.rows == {1: ("TRL1", "2"), 2: ("TRLX", "")}
    assert found.declared[0].count == 2


@pytest.mark.parametrize(
    "data",
    [
        b"A;B\n1;2\n",  # none
        b"",  # not even a header
        b"A;B\n1;2\nTRL;1;2\n3;4\n",  # data behind it
        b"A;B\n1;2\nTRL;1;2\nTRL;1;2\n",  # twice
        b"A;B\n1;2\nTRL;1;13.75\n",  # a point where the comma is declared
        b"A;B\n1;2\nTRL;1\n",  # cut off
        b"A;B\n1;2\nTRL;1,5;2\n",  # half a record
        "A;B\n1;2\nTRL;١;2\n".encode(),  # other digits are no digits
    ],
)
def test_trailer_that_cannot_be_trusted_refuses(data: bytes) -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(data, plan("A", "B", trailer=TRAILER))
    assert refused.value.code == "trailer"
    assert refused.value.remedy


# broken records


def test_broken_records_have_their_number_and_text_and_the_others_go_on() -> None:
    data = b"A;B\n1;2\n3\n5;6;7\n8;9\n\xff;0\n".replace(b"\xff", b"\0")
    found = Found(data, plan("A", "B"))
    assert found.rows == {1: ("1", "2"), 4: ("8", "9")}
    assert [(b.record_no, b.code, b.raw) for b in found.broken] == [
        (2, "too_few_columns", "3"),
        (3, "too_many_columns", "5;6;7"),
        (5, "nul_byte", "␀;0"),
    ]
    assert found.first == {"price": 6}


def test_numbers_are_exact_over_many_pieces() -> None:
    lines = [f"{i};{'x' * (i % 13)}" if i % 17 else f"{i}" for i in range(1, 3001)]
    data = ("A;B\n" + "\n".join(lines) + "\n").encode()
    found = Found(data, plan("A", "B"), piece=257)
    assert found.chunks > 20
    assert found.rows == {i: (str(i), "x" * (i % 13)) for i in range(1, 3001) if i % 17}
    assert [b.record_no for b in found.broken] == [i for i in range(1, 3001) if not i % 17]
    assert all(b.raw == str(b.record_no) for b in found.broken)


@pytest.mark.parametrize("closing", ["", '"'])
def test_stray_quote_swallows_nothing(closing: str) -> None:
    data = f'A;B\n1;"2\n3;4\n5;6{closing}\n7;8\n'.encode()
    found = Found(data, plan("A", "B"))
    assert len(found.rows) + len(found.broken) == 4
    assert found.broken[0].code == "stray_quote"
    assert found.broken[0].record_no == 1
    assert found.rows[2] == ("3", "4")
    assert found.rows[4] == ("7", "8")


def test_inch_mark_inside_a_field_is_text() -> None:
    found = Found(b'A;B\n1;5" pipe\n3;4\n"a""b";"c;d"\n', plan("A", "B"))
    assert found.rows == {1: ("1", '5" pipe'), 2: ("3", "4"), 3: ('a"b', "c;d")}


def test_a_byte_order_mark_in_the_middle_is_text() -> None:
    data = 'A;B;C\n\ufeff"1;2"";3\n4;5;6\n'.encode()
    for quoted in (False, True):
        found = Found(data, plan("A", "B", quoted_newlines=quoted))
        assert found.rows == {1: ('\ufeff"1', '2""'), 2: ("4", "5")}


def test_quoted_newlines_by_declaration() -> None:
    data = b'A;B\r\n1;"two\r\nlines; ""quoted"""\r\n3\r\n"4";5\r\nTRL;3;0\r\n'
    found = Found(data, plan("A", "B", quoted_newlines=True, trailer=TRAILER))
    assert found.rows == {1: ("1", 'two\r\nlines; "quoted"'), 3: ("4", "5")}
    assert [(b.record_no, b.raw) for b in found.broken] == [(2, "3")]


def test_trailer_inside_a_quoted_field_is_text() -> None:
    data = b'A;B\n1;"x\nTRL;1;0"\nTRL;1;0\n'
    found = Found(data, plan("A", "B", quoted_newlines=True, trailer=TRAILER))
    assert found.rows == {1: ("1", "x\nTRL;1;0")}


def test_quote_never_closed_refuses() -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(b'A;B\n1;"2\n3;4\n', plan("A", "B", quoted_newlines=True))
    assert refused.value.code == "truncated"


def test_record_without_end_is_refused_before_memory_is() -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(b'A;B\n1;"2\n' + b"3;4\n" * 5_000_000, plan("A", quoted_newlines=True))
    assert refused.value.code == "too_large"


def test_file_that_ends_inside_a_record_refuses() -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(b"A;B;C\n1;2;3\n4;5", plan("A"))
    assert refused.value.code == "truncated"


def test_last_line_needs_no_line_end() -> None:
    assert Found(b"A;B\n1;2\n3;4", plan("A", "B")).rows[2] == ("3", "4")


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\x1a"])
def test_a_file_of_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(data, plan("A", "B"))
    assert refused.value.code == "empty_file"


@pytest.mark.parametrize("data", [b"A;B\n", b"A;B"])
def test_empty_files_give_an_empty_chunk(data: bytes) -> None:
    found = Found(data, plan("A", "B"))
    assert (found.rows, found.chunks, found.first) == ({}, 1, {"price": 1})


# the header


def test_missing_column_names_the_closest() -> None:
    with pytest.raises(SourceChanged) as changed:
        Found(b"STOK_KOD;B\n1;2\n", plan("STOK_KODU", "B"))
    assert changed.value.code == "missing_column"
    assert "STOK_KOD?" in str(changed.value)


def test_column_named_twice_is_refused_though_extra_columns_are_fine() -> None:
    with pytest.raises(SourceChanged) as changed:
        Found(b"A;B;A\n1;2;3\n", plan("B"))
    assert changed.value.code == "duplicate_column"
    assert Found(b"A;B;;\n1;2;3;4\n", plan("B")).rows == {1: ("2",)}


def test_without_header_the_mapping_names_the_columns() -> None:
    assert Found(
        b"1|2\n3|4\n", plan("Y", header=False, columns=("X", "Y"), delimiter="|")
    ).rows == {
        1: ("2",),
        2: ("4",),
    }
    with pytest.raises(Misconfigured):
        Found(b"1|2\n", plan("Z", header=False, columns=("X", "Y"), delimiter="|"))


def test_header_is_never_folded_by_locale() -> None:
    with pytest.raises(SourceChanged):
        Found(b"ISIM;B\n1;2\n", plan("İSİM"))


# encodings


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1254"]
)
def test_encodings_and_byte_order_marks(encoding: str) -> None:
    text = "ADI;ŞEHİR\nÖztürk;Iğdır\nx;İzmir\n"
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    found = Found((mark + text).encode(encoding), plan("ADI", "ŞEHİR", encoding=encoding))
    assert found.rows == {1: ("Öztürk", "Iğdır"), 2: ("x", "İzmir")}


def test_declared_code_page_decides() -> None:
    data = "A;B\nğış;İ\n".encode("cp1254")
    assert Found(data, plan("A", encoding="cp1254")).rows[1] == ("ğış",)
    assert Found(data, plan("A", encoding="cp1252")).rows[1] == ("ðýþ",)


@pytest.mark.parametrize(
    ("data", "encoding", "offset"),
    [
        ("A;B\nx;ğ\n".encode("cp1254"), "utf-8", 6),
        (b"A;B\n" + b"1;\x81\n" * 200, "cp1254", 406),
        (b"A;B\n" + b"1;2\n" * 1_200_000 + b"\xff;1\n", "utf-8", 4_800_004),
        (b"A;B\n1;\xc3", "utf-8", 6),
        (b"A\0;\0", "utf-16", None),  # neither byte order mark nor order
    ],
)
def test_bytes_the_encoding_does_not_have_refuse_with_offset(
    data: bytes, encoding: str, offset: int | None
) -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(data, plan("A", encoding=encoding))
    assert refused.value.code == "encoding"
    assert offset is None or f"offset {offset} " in str(refused.value)


@pytest.mark.parametrize("text", ["\ufeffA;B\n1;2\n", "A;B\n" + "Öztürk;ğışçöü\n" * 3])
def test_utf8_declared_as_a_code_page_is_refused(text: str) -> None:
    with pytest.raises(BatchRefused) as refused:
        Found(text.encode(), plan("A", encoding="cp1254"))
    assert refused.value.code == "encoding"


def test_one_garbled_name_of_the_source_is_kept() -> None:
    data = "A;B\nÃ¼;ş\n".encode("cp1254")
    assert Found(data, plan("A", encoding="cp1254")).rows[1] == ("Ã¼",)


@pytest.mark.parametrize(
    ("form", "code"), [({"encoding": "cp9999"}, "encoding"), ({"delimiter": ";;"}, "format")]
)
def test_impossible_formats_are_misconfigured(form: dict[str, str], code: str) -> None:
    with pytest.raises(Misconfigured) as wrong:
        Found(b"A;B\n", plan("A", **form))
    assert wrong.value.code == code


# laws

CELL = st.text(st.sampled_from('ab;"\n\r ığ,.0\x1a|'), max_size=6)


def written(table: list[list[str]], ends: str = "\n", *, quote_all: bool = True) -> bytes:
    def cell(text: str) -> str:
        if quote_all or any(c in text for c in ';"\n\r\x1a') or text == "":
            return '"' + text.replace('"', '""') + '"'
        return text

    return "".join(";".join(map(cell, row)) + ends for row in table).encode()


@settings(deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL, CELL), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_is_written_is_read(
    rows: list[tuple[str, str, str]],
    ends: str,
    quote_all: bool,  # noqa: FBT001  drawn
) -> None:
    data = written([["A", "B", "C"], *map(list, rows)], ends, quote_all=quote_all)
    found = Found(data, plan("A", "B", "C", quoted_newlines=True))
    assert list(found.rows.values()) == rows


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('a;"x '), max_size=8), min_size=1, max_size=12))
def test_accepted_and_broken_are_all_lines(lines: list[str]) -> None:
    lines = [line or "-" for line in lines]
    found = Found(("A;B\n" + "\n".join(lines) + "\n").encode(), plan("A", "B"))
    numbers = sorted([*found.rows, *(b.record_no for b in found.broken)])
    assert numbers == list(range(1, len(lines) + 1))
    assert all(b.raw == lines[b.record_no - 1] for b in found.broken)


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from('a;"x '), max_size=8), min_size=1, max_size=8))
def test_both_ways_of_parsing_agree(lines: list[str]) -> None:
    data = ("A;B\n" + "\n".join(line or "-" for line in lines) + "\n").encode()
    # a NUL in an extra last record makes the whole piece be taken apart record by record
    alone, parted = Found(data, plan("A", "B")), Found(data + b"\0;\n", plan("A", "B"))
    assert alone.rows == parted.rows
    assert alone.broken == parted.broken[:-1]


@settings(deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1254"]),
    st.data(),
)
def test_locate_finds_the_bytes_of_a_record(
    rows: list[tuple[str, str]], encoding: str, data: st.DataObject
) -> None:
    whole = written([["A", "B"], *map(list, rows)]).decode().encode(encoding)
    number = data.draw(st.integers(1, len(rows)))
    of = plan("A", "B", encoding=encoding, quoted_newlines=True)
    start, end = reader.locate(io.BytesIO(whole), of, "price", number)
    name = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert whole[start:end].decode(name) == written([list(rows[number - 1])], "").decode()


def test_locate_beyond_the_page_says_so() -> None:
    with pytest.raises(LookupError):
        reader.locate(io.BytesIO(b"A\n1\n"), plan("A"), "price", 2)
    with pytest.raises(LookupError):
        reader.locate(io.BytesIO(b"A\n1\n"), plan("A"), "stock", 1)
