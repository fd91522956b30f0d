"""One ERP's slice of a data set → the folder that the server serves. Knows no wire.

Every file is written beside its place and then renamed; a CSV file's `.done` marker comes last.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.dataset import Dataset
from sandbox.dataset_shape import TIME_ZONES
from sandbox.pdf import invoice_pdfs
from sandbox.sftp.dialect import amount
from sandbox.sftp.files import LAYOUTS, Layout
from sandbox.sftp.ubl import invoice_documents

ENCODING = "cp1254"
END = "\r\n"
MARKER = ".done"


def write_folder(dataset: Dataset, folder: Path, day: date) -> None:
    """Write the exports of one night: `out/<stem>_<yyyymmdd>.csv` and `invoices/`.

    `dataset` holds one ERP's rows. Raises UnicodeEncodeError for a text that cp1254 cannot carry.
    """
    out, invoices = folder / "out", folder / "invoices"
    out.mkdir(parents=True, exist_ok=True)
    invoices.mkdir(exist_ok=True)
    zone = TIME_ZONES.get(dataset.erps[0], "UTC") if dataset.erps else "UTC"
    for number, document in invoice_documents(dataset):
        _place(invoices / f"{number}.xml", document)
    places = dict(
        zip(
            dataset["document"]["subject_key"].to_pylist(),
            dataset["document"]["location"].to_pylist(),
            strict=True,
        )
    )
    for key, document in invoice_pdfs(dataset):
        if key in places:
            _place(folder / places[key], document)
    for layout in LAYOUTS:
        path = out / f"{layout.stem}_{day:%Y%m%d}.csv"
        _place(path, csv_file(layout, dataset[layout.table], zone))
        _place(path.with_name(path.name + MARKER), b"")


def csv_file(layout: Layout, rows: pa.Table, zone: str) -> bytes:
    """One export as bytes: header, records, trailer TRL;count;total."""
    columns = [
        _quoted(pc.fill_null(render(rows[column], zone), ""))
        for _, column, render in layout.columns
    ]
    records = pc.binary_join_element_wise(*columns, ";") if len(rows) else pa.array([], pa.string())
    total = ""
    if layout.total is not None:
        added = pc.sum(pc.cast(rows[layout.total], pa.decimal128(38, 6)))
        added = pa.scalar(0, pa.decimal128(38, 6)) if not added.is_valid else added
        total = amount(pa.chunked_array([pa.array([added.as_py()], pa.decimal128(38, 6))]), zone)[
            0
        ].as_py()
    head = ";".join(header for header, _, _ in layout.columns)
    trailer = f"TRL;{f'{rows.num_rows:,}'.replace(',', '.')};{total}"
    return END.join([head, *records.to_pylist(), trailer, ""]).encode(ENCODING)


def _quoted(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Quotes around those that need them."""
    special = pc.match_substring_regex(texts, r'[;"\r\n]')
    inside = pc.replace_substring(texts, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', inside, '"', ""), texts)


def _place(path: Path, content: bytes) -> None:
    if path.exists() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)
