"""Invoice PDFs: valid, the same each time, and showing what the row says."""

import re

import pytest

from sandbox.dataset import load
from sandbox.pdf import invoice_pdf, invoice_pdfs, page

DATASET = load("tiny")


def test_offsets_and_length_are_true() -> None:
    for erp in DATASET.erps:
        for _, data in invoice_pdfs(DATASET.of(erp)):
            assert data.startswith(b"%PDF-1.4")
            assert data.endswith(b"%%EOF\n")
            (start,) = map(int, re.findall(rb"startxref\n(\d+)\n", data))
            assert data[start:].startswith(b"xref\n")
            for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n ", data), 1):
                assert data[int(offset) :].startswith(b"%d 0 obj" % number)
            streams = re.findall(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", data, re.DOTALL)
            [(length, content)] = streams
            assert int(length) == len(content)


def test_shows_number_dates_and_total() -> None:
    slice_ = DATASET.of("cedar")
    for row in slice_["invoice"].to_pylist():
        text = invoice_pdf(slice_, row["key"]).decode("cp1252")
        assert row["number"] in text
        assert row["issued_on"].isoformat() in text
        assert f"{row['gross']:.2f} {row['currency']}" in text


def test_one_and_many_agree_and_repeat() -> None:
    slice_ = DATASET.of("birch")
    for key, data in invoice_pdfs(slice_):
        assert invoice_pdf(slice_, key) == data


def test_every_pdf_document_can_be_made() -> None:
    for erp in DATASET.erps:
        slice_ = DATASET.of(erp)
        made = {key for key, _ in invoice_pdfs(slice_)}
        assert set(slice_["document"]["subject_key"].to_pylist()) == made
        locations = slice_["document"]["location"].to_pylist()
        assert len(set(locations)) == len(locations)


def test_unknown_invoice() -> None:
    with pytest.raises(KeyError):
        invoice_pdf(DATASET.of("anvil"), "no such")


def test_brackets_and_foreign_letters_do_not_break_the_page() -> None:
    head = DATASET.of("anvil")["invoice"].to_pylist()[0]
    data = page({**head, "number": "A(1)\\ığŁ"}, [])
    assert rb"A\(1\)\\ig?" in data
