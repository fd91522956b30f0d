"""A price list of millions of rows, made by the server itself, and what its indexes cost to write.

Levels as dealers have them: list with last year's, scales in percent, five tiers, promotions,
contracts with a break, and for the rest prices of single dealers with three breaks.
"""

from __future__ import annotations

import random
import time
from typing import Any

import psycopg

ERP = "bench"
DAY = "2026-11-15"
_TABLE = f"portal.price_{ERP}"
_INSERT = (
    "INSERT INTO {table} (erp, header_key, level, dealer_scope, dealer_group_kind, dealer_key, "
    "product_scope, product_key, currency, uom, per, min_qty, unit_price, pct_off_list, "
    "valid_from, valid_to, dealer_erp, product_erp, batch_id, record_no, row_hash, as_of) "
    "SELECT 'bench', '{letter}' || lpad(h::text, 9, '0'), '{level}', '{scope}', {kind}, {key}, "
    "'product', 'P' || lpad(p::text, 6, '0'), 'EUR', {uom}, 1, b, {price}, {percent}, {since}, "
    "{until}, 'bench', 'bench', 1, h, h, now() FROM ({source}) s, unnest(ARRAY[{breaks}]) b"
)


class PriceList:
    """`rows` prices of ERP `bench`, in the database at `url`."""

    def __init__(self, url: str, rows: int) -> None:
        self.rows = rows
        big = rows >= 5_000_000  # noqa: PLR2004  below it, a smaller house
        self.products = 20_000 if big else 2_000
        self.dealers = 2_000 if big else 400
        self._contracts = 200 if big else 40
        self._own = 0
        self._db = psycopg.connect(url, autocommit=True)

    def product(self, number: int) -> str:
        """Its SKU."""
        return f"P{number:06d}"

    def products_of(self, dealer: int) -> list[str]:
        """The products for which a dealer has a price of its own."""
        return [
            self.product((dealer * 31 + i * 11) % self.products + 1)
            for i in range(1, self._own + 1)
        ]

    def headers(self, draw: random.Random, n: int) -> list[str]:
        """Headers at random over the whole list, in proportion to its rows."""
        own = [f"K{draw.randint(1, self._own * self.dealers):09d}" for _ in range(n * 3 // 4)]
        return [*own, *(f"L{draw.randint(1, self.products * 2):09d}" for _ in range(n - len(own)))]

    def make(self) -> dict[str, Any]:
        """Fill, index, attach; returns seconds and sizes, as items too."""
        run = self._db.execute
        run(f"DROP TABLE IF EXISTS {_TABLE}")
        run(f"CREATE TABLE {_TABLE} (LIKE portal.price INCLUDING DEFAULTS) WITH (fillfactor = 85)")
        began = time.perf_counter()
        self._fill(_TABLE)
        filled = time.perf_counter()
        run(f"ALTER TABLE {_TABLE} ADD CONSTRAINT price_{ERP}_pkey "
            "PRIMARY KEY (header_key, min_qty, erp)")  # fmt: skip
        keyed = time.perf_counter()
        run(f"ALTER TABLE portal.price ATTACH PARTITION {_TABLE} FOR VALUES IN ('{ERP}')")
        indexed = time.perf_counter()
        run(f"VACUUM ANALYZE {_TABLE}")
        self._people()
        sizes = dict(
            run(
                "SELECT i.relname, pg_relation_size(i.oid) / 1000000.0 FROM pg_index x "
                "JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s::regclass",
                (_TABLE,),
            ).fetchall()
        )
        seconds = {
            "fill": filled - began, "primary_key": keyed - filled, "read_indexes": indexed - keyed,
        }  # fmt: skip
        rounded = {name: round(value, 1) for name, value in seconds.items()}
        megabytes = {name: round(float(value), 1) for name, value in sizes.items()}
        items = [
            {"case": f"write_{name}", "rows": self.rows, "seconds": value}
            for name, value in rounded.items()
        ]
        items += self._write_cost()
        return {"seconds": rounded, "index_mb": megabytes, "items": items}

    def _fill(self, table: str) -> None:
        every, contracts = f"generate_series(1, {self.products})", self._contracts
        held = self.rows * 2 // 10 // 2 // contracts
        self._add(table, "L", "list", f"SELECT p, p h FROM {every} p", breaks="1",
                  price="round(10 + p % 9000 / 100.0, 2)")  # fmt: skip
        self._add(table, "L", "list", f"SELECT p, {self.products} + p h FROM {every} p", breaks="1",
                  since="date '2025-01-01'", until="date '2026-01-01'")  # fmt: skip
        self._add(table, "S", "scale", f"SELECT p, p h FROM {every} p WHERE p % 3 = 0",
                  price="NULL", breaks="10, 50, 100", uom="NULL",
                  percent="(2 + b / 20)::numeric")  # fmt: skip
        self._add(table, "G", "group", "SELECT p, g, p * 5 + g h FROM "
                  f"{every} p, generate_series(0, 4) g WHERE p % 10 <> 9", scope="group",
                  kind="'tier'", key="'T' || g")  # fmt: skip
        self._add(table, "A", "promo", f"SELECT p, p h FROM {every} p WHERE p % 16 = 0", breaks="1",
                  since="date '2026-11-01'", until="date '2026-12-01'")  # fmt: skip
        self._add(table, "C", "contract", f"SELECT (g * 97 + i * 7) % {self.products} + 1 p, g, "
                  f"g * {self.products} + i h FROM generate_series(1, {contracts}) g, "
                  f"generate_series(1, {min(held, self.products)}) i", breaks="1, 50",
                  scope="group", kind="'contract'", key="'C' || g")  # fmt: skip
        row = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[call-overload]
        left = self.rows - int(row[0] if row else 0)
        self._own = min(left // self.dealers // 3 + 1, self.products)
        self._add(table, "K", "customer", f"SELECT (d * 31 + i * 11) % {self.products} + 1 p, d, "
                  f"(d - 1) * {self._own} + i h FROM generate_series(1, {self.dealers}) d, "
                  f"generate_series(1, {self._own}) i", scope="dealer",
                  key="'D' || lpad(d::text, 6, '0')")  # fmt: skip

    def _add(self, table: str, letter: str, level: str, source: str, **more: str) -> None:
        words = {
            "scope": "all", "kind": "NULL", "key": "NULL", "uom": "'PCE'", "percent": "NULL",
            "price": "round(h % 9000 / 100.0 + 1, 2)", "breaks": "1, 10, 50",
            "since": "date '2026-01-01'", "until": "NULL::date",
        }  # fmt: skip
        text = _INSERT.format(table=table, letter=letter, level=level, source=source,
                              **{**words, **more})  # fmt: skip
        self._db.execute(text)  # type: ignore[call-overload]

    def _people(self) -> None:
        """Dealers, memberships and products, and one portal dealer that owns all of them."""
        stamp = "1, d, d, now()"
        texts = (
            (
                "INSERT INTO portal.dealer (erp, key, name, status, account_key, currency, "
                "batch_id, record_no, row_hash, as_of) "
                "SELECT 'bench', 'D' || lpad(d::text, 6, '0'), 'D', "
                f"'active', 'D' || lpad(d::text, 6, '0'), 'EUR', {stamp} "
                f"FROM generate_series(1, {self.dealers}) d"
            ),
            (
                "INSERT INTO portal.dealer_group (erp, dealer_key, account_key, kind, group_key, "
                "category_slot, valid_from, batch_id, record_no, row_hash, as_of) SELECT 'bench', "
                "'D' || lpad(d::text, 6, '0'), 'D' || lpad(d::text, 6, '0'), k.kind, k.key, '', "
                f"'0001-01-01', {stamp} FROM generate_series(1, {self.dealers}) d, LATERAL "
                "(VALUES ('tier', 'T' || d % 5), ('contract', 'C' || d % 200 + 1)) k (kind, key)"
            ),
            (
                "INSERT INTO portal.dealer_account (erp, dealer_key, portal_dealer_id) "
                "SELECT 'bench', 'D' || lpad(d::text, 6, '0'), 1 "
                f"FROM generate_series(1, {self.dealers}) d"
            ),
            (
                "INSERT INTO portal.product (erp, key, name, status, base_uom, batch_id, "
                "record_no, row_hash, as_of) "
                "SELECT 'bench', 'P' || lpad(d::text, 6, '0'), 'P', 'active', "
                f"'PCE', {stamp} FROM generate_series(1, {self.products}) d"
            ),
        )
        for text in texts:
            self._db.execute(text + " ON CONFLICT DO NOTHING")  # type: ignore[call-overload]
        self._db.execute("ANALYZE portal.dealer, portal.dealer_group, portal.product")

    def _write_cost(self) -> list[dict[str, Any]]:
        """1 % of 200,000 prices changed, and a first load, with and without the read indexes."""
        items: list[dict[str, Any]] = []
        rows = 200_000
        for name, with_indexes in (("without", False), ("with", True)):
            table = f"portal.write_{name}"
            run = self._db.execute
            run(f"DROP TABLE IF EXISTS {table}")  # type: ignore[call-overload]
            run(f"CREATE TABLE {table} (LIKE portal.price INCLUDING DEFAULTS) "  # type: ignore[call-overload]
                "WITH (fillfactor = 85)")  # fmt: skip
            run(f"INSERT INTO {table} SELECT * FROM {_TABLE} LIMIT {rows}")  # type: ignore[call-overload]
            began = time.perf_counter()
            run(f"ALTER TABLE {table} ADD PRIMARY KEY (header_key, min_qty, erp)")  # type: ignore[call-overload]
            if with_indexes:
                for (text,) in run(
                    "SELECT replace(replace(pg_get_indexdef(indexrelid), 'ONLY portal.price', %s), "
                    "'INDEX ', 'INDEX w_') FROM pg_index WHERE indrelid = 'portal.price'::regclass "
                    "AND NOT indisprimary",
                    (table,),
                ).fetchall():
                    run(text)
            built = time.perf_counter() - began
            run(f"VACUUM ANALYZE {table}")  # type: ignore[call-overload]
            run("CHECKPOINT")
            before = run("SELECT pg_current_wal_lsn()").fetchone()
            began = time.perf_counter()
            run(f"UPDATE {table} t SET unit_price = t.unit_price + 1, row_hash = t.row_hash + 1 "  # type: ignore[call-overload]
                "WHERE t.record_no % 100 = 0")  # fmt: skip
            changed = time.perf_counter() - began
            wal = run("SELECT pg_current_wal_lsn() - %s::pg_lsn", before).fetchone()
            items.append(
                {
                    "case": f"write_200000_{name}_read_indexes",
                    "rows": rows,
                    "seconds": round(built, 3),
                    "change_1_ms": round(changed * 1000, 1),
                    "change_1_wal_mb": round(float(wal[0]) / 1e6, 2) if wal else None,
                }
            )
            run(f"DROP TABLE {table}")  # type: ignore[call-overload]
        return items
