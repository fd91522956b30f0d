"""Invoices as one-page PDF documents: the same row gives the same bytes, always.

A page of text with two standard fonts is a few hundred bytes of PDF, so it is written directly: a
thousand take a fraction of a second, where a layout library takes many. Not for anything else than
practice invoices; what Windows-1252 lacks is printed as its base letter, or `?`.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset

Row = Mapping[str, Any]
LINES_A_PAGE = 42
TITLES = {"credit_note": "Gutschrift / Credit note"}
# Dotless i has no decomposition into a base letter.
BASE_LETTERS = str.maketrans({"ı": "i", "İ": "I", "ş": "s", "Ş": "S", "ğ": "g", "Ğ": "G"})


def invoice_pdf(dataset: Dataset, key: str) -> bytes:
    """The PDF of one invoice of a slice of one ERP (`Dataset.of`). KeyError when there is none.

    For many invoices use `invoice_pdfs`, which groups the lines once.
    """
    one = dataset["invoice"].filter(pc.equal(dataset["invoice"]["key"], key))
    lines = dataset["invoice_line"].filter(pc.equal(dataset["invoice_line"]["invoice_key"], key))
    if one.num_rows != 1:
        raise KeyError(key)
    return page(one.to_pylist()[0], lines.to_pylist())


def invoice_pdfs(dataset: Dataset) -> Iterable[tuple[str, bytes]]:
    """(invoice key, PDF) of every invoice and credit note of a slice of one ERP."""
    kinds = pa.array(["invoice", "credit_note"])
    heads = dataset["invoice"].filter(pc.is_in(dataset["invoice"]["kind"], kinds))
    lines: dict[str, list[Row]] = {}
    for line in dataset["invoice_line"].to_pylist():
        lines.setdefault(line["invoice_key"], []).append(line)
    for head in heads.to_pylist():
        yield head["key"], page(head, lines.get(head["key"], []))


def page(head: Row, lines: list[Row]) -> bytes:
    """The PDF of an invoice row and its line rows."""
    commands = [
        _text(50, 790, 16, f"{TITLES.get(head['kind'], 'Rechnung / Invoice')} {head['number']}")
    ]
    due = head["due_on"].isoformat() if head["due_on"] else "-"
    facts = (
        f"Account {head['account_key']}   Dealer {head['dealer_key'] or '-'}",
        f"Issued {head['issued_on'].isoformat()}   Due {due}   Ref {head['customer_ref'] or '-'}",
    )
    commands += [_text(50, 765 - 14 * i, 10, fact) for i, fact in enumerate(facts)]
    y = 725
    for line in lines[:LINES_A_PAGE]:
        amount = f"{line['qty'].normalize():f} {line['uom']}" if line["qty"] is not None else ""
        described = f"{line['line_no']}  {line['product_key'] or ''}  {line['description'] or ''}"
        commands += [_text(50, y, 9, described[:70]), _text(390, y, 9, amount)]
        commands.append(_text(470, y, 9, f"{line['net']:.2f}"))
        y -= 13
    if len(lines) > LINES_A_PAGE:
        commands.append(_text(50, y, 9, f"... and {len(lines) - LINES_A_PAGE} more lines"))
        y -= 13
    for label in ("net", "tax", "gross"):
        if head[label] is not None:
            y -= 14
            total = f"{label.capitalize():8}{head[label]:.2f} {head['currency']}"
            commands.append(_text(390, y, 10, total))
    return _document("\n".join(commands).encode("cp1252"), str(head["number"]))


def _printable(text: str) -> str:
    """Text that Windows-1252 can carry."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        spread = unicodedata.normalize("NFKD", text.translate(BASE_LETTERS))
        text = "".join(c for c in spread if not unicodedata.combining(c))
        return text.encode("cp1252", "replace").decode("cp1252")
    return text


def _text(x: int, y: int, size: int, text: str) -> str:
    """One line of text at a place of the page, in points from its lower left corner."""
    safe = _printable(text).replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F1 {size} Tf {x} {y} Td ({safe}) Tj ET"


def _document(content: bytes, title: str) -> bytes:
    """A PDF 1.4 file of one A4 page with the given content stream."""
    info = _printable(title).replace("\\", "").replace("(", "").replace(")", "").encode("cp1252")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R"
            b" /Resources << /Font << /F1 4 0 R >> >> >>"
        ),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
        b"<< /Title (%b) /CreationDate (D:20260101000000Z) >>" % info,
    )
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )
    return bytes(out)
