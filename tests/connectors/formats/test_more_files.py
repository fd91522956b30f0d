"""Fixed width, JSON lines, Excel, DATANORM, invoices in PDF, and packed files."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pikepdf
import pytest

from bench.fuzz.documents import DATANORM, gzipped, zipped
from connectors.formats import locate, plain, read_page
from connectors.formats.raw import Broken, ChildPlan, Declared, RawChunk, ReadPlan, Remark
from mappings.errors import BatchRefused, Misconfigured, SourceChanged
from mappings.sources.sftp import SftpSource
from tests.connectors.formats.xlsx import error, formula, number, text, xlsx


class Found:
    """Everything that a read gave, and that each record can be found again."""

    def __init__(
        self,
        data: bytes,
        form: dict[str, Any],
        *paths: str,
        child: ChildPlan | None = None,
        **more: Any,
    ) -> None:
        source = SftpSource.model_validate(
            {"protocol": "sftp", "files": "x", "format": form, **more}
        )
        self.data = data
        self.plan = ReadPlan("price", source, paths, () if child is None else (child,))
        self.rows: dict[int, tuple[str | None, ...]] = {}
        self.children: list[tuple[str | None, ...]] = []
        self.broken: list[Broken] = []
        self.declared: list[Declared] = []
        self.remarks: list[Remark] = []
        for item in read_page(io.BytesIO(data), self.plan, 1, {}):
            if isinstance(item, RawChunk):
                values = zip(*(c.to_pylist() for c in item.columns.columns), strict=True)
                if item.part == "price":
                    self.rows |= dict(zip(item.record_no.to_pylist(), values, strict=True))
                else:
                    self.children += values
            elif isinstance(item, Broken):
                self.broken.append(item)
            elif isinstance(item, Declared):
                self.declared.append(item)
            elif isinstance(item, Remark):
                self.remarks.append(item)

    def place(self, record: int) -> bytes:
        """The bytes that `explain` would show for a record."""
        start, end = locate(io.BytesIO(self.data), self.plan, "price", record)
        return plain(io.BytesIO(self.data), self.plan).read()[start:end]


def refused(code: str, data: bytes, form: dict[str, Any], *paths: str, **more: Any) -> None:
    with pytest.raises((BatchRefused, SourceChanged, Misconfigured)) as error_:
        Found(data, form, *paths, **more)
    assert error_.value.code == code
    assert error_.value.remedy


# fixed width

COLUMNS = {"key": {"start": 3, "length": 6}, "price": {"start": 9, "length": 8}}
FIXED = {"kind": "fixed", "columns": COLUMNS, "width": 16, "encoding": "cp1254"}
TRAILER = {
    "starts_with": "99",
    "count": {"start": 3, "length": 6},
    "total": {"start": 9, "length": 8},
    "total_of": "price",
    "decimal": "hundredths",
}


def test_fixed_width_is_cut_by_character_and_a_wrong_length_costs_one_record() -> None:
    data = "01ŞEKER   00013,75\r\n".replace("   ", " ").encode("cp1254")
    assert Found(data, FIXED, "key", "price").rows == {1: ("ŞEKER", "00013,75")}
    lines = b"01AAAAAA00000001\n01short\n01BBBBBB00000002\n01\x81BBBBB00000003\n"
    found = Found(lines, FIXED, "key", "price")
    assert found.rows == {1: ("AAAAAA", "00000001"), 3: ("BBBBBB", "00000002")}
    assert [(b.record_no, b.code) for b in found.broken] == [(2, "too_short"), (4, "undecodable")]
    assert "offset 44 " in found.broken[1].says
    assert found.place(3) == b"01BBBBBB00000002"
    blocks = Found(lines[:16] + lines[25:41], {**FIXED, "lines": False}, "key")
    assert list(blocks.rows.values()) == [("AAAAAA",), ("BBBBBB",)]
    refused("truncated", lines[:20], {**FIXED, "lines": False}, "key")
    refused("missing_column", lines, FIXED, "none")
    refused("empty_file", b"\r\n\x1a", FIXED, "key")


def test_fixed_width_with_other_records_and_a_trailer_in_hundredths() -> None:
    form = {**FIXED, "trailer": TRAILER, "starts_with": "01"}
    data = b"00HEADER--------\n01AAAAAA00001375\n01BBBBBB00000025\n99     200001400\n\x1a"
    found = Found(data, form, "key", "price")
    assert found.rows == {1: ("AAAAAA", "00001375"), 2: ("BBBBBB", "00000025")}
    assert found.declared == [Declared("price", 1, 2, Decimal("14.00"), "price")]
    assert found.remarks[0].code == "other_record"
    refused("trailer", data[:51], form, "key")
    refused("trailer", data[:-1] + b"01CCCCCC00000001\n", form, "key")


# JSON lines


def test_json_lines_keep_the_text_of_numbers_and_lose_only_the_bad_line() -> None:
    data = (
        b'{"k":"A","p":13.750,"l":[{"n":1},{"n":2}]}\n{"k":"B","p":\n\n[1]\n'
        b'{"k":"\xff"}\r\n{"k":"C","p":-0,"l":[{"n":3}]}'
    )
    found = Found(data, {"kind": "jsonl"}, "k", "p", child=ChildPlan("line", "l", ("n",)))
    assert found.rows == {1: ("A", "13.750"), 5: ("C", "-0")}
    assert found.children == [("1",), ("2",), ("3",)]
    assert [(b.record_no, b.code) for b in found.broken] == [
        (2, "malformed"), (3, "not_an_object"), (4, "undecodable"),
    ]  # fmt: skip
    assert found.place(5) == b'{"k":"C","p":-0,"l":[{"n":3}]}'
    start, end = locate(io.BytesIO(data), found.plan, "line", 3)
    assert data[start:end] == b'{"n":3}'
    # two objects on one line are not two records, and lines do not close each other's brackets
    tricks = Found(b'{"k":1},{"k":2}\n{"k":[1\n2]}\n', {"kind": "jsonl"}, "k")
    assert (tricks.rows, len(tricks.broken)) == ({}, 3)
    refused("truncated", data[:-4], {"kind": "jsonl"}, "k")
    refused("empty_file", b"\n", {"kind": "jsonl"}, "k")


# Excel

SHEET = xlsx(
    (text("Preise 2026"),),
    (text("KOD"), text("FIYAT"), text("TARIH"), text("NOT")),
    (text("00042"), number("13.75"), number("46053", 1), text("x")),
    (number("8690000000001"), number("0.1"), number("46053.5", 2), error("#REF!")),
    (),
    (text("A"), error("#N/A"), number("1")),
    (text("B"), formula("1+1", "2"), number("1")),
    (text("C"), formula("1+1", None), number("1")),
    (number("12345678901234567"), number("1"), number("1")),
)
EXCEL = {"kind": "excel", "header_row": 2}


def test_excel_gives_saved_values_and_never_a_value_that_is_not_there() -> None:
    found = Found(SHEET, EXCEL, "KOD", "FIYAT", "TARIH")
    assert found.rows == {
        1: ("00042", "13.75", "2026-01-31"),
        2: ("8690000000001", "0.1", "2026-01-31T12:00:00"),
        4: ("B", "2", "1"),
    }
    assert [(b.record_no, b.code) for b in found.broken] == [
        (3, "unsure_cell"), (5, "unsure_cell"), (6, "unsure_cell"),
    ]  # fmt: skip
    said = [b.says for b in found.broken]
    assert "row 6: the cell in column 2 shows #N/A" in said[0]
    assert "saved without its result" in said[1]
    assert "more than 15 digits" in said[2]
    assert found.place(4) == b"B\t2\t1\t"
    # an error in a column that nobody reads costs nothing; the row before has one in NOT
    assert 2 in found.rows


def test_excel_refuses_what_it_is_not_told_of() -> None:
    refused("missing_column", SHEET, EXCEL, "YOK")
    refused("sheet", SHEET, {**EXCEL, "sheet": "Other"}, "KOD")
    refused("sheet", xlsx((text("A"),), sheets=("P", "Q")), {"kind": "excel"}, "A")
    refused("header", SHEET, {"kind": "excel", "header_row": 5}, "KOD")
    refused("duplicate_column", xlsx((text("A"), text("A"))), {"kind": "excel"}, "A")
    refused("excel", b"A;B\n1;2\n", EXCEL, "KOD")
    refused("excel", SHEET[:900], EXCEL, "KOD")
    refused("empty_file", b"", EXCEL, "KOD")
    bare = Found(
        xlsx((text("1"), text("2"))), {"kind": "excel", "header": False, "columns": ["A", "B"]}, "B"
    )
    assert bare.rows == {1: ("2",)}


def test_excel_with_a_cell_far_away_is_refused_before_room_is_made_for_it() -> None:
    rows: list[tuple[str | None, ...]] = [(text("A"),), (text("1"),)]
    data = xlsx(*rows)
    import zipfile  # noqa: PLC0415

    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry).replace(b'r="A2"', b'r="XFD1048576"'))
    refused("too_large", target.getvalue(), {"kind": "excel"}, "A")


# DATANORM


def test_datanorm_records_follow_their_article_and_the_file_its_end() -> None:
    form = {"kind": "datanorm", "version": "5", "records": "A/Z"}
    found = Found(DATANORM.encode("cp850"), form, "../A/2", "Z/14", "Z/11", "../A/8")
    assert found.rows == {1: ("2TOP", "45", "626", "894"), 2: ("X-1", None, None, "99")}
    assert found.place(1).startswith(b"Z;N;2TOP")
    other = DATANORM.replace("Z;N;2TOP", "Z;N;OTHER")
    wrong = Found(other.encode("cp850"), form, "../A/2", "Z/11")
    assert (list(wrong.rows), [b.code for b in wrong.broken]) == ([2], ["other_article"])
    cut = DATANORM[: DATANORM.index("E;3")].encode("cp850")
    refused("truncated", cut, form, "../A/2")
    refused("trailer", DATANORM.replace("E;3", "E;9").encode("cp850"), form, "../A/2")
    refused("format", DATANORM.encode("cp850"), {**form, "version": "4"}, "../A/2")
    refused("path", DATANORM.encode("cp850"), form, "Z")
    more = DATANORM.replace("E;3", "T;N;1;x\r\nE;4")
    assert [r.code for r in Found(more.encode("cp850"), form, "Z/11").remarks] == ["other_record_T"]


# invoices in PDF

XML = b'<I xmlns="urn:i"><ID>4711</ID><L><N>1.00</N></L><L><N>2.00</N></L></I>'


def pdf(*attached: tuple[str, bytes], password: str | None = None) -> bytes:
    document = pikepdf.new()
    document.add_blank_page()
    for name, content in attached:
        document.attachments[name] = pikepdf.AttachedFileSpec(
            document,
            content,
            description="",
            filename=name,
            mime_type="",
            creation_date="",
            mod_date="",
        )
    target = io.BytesIO()
    lock = None if password is None else pikepdf.Encryption(owner=password, user=password)
    document.save(target, encryption=lock or False)
    return target.getvalue()


FACTURX = {"kind": "facturx", "namespaces": {"i": "urn:i"}}


def test_the_xml_inside_an_invoices_pdf_is_read_and_shown() -> None:
    data = pdf(("factur-x.xml", XML), ("note.txt", b"x"))
    found = Found(data, FACTURX, "i:ID", child=ChildPlan("line", "i:L", ("i:N",)))
    assert found.rows == {1: ("4711",)}
    assert found.children == [("1.00",), ("2.00",)]
    assert found.place(1) == XML
    assert Found(pdf(("ZUGFeRD-invoice.xml", XML)), FACTURX, "i:ID").rows == {1: ("4711",)}


def test_a_pdf_without_one_invoice_in_it_is_refused_by_name() -> None:
    refused("no_attachment", pdf(), FACTURX, "i:ID")
    both = pdf(("factur-x.xml", XML), ("xrechnung.xml", XML))
    refused("no_attachment", both, FACTURX, "i:ID")
    refused("encrypted", pdf(("factur-x.xml", XML), password="x"), FACTURX, "i:ID")
    refused("pdf", b"%PDF-1.7\nnothing", FACTURX, "i:ID")
    refused("empty_file", b"", FACTURX, "i:ID")
    refused("truncated", pdf(("factur-x.xml", XML[:40])), FACTURX, "i:ID")
    bomb = b"<I>" + b" " * (65 << 20) + b"</I>"
    refused("too_large", pdf(("factur-x.xml", bomb)), FACTURX, "i:ID")


# packed


def test_several_files_in_one_archive_are_one_page_and_each_record_has_its_place() -> None:
    files = {"b.csv": b"A\n3\n4\n", "a.csv": b"A\n1\n2\n", "read.me": b"x"}
    unpack = {"kind": "zip", "member": "*.csv", "most": 5}
    found = Found(zipped(files), {"kind": "csv"}, "A", unpack=unpack)
    assert found.rows == {1: ("1",), 2: ("2",), 3: ("3",), 4: ("4",)}
    assert [found.place(n) for n in (1, 2, 3, 4)] == [b"1", b"2", b"3", b"4"]
    with pytest.raises(LookupError):
        found.place(5)
    two = Found(gzipped(b"A\n1\n") + gzipped(b"2\n"), {"kind": "csv"}, "A", unpack={"kind": "gzip"})
    assert list(two.rows.values()) == [("1",), ("2",)]
    book = zipped({"p.xlsx": SHEET})
    sheet = Found(book, EXCEL, "KOD", unpack={"kind": "zip"})
    assert sheet.rows[1] == ("00042",)
