"""What the portal must hold after a file, worked out from the file without any of our code.

pyarrow reads the file, pyarrow computes, and the whole table is compared row by row. Must not
import the mapper, the readers or the merge.
"""

from __future__ import annotations

import io
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

_COLUMNS = (
    "header_key", "min_qty", "dealer_key", "product_key", "unit_price", "currency", "valid_from",
    "valid_to", "uom",
)  # fmt: skip


def expected(path: Path) -> pa.Table:
    """The rows of a file in the ERP's way, as text in the portal's spelling, in key order."""
    table = pa_csv.read_csv(
        path,
        pa_csv.ReadOptions(use_threads=False, encoding="cp1254"),
        pa_csv.ParseOptions(delimiter=";", invalid_row_handler=lambda _: "skip"),
        pa_csv.ConvertOptions(
            column_types={
                name: pa.string()
                for name in (
                    "KOSUL_NO", "CARI_KODU", "STOK_KODU", "MIKTAR", "BIRIM_FIYAT", "DOVIZ",
                    "ILK_GUN", "SON_GUN", "BIRIM",
                )
            },
        ),
    )  # fmt: skip

    def number(name: str) -> pa.ChunkedArray:
        return pc.replace_substring(table[name], ",", ".").cast(pa.decimal128(18, 6))

    def day(name: str, plus: int) -> pa.ChunkedArray:
        text = table[name]
        iso = pc.binary_join_element_wise(
            pc.utf8_slice_codeunits(text, 6, 10),
            pc.utf8_slice_codeunits(text, 3, 5),
            pc.utf8_slice_codeunits(text, 0, 2),
            "-",
        )
        days = pc.if_else(pc.equal(text, ""), None, iso).cast(pa.date32()).cast(pa.int32())
        return pc.add(days, pa.scalar(plus, pa.int32())).cast(pa.date32())

    found = pa.table(
        {
            "header_key": table["KOSUL_NO"],
            "min_qty": number("MIKTAR"),
            "dealer_key": table["CARI_KODU"],
            "product_key": table["STOK_KODU"],
            "unit_price": number("BIRIM_FIYAT"),
            "currency": table["DOVIZ"],
            "valid_from": day("ILK_GUN", 0),
            "valid_to": day("SON_GUN", 1),
            "uom": table["BIRIM"],
        }
    )
    return found.take(_in_order(found)).combine_chunks()


def differences(url: str, erp: str, path: Path) -> list[str]:
    """Everything in which the portal's live prices of an ERP differ from the file; [] if right."""
    wanted = expected(path)
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM portal.price WHERE erp = %s AND deleted_at IS NULL AND NOT ("
            "level = 'customer' AND dealer_scope = 'dealer' AND product_scope = 'product' "
            "AND per = 1 AND dealer_erp = erp AND product_erp = erp AND stale_since IS NULL "
            "AND num_nulls(dealer_group_kind, min_amount, pct_off_list, amount_off_list, "
            "allow_zero, combine, tax_included, seq, quota_left, ref, title) = 11)",
            (erp,),
        ).fetchone()
        text = io.BytesIO()
        query = (
            f"COPY (SELECT {', '.join(_COLUMNS)} FROM portal.price WHERE erp = '{erp}' "
            "AND deleted_at IS NULL) TO STDOUT (FORMAT csv)"
        )
        with connection.cursor() as cursor, cursor.copy(query) as copy:  # pyright: ignore[reportArgumentType]
            for piece in copy:
                text.write(piece)
    text.seek(0)
    found = pa_csv.read_csv(
        text,
        pa_csv.ReadOptions(use_threads=False, column_names=list(_COLUMNS)),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: wanted.schema.field(name).type for name in _COLUMNS},
            null_values=[""],
        ),
    )
    found = found.take(_in_order(found)).combine_chunks()
    says = [] if row and row[0] == 0 else [f"{row and row[0]} rows hold what no file says"]
    if len(found) != len(wanted):
        return [*says, f"{len(found)} rows instead of {len(wanted)}"]
    for name in _COLUMNS:
        both_null = pc.and_(pc.is_null(found[name]), pc.is_null(wanted[name]))
        same = pc.or_(pc.fill_null(pc.equal(found[name], wanted[name]), False), both_null)
        wrong = len(found) - (pc.sum(same).as_py() or 0)
        if wrong:
            says.append(f"{name} is wrong in {wrong} rows")
    return says


def _in_order(table: pa.Table) -> pa.Array:
    return pc.sort_indices(table, [("header_key", "ascending"), ("min_qty", "ascending")])
