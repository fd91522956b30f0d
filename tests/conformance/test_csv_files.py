"""CSV files: encodings, delimiters, quotes, trailers, headers, size (4, 5, 7, 8, 9, 12, 13, 15)."""

from __future__ import annotations

import io
import itertools
import resource
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import read_page
from connectors.formats.raw import Broken, Declared, RawChunk, ReadPlan, Remark
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.reading import read_mappings
from mappings.settings import REPOSITORY
from mappings.sources.sftp import CsvFormat, SftpSource, Trailer

TRAILER = Trailer(starts_with="TRL", count=2)


class Found:
    """Everything that a read gave."""

    def __init__(self, data: bytes, *paths: str, **form: Any) -> None:
        source = SftpSource(protocol="sftp", files="x", format=CsvFormat(kind="csv", **form))
        self.rows: dict[int, tuple[str, ...]] = {}
        self.broken: list[Broken] = []
        self.declared: list[Declared] = []
        self.remarks: list[tuple[str, str]] = []
        plan = ReadPlan("price", source, paths)
        for one in read_page(io.BytesIO(data), plan, 1, {}):
            if isinstance(one, RawChunk):
                values = zip(*(c.to_pylist() for c in one.columns.columns), strict=True)
                self.rows |= dict(zip(one.record_no.to_pylist(), values, strict=True))
            elif isinstance(one, Broken):
                self.broken.append(one)
            elif isinstance(one, Declared):
                self.declared.append(one)
            elif isinstance(one, Remark):
                self.remarks.append((one.code, one.says))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_CSV_4_a_byte_order_mark_is_never_part_of_the_first_name(encoding: str) -> None:
    mark = "" if encoding in {"utf-16", "utf-8-sig"} else "\ufeff"
    data = f"{mark}ŞEHİR;B\nIğdır;2\n".encode(encoding)
    assert Found(data, "ŞEHİR", "B", encoding=encoding).rows == {1: ("Iğdır", "2")}


def test_CSV_4_every_csv_feed_goes_through_the_same_reader() -> None:
    """Prices too: no mapping of ours reads CSV in another way."""
    found = [read_mappings([REPOSITORY / "mappings" / name]) for name in ("erps", "wwi")]
    kinds = set()
    for one in itertools.chain(*(m.mappings.values() for m in found)):
        for name, feed in one.feeds.items():
            sources = [feed.source, *(p.source for p in feed.parts.values() if p != "absent")]
            kinds |= {(name, s.format.kind) for s in sources if isinstance(s, SftpSource)}
    assert {("prices", "csv"), ("stock", "csv"), ("products", "csv")} <= kinds


def test_CSV_5_the_declared_code_page_decides_and_misread_text_is_quarantined_with_its_place() -> (
    None
):
    data = "A;B\nğüşiöç;1\nİIı;2\nÜ;3\n".encode("cp1254")
    assert Found(data, "A", encoding="cp1254").rows[1] == ("ğüşiöç",)
    assert Found(data, "A", encoding="iso-8859-9").rows[2] == ("İIı",)
    # in the wrong code page three letters betray it; the mapping says which
    wrong = Found(data, "A", encoding="cp1252", misread=("ð", "þ", "ý", "Ý", "Þ"))
    assert wrong.rows == {3: ("Ü",)}
    assert [(b.record_no, b.code) for b in wrong.broken] == [(1, "misread"), (2, "misread")]
    assert "'ð' at offset 4 " in wrong.broken[0].says
    assert wrong.broken[0].raw == "ðüþiöç;1"
    # UTF-8 that was read as a code page somewhere on the way
    twice = "A;B\nMÃ¼ller;1\nMeier;2\n".encode()
    found = Found(twice, "A", misread=("Ã¼", "Ã¶"))
    assert found.rows == {2: ("Meier",)}
    assert "'Ã¼' at offset 5 " in found.broken[0].says


def test_CSV_5_a_byte_that_the_code_page_does_not_have_costs_one_record_never_a_letter() -> None:
    data = b"A;B\nx;1\n\x81y\x9d;2\nz;3\n"
    found = Found(data, "A", encoding="cp1254")
    assert found.rows == {1: ("x",), 3: ("z",)}
    (broken,) = found.broken
    assert (broken.record_no, broken.code, broken.raw) == (2, "undecodable", r"\x81y\x9d;2")
    assert "byte 0x81 at offset 8 " in broken.says
    with pytest.raises(BatchRefused) as many:  # then it is the encoding
        Found(b"A;B\n" + b"\x81;1\n" * 101, "A", encoding="cp1254")
    assert many.value.code == "encoding"
    with pytest.raises(BatchRefused) as utf8:
        Found("A;B\nğ;1\n".encode("cp1254"), "A")
    assert "offset 4 " in str(utf8.value)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "ğ", "þ", "\x81", "Ã¼"]), max_size=4), min_size=1, max_size=9
    ),
    st.integers(1, 40),
)
def test_CSV_5_every_mark_names_its_own_record_and_byte(lines: list[list[str]], size: int) -> None:
    """Wherever the pieces are cut."""
    from connectors.formats import csv as reader  # noqa: PLC0415

    encoded = [b"".join(_byte(t) for t in line) + b";1" for line in lines]
    data = b"A;B\n" + b"\n".join(encoded) + b"\n"
    form = CsvFormat(kind="csv", encoding="cp1254", misread=("Ã¼", "þ"))
    plan = ReadPlan("price", SftpSource(protocol="sftp", files="x", format=form), ("A",))
    broken = {
        one.record_no: one
        for one in reader.read(io.BytesIO(data), plan, 1, {}, piece_bytes=size)
        if isinstance(one, Broken)
    }
    at = 4
    for number, (line, raw) in enumerate(zip(lines, encoded, strict=True), 1):
        hits = [i for i, text in enumerate(line) if text in {"\x81", "Ã¼"}]
        assert (number in broken) == bool(hits)
        if hits:
            place = at + len(b"".join(_byte(t) for t in line[: hits[0]]))
            assert f"offset {place} " in broken[number].says
        at += len(raw) + 1


def _byte(text: str) -> bytes:
    return b"\x81" if text == "\x81" else text.encode("cp1254", "ignore")


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_CSV_7_the_delimiter_is_declared_and_another_one_is_never_taken(delimiter: str) -> None:
    data = f"A{delimiter}B\n1;2|3\t4,5{delimiter}x\n".encode()
    if delimiter == "\t":
        assert Found(b"A\tB\n1;2\tx\n", "A", delimiter="\t").rows == {1: ("1;2",)}
    # line 1 may hold more of another mark than of its own: nobody looks
    other = ";" if delimiter != ";" else "|"
    with pytest.raises(SourceChanged) as error:
        Found(data, "A", "B", delimiter=other)
    assert error.value.code == "missing_column"
    with pytest.raises(Misconfigured):
        Found(data, "A", delimiter=";;")


def test_CSV_8_line_breaks_and_quotes_inside_fields_and_the_count_agrees() -> None:
    data = b'A;B\n"two\nlines";"say ""hi"""\n3";4"5\n"6";7\nTRL;3\n'
    found = Found(data, "A", "B", quoted_newlines=True, trailer=TRAILER)
    assert list(found.rows.values()) == [("two\nlines", 'say "hi"'), ('3"', '4"5'), ("6", "7")]
    assert found.declared[0].count == len(found.rows)


def test_CSV_8_a_stray_quote_swallows_no_row_unnoticed() -> None:
    plain = Found(b'A;B\n1;"2\n3;4\n5;6\nTRL;3\n', "A", "B", trailer=TRAILER)
    assert [b.code for b in plain.broken] == ["stray_quote"]
    assert list(plain.rows.values()) == [("3", "4"), ("5", "6")]
    # where a field may hold line breaks nobody can tell what it swallowed: the file is held
    with pytest.raises(BatchRefused):
        Found(b'A;B\n1;"2\n3;4\n5;6\nTRL;3\n', "A", quoted_newlines=True, trailer=TRAILER)
    swallowing = Found(b'A;B\n1;"2\n3;4"\n5;6\n', "A", quoted_newlines=True)
    assert len(swallowing.rows) == 2  # and then the trailer's count does not agree


def test_CSV_9_too_few_or_too_many_columns_cost_that_row_alone() -> None:
    data = "A;B\n1;2\nŞ\n5;6;7\n8;9\n".encode()
    found = Found(data, "A", "B")
    assert found.rows == {1: ("1", "2"), 4: ("8", "9")}
    assert [(b.record_no, b.code, b.raw) for b in found.broken] == [
        (2, "too_few_columns", "Ş"),
        (3, "too_many_columns", "5;6;7"),
    ]


EXPECTED = ("A", "B", "C")


@pytest.mark.parametrize(
    ("header", "remark"),
    [
        ("C;A;B", ("reordered_columns", "the header names the same columns in another order")),
        ("A;B;C;D", ("extra_column", "new in the header: D")),
        ("A;B", ("lost_column", "not in the header any more: C")),
        ("A;B;C", None),
    ],
)
def test_CSV_12_columns_go_by_name_and_drift_is_reported_by_policy(
    header: str, remark: tuple[str, str] | None
) -> None:
    names = header.split(";")
    data = f"{header}\n{';'.join(name.lower() for name in names)}\n".encode()
    found = Found(data, "A", "B", columns=EXPECTED)
    assert found.rows == {1: ("a", "b")}  # by name, wherever they stand
    assert found.remarks == ([] if remark is None else [remark])
    assert Found(data, "A", columns=EXPECTED, drift="ignore").remarks == []
    if remark is not None:
        with pytest.raises(SourceChanged) as refused:
            Found(data, "A", columns=EXPECTED, drift="refuse")
        assert refused.value.code == "drift"


def test_CSV_12_a_mapped_column_renamed_or_twice_stops_the_feed() -> None:
    with pytest.raises(SourceChanged) as missing:
        Found(b"YENI_FIYAT;B\n1;2\n", "FIYAT")
    assert (missing.value.code, "YENI_FIYAT" in str(missing.value)) == ("missing_column", True)
    with pytest.raises(SourceChanged) as twice:
        Found(b"A;B;A\n1;2;3\n", "B")
    assert twice.value.code == "duplicate_column"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"A;B;C\n1;2;3\n4;5", "truncated"),
        (b"A;B\n1;2\n", "trailer"),
        (b"A;B\n1;2\nTRL;x\n", "trailer"),
        (b"A;B\n1;2\nTRL;1\n3;4\n", "trailer"),
    ],
)
def test_CSV_13_a_file_that_is_cut_or_has_no_good_trailer_is_held(data: bytes, code: str) -> None:
    with pytest.raises(BatchRefused) as held:
        Found(data, "A", **({"trailer": TRAILER} if code == "trailer" else {}))
    assert held.value.code == code


class Endless(io.RawIOBase):
    """A CSV file of `size` bytes that is nowhere: made while it is read."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lines = b"4711;Bohrhammer 18V;149,90;2026-01-31\r\n" * 2_000

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        del size  # a stream may give less than was asked for
        self._left -= len(self._lines)
        return self._lines if self._left > 0 else b""


def rows_of(size: int) -> Iterator[int]:
    form = CsvFormat(kind="csv", header=False, columns=("A", "B", "C", "D"), encoding="cp1254")
    plan = ReadPlan("price", SftpSource(protocol="sftp", files="x", format=form), ("A", "C"))
    content: Any = Endless(size)
    for one in read_page(content, plan, 1, {}):
        if isinstance(one, RawChunk):
            yield len(one.record_no)


def test_CSV_15_memory_does_not_follow_the_size_of_the_file() -> None:
    assert sum(rows_of(16 << 20)) > 350_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(rows_of(160 << 20)) > 3_500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KB


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_CSV_15_any_line_end_nul_bytes_and_the_old_end_mark(ends: str) -> None:
    data = ends.join(["A;B", "1;2", "x\0;0", "3;4", "TRL;3", "\x1a"]).encode()
    found = Found(data, "A", "B", trailer=TRAILER)
    assert found.rows == {1: ("1", "2"), 3: ("3", "4")}
    assert [(b.code, b.raw) for b in found.broken] == [("nul_byte", "x␀;0")]
    mixed = Found(b"A;B\r\n1;2\n3;4\r5;6", "A", "B")
    assert list(mixed.rows.values()) == [("1", "2"), ("3", "4"), ("5", "6")]
