"""The price file of the benchmark: every line follows from its number, the seed is in the code.

Semicolon CSV in cp1254 with decimal comma, as an ERP exports it, with trailer and end marker; and
the same rows clean (UTF-8, decimal point, ISO dates) for PostgreSQL's own COPY. Must not use
anything of the pipeline it is to measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

HEADER = "KOSUL_NO;CARI_KODU;STOK_KODU;MIKTAR;BIRIM_FIYAT;DOVIZ;ILK_GUN;SON_GUN;BIRIM"
CLEAN = "header_key,dealer_key,product_key,min_qty,unit_price,currency,valid_from,valid_to,uom"
DEALERS, PRODUCTS = 2_000, 20_000
VARIANTS = ("first", "same_rows", "changed_1", "vanished_1", "changed_20")
_CHUNK = 250_000


def write_variant(path: Path, rows: int, variant: str) -> int:
    """Write one variant in the ERP's way; returns how many records it holds.

    same_rows: the rows of `first` in another order. changed_1: 1 % of the prices are 2 % higher.
    vanished_1: changed_1 without 1 % of its rows. changed_20: that with a fifth of the prices 3 %
    higher.
    """
    chunks = list(range(0, rows, _CHUNK))
    order = np.random.default_rng(20)
    if variant == "same_rows":
        chunks = [chunks[i] for i in order.permutation(len(chunks))]
    count = 0
    with path.open("wb") as file:
        file.write(f"{HEADER}\n".encode("cp1254"))
        for start in chunks:
            lines = list(_lines(start, min(start + _CHUNK, rows), variant))
            if variant == "same_rows":
                lines = [lines[i] for i in order.permutation(len(lines))]
            file.write("".join(lines).encode("cp1254"))
            count += len(lines)
        file.write(f"TRL;{count}\n".encode("cp1254"))
    return count


def write_clean(path: Path, rows: int) -> None:
    """The rows of `first` as PostgreSQL likes them best."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{CLEAN}\n")
        for start in range(0, rows, _CHUNK):
            file.write(
                "".join(
                    f"{key},{dealer},{product},{qty}.000,{price[:-4]}.{price[-4:]},{currency},"
                    f"{day[6:]}-{day[3:5]}-{day[:2]},{'2026-12-31' if end else ''},{uom}\n"
                    for key, dealer, product, qty, price, currency, day, end, uom in _rows(
                        start, min(start + _CHUNK, rows), "first"
                    )
                )
            )


def dealers() -> list[str]:
    """Keys of all dealers that the prices name."""
    return [f"C{i:05}" for i in range(DEALERS)]


def products() -> list[str]:
    """Keys of all products that the prices name."""
    return [f"S{i:06}" for i in range(PRODUCTS)]


def _lines(start: int, stop: int, variant: str) -> Iterator[str]:
    for key, dealer, product, qty, price, currency, day, end, uom in _rows(start, stop, variant):
        yield (
            f"{key};{dealer};{product};{qty},000;{price[:-4]},{price[-4:]};{currency};"
            f"{day};{'31.12.2026' if end else ''};{uom}\n"
        )


def _rows(
    start: int, stop: int, variant: str
) -> Iterator[tuple[str, str, str, int, str, str, str, bool, str]]:
    number = np.arange(start, stop, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = (number * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
    price = (mixed % np.uint64(9_000_000) + np.uint64(10_000)).astype(np.int64)
    if variant not in {"first", "same_rows"}:
        price = np.where(mixed % np.uint64(100) == 0, price * 51 // 50, price)
    if variant == "changed_20":
        price = np.where(mixed % np.uint64(5) == 1, price * 103 // 100, price)
    gone = variant in {"vanished_1", "changed_20"}
    for i, cents, m in zip(number.tolist(), price.tolist(), mixed.tolist(), strict=True):
        header = i // 2
        if gone and m % 100 == 7:  # noqa: PLR2004  one row in a hundred
            continue
        yield (
            f"K{header:09}",
            f"C{header % DEALERS:05}",
            f"S{header * 7 % PRODUCTS:06}",
            1 if i % 2 == 0 else 10,
            str(cents),
            "EUR" if header % 3 else "TRY",
            f"{header % 28 + 1:02}.01.2026",
            header % 4 != 0,
            "ADET" if header % 10 else "KOLİ",
        )
