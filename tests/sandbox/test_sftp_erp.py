"""The file ERP's exports: dialect, control totals, spoiled files, UBL documents."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from lxml import etree

from connectors.formats import read_page
from connectors.formats.raw import Broken, Declared, Item, RawChunk, ReadPlan
from mappings.errors import BatchRefused, SourceChanged
from mappings.sources.sftp import CsvFormat, SftpSource, Trailer
from sandbox.dataset import Dataset, load
from sandbox.sftp import SftpErp, dialect
from sandbox.sftp.files import LAYOUTS
from sandbox.sftp.folder import csv_file
from sandbox.sftp.spoiled import spoil

UBL = "{urn:oasis:names:specification:ubl:schema:xsd:%s-2}"


@pytest.fixture(scope="module")
def cedar() -> Dataset:
    return load("tiny").of("cedar")


@pytest.fixture(scope="module")
def prices(cedar: Dataset) -> bytes:
    layout = next(one for one in LAYOUTS if one.stem == "prices")
    return csv_file(layout, cedar["price"], "Europe/Istanbul")


def read(content: bytes) -> list[Item]:
    trailer = Trailer(starts_with="TRL", count=2, total=3, total_of="BIRIM_FIYAT", decimal="comma")
    form = CsvFormat(kind="csv", encoding="cp1254", trailer=trailer)
    source = SftpSource(protocol="sftp", files="x", format=form)
    return list(
        read_page(
            io.BytesIO(content), ReadPlan("price", source, ("KOSUL_NO", "BIRIM_FIYAT")), 1, {}
        )
    )


def rendered(
    render: dialect.Render, value: object, kind: pa.DataType, zone: str = "UTC"
) -> str | None:
    return render(pa.chunked_array([pa.array([value], kind)]), zone)[0].as_py()


@pytest.mark.parametrize(
    ("value", "amount", "quantity"),
    [
        ("0", "0,00", "0"),
        ("1234.5", "1.234,50", "1.234,5"),
        ("-1234567.123456", "-1.234.567,123456", "-1.234.567,123456"),
        ("999999999999", "999.999.999.999,00", "999.999.999.999"),
        ("100", "100,00", "100"),
    ],
)
def test_numbers(value: str, amount: str, quantity: str) -> None:
    kind = pa.decimal128(18, 6)
    assert rendered(dialect.amount, Decimal(value), kind) == amount
    assert rendered(dialect.quantity, Decimal(value), kind) == quantity


def test_dates_and_codes() -> None:
    assert rendered(dialect.day, date(2026, 1, 31), pa.date32()) == "31.01.2026"
    assert rendered(dialect.last_day, date(2026, 1, 1), pa.date32()) == "31.12.2025"
    assert rendered(dialect.last_day, None, pa.date32()) == "31.12.9999"
    with pytest.raises(ValueError, match="no code for"):
        rendered(dialect.coded(dialect.UNITS), "PALLET", pa.string())


def test_the_trailer_adds_up(cedar: Dataset, prices: bytes) -> None:
    *chunks, declared = read(prices)
    assert isinstance(declared, Declared)
    assert declared.count == cedar["price"].num_rows
    values = [one for one in cedar["price"]["unit_price"].to_pylist() if one is not None]
    assert declared.total == sum(values)
    assert sum(c.columns.num_rows for c in chunks if isinstance(c, RawChunk)) == declared.count


def test_every_content_scenario_shows_what_it_says(prices: bytes) -> None:
    name = "prices_20261101.csv"
    with pytest.raises(BatchRefused, match="middle of a record"):
        read(spoil("truncated", name, prices))
    with pytest.raises(SourceChanged, match="BIRIM_FIYAT"):
        read(spoil("schema_changed", name, prices))
    *chunks, declared = read(spoil("bad_trailer", name, prices))
    assert isinstance(declared, Declared)
    assert declared.count == 1 + sum(c.columns.num_rows for c in chunks if isinstance(c, RawChunk))
    (empty, declared) = sorted(
        read(spoil("empty", name, prices)), key=lambda one: type(one).__name__, reverse=True
    )
    assert isinstance(empty, RawChunk)
    assert isinstance(declared, Declared)
    assert (empty.columns.num_rows, declared.count) == (0, 0)
    found = read(spoil("bad_rows", name, prices))
    assert any(isinstance(one, Broken) and one.code == "too_few_columns" for one in found)


@pytest.fixture
def erp(cedar: Dataset, tmp_path: Path) -> SftpErp:
    return SftpErp(cedar, user="u", password="p", folder=tmp_path)


def test_markers_come_with_every_file_and_nights_keep_theirs(erp: SftpErp, cedar: Dataset) -> None:
    first = {path.name for path in (erp.folder / "out").iterdir()}
    assert {f"{one.stem}_{cedar.as_of:%Y%m%d}.csv" for one in LAYOUTS} <= first
    assert all(f"{name}.done" in first for name in first if name.endswith(".csv"))
    erp.dataset = cedar
    second = {path.name for path in (erp.folder / "out").iterdir()} - first
    assert f"prices_{cedar.as_of + timedelta(days=1):%Y%m%d}.csv" in second
    assert not list(erp.folder.rglob("*.part"))


def test_ubl_documents_add_up(erp: SftpErp, cedar: Dataset) -> None:
    heads = {head["number"]: head for head in cedar["invoice"].to_pylist()}
    seen = set()
    for path in (erp.folder / "invoices").glob("*.xml"):
        root = etree.parse(path).getroot()
        head = heads[path.stem]
        credit = head["kind"] == "credit_note"
        seen.add(credit)
        assert root.tag == UBL % ("CreditNote" if credit else "Invoice") + (
            "CreditNote" if credit else "Invoice"
        )
        cbc = UBL % "CommonBasicComponents"
        amounts = {
            e.tag.removeprefix(cbc): Decimal(e.text or "")
            for e in root.iter()
            if e.tag.startswith(cbc) and e.get("currencyID")
        }
        total = next(root.iter(UBL % "CommonAggregateComponents" + "LegalMonetaryTotal"))
        totals = {e.tag.removeprefix(cbc): Decimal(e.text or "") for e in total}
        assert all(value >= 0 for name, value in amounts.items() if name != "PrepaidAmount")
        assert totals["PayableAmount"] == totals["TaxInclusiveAmount"] - totals["PrepaidAmount"]
        assert totals["PayableAmount"] == abs(head["open_amount"])
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    assert len(list((erp.folder / "invoices").glob("*.xml"))) == len(heads)
    assert False in seen


def test_a_restarted_erp_can_keep_its_keys(erp: SftpErp, cedar: Dataset, tmp_path: Path) -> None:
    again = SftpErp(
        cedar,
        user="u",
        password="p",
        folder=tmp_path / "again",
        host_key=erp.host_key_text,
        private_key=erp.private_key_text,
    )
    assert again.host_key_line == erp.host_key_line
