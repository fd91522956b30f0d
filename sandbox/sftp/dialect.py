"""How this ERP writes values: decimal comma, dotted thousands, dd.mm.yyyy, its own codes.

Column-wise, so that a hundred thousand price rows take a second. Knows no file and no table.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Column: TypeAlias = pa.ChunkedArray
Render = Callable[[Column, str], Column]
"""(values, time zone of the ERP) -> text, null where there is no value."""

OPEN_END = "31.12.9999"

UNITS = {
    "PCE": "ADET",
    "KGM": "KG",
    "BOX": "KUTU",
    "Each": "TANE",
    "Packet": "PAKET",
    "Pair": "ÇİFT",
    "Bag": "TORBA",
    "Carton": "KOLİ",
}
LEVELS = {
    "list": "LISTE",
    "scale": "KADEME",
    "group": "GRUP",
    "promo": "KAMPANYA",
    "contract": "SOZLESME",
    "quote": "TEKLIF",
    "customer": "CARI",
}
DEALER_SCOPES = {"all": "TUMU", "group": "GRUP", "account": "HESAP", "dealer": "BAYI"}
GROUP_KINDS = {
    "tier": "SEVIYE",
    "price_list": "FIYAT_LISTESI",
    "buying_group": "SATINALMA_GRUBU",
    "customer_group": "MUSTERI_GRUBU",
    "contract": "SOZLESME",
    "campaign": "KAMPANYA",
    "catalogue": "KATALOG",
}
PRODUCT_SCOPES = {"all": "TUMU", "category": "KATEGORI", "product": "STOK", "cart": "SEPET"}
PRODUCT_STATES = {
    "active": "AKTIF",
    "phase_out": "BITIYOR",
    "discontinued": "KALDIRILDI",
    "blocked": "BLOKE",
}
RESTRICTIONS = {
    "hazardous": "TEHLIKELI",
    "regulated": "DENETIMLI",
    "imported": "ITHAL",
    "quota": "KOTALI",
    "contractual": "SOZLESMELI",
}
PRODUCT_DOCUMENTS = {
    "image": "RESIM",
    "data_sheet": "TEKNIK_FOY",
    "safety_sheet": "GUVENLIK_FOYU",
    "certificate": "SERTIFIKA",
    "cad": "CAD",
    "manual": "KILAVUZ",
}
SUBSTITUTES = {"alternative": "MUADIL", "successor": "HALEF", "accessory": "AKSESUAR"}
EFFECTS = {"allow": "IZIN", "deny": "YASAK"}
COMBINES = {"compete": "YARISIR", "cumulate": "EKLENIR"}
EXPECTED_KINDS = {"transit": "YOLDA", "purchase": "SATINALMA", "production": "URETIM"}
PAYMENT_KINDS = {
    "payment": "TAHSILAT",
    "refund": "IADE",
    "write_off": "SILME",
    "adjustment": "DUZELTME",
}
DOCUMENT_KINDS = {
    "invoice": "FATURA",
    "credit_note": "IADE_FATURASI",
    "delivery_note": "IRSALIYE",
    "order_confirmation": "SIPARIS_TEYIDI",
    "statement": "EKSTRE",
    "receipt": "MAKBUZ",
    "certificate": "SERTIFIKA",
    "reminder": "IHTAR",
}
SUBJECTS = {
    "invoice": "FATURA",
    "payment": "ODEME",
    "order": "SIPARIS",
    "shipment": "SEVKIYAT",
    "account": "HESAP",
    "product": "STOK",
}


def text(values: Column, zone: str) -> Column:
    """As it is."""
    del zone
    return pc.cast(values, pa.string())


def joined(values: Column, zone: str) -> Column:
    """A list: its elements with | between them."""
    del zone
    return pc.binary_join(values, "|")


def flag(values: Column, zone: str) -> Column:
    """E (evet) or H (hayır)."""
    del zone
    return pc.if_else(values, "E", "H")


def amount(values: Column, zone: str) -> Column:
    """1.234.567,50: at least two decimals, no more zeros than that."""
    return _dotted(_comma(values, zone, r"^(-?\d+,\d{2}\d*?)0*$"))


def quantity(values: Column, zone: str) -> Column:
    """1.234,5 or 1.234: decimals only where there are any."""
    short = _comma(values, zone, r"^(-?\d+,\d*?)0*$")
    return _dotted(pc.replace_substring_regex(short, r",$", ""))


def day(values: Column, zone: str) -> Column:
    """31.01.2026."""
    del zone
    return pc.strftime(values, "%d.%m.%Y")


def last_day(values: Column, zone: str) -> Column:
    """The last day on which it holds; without end 31.12.9999."""
    before = pc.cast(
        pc.subtract(values, pa.scalar(timedelta(days=1), pa.duration("s"))), pa.date32()
    )
    return pc.fill_null(day(before, zone), OPEN_END)


def local_time(values: Column, zone: str) -> Column:
    """31.01.2026 14:05:09, the time of the ERP's own clocks."""
    seconds = pc.cast(values, pa.timestamp("s", "UTC"))
    return pc.strftime(pc.cast(seconds, pa.timestamp("s", zone)), "%d.%m.%Y %H:%M:%S")


def coded(codes: Mapping[str, str]) -> Render:
    """The ERP's code for ours. ValueError for one that it does not have."""

    def render(values: Column, zone: str) -> Column:
        del zone
        known = pa.array(list(codes))
        found = pc.index_in(values, known)
        missing = values.filter(pc.and_(pc.is_valid(values), pc.is_null(found)))
        if len(missing):
            message = f"this ERP has no code for {missing.unique().to_pylist()}"
            raise ValueError(message)
        return pc.take(pa.array(list(codes.values())), found)

    return render


def coded_list(codes: Mapping[str, str]) -> Render:
    """The same for each element of a list, joined by |."""

    def render(values: Column, zone: str) -> Column:
        del zone
        rows = [
            None if row is None else "|".join(codes[one] for one in row)
            for row in values.to_pylist()
        ]
        return pa.chunked_array([pa.array(rows, pa.string())])

    return render


def _comma(values: Column, zone: str, shorten: str) -> Column:
    with_comma = pc.replace_substring(text(values, zone), ".", ",")
    return pc.replace_substring_regex(with_comma, shorten, r"\1")


def _dotted(numbers: Column) -> Column:
    """A dot after every three digits before the comma."""
    for end in (r"(,.*)?$", r"(\..*)$", r"(\..*)$", r"(\..*)$"):
        numbers = pc.replace_substring_regex(numbers, r"^(-?\d+)(\d{3})" + end, r"\1.\2\3")
    return numbers
