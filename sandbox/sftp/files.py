"""Which CSV files this ERP exports: their names, headers, columns and control totals.

Declares only; `folder.py` writes them.
"""

from dataclasses import dataclass

from sandbox.sftp import dialect as d


@dataclass(frozen=True)
class Layout:
    """One export: file name stem, (header, column of the data set, how it is written) each."""

    stem: str
    table: str
    columns: tuple[tuple[str, str, d.Render], ...]
    total: str | None = None
    """Column of the data set that the trailer adds up."""


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "products",
        "product",
        (
            ("STOK_KODU", "key", d.text),
            ("STOK_ADI", "name", d.text),
            ("ACIKLAMA", "description", d.text),
            ("DURUM", "status", d.coded(d.PRODUCT_STATES)),
            ("MARKA", "brand", d.text),
            ("TEMEL_BIRIM", "base_uom", d.coded(d.UNITS)),
            ("SATIS_BIRIMI", "sales_uom", d.coded(d.UNITS)),
            ("ASGARI_SIPARIS", "min_order_qty", d.quantity),
            ("SIPARIS_ADIMI", "order_step", d.quantity),
            ("TEMIN_SURESI", "lead_time_days", d.text),
            ("KDV_SINIFI", "tax_class", d.text),
            ("KDV_ORANI", "tax_pct", d.quantity),
            ("STOKLU", "stocked", d.flag),
            ("KISITLAR", "restrictions", d.coded_list(d.RESTRICTIONS)),
            ("ILK_SATIS", "launched_on", d.day),
            ("HALEF_KODU", "successor_key", d.text),
            ("URETICI", "manufacturer", d.text),
            ("URETICI_NO", "manufacturer_no", d.text),
            ("MENSEI", "origin", d.text),
            ("GTIP", "customs_no", d.text),
            ("AGIRLIK_KG", "weight_kg", d.quantity),
            ("ARAMA_SOZCUKLERI", "search_terms", d.joined),
            ("OZELLIKLER", "attributes", d.text),
        ),
    ),
    Layout(
        "product_texts",
        "product_text",
        (
            ("STOK_KODU", "product_key", d.text),
            ("DIL", "language", d.text),
            ("STOK_ADI", "name", d.text),
            ("ACIKLAMA", "description", d.text),
        ),
    ),
    Layout(
        "product_units",
        "product_uom",
        (
            ("STOK_KODU", "product_key", d.text),
            ("BIRIM", "uom", d.coded(d.UNITS)),
            ("PAY", "numerator", d.text),
            ("PAYDA", "denominator", d.text),
            ("BARKODLAR", "barcodes", d.joined),
            ("SIPARIS_BIRIMI", "orderable", d.flag),
        ),
    ),
    Layout(
        "categories",
        "category",
        (
            ("KATEGORI", "key", d.text),
            ("UST_KATEGORI", "parent_key", d.text),
            ("ADI", "name", d.text),
            ("SIRA", "sort", d.text),
        ),
    ),
    Layout(
        "product_categories",
        "product_category",
        (
            ("STOK_KODU", "product_key", d.text),
            ("KATEGORI", "category_key", d.text),
            ("ANA", "is_primary", d.flag),
        ),
    ),
    Layout(
        "product_documents",
        "product_document",
        (
            ("DOKUMAN_NO", "key", d.text),
            ("STOK_KODU", "product_key", d.text),
            ("TUR", "kind", d.coded(d.PRODUCT_DOCUMENTS)),
            ("BASLIK", "title", d.text),
            ("DIL", "language", d.text),
            ("SIRA", "sort", d.text),
            ("ADRES", "location", d.text),
            ("ORTAM", "mime", d.text),
            ("BOYUT", "bytes", d.text),
            ("SHA256", "sha256", d.text),
            ("SON_GUN", "valid_to", d.last_day),
        ),
    ),
    Layout(
        "substitutes",
        "substitute",
        (
            ("STOK_KODU", "product_key", d.text),
            ("DIGER_KOD", "substitute_key", d.text),
            ("TUR", "kind", d.coded(d.SUBSTITUTES)),
            ("SIRA", "rank", d.text),
            ("IKI_YONLU", "both_ways", d.flag),
            ("ILK_GUN", "valid_from", d.day),
            ("SON_GUN", "valid_to", d.last_day),
        ),
    ),
    Layout(
        "catalogue_grants",
        "catalogue_grant",
        (
            ("IZIN_NO", "key", d.text),
            ("CARI_KAPSAM", "dealer_scope", d.coded(d.DEALER_SCOPES)),
            ("CARI_KODU", "dealer_key", d.text),
            ("GRUP_TURU", "dealer_group_kind", d.coded(d.GROUP_KINDS)),
            ("STOK_KAPSAM", "product_scope", d.coded(d.PRODUCT_SCOPES)),
            ("STOK_KODU", "product_key", d.text),
            ("ETKI", "effect", d.coded(d.EFFECTS)),
            ("RUHSAT", "licence", d.text),
            ("ILK_GUN", "valid_from", d.day),
            ("SON_GUN", "valid_to", d.last_day),
        ),
    ),
    Layout(
        "prices",
        "price",
        (
            ("KOSUL_NO", "header_key", d.text),
            ("SEVIYE", "level", d.coded(d.LEVELS)),
            ("CARI_KAPSAM", "dealer_scope", d.coded(d.DEALER_SCOPES)),
            ("GRUP_TURU", "dealer_group_kind", d.coded(d.GROUP_KINDS)),
            ("CARI_KODU", "dealer_key", d.text),
            ("STOK_KAPSAM", "product_scope", d.coded(d.PRODUCT_SCOPES)),
            ("STOK_KODU", "product_key", d.text),
            ("DOVIZ", "currency", d.text),
            ("BIRIM", "uom", d.coded(d.UNITS)),
            ("FIYAT_BIRIMI", "per", d.text),
            ("MIKTAR_BASLANGIC", "min_qty", d.quantity),
            ("ASGARI_TUTAR", "min_amount", d.amount),
            ("BIRIM_FIYAT", "unit_price", d.amount),
            ("ISKONTO_ORANI", "pct_off_list", d.quantity),
            ("ISKONTO_TUTARI", "amount_off_list", d.amount),
            ("SIFIR_OLUR", "allow_zero", d.flag),
            ("BIRLESME", "combine", d.coded(d.COMBINES)),
            ("KDV_DAHIL", "tax_included", d.flag),
            ("ILK_GUN", "valid_from", d.day),
            ("SON_GUN", "valid_to", d.last_day),
            ("SIRA", "seq", d.text),
            ("KALAN_KOTA", "quota_left", d.quantity),
            ("REFERANS", "ref", d.text),
            ("BASLIK", "title", d.text),
        ),
        total="unit_price",
    ),
    Layout(
        "warehouses",
        "warehouse",
        (
            ("DEPO_KODU", "key", d.text),
            ("DEPO_ADI", "name", d.text),
            ("ULKE", "country", d.text),
            ("BOLGE", "region", d.text),
            ("SAAT_DILIMI", "time_zone", d.text),
            ("SIRA", "sort", d.text),
            ("GORUNUR", "visible", d.flag),
        ),
    ),
    Layout(
        "stock",
        "stock",
        (
            ("STOK_KODU", "product_key", d.text),
            ("DEPO_KODU", "warehouse_key", d.text),
            ("MEVCUT", "on_hand", d.quantity),
            ("REZERVE", "reserved", d.quantity),
            ("KULLANILABILIR", "available", d.quantity),
            ("ASGARI_SEVIYE", "low_level", d.quantity),
            ("SON_HAREKET", "changed_at", d.local_time),
        ),
        total="on_hand",
    ),
    Layout(
        "stock_expected",
        "stock_expected",
        (
            ("KAYIT_NO", "key", d.text),
            ("STOK_KODU", "product_key", d.text),
            ("DEPO_KODU", "warehouse_key", d.text),
            ("MIKTAR", "qty", d.quantity),
            ("TARIH", "expected_on", d.day),
            ("TUR", "kind", d.coded(d.EXPECTED_KINDS)),
            ("TEYITLI", "confirmed", d.flag),
        ),
        total="qty",
    ),
    Layout(
        "payments",
        "payment",
        (
            ("MAKBUZ_NO", "key", d.text),
            ("CARI_KODU", "account_key", d.text),
            ("TUR", "kind", d.coded(d.PAYMENT_KINDS)),
            ("KAYIT_TARIHI", "booked_on", d.day),
            ("VALOR", "value_on", d.day),
            ("DOVIZ", "currency", d.text),
            ("TUTAR", "amount", d.amount),
            ("ACIK_TUTAR", "unapplied", d.amount),
            ("ODEME_SEKLI", "method", d.text),
            ("REFERANS", "reference", d.text),
            ("SIPARIS_REF", "order_ref", d.text),
        ),
        total="amount",
    ),
    Layout(
        "payment_allocations",
        "payment_allocation",
        (
            ("MAKBUZ_NO", "payment_key", d.text),
            ("FATURA_NO", "invoice_key", d.text),
            ("TUTAR", "amount", d.amount),
            ("TARIH", "allocated_on", d.day),
        ),
        total="amount",
    ),
    Layout(
        "documents",
        "document",
        (
            ("BELGE_NO", "key", d.text),
            ("TUR", "kind", d.coded(d.DOCUMENT_KINDS)),
            ("NUMARA", "number", d.text),
            ("HESAP_KODU", "account_key", d.text),
            ("CARI_KODU", "dealer_key", d.text),
            ("KONU", "subject", d.coded(d.SUBJECTS)),
            ("KONU_NO", "subject_key", d.text),
            ("TARIH", "issued_on", d.day),
            ("BICIM", "format", d.text),
            ("DIL", "language", d.text),
            ("YOL", "location", d.text),
            ("SAKLAMA_SONU", "retain_until", d.day),
        ),
    ),
)
